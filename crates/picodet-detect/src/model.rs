//! A model file in memory: the graph that its metadata names, and the weights that belong to it.

use picodet_graph::{Graph, Weights, pass};
use picodet_weights::{Metadata, ModelFile};
use picodet_zoo::{Architecture, Variant, variant};

use crate::Error;

/// A network with its weights and what was written beside them.
#[derive(Clone, Debug)]
pub struct Model {
    /// The published network that it is.
    pub variant: &'static Variant,
    /// The network, batch norms folded when `metadata.folded` says so.
    pub graph: Graph,
    /// The numbers, by the graph's names.
    pub weights: Weights,
    /// Classes, input size, normalisation, origin, licence.
    pub metadata: Metadata,
}

impl Model {
    /// Reads a native file.
    ///
    /// # Errors
    /// When the bytes are not such a file, name an unknown variant, or hold other tensors than the variant needs:
    /// each missing, extra or mis-shaped tensor is named.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let ModelFile { weights, metadata } = picodet_weights::read(bytes)?;
        let known = variant(&metadata.variant).ok_or_else(|| Error::Variant(metadata.variant.clone()))?;
        check_metadata(&metadata)?;
        let graph = graph_of(&known.architecture, metadata.classes.len(), metadata.folded);
        graph.check_weights(&weights).map_err(|problem| Error::Weights(known.name, problem))?;
        Ok(Self { variant: known, graph, weights, metadata })
    }

    /// The bytes of a native file.
    pub fn to_bytes(&self, storage: picodet_weights::Storage) -> Vec<u8> {
        let file = ModelFile { weights: self.weights.clone(), metadata: self.metadata.clone() };
        picodet_weights::write(&file, storage)
    }
}

/// The graph of an architecture for so many classes, as it is or with its batch norms folded.
pub fn graph_of(architecture: &Architecture, classes: usize, folded: bool) -> Graph {
    let graph = architecture.graph(classes);
    if folded { pass::fold_batch_norm_structure(&graph) } else { graph }
}

fn check_metadata(metadata: &Metadata) -> Result<(), Error> {
    const MOST_CLASSES: usize = 10_000;
    const LARGEST_SIDE: usize = 4096;
    let (height, width) = metadata.input_size;
    let side_fits = |side: usize| side > 0 && side <= LARGEST_SIDE && side.is_multiple_of(32);
    let number_fits = |value: &f32| value.is_finite();
    let problem = if metadata.classes.is_empty() || metadata.classes.len() > MOST_CLASSES {
        format!("{} classes, where 1 to {MOST_CLASSES} make sense", metadata.classes.len())
    } else if metadata.category_ids.len() != metadata.classes.len() {
        format!("{} category ids for {} classes", metadata.category_ids.len(), metadata.classes.len())
    } else if !side_fits(height) || !side_fits(width) {
        format!("an input of {height}x{width} pixels, where multiples of 32 up to {LARGEST_SIDE} make sense")
    } else if !metadata.mean.iter().all(number_fits)
        || !metadata.std.iter().all(|v| number_fits(v) && *v > 0.0)
    {
        "a mean or standard deviation that is not a number, or not positive".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Metadata(problem))
}
