//! Why a network is not part of another.

use std::fmt;

use crate::Op;

/// A network is not part of a supernet.
#[derive(Clone, Debug, PartialEq)]
pub struct NotASlice {
    /// Scope of the node at which the networks differ.
    pub scope: String,
    /// The rule that the node breaks.
    pub rule: SliceRule,
}

/// A rule for the nodes of a sub-network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SliceRule {
    /// No two nodes of the supernet have one scope.
    UniqueScope,
    /// The supernet has a node of the scope.
    Exists,
    /// The nodes are the same operation, up to its width and kernel.
    Operation {
        /// The supernet's operation.
        expected: Op,
        /// The sub-network's operation.
        found: Op,
    },
    /// The sub-network's number of channels, or size of a kernel, is at most the supernet's.
    Larger {
        /// The supernet's extent.
        available: usize,
        /// The sub-network's extent.
        found: usize,
    },
    /// The channels lie within the part that the supernet's node takes.
    InsidePart,
    /// Both operands keep the same channels.
    EqualChannels,
    /// The number of values of a weight matches the channels that it belongs to.
    Parameter {
        /// Name of the parameter.
        name: String,
    },
    /// The weights contain the parameter with the shape of the graph.
    Weights {
        /// Name of the parameter.
        name: String,
    },
}

impl NotASlice {
    pub(super) fn new(scope: &str, rule: SliceRule) -> Self {
        Self { scope: scope.to_owned(), rule }
    }
}

impl fmt::Display for NotASlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not part of the supernet: ", self.scope)?;
        match &self.rule {
            SliceRule::UniqueScope => f.write_str("two nodes of the supernet have this scope"),
            SliceRule::Exists => f.write_str("the supernet has no such node"),
            SliceRule::Operation { expected, found } => write!(f, "{found} instead of {expected}"),
            SliceRule::Larger { available, found } => write!(f, "{found} of {available}"),
            SliceRule::InsidePart => f.write_str("its channels are not all in the supernet's part"),
            SliceRule::EqualChannels => f.write_str("its operands keep different channels"),
            SliceRule::Parameter { name } => write!(f, "{name} does not match its channels"),
            SliceRule::Weights { name } => write!(f, "{name} is missing or has another shape"),
        }
    }
}

impl std::error::Error for NotASlice {}
