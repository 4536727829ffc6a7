//! Maps the convolutions of an exported network to those of a graph by their position in the network.
//!
//! Exported files keep neither parameter names nor those of the reference, only the structure: each
//! convolution's shape and the convolutions it depends on. Both networks are reduced to that. Colours are
//! refined along the edges in both directions until they are stable (Weisfeiler-Lehman), and sites of equal
//! colour are paired.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use picodet_graph::{Graph, Op, Tensor, Weights, pass};

use crate::ForeignNetwork;

/// A convolution and its position in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvolutionSite {
    /// Its name in its network.
    pub key: String,
    /// `[out, in / groups, k, k]`.
    pub weight_shape: Vec<usize>,
    /// Stride along both axes.
    pub stride: usize,
    /// Number of groups.
    pub groups: usize,
    /// The nearest preceding convolutions, ascending; empty directly after the image.
    pub upstream: Vec<usize>,
}

/// Why two networks differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlignError {
    /// The networks have different numbers of convolutions.
    #[error("the file has {theirs} convolutions, the network has {ours}")]
    Count {
        /// Number in the graph.
        ours: usize,
        /// Number in the file.
        theirs: usize,
    },
    /// Some convolutions of the graph have no counterpart in the file.
    #[error("the file has no matching convolution for {0}")]
    Missing(String),
}

/// Returns the sites of a graph, in the order of its nodes.
#[must_use]
pub fn sites_of_graph(graph: &Graph) -> Vec<ConvolutionSite> {
    let mut sites = Vec::new();
    let mut reached: Vec<BTreeSet<usize>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let upstream: BTreeSet<usize> =
            node.inputs.iter().flat_map(|input| reached[input.0].iter().copied()).collect();
        if let Op::Convolution(op) = node.op {
            let weight_shape =
                graph.params_of(node).next().map(|param| param.shape.clone()).unwrap_or_default();
            reached.push(BTreeSet::from([sites.len()]));
            sites.push(ConvolutionSite {
                key: node.scope.clone(),
                weight_shape,
                stride: op.stride,
                groups: op.groups,
                upstream: upstream.into_iter().collect(),
            });
        } else {
            reached.push(upstream);
        }
    }
    sites
}

/// Returns the sites of an exported network, in the order of its convolutions.
#[must_use]
pub fn sites_of_foreign(network: &ForeignNetwork) -> Vec<ConvolutionSite> {
    let producers = network.producers();
    let mut sites = Vec::new();
    // Shared, since hostile files have many nodes of one input.
    let mut reached: Vec<Rc<BTreeSet<usize>>> = Vec::with_capacity(network.nodes.len());
    for (index, node) in network.nodes.iter().enumerate() {
        // A hostile file may refer to later nodes; such inputs are ignored.
        let inputs = node.inputs.iter().filter_map(|input| producers.get(input.as_str()).copied());
        let inputs: BTreeSet<usize> = inputs.filter(|&producer| producer < index).collect();
        let upstream = match (inputs.len(), inputs.first()) {
            (1, Some(&only)) => Rc::clone(&reached[only]),
            _ => Rc::new(inputs.iter().flat_map(|&producer| reached[producer].iter().copied()).collect()),
        };
        if let Some(convolution) = &node.convolution {
            reached.push(Rc::new(BTreeSet::from([sites.len()])));
            sites.push(ConvolutionSite {
                key: node.name.clone(),
                weight_shape: convolution.weight.shape.clone(),
                stride: convolution.stride,
                groups: convolution.groups,
                upstream: upstream.iter().copied().collect(),
            });
        } else {
            reached.push(upstream);
        }
    }
    sites
}

/// Returns, for each site of `ours`, the index of its counterpart in `theirs`.
///
/// Sites of equal colour are structurally equivalent; they are paired in order.
///
/// # Errors
/// [`AlignError`] when the networks differ, with the first sites that have no counterpart.
pub fn align(ours: &[ConvolutionSite], theirs: &[ConvolutionSite]) -> Result<Vec<usize>, AlignError> {
    if ours.len() != theirs.len() {
        return Err(AlignError::Count { ours: ours.len(), theirs: theirs.len() });
    }
    let our_colours = colours(ours);
    let mut by_colour: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, colour) in colours(theirs).into_iter().enumerate().rev() {
        by_colour.entry(colour).or_default().push(index);
    }
    let found: Vec<Option<usize>> =
        our_colours.iter().map(|colour| by_colour.get_mut(colour).and_then(Vec::pop)).collect();
    let missing: Vec<String> = ours
        .iter()
        .zip(&found)
        .filter(|(_, found)| found.is_none())
        .map(|(site, _)| format!("`{}` {:?} stride {}", site.key, site.weight_shape, site.stride))
        .collect();
    if !missing.is_empty() {
        let shown = missing.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
        let more = if missing.len() > 4 { format!(" and {} more", missing.len() - 4) } else { String::new() };
        return Err(AlignError::Missing(format!("{shown}{more}")));
    }
    Ok(found.into_iter().flatten().collect())
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Returns a colour for each site; sites of equal colour have the same shape and the same neighbourhood.
fn colours(sites: &[ConvolutionSite]) -> Vec<u64> {
    let mut downstream = vec![Vec::new(); sites.len()];
    for (index, site) in sites.iter().enumerate() {
        site.upstream.iter().for_each(|&before| downstream[before].push(index));
    }
    let mut colours: Vec<u64> = sites.iter().map(|s| hash((&s.weight_shape, s.stride, s.groups))).collect();
    let count = |colours: &[u64]| colours.iter().collect::<BTreeSet<_>>().len();
    let mut distinct = 0;
    while count(&colours) > distinct {
        distinct = count(&colours);
        let around = |neighbours: &[usize]| {
            let mut around: Vec<u64> = neighbours.iter().map(|&neighbour| colours[neighbour]).collect();
            around.sort_unstable();
            around
        };
        let refine = |(index, site): (usize, &ConvolutionSite)| {
            hash((colours[index], around(&site.upstream), around(&downstream[index])))
        };
        colours = sites.iter().enumerate().map(refine).collect();
    }
    colours
}

/// Returns the graph with folded batch norms and its weights, taken from an exported network.
///
/// # Errors
/// [`AlignError`] when the file holds a different network.
pub fn import(graph: &Graph, network: &ForeignNetwork) -> Result<(Graph, Weights), AlignError> {
    let folded = pass::fold_batch_norm_structure(graph);
    let ours = sites_of_graph(&folded);
    // Before the sites of the file, whose number of edges can be the square of its size.
    let theirs = network.nodes.iter().filter(|node| node.convolution.is_some()).count();
    if theirs != ours.len() {
        return Err(AlignError::Count { ours: ours.len(), theirs });
    }
    let matches = align(&ours, &sites_of_foreign(network))?;
    let convolutions: Vec<_> = network.nodes.iter().filter_map(|node| node.convolution.as_ref()).collect();
    let convolution_of: HashMap<&str, usize> =
        ours.iter().enumerate().map(|(index, site)| (site.key.as_str(), matches[index])).collect();
    let mut weights = Weights::new();
    for (scope, index) in convolution_of {
        let convolution = convolutions[index];
        let out = convolution.weight.shape[0];
        let bias = convolution.bias.clone().map(|bias| Tensor { shape: vec![out], data: bias.data });
        weights.insert(format!("{scope}.weight"), convolution.weight.clone());
        weights.insert(format!("{scope}.bias"), bias.unwrap_or_else(|| Tensor::full(&[out], 0.0)));
    }
    Ok((folded, weights))
}
