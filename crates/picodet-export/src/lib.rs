//! Export of detectors to ONNX.
//!
//! [`to_onnx`] writes a graph and its weights as an ONNX model: `lower.rs` translates each operation,
//! `quantised.rs` those of quantised networks, `tail.rs` appends box decoding and non-maximum suppression, `message.rs` encodes the messages of the
//! model.

#![forbid(unsafe_code)]

mod lower;
mod message;
mod onnx;
mod quantised;
mod tail;

pub use onnx::{Batch, ExportError, ExportOptions, HeadOutput, OPSETS, to_onnx, to_quantised_onnx};
