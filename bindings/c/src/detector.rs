//! Detectors: entry points.

use std::ffi::{CString, c_char};
use std::ptr::null_mut;
use std::sync::Arc;

use picodet::{Input, Limits, Pixels};

use crate::guard::call;
use crate::handle::Table;
use crate::image::ImageView;
use crate::model::{MODELS, Model, write_size};
use crate::options::Options;
use crate::pointer::{Out, path, reference};
use crate::result::{DetectionResult, OpenResult, RESULTS};
use crate::status::{Failure, Status};

/// A model prepared for detection. Any number of threads may use one at the same time.
#[derive(Debug)]
pub struct Detector {
    _private: (),
}

/// A detector and the texts of its results.
pub(crate) struct OpenDetector {
    detector: picodet::Detector,
    classes: Arc<[CString]>,
    limits: Limits,
}

/// The detectors whose handles are open.
pub(crate) static DETECTORS: Table<OpenDetector> = Table::new(1);

impl OpenDetector {
    /// Detects in upright pixels and opens the result.
    fn detect(&self, image: Pixels<'_>) -> Result<*mut DetectionResult, Failure> {
        let (detections, times) = self.detector.detect_timed(image)?;
        Ok(RESULTS.open(OpenResult::new(detections, image.source_size(), times, Arc::clone(&self.classes))))
    }
}

/// Fills in the default options. `struct_size` is `sizeof(picodet_options)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_options_init(options: *mut Options, struct_size: usize) -> Status {
    call(|| {
        if struct_size != size_of::<Options>() {
            let expected = "sizeof(picodet_options) of the header that belongs to the library";
            return Err(Failure::Value { name: "struct_size", value: struct_size.to_string(), expected });
        }
        // SAFETY: the contract of the header for places of results, and the size has been compared.
        unsafe { Out::new(options, Options::new(), "options") }.map(drop)
    })
}

/// Prepares a model for detection; `options` may be NULL for the defaults. The model may be closed afterwards.
///
/// Errors: PICODET_ERROR_ARGUMENT for an option out of its range, PICODET_ERROR_MODEL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_detector_new(
    model: *const Model,
    options: *const Options,
    detector: *mut *mut Detector,
) -> Status {
    call(|| {
        // SAFETY: the contract of the header for places of results and for structs.
        let (out, options) =
            unsafe { (Out::new(detector, null_mut(), "detector")?, Options::read(options)?) };
        let model = MODELS.get(model, "model")?;
        let options = options.to_rust()?;
        let detector = picodet::Detector::new(&model.model, &options)?;
        let classes = Arc::clone(&model.classes);
        out.write(DETECTORS.open(OpenDetector { detector, classes, limits: options.limits }));
        Ok(())
    })
}

/// Closes a detector; its results remain usable, and calls of other threads that use it end as usual. NULL is ignored.
///
/// Errors: PICODET_ERROR_HANDLE for a handle that is closed already.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_detector_free(detector: *mut Detector) -> Status {
    call(|| DETECTORS.close(detector, "detector"))
}

/// Writes width and height of the network input in pixels; either pointer may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_detector_input_size(
    detector: *const Detector,
    width: *mut u32,
    height: *mut u32,
) -> Status {
    call(|| {
        let size = DETECTORS.get(detector, "detector")?.detector.input_size();
        // SAFETY: the contract of the header for places of results.
        unsafe { write_size(width, height, (size.1, size.0)) }
    })
}

/// Detects the objects in an image. The result is closed by `picodet_result_free`.
///
/// Errors: PICODET_ERROR_ARGUMENT where the fields of the image contradict each other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_detect(
    detector: *const Detector,
    image: *const ImageView,
    result: *mut *mut DetectionResult,
) -> Status {
    call(|| {
        // SAFETY: the contract of the header for places of results.
        let out = unsafe { Out::new(result, null_mut(), "result")? };
        let detector = DETECTORS.get(detector, "detector")?;
        // SAFETY: the contract of the header for structs and for the planes of images.
        let image = unsafe { reference(image, "image")?.upright()? };
        out.write(detector.detect(image.pixels())?);
        Ok(())
    })
}

/// Detects the objects in an image file: JPEG, PNG, WebP, BMP or GIF, turned upright by its EXIF orientation.
///
/// Errors: PICODET_ERROR_FILE, PICODET_ERROR_IMAGE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_detect_file(
    detector: *const Detector,
    file: *const c_char,
    result: *mut *mut DetectionResult,
) -> Status {
    call(|| {
        // SAFETY: the contract of the header for places of results and for texts.
        let (out, path) = unsafe { (Out::new(result, null_mut(), "result")?, path(file, "file")?) };
        let detector = DETECTORS.get(detector, "detector")?;
        let image = Input::from(path).read_within(&detector.limits)?;
        out.write(detector.detect(Pixels::from(&*image))?);
        Ok(())
    })
}
