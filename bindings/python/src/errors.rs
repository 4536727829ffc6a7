//! Errors of the library as Python exceptions.

use picodet::Error;
use picodet_cli::{CommandError, ErrorKind};
use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyValueError};

pub(crate) use self::base::Error as PicodetError;

mod base {
    pyo3::import_exception!(picodet, Error);
}
pyo3::import_exception!(picodet, ImageError);
pyo3::import_exception!(picodet, ModelError);

/// Returns the exception of an error of a detector or an image. A file that cannot be read or written is an `OSError`.
pub(crate) fn exception(error: Error) -> PyErr {
    let message = error.to_string();
    match error {
        Error::Read { path, source } | Error::Write { path, source } => match source.raw_os_error() {
            Some(code) => {
                let text = source.to_string();
                let text = text.split(" (os error").next().unwrap_or_default().to_owned();
                PyOSError::new_err((code, text, path))
            }
            None => std::io::Error::new(source.kind(), message).into(),
        },
        Error::Model(_) | Error::Metadata(_) | Error::Plan(_) => ModelError::new_err(message),
        Error::Decode(_) | Error::DecodeFile { .. } | Error::Run(_) => ImageError::new_err(message),
        Error::Option(_) => PyValueError::new_err(message),
        _ => PicodetError::new_err(message),
    }
}

/// Returns the exception of an error of a command.
pub(crate) fn command_exception(error: CommandError) -> PyErr {
    let message = error.message;
    match error.kind {
        ErrorKind::Arguments => PyValueError::new_err(message),
        ErrorKind::Model => ModelError::new_err(message),
        ErrorKind::Image => ImageError::new_err(message),
        _ => PicodetError::new_err(message),
    }
}
