//! A model in memory: the graph that its metadata names, and the weights of that graph.

use std::borrow::Cow;
use std::collections::BTreeSet;

use picodet_graph::{Graph, Op, Quantisation, Weights, pass};
use picodet_weights::{Metadata, ModelFile, QuantisationRecord, Storage};
use picodet_zoo::{Architecture, ArchitectureOverrides, Head, Variant, variant};

use crate::check::{check_metadata, check_weights};
use crate::quantised::{float_parameters, missing_weights, restore, store};
use crate::{ArchitectureError, ModelError};

/// A network with its weights and metadata.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network; its architecture is that of `metadata`.
    pub variant: Variant,
    /// The graph; its batch norms are folded if `metadata.folded` is set.
    pub graph: Graph,
    /// The parameters by the names of the graph; see [`Model::integers_from_bytes`] for those that can be missing.
    pub weights: Weights,
    /// Classes, input size, normalisation, origin, licence.
    pub metadata: Metadata,
    /// The integers of a quantised model; its `weights` are the numbers that they stand for.
    pub quantisation: Option<Quantisation>,
}

impl Model {
    /// Reads a native model.
    ///
    /// # Errors
    /// If the bytes are not a native model, name an unknown variant, hold invalid metadata, or lack a tensor
    /// of the variant; the error names each missing, unexpected or mis-shaped tensor.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let mut model = Self::integers_from_bytes(bytes)?;
        model.weights.extend(model.missing_weights());
        Ok(model)
    }

    /// Reads a native model as [`Model::from_bytes`], but of a quantised one without the numbers that its integers stand for:
    /// `weights` has only the other parameters. This takes a third of the memory, and is enough to detect and to write the
    /// file; [`Model::float_weights`] computes the others.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn integers_from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let ModelFile { mut weights, metadata, quantisation } = picodet_weights::read(bytes)?;
        let published =
            variant(&metadata.variant).ok_or_else(|| ModelError::Variant(metadata.variant.clone()))?;
        check_metadata(&metadata)?;
        let variant = with_architecture(published, metadata.architecture.as_deref())?;
        let graph = graph_of(&variant.architecture, metadata.classes.len(), metadata.folded);
        let shapes = weights.iter().map(|(name, tensor)| (name, &tensor.shape));
        let rows = quantisation.iter().flat_map(|stored| &stored.rows);
        let shapes = shapes.chain(rows.map(|(name, rows)| (name, &rows.shape)));
        graph
            .check_shapes(shapes.map(|(name, shape)| (name.as_str(), shape.as_slice())))
            .map_err(|source| ModelError::Weights { variant: variant.name, source })?;
        let restore = |stored| {
            restore(&graph, stored, &metadata, &mut weights)
                .map_err(|source| ModelError::Quantisation { variant: variant.name, source })
        };
        let quantisation = quantisation.map(restore).transpose()?;
        let model = Self { variant, graph, weights, metadata, quantisation };
        model.check_weights()?;
        Ok(model)
    }

    /// Checks that the weights are numbers that training can give; reading does this.
    ///
    /// # Errors
    /// [`ModelError::Damaged`] for a parameter with NaN, infinite values, a negative variance or a long run of zeros.
    pub fn check_weights(&self) -> Result<(), ModelError> {
        check_weights(&self.graph, &self.weights).map_err(|(name, what)| ModelError::Damaged { name, what })
    }

    /// Returns all parameters by the names of the graph: `weights`, and the numbers that the integers of a quantised model
    /// stand for where `weights` lacks them.
    #[must_use]
    pub fn float_weights(&self) -> Cow<'_, Weights> {
        let missing = self.missing_weights();
        if missing.is_empty() {
            return Cow::Borrowed(&self.weights);
        }
        let mut weights = self.weights.clone();
        weights.extend(missing);
        Cow::Owned(weights)
    }

    fn missing_weights(&self) -> Weights {
        let missing = |quantisation| missing_weights(&self.graph, quantisation, &self.weights);
        self.quantisation.as_ref().map(missing).unwrap_or_default()
    }

    /// Returns the bytes of a native model file.
    ///
    /// A quantised model is written as such, whatever the storage. With [`Storage::Int8Rows`] the last convolutions of the head are stored as 16-bit floats, since their errors reach
    /// scores and boxes directly.
    #[must_use]
    pub fn to_bytes(&self, storage: Storage) -> Vec<u8> {
        let mut file =
            ModelFile { weights: self.weights.clone(), metadata: self.metadata.clone(), quantisation: None };
        let Some(quantisation) = &self.quantisation else {
            file.metadata.quantisation = None;
            return picodet_weights::write_keeping(&file, storage, &prediction_parameters(&self.graph));
        };
        file.metadata.quantisation.get_or_insert_with(|| QuantisationRecord::new("unknown", 0));
        file.quantisation = Some(store(&self.graph, quantisation, &mut file.weights));
        let kept = float_parameters(&self.graph, quantisation);
        picodet_weights::write_keeping(&file, Storage::Int8Rows, &kept)
    }
}

/// Returns a network with the architecture that the metadata of a model gives as JSON, if it does.
pub(crate) fn with_architecture(
    variant: &Variant,
    architecture: Option<&str>,
) -> Result<Variant, ArchitectureError> {
    let Some(json) = architecture else { return Ok(*variant) };
    let overrides: ArchitectureOverrides = serde_json::from_str(json)?;
    Ok(variant.with(&overrides)?)
}

/// Returns the names of the parameters of the convolutions that compute the outputs of the head.
fn prediction_parameters(graph: &Graph) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for output in graph.outputs.iter().filter(|output| Head::is_training_output(&output.name)) {
        let mut node = graph.node(output.node);
        while let (false, &[input]) = (matches!(node.op, Op::Convolution(_)), &node.inputs[..]) {
            node = graph.node(input);
        }
        if matches!(node.op, Op::Convolution(_)) {
            names.extend(graph.params_of(node).map(|param| param.name.clone()));
        }
    }
    names
}

/// Builds the graph of an architecture for a number of classes; `folded` folds batch norms into their
/// convolutions.
#[must_use]
pub fn graph_of(architecture: &Architecture, classes: usize, folded: bool) -> Graph {
    let graph = architecture.graph(classes);
    if folded { pass::fold_batch_norm_structure(&graph) } else { graph }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_convolutions_of_every_kind_of_head_are_known() {
        let names = |name: &str, folded: bool| {
            let variant = variant(name).expect("a variant");
            prediction_parameters(&graph_of(&variant.architecture, 3, folded))
        };
        let level = |names: &BTreeSet<String>, level: usize| -> Vec<String> {
            let prefix = format!("head.level{level}.");
            names.iter().filter_map(|name| Some(name.strip_prefix(&prefix)?.to_owned())).collect()
        };
        for folded in [false, true] {
            let first = names("legacy_s_416", folded);
            assert_eq!(level(&first, 0), ["prediction.bias", "prediction.weight"]);
            assert_eq!(first.len(), 8);
        }
        let second = level(&names("v2_s_320", true), 3);
        let align = ["align.pointwise.conv.bias", "align.pointwise.conv.weight"];
        assert_eq!(second, [&align[..], &["cls.bias", "cls.weight", "reg.bias", "reg.weight"]].concat());
    }
}
