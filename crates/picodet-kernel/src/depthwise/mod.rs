//! Depthwise convolution with bias and activation, channels last.
//!
//! `direct` reads the map in place, for every instruction set; where vectors are long and registers many,
//! `strips` copies strips of columns first. [`bf16`] multiplies pairs of rows.

mod arguments;
pub mod bf16;
mod direct;
mod float;
mod strips;

pub use arguments::{Depthwise, DepthwiseBf16};
pub use float::depthwise;
