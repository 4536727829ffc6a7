//! A detection network as a value.

mod weights;

pub use weights::{Tensor, Weights};
