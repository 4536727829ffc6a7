//! Support for the tests of all crates: reference data, reproducible noise and table tests.

#![forbid(unsafe_code)]

mod cases;
mod jpeg;
mod noise;
mod shared;

pub use cases::Cases;
pub use jpeg::without_huffman_tables;
pub use noise::{Noise, noise};
pub use shared::{emulated, shared, shared_folder, shared_path};
