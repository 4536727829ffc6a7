//! Weight files, each read by a closed parser: nothing in a file is ever executed, and every size is checked before
//! memory is taken.
//!
//! [`read`] and [`write`] handle our own files (safetensors with metadata); [`pdparams`], [`ncnn`] and [`onnx`] read
//! what people have; [`import`] gives the convolutions of an exported network our names.

mod align;
mod atomic;
mod error;
mod foreign;
mod native;
pub mod ncnn;
pub mod onnx;
pub mod pdparams;
mod pickle;
mod protobuf;

pub use align::{AlignError, ConvolutionSite, align, import, sites_of_foreign, sites_of_graph};
pub use atomic::write_atomically;
pub use error::ReadError;
pub use foreign::{ForeignConvolution, ForeignNetwork, ForeignNode};
pub use native::{Metadata, Model, Storage, read, read_tensors, write, write_tensors};
