//! Compares the operations of an exported network around its convolutions: in front of the first one and behind the last ones.
//!
//! Exporters end a network at the maps of the head, at decoded boxes or at detections, and write each of them in several
//! ways, so that an absent operation is no difference. Compared is what the file does to maps of known channels: which of
//! them it takes for scores and which for distances.

use std::collections::{HashMap, HashSet};

use picodet_graph::{Graph, NodeId};

use crate::{ForeignActivation, ForeignFlow, ForeignNetwork, ForeignNode};

use super::label::{Aspect, Label};
use super::map::Map;
use super::walk::{walk_graph, walk_network};

/// The meaning of a map of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadRole {
    /// Logits of classes.
    Class,
    /// Logits of box distances.
    Box,
    /// Logits of the alignment of classes and boxes (second generation).
    Alignment,
    /// Scores that are computed from those of classes and of the alignment.
    Score,
}

/// A file computes its outputs in another way than the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// A sigmoid of channels that are distances in the network.
    #[error(
        "its layer `{0}` is a sigmoid of channels that are box distances in the network, so that classes and boxes would be \
         exchanged; choose the variant that it was trained as"
    )]
    SigmoidOfBoxes(String),
    /// A softmax of channels that are logits of classes in the network.
    #[error(
        "its layer `{0}` is a softmax of channels that are class logits in the network, so that the result would differ; \
         choose the variant that it was trained as"
    )]
    SoftmaxOfClasses(String),
    /// A prediction is cut at another channel than between classes and distances.
    #[error(
        "its layer `{name}` takes a part of a prediction with {found} class logits and {distances} box distances, where the network \
         has {expected} class logits before its distances; choose the variant that it was trained as"
    )]
    Cut {
        /// The layer.
        name: String,
        /// Class logits of the network in the part.
        found: usize,
        /// Box distances of the network in the part.
        distances: usize,
        /// Class logits of the network.
        expected: usize,
    },
    /// Scores of classes and alignment are added.
    #[error(
        "its layer `{0}` adds the scores of classes and alignment, which the network multiplies; choose the variant that it \
         was trained as"
    )]
    SumOfScores(String),
    /// The product of scores has no square root.
    #[error(
        "its layer `{0}` multiplies the scores of classes and alignment without a square root of the product, so that the \
         scores would differ; choose the variant that it was trained as"
    )]
    NoRoot(String),
    /// The factors of a score are not probabilities.
    #[error(
        "its layer `{0}` multiplies the outputs for classes and alignment without a sigmoid of both, so that the scores \
         would differ; choose the variant that it was trained as"
    )]
    NoSigmoid(String),
}

/// Observations that are no errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadReading {
    /// Names of the layers that compute other values of the image in front of the first convolution, as a normalisation does.
    pub of_image: Vec<String>,
}

/// Compares the layers of a file that read the image or the results of the last convolutions; `maps` are nodes of `graph`
/// with their roles, and `matches` is that of [`super::compare_channels`].
///
/// # Errors
/// [`HeadError`] at the first layer that contradicts a role.
pub fn compare_head(
    graph: &Graph,
    network: &ForeignNetwork,
    matches: &[usize],
    maps: &[(NodeId, HeadRole)],
) -> Result<HeadReading, HeadError> {
    let mut comparison = Comparison::new(graph, maps);
    walk_network(network, matches, |node, inputs, results| {
        if comparison.error.is_none() {
            comparison.error = comparison.visit(node, inputs, results).err();
        }
    });
    comparison.finish()
}

/// Largest number of channels of inputs that are compared, which bounds the work on a hostile file; networks have fewer than a
/// hundredth of it.
const MAX_CHANNELS: usize = 1 << 24;

struct Comparison {
    /// Number of channels that may still be compared.
    budget: usize,
    /// Roles by the fingerprints of channels.
    roles: HashMap<u64, HeadRole>,
    /// Fingerprints of the image.
    image: Vec<Option<u64>>,
    /// Class logits of one level.
    classes: usize,
    /// Products of the scores of classes and alignment: the name, and one channel of both factors and of the result.
    products: Vec<(String, [Option<u64>; 3])>,
    /// Channels of which a sigmoid, a square root, or a layer that is not followed is computed.
    with_sigmoid: HashSet<u64>,
    with_root: HashSet<u64>,
    with_other: HashSet<u64>,
    reading: HeadReading,
    error: Option<HeadError>,
}

impl Comparison {
    fn new(graph: &Graph, maps: &[(NodeId, HeadRole)]) -> Self {
        let (mut roles, mut image, mut classes, mut index) = (HashMap::new(), Vec::new(), 0, 0);
        walk_graph(graph, |_, inputs, result| {
            let labels = result.map(Map::labels).unwrap_or_default();
            if inputs.is_empty() {
                image = labels.iter().map(source).collect();
            }
            for (_, role) in maps.iter().filter(|(node, _)| node.0 == index) {
                roles.extend(labels.iter().filter_map(source).map(|part| (part, *role)));
                if *role == HeadRole::Class {
                    classes = labels.len();
                }
            }
            index += 1;
        });
        Self {
            budget: MAX_CHANNELS,
            roles,
            image,
            classes,
            products: Vec::new(),
            with_sigmoid: HashSet::new(),
            with_root: HashSet::new(),
            with_other: HashSet::new(),
            reading: HeadReading::default(),
            error: None,
        }
    }

    fn count(&self, labels: &[Label], role: HeadRole) -> usize {
        let is_it = |label: &&Label| source(label).and_then(|part| self.roles.get(&part)) == Some(&role);
        labels.iter().filter(is_it).count()
    }

