//! A model in memory: the graph that its metadata names, and the weights of that graph.

use picodet_graph::{Graph, Weights, pass};
use picodet_weights::{Metadata, ModelFile, Storage};
use picodet_zoo::{Architecture, Variant, variant};

use crate::ModelError;
use crate::check::check_metadata;

/// A network with its weights and metadata.
#[derive(Clone, Debug)]
pub struct Model {
    /// The published network.
    pub variant: &'static Variant,
    /// The graph; its batch norms are folded if `metadata.folded` is set.
    pub graph: Graph,
    /// The parameters by the names of the graph.
    pub weights: Weights,
    /// Classes, input size, normalisation, origin, licence.
    pub metadata: Metadata,
}

impl Model {
    /// Reads a native model.
    ///
    /// # Errors
    /// If the bytes are not a native model, name an unknown variant, hold invalid metadata, or lack a tensor
    /// of the variant; the error names each missing, unexpected or mis-shaped tensor.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let ModelFile { weights, metadata } = picodet_weights::read(bytes)?;
        let known =
            variant(&metadata.variant).ok_or_else(|| ModelError::Variant(metadata.variant.clone()))?;
        check_metadata(&metadata)?;
        let graph = graph_of(&known.architecture, metadata.classes.len(), metadata.folded);
        graph
            .check_weights(&weights)
            .map_err(|source| ModelError::Weights { variant: known.name, source })?;
        Ok(Self { variant: known, graph, weights, metadata })
    }

    /// Returns the bytes of a native model file.
    #[must_use]
    pub fn to_bytes(&self, storage: Storage) -> Vec<u8> {
        let file = ModelFile { weights: self.weights.clone(), metadata: self.metadata.clone() };
        picodet_weights::write(&file, storage)
    }
}

/// Builds the graph of an architecture for a number of classes; `folded` folds batch norms into their
/// convolutions.
#[must_use]
pub fn graph_of(architecture: &Architecture, classes: usize, folded: bool) -> Graph {
    let graph = architecture.graph(classes);
    if folded { pass::fold_batch_norm_structure(&graph) } else { graph }
}
