//! Images of the caller in all formats, and results that are bitwise those of the library.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use std::ptr::{null, null_mut};

use picodet::{Image, Packed, Plane, RawImage, RawPixels, Rotation, YuvRange};
use picodet_c::*;
use picodet_testing::{Cases, Noise, shared_path};

/// A small detector that finds something in anything, by both interfaces.
struct Both {
    detector: *mut Detector,
    expected: picodet::Detector,
}

// SAFETY: the handle is a number, and the interface is for any number of threads.
unsafe impl Sync for Both {}

impl Both {
    fn new(side: u32, score: f32) -> Self {
        let (mut model, mut detector) = (null_mut(), null_mut());
        // SAFETY: places of this function.
        unsafe {
            assert_eq!(picodet_model_embedded(null(), &mut model), PICODET_OK);
            let mut options: Options = std::mem::zeroed();
            assert_eq!(picodet_options_init(&mut options, size_of::<Options>()), PICODET_OK);
            (options.input_width, options.input_height, options.score_threshold) = (side, side, score);
            assert_eq!(picodet_detector_new(model, &options, &mut detector), PICODET_OK);
        }
        assert_eq!(picodet_model_free(model), PICODET_OK);
        let side = (side > 0).then_some((side as usize, side as usize));
        let options = picodet::Options::new().with_input_size(side).with_score_threshold(score);
        let model = picodet::default_model().expect("a model");
        Self { detector, expected: picodet::Detector::new(&model, &options).expect("a detector") }
    }

    /// Returns the detections as JSON, or the error.
    fn detect(&self, image: &ImageView) -> Result<String, String> {
        let mut result = null_mut();
        // SAFETY: a place and a struct of this function.
        let status = unsafe { picodet_detect(self.detector, image, &mut result) };
        finish(status, result)
    }

    fn detect_file(&self, path: &Path) -> Result<String, String> {
        let path = CString::new(path.to_str().expect("UTF-8")).expect("no zero byte");
        let mut result = null_mut();
        // SAFETY: a place and a text of this function.
        let status = unsafe { picodet_detect_file(self.detector, path.as_ptr(), &mut result) };
        finish(status, result)
    }

    fn expected(&self, image: &Image) -> Result<String, String> {
        self.expected.detect(image).map(|found| found.to_json()).map_err(|error| error.to_string())
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        assert_eq!(picodet_detector_free(self.detector), PICODET_OK);
    }
}

fn finish(status: Status, result: *mut DetectionResult) -> Result<String, String> {
    // SAFETY: texts of the library, read before they become invalid.
    let text = |text| unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8").to_owned();
    if status != PICODET_OK {
        return Err(text(picodet_last_error()));
    }
    let json = text(picodet_result_json(result));
    assert_eq!(picodet_result_free(result), PICODET_OK);
    Ok(json)
}

fn empty() -> ImageView {
    // SAFETY: zeros are valid for numbers and pointers.
    unsafe { std::mem::zeroed() }
}

#[test]
fn packed_pixels_are_those_of_the_library() {
    let both = Both::new(64, 0.001);
    let (width, height, stride) = (37, 23, 160);
    let data = Noise::new(3).bytes(stride * height);
    let formats = [
        (PICODET_FORMAT_RGB, Packed::Rgb),
        (PICODET_FORMAT_BGR, Packed::Bgr),
        (PICODET_FORMAT_RGBA, Packed::Rgba),
        (PICODET_FORMAT_BGRA, Packed::Bgra),
        (PICODET_FORMAT_GREY, Packed::Grey),
        (PICODET_FORMAT_YUYV, Packed::Yuyv),
    ];
    let mut cases = Cases::new();
    for (format, packed) in formats {
        for (size, stride) in [(data.len(), stride), (0, stride), (data.len(), 0), (0, 0)] {
            for (orientation, range) in
                [(0, PICODET_RANGE_LIMITED), (90, PICODET_RANGE_FULL), (180, 0), (270, 1)]
            {
                let image = ImageView {
                    data: data.as_ptr(),
                    size,
                    width: width as u32,
                    height: height as u32,
                    stride,
                    format,
                    orientation,
                    range,
                    ..empty()
                };
                let plane = Plane::new(&data, if stride == 0 { packed.row_bytes(width) } else { stride });
                let raw = RawImage::new(width, height, RawPixels::Packed(packed, plane))
                    .with_rotation(Rotation::from_degrees(orientation).expect("a quarter turn"))
                    .with_range(if range == PICODET_RANGE_FULL { YuvRange::Full } else { YuvRange::Limited });
                let expected = both.expected(&raw.to_image().expect("an image"));
                cases.check("something is found", expected.as_ref().is_ok_and(|found| found.len() > 2));
                cases.equal(
                    format!("{packed:?}, {size}, {stride}, {orientation}"),
                    both.detect(&image),
                    expected,
                );
            }
        }
    }
    cases.finish();
}

