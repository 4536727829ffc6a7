//! Compares the channels that the convolutions of an exported network read with those in a graph.
//!
//! Convolutions are matched by their shapes and neighbours ([`crate::align`]), which the order of concatenated maps, the
//! range of a slice or the groups of a shuffle do not change. Here each channel of every value has a label: of the image
//! and of the results of matched convolutions the same in both networks, of other operations computed from their
//! inputs. Where a file computes a value in a way that is not followed, it is unknown and not compared; the next
//! convolution's result is known again.

mod error;
mod follow;
mod graph;
mod head;
mod label;
mod map;

use std::collections::HashMap;

use picodet_graph::{Graph, Node, Op};

use crate::{ForeignNetwork, ForeignNode};

use follow::Follower;
use label::{ASPECTS, Aspect, Form, Label};
use map::Map;

#[cfg(test)]
mod tests;

pub use error::{ChannelDifference, ChannelError};
pub use head::{HeadError, HeadReading, HeadRole, compare_head};

/// Which convolutions were compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelCoverage {
    /// Number of convolutions whose channels were compared.
    pub compared: usize,
    /// Number of these whose channels are known in every respect, such as the factors of resizes.
    pub exact: usize,
    /// Names in the file of the convolutions whose inputs could not be followed.
    pub skipped: Vec<String>,
}

/// Compares the channels that each convolution reads; `matches` has the index of its counterpart among the convolutions of
/// `network` for each convolution of `graph`, as [`crate::align`] returns it.
///
/// # Errors
/// [`ChannelError`] at the first convolution of `graph` that reads other channels.
pub fn compare_channels(
    graph: &Graph,
    network: &ForeignNetwork,
    matches: &[usize],
) -> Result<ChannelCoverage, ChannelError> {
    let mut ours = Vec::new();
    walk_graph(graph, |node, inputs, _| {
        if matches!(node.op, Op::Convolution(_)) {
            ours.push((node.scope.as_str(), inputs.first().copied().flatten().cloned()));
        }
    });
    let mut theirs = Vec::new();
    walk_network(network, matches, |node, inputs, _| {
        if node.convolution.is_some() {
            theirs.push((node, inputs.first().copied().flatten().cloned()));
        }
    });
    let mut coverage = ChannelCoverage::default();
    for ((scope, expected), &index) in ours.iter().zip(matches) {
        let Some((node, found)) = theirs.get(index) else { continue };
        let channels = |map: &Option<Map>| map.as_ref().and_then(Map::channels).map(<[Label]>::to_vec);
        let (Some(found), Some(expected)) = (channels(found), channels(expected)) else {
            coverage.skipped.push(node.name.clone());
            continue;
        };
        if let Some(difference) = difference(&found, &expected) {
            let (name, scope) = (node.name.clone(), (*scope).to_owned());
            return Err(ChannelError { name, scope, difference });
        }
        coverage.compared += 1;
        let is_exact = |label: &Label| ASPECTS.iter().all(|&aspect| label.part(aspect).is_some());
        coverage.exact += usize::from(found.iter().all(is_exact));
    }
    Ok(coverage)
}

/// Calls `visit` with each node of a graph, its inputs and its result.
fn walk_graph<'a>(graph: &'a Graph, mut visit: impl FnMut(&'a Node, &[Option<&Map>], Option<&Map>)) {
    let mut follower = Follower::new();
    let mut values: Vec<Option<Map>> = Vec::with_capacity(graph.nodes.len());
    let mut convolutions = 0;
    for node in &graph.nodes {
        let inputs: Vec<Option<&Map>> = node.inputs.iter().map(|input| values[input.0].as_ref()).collect();
        let value = if let Op::Convolution(op) = node.op {
            convolutions += 1;
            follower.convolved(convolutions - 1, op.out_channels, inputs.first().copied().flatten())
        } else {
            follower.results(&graph::flow(&node.op), &inputs, 1).pop().flatten()
        };
        visit(node, &inputs, value.as_ref());
        values.push(value);
    }
}

/// Calls `visit` with each node of a file, its inputs and its results; `matches` as for [`compare_channels`].
fn walk_network<'a>(
    network: &'a ForeignNetwork,
    matches: &[usize],
    mut visit: impl FnMut(&'a ForeignNode, &[Option<&Map>], &[Option<Map>]),
) {
    let mut site_of = vec![None; matches.len()];
    for (site, &index) in matches.iter().enumerate() {
        if let Some(entry) = site_of.get_mut(index) {
            *entry = Some(site);
        }
    }
    let mut follower = Follower::new();
    let mut values: HashMap<&str, Map> = HashMap::new();
    for input in &network.inputs {
        values.extend(Follower::image().map(|image| (input.as_str(), image)));
    }
    let mut convolutions = 0;
    for node in &network.nodes {
        let inputs: Vec<Option<&Map>> = node.inputs.iter().map(|input| values.get(input.as_str())).collect();
        let results = if let Some(convolution) = &node.convolution {
            let site = site_of.get(convolutions).copied().flatten();
            convolutions += 1;
            let channels = convolution.weight.shape.first().copied().unwrap_or(0);
            let input = inputs.first().copied().flatten();
            vec![site.and_then(|site| follower.convolved(site, channels, input))]
        } else {
            follower.results(&node.flow, &inputs, node.outputs.len())
        };
        visit(node, &inputs, &results);
        for (output, result) in node.outputs.iter().zip(results) {
            match result {
                Some(map) => drop(values.insert(output, map)),
                None => drop(values.remove(output.as_str())),
            }
        }
    }
}

/// Returns the first difference between two lists of channels.
fn difference(found: &[Label], expected: &[Label]) -> Option<ChannelDifference> {
    if found.len() != expected.len() {
        return Some(ChannelDifference::Count { found: found.len(), expected: expected.len() });
    }
    let pairs = || found.iter().zip(expected);
    for aspect in ASPECTS {
        let Some(first) = pairs().position(|(found, expected)| found.differs(expected, aspect)) else {
            continue;
        };
        return Some(match aspect {
            Aspect::Sources => {
                let sorted = |labels: &[Label]| {
                    let mut parts: Vec<_> = labels.iter().map(|label| label.part(aspect)).collect();
                    parts.sort_unstable();
                    parts
                };
                let is_image = Follower::image().is_some_and(|image| image.labels() == expected);
                match sorted(found) == sorted(expected) {
                    true if is_image => ChannelDifference::Colours,
                    true => ChannelDifference::Order,
                    false => ChannelDifference::Channels { first },
                }
            }
            Aspect::Arithmetic => match (found[first].form(), expected[first].form()) {
                (Form::Sum, Form::Product) => ChannelDifference::Sum,
                (Form::Product, Form::Sum) => ChannelDifference::Product,
                _ => ChannelDifference::Arithmetic,
            },
            Aspect::Pooling => ChannelDifference::Pooling,
            Aspect::Factors => ChannelDifference::Factor,
            Aspect::Interpolation => ChannelDifference::Interpolation,
        });
    }
    None
}
