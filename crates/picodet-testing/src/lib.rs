//! Support for the tests of all crates: reference data, reproducible noise and table tests.

#![forbid(unsafe_code)]

mod cases;
mod jpeg;
mod noise;
mod process;
mod shared;

pub use cases::Cases;
pub use jpeg::without_huffman_tables;
pub use noise::{Noise, noise};
pub use process::{peak_memory, processor_time};
pub use shared::{emulated, shared, shared_folder, shared_path};
