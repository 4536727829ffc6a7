//! Results: entry points.

use std::ffi::{CString, c_char};
use std::ptr::null;
use std::sync::{Arc, OnceLock};

use picodet::{Detections, StageTimes};

use crate::guard::{c_text, call, value};
use crate::handle::Table;
use crate::image::{ImageView, Upright};
use crate::model::write_size;
use crate::pointer::{Out, path, reference};
use crate::status::{Failure, Status};

/// The objects that were detected in one image. Any number of threads may use one.
#[derive(Debug)]
pub struct DetectionResult {
    _private: (),
}

/// A detected object.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Detection {
    /// Left edge in pixels of the upright image; may be slightly outside, as all edges.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Bottom edge.
    pub y2: f32,
    /// Score, 0 to 1.
    pub score: f32,
    /// Index of the class.
    pub class_id: u32,
    /// Name of the class in UTF-8, valid until the result is closed.
    pub class_name: *const c_char,
}

/// The time of each stage of a detection in milliseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Resize and normalise.
    pub preprocess: f64,
    /// The network.
    pub network: f64,
    /// Decode and suppress.
    pub postprocess: f64,
}

/// Detections whose class names are kept by the result that holds them.
struct Items(Vec<Detection>);

// SAFETY: the pointers lead to texts in `OpenResult::_classes`, which live as long as the items and are not changed.
unsafe impl Send for Items {}
// SAFETY: as above.
unsafe impl Sync for Items {}

/// The detections of one image.
pub(crate) struct OpenResult {
    detections: Detections,
    items: Items,
    /// The texts to which the items point.
    _classes: Arc<[CString]>,
    json: OnceLock<CString>,
    /// Width and height of the upright image.
    size: (usize, usize),
    times: StageTimes,
}

/// The results whose handles are open.
pub(crate) static RESULTS: Table<OpenResult> = Table::new(2);

impl OpenResult {
    pub(crate) fn new(
        detections: Detections,
        size: (usize, usize),
        times: StageTimes,
        classes: Arc<[CString]>,
    ) -> Self {
        let item = |found: &picodet::Detection| {
            let [x1, y1, x2, y2] = found.bbox.xyxy();
            // A model has at most 10,000 classes.
            let (score, class_id) = (found.score, found.class as u32);
            Detection { x1, y1, x2, y2, score, class_id, class_name: classes[found.class].as_ptr() }
        };
        let items = Items(detections.iter().map(item).collect());
        Self { detections, items, _classes: classes, json: OnceLock::new(), size, times }
    }
}

/// Returns the number of detections; 0 on error.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_result_count(result: *const DetectionResult) -> usize {
    value(0, || Ok(RESULTS.get(result, "result")?.items.0.len()))
}

/// Returns the detections, ordered by class, then by falling score, valid until the result is closed; NULL on error.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_result_items(result: *const DetectionResult) -> *const Detection {
    value(null(), || Ok(RESULTS.get(result, "result")?.items.0.as_ptr()))
}

/// Returns the detections as a JSON array of objects with `class`, `name`, `score` and `box` [x1, y1, x2, y2], in UTF-8, valid
/// until the result is closed; NULL on error.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_result_json(result: *const DetectionResult) -> *const c_char {
    value(null(), || {
        let result = RESULTS.get(result, "result")?;
        Ok(result.json.get_or_init(|| c_text(&result.detections.to_json())).as_ptr())
    })
}

/// Writes width and height of the upright image in pixels; either pointer may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_result_image_size(
    result: *const DetectionResult,
    width: *mut u32,
    height: *mut u32,
) -> Status {
    call(|| {
        let size = RESULTS.get(result, "result")?.size;
        // SAFETY: the contract of the header for places of results.
        unsafe { write_size(width, height, size) }
    })
}

/// Writes the time of each stage of the detection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_result_times(result: *const DetectionResult, times: *mut Times) -> Status {
    call(|| {
        let found = RESULTS.get(result, "result")?.times;
        let [preprocess, network, postprocess] =
            [found.preprocess, found.network, found.postprocess].map(|time| time.as_secs_f64() * 1e3);
        // SAFETY: the contract of the header for places of results.
        unsafe { Out::new(times, Times { preprocess, network, postprocess }, "times") }.map(drop)
    })
}

/// Writes a copy of the image, upright, with boxes, class names and scores drawn in, to a file: JPEG for .jpg and .jpeg,
/// otherwise PNG. The image is that of the detection.
///
/// Errors: PICODET_ERROR_FILE, PICODET_ERROR_ARGUMENT for an image of another size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_result_draw(
    result: *const DetectionResult,
    image: *const ImageView,
    file: *const c_char,
) -> Status {
    call(|| {
        let result = RESULTS.get(result, "result")?;
        // SAFETY: the contract of the header for structs, for the planes of images, and for texts.
        let (image, path) = unsafe { (reference(image, "image")?.upright()?, path(file, "file")?) };
        let size = image.pixels().source_size();
        if size != result.size {
            return Err(Failure::OtherImage { image: size, result: result.size });
        }
        let drawing = match &image {
            Upright::Decoded(image) => result.detections.draw(image),
            Upright::Converted(image) => result.detections.draw(image),
            Upright::Borrowed(pixels) => result.detections.draw(&pixels.to_image()),
        };
        Ok(drawing.save(path)?)
    })
}

/// Closes a result. NULL is ignored.
///
/// Errors: PICODET_ERROR_HANDLE for a handle that is closed already.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_result_free(result: *mut DetectionResult) -> Status {
    call(|| RESULTS.close(result, "result"))
}
