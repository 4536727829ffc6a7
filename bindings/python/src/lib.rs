//! The native module of the Python package: `picodet._picodet`. Its Python interface is in `../python/picodet`.

#![allow(unreachable_pub)]

mod command;
mod detector;
mod errors;
mod fork;
mod found;
mod input;

use pyo3::prelude::*;

/// The native part of the package picodet.
#[pymodule(gil_used = false)]
mod _picodet {
    #[pymodule_export]
    use crate::command::{main, run};
    #[pymodule_export]
    use crate::detector::Detector;
    #[pymodule_export]
    use crate::fork::{after_fork_in_child, after_fork_in_parent, before_fork};
    #[pymodule_export]
    use crate::found::{draw, save_drawing, to_coco, to_json};
    #[pymodule_export]
    use crate::input::open_image;

    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("DEFAULT_MODEL", picodet::DEFAULT_MODEL)?;
        module.add("MAX_INPUT_SIDE", picodet::MAX_INPUT_SIDE)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
