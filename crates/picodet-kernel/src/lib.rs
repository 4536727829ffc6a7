//! Kernels of inference and training: matrix products, depthwise convolutions, elementwise operations, pooling.

pub mod focal;
#[cfg(feature = "training")]
pub mod training;