#[test]
fn planes_of_yuv_are_found_together_or_apart() {
    let both = Both::new(64, 0.001);
    let mut cases = Cases::new();
    for (width, height) in [(1, 1), (6, 4), (37, 23)] {
        let (columns, rows) = (usize::div_ceil(width, 2), usize::div_ceil(height, 2));
        for gap in [0, 5] {
            let stride = width + gap;
            let luma = Noise::new(1).bytes(stride * height);
            for (format, step) in
                [(PICODET_FORMAT_NV12, 2), (PICODET_FORMAT_NV21, 2), (PICODET_FORMAT_I420, 1)]
            {
                // The defaults that belong to the stride of luma.
                let chroma_stride = match (gap, step) {
                    (0, step) => columns * step,
                    (_, 1) => stride.div_ceil(2),
                    _ => stride,
                };
                if chroma_stride < columns * step {
                    continue;
                }
                let planes = [2, 3].map(|seed| Noise::new(seed).bytes(chroma_stride * rows));
                let plane = |index: usize, offset: usize| {
                    Plane::new(&planes[index][offset..], chroma_stride).with_step(step)
                };
                let (u, v) = match format {
                    PICODET_FORMAT_NV12 => (plane(0, 0), plane(0, 1)),
                    PICODET_FORMAT_NV21 => (plane(0, 1), plane(0, 0)),
                    _ => (plane(0, 0), plane(1, 0)),
                };
                let pixels = RawPixels::Yuv420 { y: Plane::new(&luma, stride), u, v };
                let expected =
                    both.expected(&RawImage::new(width, height, pixels).to_image().expect("an image"));
                let count = if step == 1 { 2 } else { 1 };
                let together = [&luma[..], &planes[..count].concat()].concat();
                let given_stride = if gap == 0 { 0 } else { stride };
                let (width, height) = (width as u32, height as u32);
                let base = ImageView { width, height, stride: given_stride, format, ..empty() };
                let name = format!("{width}x{height}, {gap}, {format}");
                for size in [0, together.len()] {
                    let image = ImageView { data: together.as_ptr(), size, ..base };
                    cases.equal(format!("{name}, together"), &both.detect(&image), &expected);
                }
                let chroma = [planes[0].as_ptr(), if step == 1 { planes[1].as_ptr() } else { null() }];
                for (size, chroma_size) in [(0, 0), (luma.len(), planes[0].len())] {
                    let image =
                        ImageView { data: luma.as_ptr(), size, chroma, chroma_size, chroma_stride, ..base };
                    cases.equal(format!("{name}, apart"), &both.detect(&image), &expected);
                }
                let short =
                    ImageView { data: together.as_ptr(), size: together.len() - chroma_stride, ..base };
                cases.check(format!("{name}, too short"), both.detect(&short).is_err());
            }
        }
    }
    cases.finish();
}

#[test]
fn fields_that_contradict_each_other_are_refused() {
    let both = Both::new(32, 0.4);
    let data = [0; 4096];
    let base = ImageView { data: data.as_ptr(), size: data.len(), width: 16, height: 16, ..empty() };
    let mut cases = Cases::new();
    let mut refused = |image: ImageView, expected: &str| {
        cases.equal(expected, both.detect(&image), Err(expected.to_owned()));
    };
    refused(ImageView { data: null(), ..base }, "`image.data` is NULL");
    let sides = "expected sides from 1 to 65535";
    refused(ImageView { width: 0, ..base }, &format!("`image.width x height` is 0 x 16; {sides}"));
    refused(
        ImageView { height: u32::MAX, ..base },
        &format!("`image.width x height` is 16 x 4294967295; {sides}"),
    );
    let stride = "`image.stride` is";
    refused(ImageView { stride: 47, ..base }, &format!("{stride} 47; expected at least the bytes of a row"));
    let fits = "expected rows that fit in the given number of bytes";
    refused(ImageView { stride: 300, ..base }, &format!("{stride} 300; {fits}"));
    let memory = "expected rows that fit in memory";
    refused(ImageView { stride: usize::MAX, ..base }, &format!("{stride} {}; {memory}", usize::MAX));
    let too_long = usize::MAX / 16;
    let bytes = "expected a number of bytes that fits in memory";
    let needed = too_long * 15 + 48;
    refused(
        ImageView { stride: too_long, size: 0, ..base },
        &format!("`image.data` is {needed} bytes long; {bytes}"),
    );
    refused(ImageView { format: 9, ..base }, "`image.format` is 9; expected one of PICODET_FORMAT_");
    refused(ImageView { format: -1, ..base }, "`image.format` is -1; expected one of PICODET_FORMAT_");
    refused(ImageView { orientation: 45, ..base }, "`image.orientation` is 45; expected 0, 90, 180 or 270");
    refused(ImageView { range: 2, ..base }, "`image.range` is 2; expected one of PICODET_RANGE_");
    refused(ImageView { reserved: 1, ..base }, "`image.reserved` is 1; expected 0");
    let nv12 = ImageView { format: PICODET_FORMAT_NV12, ..base };
    refused(ImageView { size: 383, ..nv12 }, "`image.size` is 383; expected the bytes of all planes");
    let chroma = [data.as_ptr(), data.as_ptr()];
    let apart = "`image.chroma[1]` is set; expected NULL: only I420 with separate planes has it";
    refused(ImageView { chroma, ..nv12 }, apart);
    refused(
        ImageView { chroma: [data.as_ptr(), null()], format: PICODET_FORMAT_I420, ..base },
        "`image.chroma[1]` is NULL",
    );
    refused(
        ImageView { chroma: [data.as_ptr(), null()], chroma_stride: 8, ..nv12 },
        "`image.chroma_stride` is 8; expected at least the bytes of a row",
    );
    cases.finish();
}

