//! Constant tensors.

use std::collections::HashMap;

use crate::foreign::Channels;

/// A constant tensor; copies share the values.
#[derive(Clone)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) data: Channels,
    /// Whether its elements were integers, which are no weights.
    pub(super) is_integer: bool,
}

impl Constant {
    pub(super) fn of_floats(shape: Vec<usize>, data: Vec<f32>) -> Self {
        Self { shape, data: data.into(), is_integer: false }
    }

    pub(super) fn of_integers(shape: Vec<usize>, values: &[i64]) -> Self {
        Self { shape, data: values.iter().map(|&value| value as f32).collect(), is_integer: true }
    }

    /// Returns the elements as integers.
    pub(super) fn integers(&self) -> Vec<i64> {
        self.data.iter().map(|&value| value as i64).collect()
    }
}

/// Constants by name.
pub(super) type Constants = HashMap<String, Constant>;
