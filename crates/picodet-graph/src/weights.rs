//! The numbers of a network: a map from parameter name to tensor.
//!
//! The graph never holds numbers; a [`Weights`] travels beside it.

use std::collections::BTreeMap;

/// A dense tensor of 32-bit floats in row-major order.
///
/// Convolution weights are `[out, in / groups, kernel, kernel]`, linear weights `[in, out]`,
/// everything that belongs to a channel `[c]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Extent of each axis, outermost first.
    pub shape: Vec<usize>,
    /// The values, `shape.iter().product()` of them.
    pub data: Vec<f32>,
}

impl Tensor {
    /// Wraps `data`.
    ///
    /// # Errors
    /// Says so when the number of values is not the product of `shape`, or when that product overflows.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Result<Self, String> {
        let expected = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        if expected != Some(data.len()) {
            return Err(format!("a tensor of shape {shape:?} cannot hold {} values", data.len()));
        }
        Ok(Self { shape, data })
    }

    /// A tensor filled with one value.
    pub fn full(shape: &[usize], value: f32) -> Self {
        Self { shape: shape.to_vec(), data: vec![value; shape.iter().product()] }
    }
}

/// All numbers of a network, by parameter name, in a stable (alphabetical) order.
pub type Weights = BTreeMap<String, Tensor>;