    fn has(&self, map: Option<&Map>, role: HeadRole) -> bool {
        map.is_some_and(|map| self.count(map.labels(), role) > 0)
    }

    fn visit(
        &mut self,
        node: &ForeignNode,
        inputs: &[Option<&Map>],
        results: &[Option<Map>],
    ) -> Result<(), HeadError> {
        use HeadRole::{Alignment, Box, Class};
        let channels = inputs.iter().flatten().map(|map| map.labels().len()).sum();
        let left = self.budget.checked_sub(channels);
        let Some(left) = left else { return Ok(()) };
        self.budget = left;
        if node.convolution.is_some() {
            // ONNX Runtime and ncnn merge activations into convolutions.
            let results = results.iter().flatten().flat_map(Map::labels).filter_map(source);
            let results = results.filter(|part| self.roles.contains_key(part));
            if node.activation == Some(ForeignActivation::Sigmoid) {
                let results: Vec<u64> = results.collect();
                if results.iter().any(|part| self.roles.get(part) == Some(&Box)) {
                    return Err(HeadError::SigmoidOfBoxes(name_of(node)));
                }
                self.with_sigmoid.extend(results);
            }
            return Ok(());
        }
        let reads = |role: HeadRole| inputs.iter().any(|map| self.has(*map, role));
        let [is_class, is_box, is_alignment] = [Class, Box, Alignment].map(reads);
        let channels = inputs.iter().flatten().flat_map(|map| map.labels()).filter_map(source);
        let of_head = channels.filter(|part| self.roles.contains_key(part));
        let name = || name_of(node);
        match node.activation {
            Some(ForeignActivation::Sigmoid) if is_box => return Err(HeadError::SigmoidOfBoxes(name())),
            Some(ForeignActivation::Sigmoid) => self.with_sigmoid.extend(of_head),
            Some(ForeignActivation::SquareRoot) => self.with_root.extend(of_head),
            _ if node.flow == ForeignFlow::Unknown || node.kind.to_ascii_lowercase().ends_with("pow") => {
                self.with_other.extend(of_head);
            }
            _ => {}
        }
        if is_class && node.kind.eq_ignore_ascii_case("softmax") {
            return Err(HeadError::SoftmaxOfClasses(name()));
        }
        if is_class && is_alignment && node.flow == ForeignFlow::Sum {
            return Err(HeadError::SumOfScores(name()));
        }
        if is_class && is_alignment && node.flow == ForeignFlow::Product {
            let first = |map: Option<&Map>| source(map?.labels().first()?);
            let [one, other] = [0, 1].map(|index| first(inputs.get(index).copied().flatten()));
            let result = first(results.first().and_then(Option::as_ref));
            self.products.push((name(), [one, other, result]));
        }
        let is_part = matches!(node.flow, ForeignFlow::Split { .. } | ForeignFlow::Slice(_));
        if is_part && is_class && is_box {
            self.cut(node, inputs, results)?;
        }
        let is_image = |map: &Option<&Map>| {
            map.is_some_and(|map| {
                !self.image.is_empty() && map.labels().iter().map(source).eq(self.image.clone())
            })
        };
        if inputs.iter().any(is_image) && changes_values(node) {
            self.reading.of_image.push(name());
        }
        Ok(())
    }

    /// Checks the parts of a prediction of classes and distances.
    fn cut(
        &self,
        node: &ForeignNode,
        inputs: &[Option<&Map>],
        results: &[Option<Map>],
    ) -> Result<(), HeadError> {
        let whole = inputs.first().copied().flatten().map_or(0, |map| map.labels().len());
        for part in results.iter().flatten().map(Map::labels).filter(|labels| labels.len() < whole) {
            let [found, distances] = [HeadRole::Class, HeadRole::Box].map(|role| self.count(part, role));
            if found > 0 && distances > 0 {
                let (name, expected) = (name_of(node), self.classes);
                return Err(HeadError::Cut { name, found, distances, expected });
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<HeadReading, HeadError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        for (name, [one, other, result]) in self.products {
            let lacks = |part: Option<u64>, set: &HashSet<u64>| {
                part.is_some_and(|part| !set.contains(&part) && !self.with_other.contains(&part))
            };
            if lacks(one, &self.with_sigmoid) || lacks(other, &self.with_sigmoid) {
                return Err(HeadError::NoSigmoid(name));
            }
            if lacks(result, &self.with_root) {
                return Err(HeadError::NoRoot(name));
            }
        }
        Ok(self.reading)
    }
}

/// Whether a layer computes other values, and not only another order or type of them.
fn changes_values(node: &ForeignNode) -> bool {
    const KINDS: &[&str] = &[
        "add",
        "sub",
        "subtract",
        "mul",
        "multiply",
        "div",
        "divide",
        "binaryop",
        "batchnorm",
        "batchnormalization",
        "batch_norm",
        "scale",
        "bias",
        "neg",
        "elementwise_add",
        "elementwise_sub",
        "elementwise_mul",
        "elementwise_div",
    ];
    KINDS.contains(&node.kind.to_ascii_lowercase().trim_end_matches('_'))
}

fn name_of(node: &ForeignNode) -> String {
    let output = node.outputs.first().map(String::as_str).unwrap_or_default();
    if node.name.is_empty() { output.to_owned() } else { node.name.clone() }
}

fn source(label: &Label) -> Option<u64> {
    label.part(Aspect::Sources)
}
