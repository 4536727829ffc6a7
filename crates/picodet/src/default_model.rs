//! The model inside the library, so that the first command needs neither a file nor a network.

use picodet_detect::{Error, Model};

/// The name under which `--model` finds it.
pub const DEFAULT_MODEL: &str = "layout_cdla";

/// Document layout: 10 classes of regions on a page (its origin is in NOTICE).
static BYTES: &[u8] = include_bytes!("../models/layout_cdla.safetensors");

/// The embedded document-layout model.
///
/// # Errors
/// None in a build whose tests pass; the bytes are checked like those of any file.
pub fn default_model() -> Result<Model, Error> {
    Ok(Model::from_bytes(BYTES)?)
}
