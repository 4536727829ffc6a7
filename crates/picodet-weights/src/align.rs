//! Gives the convolutions of an exported network our names by their place in the network.
//!
//! Exported files keep neither our names nor the reference's. What they keep is the structure: which convolution,
//! of what shape, reads which others. Both networks are reduced to that; colours are refined along and against the
//! edges until they say all they can (Weisfeiler-Lehman), and equal colours belong together.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};

use picodet_graph::{Graph, Op, Tensor, Weights, pass};

use crate::ForeignNetwork;

/// A convolution and its place in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvolutionSite {
    /// What it is called.
    pub key: String,
    /// `[out, in / groups, k, k]`.
    pub weight_shape: Vec<usize>,
    /// Step of the window.
    pub stride: usize,
    /// Number of groups.
    pub groups: usize,
    /// The nearest convolutions before it, through everything else, ascending; none at the image.
    pub upstream: Vec<usize>,
}

/// Why two networks are not the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlignError {
    /// The numbers of convolutions differ.
    #[error("the file has {theirs} convolutions, the network {ours}")]
    Count {
        /// Of our network.
        ours: usize,
        /// Of the file.
        theirs: usize,
    },
    /// Some convolutions have no counterpart.
    #[error("no convolution of the file stands where {0} stand")]
    Missing(String),
}

/// The sites of one of our graphs.
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

/// The sites of an exported network, in the order of its convolutions.
pub fn sites_of_foreign(network: &ForeignNetwork) -> Vec<ConvolutionSite> {
    let makers = network.makers();
    let mut sites = Vec::new();
    let mut reached: Vec<BTreeSet<usize>> = Vec::with_capacity(network.nodes.len());
    for (index, node) in network.nodes.iter().enumerate() {
        // A hostile file may read what comes later; such inputs count as none.
        let inputs = node.inputs.iter().filter_map(|input| makers.get(input.as_str()).copied());
        let upstream: BTreeSet<usize> =
            inputs.filter(|&maker| maker < index).flat_map(|maker| reached[maker].iter().copied()).collect();
        if let Some(convolution) = &node.convolution {
            reached.push(BTreeSet::from([sites.len()]));
            sites.push(ConvolutionSite {
                key: node.name.clone(),
                weight_shape: convolution.weight.shape.clone(),
                stride: convolution.stride,
                groups: convolution.groups,
                upstream: upstream.into_iter().collect(),
            });
        } else {
            reached.push(upstream);
        }
    }
    sites
}

/// For each of our sites, the index of theirs.
///
/// Sites that nothing tells apart are equal in every respect that a network has; they are paired in order.
///
/// # Errors
/// When the networks are not the same; names the first sites without counterpart.
pub fn align(ours: &[ConvolutionSite], theirs: &[ConvolutionSite]) -> Result<Vec<usize>, AlignError> {
    if ours.len() != theirs.len() {
        return Err(AlignError::Count { ours: ours.len(), theirs: theirs.len() });
    }
    let our_colours = colours(ours);
    let mut places: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, colour) in colours(theirs).into_iter().enumerate().rev() {
        places.entry(colour).or_default().push(index);
    }
    let found: Vec<Option<usize>> =
        our_colours.iter().map(|colour| places.get_mut(colour).and_then(Vec::pop)).collect();
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

/// A colour for each site: equal where neither the site itself nor anything around it differs.
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

/// The folded graph of a network and its weights by our names, from an exported file.
///
/// # Errors
/// When the file holds another network.
pub fn import(graph: &Graph, network: &ForeignNetwork) -> Result<(Graph, Weights), AlignError> {
    let folded = pass::fold_batch_norm_structure(graph);
    let ours = sites_of_graph(&folded);
    let places = align(&ours, &sites_of_foreign(network))?;
    let convolutions: Vec<_> = network.nodes.iter().filter_map(|node| node.convolution.as_ref()).collect();
    let names: HashMap<&str, usize> =
        ours.iter().enumerate().map(|(index, site)| (site.key.as_str(), places[index])).collect();
    let mut weights = Weights::new();
    for (scope, place) in names {
        let convolution = convolutions[place];
        let out = convolution.weight.shape[0];
        let bias = convolution.bias.clone().map(|bias| Tensor { shape: vec![out], data: bias.data });
        weights.insert(format!("{scope}.weight"), convolution.weight.clone());
        weights.insert(format!("{scope}.bias"), bias.unwrap_or_else(|| Tensor::full(&[out], 0.0)));
    }
    Ok((folded, weights))
}
