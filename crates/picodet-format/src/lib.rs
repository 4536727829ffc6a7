//! File formats shared by the crates: protocol buffers, pickles of arrays, tar archives, COCO JSON, text of any
//! encoding, atomic file writes.
//!
//! Input is untrusted: each reader is bounded in memory and depth and returns a typed error, never a panic.

#![forbid(unsafe_code)]

mod atomic;
pub mod coco;
pub mod json;
pub mod pickle;
pub mod protobuf;
pub mod tar;
pub mod text;

pub use atomic::write_atomically;
