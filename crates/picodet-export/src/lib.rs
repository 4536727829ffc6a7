//! Graphs written in other programs' formats.
//!
//! [`to_onnx`] writes one of ours with its weights as an ONNX model: `lower.rs` turns each operation into ONNX's, `tail.rs`
//! appends the decoding of boxes and the suppression, `proto.rs` is the wire format.

mod lower;
mod onnx;
mod proto;
mod tail;

pub use onnx::{Batch, ExportError, ExportOptions, HeadOutput, OPSETS, to_onnx};
