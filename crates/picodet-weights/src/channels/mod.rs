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
mod walk;

use picodet_graph::{Graph, Op};

use crate::ForeignNetwork;

use follow::Follower;
use label::{ASPECTS, Aspect, Form, Label};
use map::Map;
use walk::{walk_graph, walk_network};

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