#[test]
fn a_part_of_a_decoded_image_is_an_image_of_its_own() {
    let both = Both::new(0, 0.1);
    let mut whole = empty();
    // SAFETY: a place and a text of this function.
    unsafe {
        let status = picodet_image_open(c"../../examples/page.png".as_ptr(), 0, &mut whole);
        assert_eq!(status, PICODET_OK);
    }
    let image = picodet::open_image("../../examples/page.png").expect("the page");
    assert_eq!(both.detect(&whole), both.expected(&image));
    let plane = Plane::new(&image.data()[100 * whole.stride + 300..], whole.stride);
    let part = RawImage::new(600, 700, RawPixels::Packed(Packed::Rgb, plane)).to_image().expect("an image");
    // SAFETY: the position is inside the pixels.
    let data = unsafe { whole.data.add(100 * whole.stride + 300) };
    let view = ImageView { data, size: 0, width: 600, height: 700, ..whole };
    assert_eq!(both.detect(&view), both.expected(&part));
    // SAFETY: a struct of this function.
    assert_eq!(unsafe { picodet_image_free(&mut whole) }, PICODET_OK);
}

/// Image files of all formats, odd ones among them, at most `count` of a folder.
fn files(folder: &str, count: usize) -> Vec<PathBuf> {
    let Some(folder) = shared_path(folder) else { return Vec::new() };
    let entries = std::fs::read_dir(folder).expect("a folder").filter_map(Result::ok);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files.truncate(count);
    files
}

#[test]
fn files_of_all_kinds_give_the_detections_and_the_errors_of_the_library() {
    let both = Both::new(320, 0.3);
    let mut paths = vec![PathBuf::from("../../examples/page.png")];
    for (folder, count) in [
        ("data/photos", 6),
        ("data/odd_images/exif", 10),
        ("data/odd_images/png16", 3),
        ("data/odd_images/jpeg_ref", 10),
        ("data/odd_images/jpeg_ref/mozilla", 6),
        ("data/odd_images/webp/lossy_images", 3),
        ("data/odd_images/webp/extended_images", 3),
    ] {
        paths.extend(files(folder, count));
    }
    let mut cases = Cases::new();
    for path in paths {
        let expected =
            both.expected.detect(&path).map(|found| found.to_json()).map_err(|error| error.to_string());
        cases.equal(path.display(), both.detect_file(&path), expected);
    }
    cases.finish();
}

#[test]
fn one_detector_serves_many_threads() {
    let both = Both::new(96, 0.001);
    let images: Vec<Image> =
        (0..4).map(|seed| Image::new(40, 30, Noise::new(seed).bytes(3600)).expect("an image")).collect();
    let expected: Vec<_> = images.iter().map(|image| both.expected(image)).collect();
    assert_ne!(expected[0], expected[1]);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (both, images, expected) = (&both, &images, &expected);
            scope.spawn(move || {
                for round in 0..40 {
                    let index = (thread + round) % images.len();
                    let data = images[index].data();
                    let image =
                        ImageView { data: data.as_ptr(), size: data.len(), width: 40, height: 30, ..empty() };
                    assert_eq!(both.detect(&image), expected[index]);
                }
            });
        }
    });
}

#[test]
fn a_detector_may_be_closed_while_others_use_it() {
    let both = Both::new(96, 0.001);
    let image = Image::new(40, 30, Noise::new(9).bytes(3600)).expect("an image");
    let expected = both.expected(&image);
    let detector = both.detector.addr();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let view = ImageView { data: image.data().as_ptr(), width: 40, height: 30, ..empty() };
                loop {
                    match both.detect(&view) {
                        Err(closed) => {
                            assert_eq!(closed, "`detector` is closed, or not a handle of this library");
                            return;
                        }
                        found => assert_eq!(found, expected),
                    }
                }
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        let handle: *mut Detector = std::ptr::without_provenance_mut(detector);
        assert_eq!(picodet_detector_free(handle), PICODET_OK);
    });
    std::mem::forget(both);
}
