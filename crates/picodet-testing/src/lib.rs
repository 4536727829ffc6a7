//! Support for the tests of all crates: reference data, reproducible noise and table tests.

#![forbid(unsafe_code)]

mod cases;
mod noise;
mod shared;

pub use cases::Cases;
pub use noise::{Noise, noise};
pub use shared::{emulated, shared, shared_folder, shared_path};
