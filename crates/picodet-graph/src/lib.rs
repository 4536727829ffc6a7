//! A detection network as a value.
//!
//! A [`Graph`] describes the computation: operations ([`Op`]), symbolic shapes ([`Shape`]), named parameters ([`Param`])
//! and named outputs. Parameter values are kept separately, in a [`Weights`] map. The zoo builds graphs with a
//! [`Builder`]; the engine, the trainer and the exporter read them; the functions in [`pass`] analyse and rewrite them.

#![forbid(unsafe_code)]

mod build;
mod check;
mod cost;
mod dtype;
mod dump;
mod graph;
mod infer;
mod op;
mod param;
pub mod pass;
pub mod quantised;
mod shape;
mod tensor;
mod weights;

pub use build::{Builder, Defaults};
pub use check::CheckError;
pub use cost::Cost;
pub use dtype::DType;
pub use graph::{Graph, Node, NodeId, Output, ParamId};
pub use infer::{InferError, ShapeRule, infer};
pub use op::{Activation, BATCH_NORM_EPSILON, Convolution, Op, ResizeFactor};
pub use param::{InitRule, Initialiser, Param, Role};
pub use quantised::{MapQuantisation, Quantisation, QuantisedConvolution};
pub use shape::{Extent, INPUT_MULTIPLE, Shape};
pub use tensor::{ShapeError, Tensor, Tensor4, TensorView};
pub use weights::Weights;
