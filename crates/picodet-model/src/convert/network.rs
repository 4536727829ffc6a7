//! A network read from a weight file.

use picodet_graph::{Graph, Weights};

/// A graph with its weights.
pub(super) struct Network {
    pub(super) graph: Graph,
    pub(super) weights: Weights,
    /// Whether batch norms are folded into the convolutions.
    pub(super) folded: bool,
}
