//! The C interface of picodet: `picodet.h` describes it.
//!
//! Each entry point is framed by `guard`: it returns a status or a value and never unwinds into the caller. Objects are
//! addressed by handles, whose use after closing is an error.

// The contract of all pointers is in the header, once (see `pointer`).
#![allow(clippy::missing_safety_doc)]
#![allow(unsafe_code)]

mod decode;
mod detector;
mod guard;
mod handle;
mod image;
mod model;
mod options;
mod pointer;
mod result;
mod status;
mod version;

pub use decode::*;
pub use detector::*;
pub use image::*;
pub use model::*;
pub use options::*;
pub use result::*;
pub use status::*;
pub use version::*;
