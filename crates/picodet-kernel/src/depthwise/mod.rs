//! Depthwise convolution with bias and activation, channels last.
//!
//! `direct` reads the map in place, for every instruction set; where vectors are long and registers many,
//! `strips` copies strips of columns first. [`bf16`] multiplies pairs of rows, [`int8`] quads of rows; [`mod@f16`] reads the map
//! in place.

mod arguments;
pub mod bf16;
mod direct;
pub mod f16;
mod float;
pub mod int8;
mod strips;

pub use arguments::{Depthwise, DepthwiseBf16, DepthwiseF16};
pub use float::depthwise;
