//! Kernels of inference and training: matrix products, depthwise convolutions, elementwise operations, pooling.

#[allow(unsafe_code)]
pub mod activation;
pub mod focal;
#[allow(unsafe_code)]
pub mod gemm;
mod map;
#[cfg(feature = "training")]
pub mod training;
mod tuning;

pub use map::{DType, Run};
