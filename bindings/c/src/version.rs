//! Version, last error and number of open handles: entry points.

use std::ffi::{CStr, c_char};

use crate::detector::DETECTORS;
use crate::guard::{last_error, value};
use crate::image::DECODED;
use crate::model::MODELS;
use crate::result::RESULTS;

/// Version of structs and meanings; the library of another one is not compatible.
pub const PICODET_ABI_VERSION: u32 = 1;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

/// Returns PICODET_ABI_VERSION of the library, to compare with that of the header.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_abi_version() -> u32 {
    PICODET_ABI_VERSION
}

/// Returns the version of the library, as in "0.1.0".
#[unsafe(no_mangle)]
pub extern "C" fn picodet_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Returns the message of the last call of this thread in UTF-8, empty if it succeeded; valid until the thread's next call.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_last_error() -> *const c_char {
    last_error()
}

/// Returns the number of open handles: models, detectors, results and decoded images that have not been closed.
#[unsafe(no_mangle)]
pub extern "C" fn picodet_handle_count() -> usize {
    value(0, || Ok(MODELS.count() + DETECTORS.count() + RESULTS.count() + DECODED.count()))
}
