//! Models: entry points.

use std::ffi::{CString, c_char};
use std::ptr::null;
use std::sync::Arc;

use crate::guard::{c_text, call, value};
use crate::handle::Table;
use crate::pointer::{Out, bytes, path, text};
use crate::status::{Failure, Status};

/// A model: a network with its weights and class names. Any number of threads may use one.
#[derive(Debug)]
pub struct Model {
    _private: (),
}

/// A model and its texts for C.
pub(crate) struct OpenModel {
    pub(crate) model: picodet::Model,
    /// Names of the classes.
    pub(crate) classes: Arc<[CString]>,
    metadata: Vec<(CString, CString)>,
}

/// The models whose handles are open.
pub(crate) static MODELS: Table<OpenModel> = Table::new(0);

impl OpenModel {
    fn new(model: picodet::Model) -> Self {
        let data = &model.metadata;
        let fixed = [
            ("variant", &data.variant),
            ("origin", &data.origin),
            ("licence", &data.licence),
            ("resize", &data.resize),
        ];
        let own = fixed.into_iter().map(|(key, value)| (key, value.as_str()));
        let architecture = data.architecture.iter().map(|json| ("architecture", json.as_str()));
        let others = data.extra.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let metadata =
            own.chain(architecture).chain(others).map(|(key, value)| (c_text(key), c_text(value))).collect();
        let classes = data.classes.iter().map(|class| c_text(class)).collect();
        Self { model, classes, metadata }
    }
}

/// Opens a model file.
///
/// Errors: PICODET_ERROR_FILE, PICODET_ERROR_MODEL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_model_open(file: *const c_char, model: *mut *mut Model) -> Status {
    call(|| {
        // SAFETY: the contract of the header for places of results and for texts.
        let (out, path) = unsafe { (Out::new(model, std::ptr::null_mut(), "model")?, path(file, "file")?) };
        let read = |source| picodet::Error::Read { path: path.display().to_string(), source };
        let bytes = std::fs::read(&path).map_err(read)?;
        let model = picodet::Model::integers_from_bytes(&bytes).map_err(picodet::Error::from)?;
        out.write(MODELS.open(OpenModel::new(model)));
        Ok(())
    })
}

/// Opens a model from the `size` bytes of a model file, which are not needed afterwards.
///
/// Errors: PICODET_ERROR_MODEL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_model_from_bytes(
    data: *const u8,
    size: usize,
    model: *mut *mut Model,
) -> Status {
    call(|| {
        // SAFETY: the contract of the header for places of results and for bytes.
        let (out, bytes) =
            unsafe { (Out::new(model, std::ptr::null_mut(), "model")?, bytes(data, size, "data")?) };
        let model = picodet::Model::integers_from_bytes(bytes).map_err(picodet::Error::from)?;
        out.write(MODELS.open(OpenModel::new(model)));
        Ok(())
    })
}

/// Opens a model that the library contains, by its name; NULL opens the default model.
///
/// Errors: PICODET_ERROR_ARGUMENT for an unknown name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_model_embedded(name: *const c_char, model: *mut *mut Model) -> Status {
    call(|| {
        // SAFETY: the contract of the header for places of results.
        let out = unsafe { Out::new(model, std::ptr::null_mut(), "model")? };
        // SAFETY: the contract of the header for texts.
        let name = if name.is_null() { picodet::DEFAULT_MODEL } else { unsafe { text(name, "name") }? };
        let embedded = picodet::embedded_model(name).ok_or_else(|| Failure::Value {
            name: "name",
            value: format!("`{name}`"),
            expected: "a model that `picodet models` lists as embedded",
        })?;
        out.write(MODELS.open(OpenModel::new(embedded.open()?)));
        Ok(())
    })
}

/// Closes a model; detectors that were created from it remain usable. NULL is ignored.
///
/// Errors: PICODET_ERROR_HANDLE for a handle that is closed already.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_model_free(model: *mut Model) -> Status {
    call(|| MODELS.close(model, "model"))
}

/// Returns the number of classes; 0 on error.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_model_class_count(model: *const Model) -> usize {
    value(0, || Ok(MODELS.get(model, "model")?.classes.len()))
}

/// Returns the name of a class in UTF-8, valid until the model is closed; NULL on error.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_model_class_name(model: *const Model, class_id: usize) -> *const c_char {
    value(null(), || {
        let model = MODELS.get(model, "model")?;
        let name = model.classes.get(class_id).ok_or_else(|| no_class(class_id))?;
        // The texts do not move while the model is open.
        Ok(name.as_ptr())
    })
}

/// Returns the COCO category id of a class; -1 on error.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_model_category_id(model: *const Model, class_id: usize) -> i64 {
    value(-1, || {
        let model = MODELS.get(model, "model")?;
        let ids = &model.model.metadata.category_ids;
        Ok(i64::from(*ids.get(class_id).ok_or_else(|| no_class(class_id))?))
    })
}

/// Writes width and height of the network input in pixels; either pointer may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_model_input_size(
    model: *const Model,
    width: *mut u32,
    height: *mut u32,
) -> Status {
    call(|| {
        let size = MODELS.get(model, "model")?.model.metadata.input_size;
        // SAFETY: the contract of the header for places of results.
        unsafe { write_size(width, height, (size.1, size.0)) }
    })
}

/// Returns a value of the model's metadata in UTF-8, valid until the model is closed; NULL for an unknown key. Every model has
/// `variant`, `origin`, `licence` and `resize`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn picodet_model_metadata(model: *const Model, key: *const c_char) -> *const c_char {
    value(null(), || {
        // SAFETY: the contract of the header for texts.
        let key = unsafe { text(key, "key") }?;
        let model = MODELS.get(model, "model")?;
        let entry = model.metadata.iter().find(|(known, _)| known.to_bytes() == key.as_bytes());
        Ok(entry.map_or(null(), |(_, value)| value.as_ptr()))
    })
}

/// Writes (width, height) where the pointers are not NULL.
///
/// # Safety
/// As [`Out::new`].
pub(crate) unsafe fn write_size(
    width: *mut u32,
    height: *mut u32,
    size: (usize, usize),
) -> Result<(), Failure> {
    for (pointer, value, name) in [(width, size.0, "width"), (height, size.1, "height")] {
        if !pointer.is_null() {
            // SAFETY: by this function's contract. Sides of images and inputs fit in 32 bits.
            unsafe { Out::new(pointer, value as u32, name) }?;
        }
    }
    Ok(())
}

fn no_class(class_id: usize) -> Failure {
    let expected = "less than the number of classes";
    Failure::Value { name: "class_id", value: class_id.to_string(), expected }
}
