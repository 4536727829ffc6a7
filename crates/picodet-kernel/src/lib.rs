//! Kernels of inference and training: matrix products, depthwise convolutions, elementwise operations, pooling.

pub mod focal;
