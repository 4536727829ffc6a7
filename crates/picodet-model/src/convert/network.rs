//! A network read from a weight file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use picodet_graph::{Graph, Weights};
use picodet_weights::Metadata;
use picodet_zoo::Variant;

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

/// The contents of a file of weights.
pub(super) struct Source {
    /// The network; its architecture is the one that the file gives, if it does.
    pub(super) variant: Variant,
    pub(super) network: Network,
    /// Class names of a description next to the weights.
    pub(super) classes: Option<Vec<String>>,
    /// The file of the weights: the second of a pair.
    pub(super) path: PathBuf,
    /// The metadata of a native model.
    pub(super) native: Option<Box<Metadata>>,
}
