//! Each entry point: results, errors, and their messages.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr::{null, null_mut};

use picodet_c::*;
use picodet_testing::Cases;

const PAGE: &CStr = c"../../examples/page.png";

fn message() -> String {
    text(picodet_last_error())
}

fn text(text: *const c_char) -> String {
    assert!(!text.is_null());
    // SAFETY: a text of the library, whose object is open.
    unsafe { CStr::from_ptr(text) }.to_str().expect("UTF-8").to_owned()
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().expect("UTF-8")).expect("no zero byte")
}

/// The default model and a detector of it.
struct Open {
    model: *mut Model,
    detector: *mut Detector,
}

impl Open {
    fn new() -> Self {
        let (mut model, mut detector) = (null_mut(), null_mut());
        // SAFETY: places of this function.
        unsafe {
            assert_eq!(picodet_model_embedded(null(), &mut model), PICODET_OK);
            assert_eq!(picodet_detector_new(model, null(), &mut detector), PICODET_OK);
        }
        Self { model, detector }
    }

    fn detect(&self, image: &ImageView) -> Result<*mut DetectionResult, String> {
        let mut result = null_mut();
        // SAFETY: a place and a struct of this function.
        match unsafe { picodet_detect(self.detector, image, &mut result) } {
            PICODET_OK => Ok(result),
            status => {
                assert!(result.is_null());
                Err(format!("{status}: {}", message()))
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        assert_eq!(picodet_model_free(self.model), PICODET_OK);
        assert_eq!(picodet_detector_free(self.detector), PICODET_OK);
    }
}

/// An image without pixels.
fn empty() -> ImageView {
    // SAFETY: zeros are valid for numbers and pointers.
    unsafe { std::mem::zeroed() }
}

fn page() -> ImageView {
    let mut image = empty();
    // SAFETY: a place and a text of this function.
    let status = unsafe { picodet_image_open(PAGE.as_ptr(), 0, &mut image) };
    assert_eq!(status, PICODET_OK, "{}", message());
    image
}

#[test]
fn a_detection_from_end_to_end() {
    let open = Open::new();
    assert_eq!(picodet_abi_version(), PICODET_ABI_VERSION);
    assert_eq!(text(picodet_version()), env!("CARGO_PKG_VERSION"));
    let mut image = page();
    assert_eq!((image.width, image.height, image.stride), (1216, 1600, 3648));
    let result = open.detect(&image).expect("a result");
    let (mut width, mut height) = (0, 0);
    let folder = tempfile::tempdir().expect("a folder");
    let drawing = folder.path().join("drawing.jpg");
    // SAFETY: places and texts of this function.
    unsafe {
        assert_eq!(picodet_result_image_size(result, &mut width, &mut height), PICODET_OK);
        assert_eq!(
            picodet_result_draw(result, &image, c_path(&drawing).as_ptr()),
            PICODET_OK,
            "{}",
            message()
        );
        let mut times: Times = std::mem::zeroed();
        assert_eq!(picodet_result_times(result, &mut times), PICODET_OK);
        assert!(times.network > 0.0 && times.preprocess > 0.0);
    }
    assert_eq!((width, height), (1216, 1600));
    assert!(std::fs::read(&drawing).expect("a drawing").starts_with(b"\xff\xd8"));
    let detector = picodet::Detector::new(&picodet::default_model().expect("a model"), &defaults());
    let expected = detector.expect("a detector").detect(PAGE.to_str().expect("UTF-8")).expect("detections");
    assert_eq!(picodet_result_count(result), expected.len());
    assert_eq!(text(picodet_result_json(result)), expected.to_json());
    // SAFETY: the result is open and has this number of items.
    let items = unsafe { std::slice::from_raw_parts(picodet_result_items(result), expected.len()) };
    for (item, expected) in items.iter().zip(&expected) {
        assert_eq!(
            ([item.x1, item.y1, item.x2, item.y2], item.score),
            (expected.bbox.xyxy(), expected.score)
        );
        assert_eq!(
            (item.class_id as usize, text(item.class_name)),
            (expected.class, expected.label.to_string())
        );
    }
    assert_eq!(picodet_result_free(result), PICODET_OK);
    // SAFETY: a struct of this function.
    unsafe {
        assert_eq!(picodet_image_free(&mut image), PICODET_OK);
        assert!(image.owner.is_null() && image.data.is_null());
        assert_eq!(picodet_image_free(&mut image), PICODET_OK);
    }
}

/// The options of the library that are the defaults of the interface.
fn defaults() -> picodet::Options {
    picodet::Options::new().with_score_threshold(0.4)
}

#[test]
fn models_have_classes_sizes_and_metadata() {
    let open = Open::new();
    let expected = picodet::default_model().expect("a model").metadata;
    assert_eq!(picodet_model_class_count(open.model), expected.classes.len());
    let mut cases = Cases::new();
    for (index, class) in expected.classes.iter().enumerate() {
        cases.equal(class, &text(picodet_model_class_name(open.model, index)), class);
        let id = picodet_model_category_id(open.model, index);
        cases.equal(class, id, i64::from(expected.category_ids[index]));
    }
    cases.finish();
    let (mut width, mut height) = (0, 0);
    // SAFETY: places and texts of this function.
    unsafe {
        assert_eq!(picodet_model_input_size(open.model, &mut width, &mut height), PICODET_OK);
        assert_eq!((height as usize, width as usize), expected.input_size);
        assert_eq!(picodet_detector_input_size(open.detector, null_mut(), &mut height), PICODET_OK);
        assert_eq!(text(picodet_model_metadata(open.model, c"licence".as_ptr())), expected.licence);
        assert!(picodet_model_metadata(open.model, c"unknown".as_ptr()).is_null());
        assert_eq!(message(), "");
    }
    assert!(picodet_model_class_name(open.model, usize::MAX).is_null());
    let classes = expected.classes.len();
    assert_eq!(
        message(),
        format!("`class_id` is {}; expected less than the number of classes", usize::MAX),
        "{classes}"
    );
    assert_eq!(picodet_model_category_id(open.model, classes), -1);
}

fn open_file(file: *const c_char, model: *mut *mut Model) -> Status {
    // SAFETY: places and texts of the tests.
    unsafe { picodet_model_open(file, model) }
}

fn open_bytes(data: *const u8, size: usize, model: *mut *mut Model) -> Status {
    // SAFETY: places and bytes of the tests; a size beyond memory is refused before anything is read.
    unsafe { picodet_model_from_bytes(data, size, model) }
}

fn open_embedded(name: *const c_char, model: *mut *mut Model) -> Status {
    // SAFETY: places and texts of the tests.
    unsafe { picodet_model_embedded(name, model) }
}

#[test]
fn models_are_opened_from_files_bytes_and_by_name() {
    let bytes = picodet::default_model().expect("a model").to_bytes(picodet::Storage::F16);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("model.safetensors");
    std::fs::write(&file, &bytes).expect("a file");
    let truncated = &bytes[..bytes.len() / 2];
    let mut cases = Cases::new();
    let mut check = |name: &str, open: &dyn Fn(*mut *mut Model) -> Status, expected: Status, error: &str| {
        let mut model = std::ptr::without_provenance_mut(8);
        let status = open(&mut model);
        cases.equal(name, status, expected);
        cases.check(format!("{name}: {}", message()), message().contains(error));
        cases.equal(name, model.is_null(), status != PICODET_OK);
        cases.equal(name, picodet_model_free(model), PICODET_OK);
    };
    let path = c_path(&file);
    let name = CString::new(picodet::DEFAULT_MODEL).expect("a name");
    check("a file", &|model| open_file(path.as_ptr(), model), PICODET_OK, "");
    check("no path", &|model| open_file(null(), model), PICODET_ERROR_ARGUMENT, "`file` is NULL");
    let missing = c"/missing/file";
    check("no file", &|model| open_file(missing.as_ptr(), model), PICODET_ERROR_FILE, "/missing/file: ");
    let image = PAGE.as_ptr();
    check("an image", &|model| open_file(image, model), PICODET_ERROR_MODEL, "not a picodet model");
    let from = |bytes: &[u8], model| open_bytes(bytes.as_ptr(), bytes.len(), model);
    check("bytes", &|model| from(&bytes, model), PICODET_OK, "");
    check("truncated", &|model| from(truncated, model), PICODET_ERROR_MODEL, "it is cut");
    check("none", &|model| from(&[], model), PICODET_ERROR_MODEL, "not a picodet model");
    let null_bytes = |model| open_bytes(null(), 5, model);
    check("NULL bytes", &null_bytes, PICODET_ERROR_ARGUMENT, "`data` is NULL");
    let too_many = |model| open_bytes(bytes.as_ptr(), usize::MAX, model);
    check("too many bytes", &too_many, PICODET_ERROR_ARGUMENT, "bytes long");
    check("a name", &|model| open_embedded(name.as_ptr(), model), PICODET_OK, "");
    let unknown = |model| open_embedded(c"x".as_ptr(), model);
    check("an unknown name", &unknown, PICODET_ERROR_ARGUMENT, "`name` is `x`; expected ");
    let not_utf8 = |model| open_embedded(c"\xff".as_ptr(), model);
    check("not UTF-8", &not_utf8, PICODET_ERROR_ARGUMENT, "`name` is not UTF-8");
    cases.finish();
    // SAFETY: a text of this function.
    assert_eq!(unsafe { picodet_model_open(path.as_ptr(), null_mut()) }, PICODET_ERROR_ARGUMENT);
    assert_eq!(message(), "`model` is NULL");
}

#[test]
fn options_out_of_their_range_are_refused() {
    let open = Open::new();
    let mut options: Options = {
        // SAFETY: zeros are valid for numbers.
        unsafe { std::mem::zeroed() }
    };
    // SAFETY: a place of this function.
    unsafe {
        assert_eq!(picodet_options_init(&mut options, 8), PICODET_ERROR_ARGUMENT);
        assert_eq!(picodet_options_init(&mut options, size_of::<Options>()), PICODET_OK);
    }
    assert_eq!((options.score_threshold, options.threads, options.max_detections), (0.4, 1, 100));
    let mut cases = Cases::new();
    let mut check = |name: &str, change: &dyn Fn(&mut Options), expected: Result<(), &str>| {
        // The space behind the struct is that of a later version.
        let mut place = [options, options];
        // SAFETY: zeros are valid for numbers.
        place[1] = unsafe { std::mem::zeroed() };
        change(&mut place[0]);
        let mut detector = null_mut();
        // SAFETY: places of this function.
        let status = unsafe { picodet_detector_new(open.model, place.as_ptr(), &mut detector) };
        let found = if status == PICODET_OK { Ok(()) } else { Err(message()) };
        cases.equal(name, found, expected.map_err(str::to_owned));
        cases.check(name, status == PICODET_OK || status == PICODET_ERROR_ARGUMENT);
        cases.equal(name, picodet_detector_free(detector), PICODET_OK);
    };
    let small = |options: &mut Options| (options.input_width, options.input_height) = (64, 32);
    check("a small input", &small, Ok(()));
    check("later options", &|options| options.struct_size += 16, Ok(()));
    let size = size_of::<Options>();
    let earlier =
        format!("`options.struct_size` is {}; expected the value of picodet_options_init", size - 1);
    check("too small", &|options| options.struct_size -= 1, Err(&earlier));
    let nan = "`options.score_threshold` is NaN; expected 0 to 1";
    check("NaN", &|options| options.score_threshold = f32::NAN, Err(nan));
    let infinite = "`options.iou_threshold` is inf; expected 0 to 1";
    check("infinity", &|options| options.iou_threshold = f32::INFINITY, Err(infinite));
    let none = "`options.max_detections` is 0; expected at least 1";
    check("no detections", &|options| options.max_detections = 0, Err(none));
    let threads = "`options.threads` is 4294967295; expected 1 to 1024";
    check("threads", &|options| options.threads = u32::MAX, Err(threads));
    let sides = "`options.input_width x input_height` is 33 x 32; expected multiples of 32 from 32 to 4096, or 0 for both";
    check("sides", &|options| (options.input_width, options.input_height) = (33, 32), Err(sides));
    check("the fastest precision", &|options| options.precision = PICODET_PRECISION_AUTO, Ok(()));
    let precision = "`options.precision` is 7; expected one of PICODET_PRECISION_";
    check("precision", &|options| options.precision = 7, Err(precision));
    check("reserved", &|options| options.reserved = 1, Err("`options.reserved` is 1; expected 0"));
    check("pixels", &|options| options.max_pixels = 0, Err("`options.max_pixels` is 0; expected at least 1"));
    cases.finish();
    let later = [Options { struct_size: size * 2, ..options }, options];
    let mut detector = null_mut();
    // SAFETY: places of this function.
    let status = unsafe { picodet_detector_new(open.model, later.as_ptr(), &mut detector) };
    assert_eq!(status, PICODET_ERROR_ARGUMENT);
    assert!(message().ends_with("the options are of a later version than the library"), "{}", message());
}

#[test]
fn closed_and_foreign_handles_are_errors() {
    let before = {
        let open = Open::new();
        let other: *const Detector = open.model.cast();
        let mut result = null_mut();
        // SAFETY: places and texts of this function.
        let status = unsafe { picodet_detect_file(other, PAGE.as_ptr(), &mut result) };
        assert_eq!(status, PICODET_ERROR_HANDLE);
        assert_eq!(message(), "`detector` is a handle of a model; expected a detector");
        (open.model, open.detector)
    };
    let closed = "is closed, or not a handle of this library";
    assert_eq!(picodet_model_free(before.0), PICODET_ERROR_HANDLE);
    assert_eq!(message(), format!("`model` {closed}"));
    assert_eq!(picodet_model_class_count(before.0), 0);
    assert!(picodet_model_class_name(before.0, 0).is_null());
    assert_eq!(picodet_detector_free(before.1), PICODET_ERROR_HANDLE);
    let mut image = page();
    let copy = image;
    // SAFETY: structs of this function.
    unsafe {
        assert_eq!(picodet_detect(before.1, &image, &mut null_mut()), PICODET_ERROR_HANDLE);
        assert_eq!(picodet_image_free(&mut image), PICODET_OK);
        assert_eq!(picodet_image_free(&mut { copy }), PICODET_ERROR_HANDLE);
    }
    let open = Open::new();
    assert_eq!(
        open.detect(&copy).map(drop),
        Err(format!("2: `image.owner` {closed}")),
        "its pixels are gone"
    );
    assert!(picodet_result_json(null()).is_null());
    assert_eq!(message(), "`result` is NULL");
    for free in
        [picodet_model_free(null_mut()), picodet_detector_free(null_mut()), picodet_result_free(null_mut())]
    {
        assert_eq!(free, PICODET_OK);
    }
}

#[test]
fn results_are_drawn_into_the_image_of_the_detection_only() {
    let open = Open::new();
    let image = page();
    let result = open.detect(&image).expect("a result");
    let half = ImageView { height: 800, ..image };
    // SAFETY: structs and texts of this function.
    unsafe {
        let file = c"/missing/file.png".as_ptr();
        assert_eq!(picodet_result_draw(result, &half, file), PICODET_ERROR_ARGUMENT);
        assert_eq!(
            message(),
            "the image has (1216, 800) pixels, where the result belongs to one of (1216, 1600)"
        );
        assert_eq!(picodet_result_draw(result, &image, file), PICODET_ERROR_FILE);
        assert_eq!(picodet_result_draw(result, &image, null()), PICODET_ERROR_ARGUMENT);
        assert_eq!(picodet_result_free(result), PICODET_OK);
        assert_eq!(picodet_image_free(&mut { image }), PICODET_OK);
    }
}

#[test]
fn limits_hold_and_broken_images_are_errors() {
    let bytes = std::fs::read(PAGE.to_str().expect("UTF-8")).expect("the page");
    let decode = |bytes: &[u8], max_pixels| {
        let mut image = empty();
        // SAFETY: bytes and a place of this function.
        let status = unsafe { picodet_image_decode(bytes.as_ptr(), bytes.len(), max_pixels, &mut image) };
        // SAFETY: as above.
        unsafe { picodet_image_free(&mut { image }) };
        (status, image.width)
    };
    assert_eq!(decode(&bytes, 0), (PICODET_OK, 1216));
    assert_eq!(decode(&bytes, 1216 * 1600), (PICODET_OK, 1216));
    assert_eq!(decode(&bytes, 1216 * 1600 - 1), (PICODET_ERROR_IMAGE, 0));
    assert_eq!(decode(&bytes[..bytes.len() / 2], 0), (PICODET_ERROR_IMAGE, 0));
    assert_eq!(decode(b"", 0), (PICODET_ERROR_IMAGE, 0));
}
