//! Weight files: safetensors, `.pdparams`, ncnn, ONNX and Paddle inference models, each read by a closed
//! parser.
//!
//! [`read`] and [`write()`] handle native model files (safetensors with metadata); [`pdparams`], [`ncnn`],
//! [`onnx`] and [`paddle`] read published weights; [`import`] maps the convolutions of an exported network to
//! the names of a graph, and [`compare_channels`] checks that they read the same channels.
//!
//! Files are untrusted input: no content is executed, and every size is checked before memory is allocated.

#![forbid(unsafe_code)]

mod align;
mod bytes;
mod channels;
mod contents;
mod error;
mod foreign;
mod int8_rows;
mod native;
pub mod ncnn;
pub mod onnx;
pub mod paddle;
pub mod pdparams;
mod quantised;
mod tensors;

pub use align::{AlignError, ConvolutionSite, Imported, align, import, sites_of_foreign, sites_of_graph};
pub use channels::{
    ChannelCoverage, ChannelDifference, ChannelError, HeadError, HeadReading, HeadRole, compare_channels,
    compare_head,
};
pub use contents::WeightsFormat;
pub use error::ReadError;
pub use foreign::{
    ForeignActivation, ForeignConvolution, ForeignFlow, ForeignNetwork, ForeignNode, ForeignPool,
    ForeignPooling, ForeignRange, ForeignResize,
};
pub use native::{Metadata, ModelFile, read, write, write_keeping};
pub use quantised::{IntegerRows, QuantisationRecord, StoredQuantisation};
pub use tensors::{Storage, StoredType, read_tensors, read_weights, stored_types, write_tensors};
