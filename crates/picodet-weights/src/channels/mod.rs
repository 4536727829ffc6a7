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
mod label;
mod map;

use std::collections::HashMap;

use picodet_graph::{Graph, Op};

use crate::{ForeignNetwork, ForeignNode};

use follow::Follower;
use label::{ASPECTS, Aspect, Form, Label};
use map::Map;

#[cfg(test)]
mod tests;

pub use error::{ChannelDifference, ChannelError};

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
    let ours = inputs_of_graph(graph);
    let mut site_of = vec![None; matches.len()];
    for (site, &index) in matches.iter().enumerate() {
        if let Some(entry) = site_of.get_mut(index) {
            *entry = Some(site);
        }
    }
    let theirs = inputs_of_network(network, &site_of);
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

/// Returns the scopes of the convolutions of a graph, each with its input.
fn inputs_of_graph(graph: &Graph) -> Vec<(&str, Option<Map>)> {
    let mut follower = Follower::new();
    let mut values: Vec<Option<Map>> = Vec::with_capacity(graph.nodes.len());
    let mut found = Vec::new();
    for node in &graph.nodes {
        let inputs: Vec<Option<&Map>> = node.inputs.iter().map(|input| values[input.0].as_ref()).collect();
        let value = if let Op::Convolution(op) = node.op {
            let input = inputs.first().copied().flatten().cloned();
            let value = follower.convolved(found.len(), op.out_channels, input.as_ref());
            found.push((node.scope.as_str(), input));
            value
        } else {
            follower.results(&graph::flow(&node.op), &inputs, 1).pop().flatten()
        };
        values.push(value);
    }
    found
}

/// Returns the convolutions of a file, each with its input; `site_of` has the number of its counterpart for each.
fn inputs_of_network<'a>(
    network: &'a ForeignNetwork,
    site_of: &[Option<usize>],
) -> Vec<(&'a ForeignNode, Option<Map>)> {
    let mut follower = Follower::new();
    let mut values: HashMap<&str, Map> = HashMap::new();
    for input in &network.inputs {
        values.extend(Follower::image().map(|image| (input.as_str(), image)));
    }
    let mut found = Vec::new();
    for node in &network.nodes {
        let inputs: Vec<Option<&Map>> = node.inputs.iter().map(|input| values.get(input.as_str())).collect();
        let results = if let Some(convolution) = &node.convolution {
            let input = inputs.first().copied().flatten().cloned();
            let site = site_of.get(found.len()).copied().flatten();
            let channels = convolution.weight.shape.first().copied().unwrap_or(0);
            let value = site.and_then(|site| follower.convolved(site, channels, input.as_ref()));
            found.push((node, input));
            vec![value]
        } else {
            follower.results(&node.flow, &inputs, node.outputs.len())
        };
        for (output, result) in node.outputs.iter().zip(results) {
            match result {
                Some(map) => drop(values.insert(output, map)),
                None => drop(values.remove(output.as_str())),
            }
        }
    }
    found
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
                match sorted(found) == sorted(expected) {
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
