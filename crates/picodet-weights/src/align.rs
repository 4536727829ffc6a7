//! Maps the convolutions of an exported network to those of a graph by their position in the network.
//!
//! Exported files keep neither parameter names nor those of the reference, only the structure: each
//! convolution's shape and the convolutions it depends on. Both networks are reduced to that. Colours are
//! refined along the edges in both directions until they are stable (Weisfeiler-Lehman), and sites of equal
//! colour are paired by their depth, the only difference between towers of equal shape behind a neck without
//! convolutions. The order of the file's nodes does not count.

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
    /// Largest number of operations on the way from the image that join the results of different convolutions.
    pub depth: usize,
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
    /// Several convolutions of the file could be one of the graph.
    #[error(
        "several convolutions of the file fit {0}; use a file with parameter names (.safetensors, .pdparams)"
    )]
    Ambiguous(String),
}

/// The convolutions that a value is computed from.
#[derive(Clone, Default)]
struct Origin {
    /// The nearest convolutions. Shared, since hostile files have many nodes of one input.
    convolutions: Rc<BTreeSet<usize>>,
    /// See [`ConvolutionSite::depth`].
    depth: usize,
}

impl Origin {
    /// Returns the origin of what an operation with these inputs computes.
    fn join<'a>(inputs: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let depth = inputs.clone().map(|input| input.depth).max().unwrap_or(0);
        let mut others = inputs.clone();
        let Some(first) = others.next() else { return Self::default() };
        if others.all(|input| input.convolutions == first.convolutions) {
            return Self { convolutions: Rc::clone(&first.convolutions), depth };
        }
        let all = inputs.flat_map(|input| input.convolutions.iter().copied());
        Self { convolutions: Rc::new(all.collect()), depth: depth + 1 }
    }

    /// Returns the origin of the result of convolution `index`, which reads a value of this origin.
    fn convolved(&self, index: usize) -> Self {
        Self { convolutions: Rc::new(BTreeSet::from([index])), depth: self.depth }
    }
}

/// Returns the sites of a graph, in the order of its nodes.
#[must_use]
pub fn sites_of_graph(graph: &Graph) -> Vec<ConvolutionSite> {
    let mut sites = Vec::new();
    let mut origins: Vec<Origin> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let origin = Origin::join(node.inputs.iter().map(|input| &origins[input.0]));
        if let Op::Convolution(op) = node.op {
            let weight_shape =
                graph.params_of(node).next().map(|param| param.shape.clone()).unwrap_or_default();
            origins.push(origin.convolved(sites.len()));
            sites.push(ConvolutionSite {
                key: node.scope.clone(),
                weight_shape,
                stride: op.stride,
                groups: op.groups,
                upstream: origin.convolutions.iter().copied().collect(),
                depth: origin.depth,
            });
        } else {
            origins.push(origin);
        }
    }
    sites
}

/// Returns the sites of an exported network, in the order of its convolutions.
#[must_use]
pub fn sites_of_foreign(network: &ForeignNetwork) -> Vec<ConvolutionSite> {
    let producers = network.producers();
    let mut sites = Vec::new();
    let mut origins: Vec<Origin> = Vec::with_capacity(network.nodes.len());
    for (index, node) in network.nodes.iter().enumerate() {
        // A hostile file may refer to later nodes; such inputs are ignored.
        let inputs = node.inputs.iter().filter_map(|input| producers.get(input.as_str()).copied());
        let inputs: BTreeSet<usize> = inputs.filter(|&producer| producer < index).collect();
        let origin = Origin::join(inputs.iter().map(|&producer| &origins[producer]));
        if let Some(convolution) = &node.convolution {
            origins.push(origin.convolved(sites.len()));
            sites.push(ConvolutionSite {
                key: node.name.clone(),
                weight_shape: convolution.weight.shape.clone(),
                stride: convolution.stride,
                groups: convolution.groups,
                upstream: origin.convolutions.iter().copied().collect(),
                depth: origin.depth,
            });
        } else {
            origins.push(origin);
        }
    }
    sites
}

/// Returns, for each site of `ours`, the index of its counterpart in `theirs`.
///
/// Sites of equal colour are paired in the order of their depth.
///
/// # Errors
/// [`AlignError`] when the networks differ, with the first sites that have no counterpart, and when sites are
/// equivalent.
pub fn align(ours: &[ConvolutionSite], theirs: &[ConvolutionSite]) -> Result<Vec<usize>, AlignError> {
    if ours.len() != theirs.len() {
        return Err(AlignError::Count { ours: ours.len(), theirs: theirs.len() });
    }
    let (mut ours_of, mut theirs_of) = (by_colour(ours), by_colour(theirs));
    let mut found = vec![None; ours.len()];
    for (colour, group) in &mut ours_of {
        let counterparts = theirs_of.entry(*colour).or_default();
        if group.len() == counterparts.len() {
            sort_by_depth(ours, group)?;
            sort_by_depth(theirs, counterparts)?;
        }
        for (&site, &counterpart) in group.iter().zip(counterparts.iter()) {
            found[site] = Some(counterpart);
        }
    }
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

/// Returns the sites of each colour.
fn by_colour(sites: &[ConvolutionSite]) -> BTreeMap<u64, Vec<usize>> {
    let mut groups: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, colour) in colours(sites).into_iter().enumerate() {
        groups.entry(colour).or_default().push(index);
    }
    groups
}

