//! The native methods of the class `dev.picodet.Native`.

use jni::EnvUnowned;
use jni::objects::{JByteArray, JByteBuffer, JClass, JFloatArray, JObjectArray, JString};
use jni::sys::{jboolean, jfloat, jint, jlong};
use picodet::{Detector, Image, Input, Model};

use crate::buffer::{bytes, copy};
use crate::failure::{Failure, guarded};
use crate::image::Layout;
use crate::options::options;

/// Returns the detector of a handle.
///
/// # Safety
/// `handle` is a result of `create` that `free` has not got, and does not get while the reference is in use: the class
/// `Detector` calls under the read lock, and frees under the write lock.
unsafe fn detector<'a>(handle: jlong) -> &'a Detector {
    // SAFETY: the pointer comes from `Box::into_raw` in `create`, and it is alive by this function's contract.
    unsafe { &*(handle as *const Detector) }
}

/// Detects in an image and returns six numbers per object: left, top, right and bottom in pixels of the upright image, score,
/// class.
///
/// # Safety
/// As [`detector`].
unsafe fn detect<'local>(
    env: &mut jni::Env<'local>,
    handle: jlong,
    image: &Image,
) -> Result<JFloatArray<'local>, Failure> {
    // SAFETY: as the caller's.
    let found = unsafe { detector(handle) }.detect(image)?;
    let mut numbers = Vec::with_capacity(found.len() * 6);
    for found in &found {
        numbers.extend(found.bbox.xyxy());
        numbers.extend([found.score, found.class as f32]);
    }
    let array = JFloatArray::new(env, numbers.len())?;
    array.set_region(env, 0, &numbers)?;
    Ok(array)
}

/// Prepares a model, which is in an array or in a direct buffer, for detection and returns its handle.
// SAFETY: no other symbol of this library has this name.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_picodet_Native_create<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    array: JByteArray<'local>,
    buffer: JByteBuffer<'local>,
    score: jfloat,
    iou: jfloat,
    max_detections: jint,
    threads: jint,
    input_width: jint,
    input_height: jint,
) -> jlong {
    guarded(env, |env| {
        let options = options(score, iou, max_detections, threads, (input_width, input_height))?;
        let copied;
        let model = if array.is_null() {
            // SAFETY: the buffer is an argument of this call, and documented as read-only.
            unsafe { bytes(env, &buffer, "model") }?
        } else {
            copied = copy(env, &array, "model")?;
            &copied
        };
        let model = Model::integers_from_bytes(model).map_err(picodet::Error::from)?;
        let detector = Detector::new(&model, &options)?;
        Ok(Box::into_raw(Box::new(detector)) as jlong)
    })
}

/// Frees a detector.
// SAFETY: no other symbol of this library has this name.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_picodet_Native_free<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    handle: jlong,
) {
    guarded(env, |_| {
        // SAFETY: the pointer comes from `Box::into_raw` in `create`; the class `Detector` frees once, under the write lock.
        drop(unsafe { Box::from_raw(handle as *mut Detector) });
        Ok(())
    });
}

/// Returns the names of the classes.
// SAFETY: no other symbol of this library has this name.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_picodet_Native_classes<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    handle: jlong,
) -> JObjectArray<'local, JString<'local>> {
    guarded(env, |env| {
        // SAFETY: the class `Detector` passes its open handle.
        let classes = unsafe { detector(handle) }.classes();
        let empty = JString::new(env, "")?;
        let names = JObjectArray::<JString<'_>>::new(env, classes.len(), &empty)?;
        for (index, class) in classes.iter().enumerate() {
            let name = JString::new(env, class)?;
            names.set_element(env, index, &name)?;
            // The table of local references is too small for many classes.
            env.delete_local_ref(name);
        }
        Ok(names)
    })
}

/// Returns width and height of the network input, width in the upper half.
// SAFETY: no other symbol of this library has this name.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_picodet_Native_inputSize<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    handle: jlong,
) -> jlong {
    guarded(env, |_| {
        // SAFETY: the class `Detector` passes its open handle.
        let (height, width) = unsafe { detector(handle) }.input_size();
        Ok(((width as jlong) << 32) | height as jlong)
    })
}

/// Detects in the bytes of an image file.
// SAFETY: no other symbol of this library has this name.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_picodet_Native_detectFile<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    handle: jlong,
    file: JByteArray<'local>,
) -> JFloatArray<'local> {
    guarded(env, |env| {
        let file = copy(env, &file, "file")?;
        let image = Input::from(file.as_slice()).read()?;
        // SAFETY: the class `Detector` passes its open handle.
        unsafe { detect(env, handle, &image) }
    })
}

/// Detects in packed RGBA pixels.
// SAFETY: no other symbol of this library has this name.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_picodet_Native_detectRgba<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    handle: jlong,
    pixels: JByteBuffer<'local>,
    width: jint,
    height: jint,
    row_stride: jint,
    rotation: jint,
) -> JFloatArray<'local> {
    guarded(env, |env| {
        // SAFETY: the buffer is an argument of this call, and documented as read-only.
        let data = unsafe { bytes(env, &pixels, "pixels") }?;
        let image = Layout { width, height, rotation }.rgba(data, row_stride)?.to_image()?;
        // SAFETY: the class `Detector` passes its open handle.
        unsafe { detect(env, handle, &image) }
    })
}

/// Detects in planes of YUV 4:2:0.
// SAFETY: no other symbol of this library has this name.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_picodet_Native_detectYuv<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    handle: jlong,
    y: JByteBuffer<'local>,
    u: JByteBuffer<'local>,
    v: JByteBuffer<'local>,
    width: jint,
    height: jint,
    y_row_stride: jint,
    chroma_row_stride: jint,
    chroma_pixel_stride: jint,
    is_full_range: jboolean,
    rotation: jint,
) -> JFloatArray<'local> {
    guarded(env, |env| {
        // SAFETY: the buffers are arguments of this call, and documented as read-only.
        let planes = unsafe { [bytes(env, &y, "y")?, bytes(env, &u, "u")?, bytes(env, &v, "v")?] };
        let layout = Layout { width, height, rotation };
        let (stride, step) = (chroma_row_stride, chroma_pixel_stride);
        let image = layout.yuv(planes, y_row_stride, stride, step, is_full_range)?.to_image()?;
        // SAFETY: the class `Detector` passes its open handle.
        unsafe { detect(env, handle, &image) }
    })
}

/// Panics, so that a test can see what becomes of a panic.
// SAFETY: no other symbol of this library has this name.
#[unsafe(no_mangle)]
pub extern "system" fn Java_dev_picodet_Native_panic<'local>(
    env: EnvUnowned<'local>,
    _: JClass<'local>,
    index: jint,
) {
    guarded(env, |_| -> Result<(), Failure> { panic!("index {index} is out of range") });
}
