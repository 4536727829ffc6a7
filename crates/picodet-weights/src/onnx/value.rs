//! Constant tensors.

use std::collections::HashMap;

use crate::foreign::Channels;

/// A constant tensor; copies share the values.
#[derive(Clone)]
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) data: Channels,
}

/// Constants by name.
pub(super) type Constants = HashMap<String, Constant>;