/// Sorts sites of one colour.
///
/// # Errors
/// [`AlignError::Ambiguous`] if two have the same depth.
fn sort_by_depth(sites: &[ConvolutionSite], group: &mut [usize]) -> Result<(), AlignError> {
    group.sort_by_key(|&site| sites[site].depth);
    match group.windows(2).find(|pair| sites[pair[0]].depth == sites[pair[1]].depth) {
        Some(pair) => Err(AlignError::Ambiguous(format!("`{}`", sites[pair[0]].key))),
        None => Ok(()),
    }
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

/// A graph with the weights of an exported network.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph with folded batch norms.
    pub graph: Graph,
    /// Its parameters.
    pub weights: Weights,
    /// The names of the convolutions in the file by the names of the parameters.
    pub names: BTreeMap<String, String>,
    /// For each convolution of the graph the index of its counterpart among those of the file.
    pub matches: Vec<usize>,
}

/// Returns the graph with folded batch norms and its weights, taken from an exported network.
///
/// # Errors
/// [`AlignError`] when the file holds a different network.
pub fn import(graph: &Graph, network: &ForeignNetwork) -> Result<Imported, AlignError> {
    let folded = pass::fold_batch_norm_structure(graph);
    let ours = sites_of_graph(&folded);
    // Before the sites of the file, whose number of edges can be the square of its size.
    let theirs = network.nodes.iter().filter(|node| node.convolution.is_some()).count();
    if theirs != ours.len() {
        return Err(AlignError::Count { ours: ours.len(), theirs });
    }
    let sites = sites_of_foreign(network);
    let matches = align(&ours, &sites)?;
    let convolutions: Vec<_> = network.nodes.iter().filter_map(|node| node.convolution.as_ref()).collect();
    let convolution_of: HashMap<&str, usize> =
        ours.iter().enumerate().map(|(index, site)| (site.key.as_str(), matches[index])).collect();
    let (mut weights, mut names) = (Weights::new(), BTreeMap::new());
    for (scope, index) in convolution_of {
        for part in ["weight", "bias"] {
            names.insert(format!("{scope}.{part}"), sites[index].key.clone());
        }
        let convolution = convolutions[index];
        let out = convolution.weight.shape[0];
        let bias = convolution.bias.clone().map(|bias| Tensor { shape: vec![out], data: bias.data });
        weights.insert(format!("{scope}.weight"), convolution.weight.clone());
        weights.insert(format!("{scope}.bias"), bias.unwrap_or_else(|| Tensor::full(&[out], 0.0)));
    }
    Ok(Imported { graph: folded, weights, names, matches })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a network as a file holds it, its nodes in another order: of those whose inputs are known, `pick` chooses.
    /// The bias of each convolution is its index in `graph`.
    fn exported(graph: &Graph, mut pick: impl FnMut(usize) -> usize) -> ForeignNetwork {
        let mut left: Vec<usize> = (0..graph.nodes.len()).collect();
        let mut done = vec![false; graph.nodes.len()];
        let mut network = ForeignNetwork::of_graph(graph, 0.0);
        let nodes = std::mem::take(&mut network.nodes);
        while !left.is_empty() {
            let is_ready = |&index: &usize| graph.nodes[index].inputs.iter().all(|input| done[input.0]);
            let ready: Vec<usize> = left.iter().copied().filter(is_ready).collect();
            let index = ready[pick(ready.len())];
            left.retain(|&other| other != index);
            done[index] = true;
            let mut node = nodes[index].clone();
            if let Some(convolution) = &mut node.convolution {
                convolution.bias = Some(Tensor::full(&convolution.weight.shape[..1], index as f32));
            }
            network.nodes.push(node);
        }
        network
    }

    #[test]
    fn the_order_of_the_nodes_does_not_count() {
        for variant in picodet_zoo::variants() {
            let graph = pass::fold_batch_norm_structure(&variant.architecture.graph(80));
            let mut state = 1u64;
            let random = |count: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize % count
            };
            let networks =
                [exported(&graph, |_| 0), exported(&graph, |count| count - 1), exported(&graph, random)];
            for (order, network) in networks.iter().enumerate() {
                let Imported { weights, .. } = import(&graph, network).expect("the same network");
                for (index, node) in graph.nodes.iter().enumerate() {
                    if let Op::Convolution(_) = node.op {
                        let bias = weights[&format!("{}.bias", node.scope)].data[0];
                        let what = format!("{} of {} in order {order}", node.scope, variant.name);
                        assert_eq!(bias, index as f32, "{what}");
                    }
                }
            }
        }
    }

    #[test]
    fn equivalent_convolutions_are_refused() {
        let site = |key: &str| ConvolutionSite {
            key: key.to_owned(),
            weight_shape: vec![8, 3, 1, 1],
            stride: 1,
            groups: 1,
            upstream: Vec::new(),
            depth: 0,
        };
        let sites = [site("a"), site("b")];
        assert_eq!(align(&sites, &sites), Err(AlignError::Ambiguous("`a`".to_owned())));
        assert_eq!(align(&sites[..1], &sites[..1]), Ok(vec![0]));
    }
}
