//! Products a cycle of the loops that a prediction uses.

use super::simulate::Core;

/// Type of the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    F32,
    F16,
    Int8,
}

impl Precision {
    /// Products of a 128-bit instruction.
    pub(super) fn lanes(self) -> f64 {
        match self {
            Self::F32 => 4.0,
            Self::F16 => 8.0,
            Self::Int8 => 16.0,
        }
    }
}

/// Convolutions that a loop computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Pointwise,
    /// Side and stride of the window.
    Depthwise(usize, usize),
    Stem,
}

/// Products a cycle of a kernel on a core.
pub(super) struct Rate {
    pub(super) role: Option<(Precision, Role)>,
    pub(super) core: Core,
    pub(super) per_cycle: f64,
    /// Of what the core can do at most.
    pub(super) of_limit: f64,
}
