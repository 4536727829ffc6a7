//! A network read from a weight file.

use std::collections::BTreeMap;

use picodet_graph::{Graph, Weights};

/// A graph with its weights.
pub(super) struct Network {
    pub(super) graph: Graph,
    pub(super) weights: Weights,
    /// Whether batch norms are folded into the convolutions.
    pub(super) folded: bool,
    /// The names in the file by the names of the parameters.
    pub(super) names: BTreeMap<String, String>,
    /// One line for each choice between several networks in the file.
    pub(super) notes: Vec<String>,
}
