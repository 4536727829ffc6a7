//! Kernels of inference and training: matrix products, depthwise convolutions, elementwise operations,
//! pooling.

#[allow(unsafe_code)]
pub mod activation;
#[allow(unsafe_code)]
pub mod col2im;
#[allow(unsafe_code)]
pub mod depthwise;
#[allow(unsafe_code)]
pub mod elementwise;
pub mod focal;
#[allow(unsafe_code)]
pub mod gemm;
#[allow(unsafe_code)]
pub mod half;
pub mod heap;
mod map;
pub mod peak;
#[allow(unsafe_code)]
pub mod pool;
#[allow(unsafe_code)]
pub mod program;
#[allow(unsafe_code)]
pub mod quantised;
#[allow(unsafe_code)]
pub mod round;
#[allow(unsafe_code)]
pub mod stem;
#[cfg(test)]
mod tests;
#[cfg(feature = "training")]
pub mod training;
#[allow(unsafe_code)]
pub mod transpose;
mod tuning;

pub use map::ChannelRange;
pub use picodet_graph::DType;
