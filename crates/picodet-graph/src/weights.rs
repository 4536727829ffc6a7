//! The parameter values of a network: a map from parameter name to tensor.

use std::collections::BTreeMap;

use crate::Tensor;

/// All parameter values of a network, by parameter name, in alphabetical order.
pub type Weights = BTreeMap<String, Tensor>;
