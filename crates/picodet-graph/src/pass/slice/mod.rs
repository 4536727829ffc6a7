//! Sub-networks of a supernet: which channels of the large network a smaller one of the same blocks keeps.
//!
//! Both networks are graphs of the zoo and name their nodes by scope. [`slice_map`] follows the channels through the
//! sub-network, so that concatenations, gates and shuffles keep the right ones; it knows no network.

mod channels;
mod copy;
mod error;

use std::collections::HashMap;

use crate::{Graph, Node, NodeId, Op, Param};

use self::channels::{Channels, Operands};
pub use self::copy::{ParamSlice, SliceMap};
pub use self::error::{NotASlice, SliceRule};

/// Returns the values of each parameter of `supernet` that belong to `sub`.
///
/// A convolution keeps the first channels of its result, unless the result is multiplied with or added to another map,
/// whose channels it then keeps. Smaller kernels are the centre of larger ones.
///
/// # Errors
/// [`NotASlice`] with the scope of the first node that is no part of the supernet's.
pub fn slice_map(supernet: &Graph, sub: &Graph) -> Result<SliceMap, NotASlice> {
    let mut by_scope: HashMap<&str, &Node> = HashMap::with_capacity(supernet.nodes.len());
    for node in &supernet.nodes {
        if by_scope.insert(&node.scope, node).is_some() {
            return Err(NotASlice::new(&node.scope, SliceRule::UniqueScope));
        }
    }
    let readers = sub.readers();
    let mut kept: Vec<Channels> = Vec::with_capacity(sub.nodes.len());
    let mut params = Vec::with_capacity(sub.params.len());
    for (index, node) in sub.nodes.iter().enumerate() {
        let fail = |rule| NotASlice::new(&node.scope, rule);
        let large = *by_scope.get(node.scope.as_str()).ok_or_else(|| fail(SliceRule::Exists))?;
        let operands = Operands {
            node,
            large,
            inputs: node.inputs.iter().map(|input| &kept[input.0]).collect(),
            widths: large.inputs.iter().map(|&input| supernet.node(input).shape.channels).collect(),
            partner: partner(sub, &readers, NodeId(index)).and_then(|partner| kept.get(partner.0)),
        };
        let channels = operands.channels().map_err(fail)?;
        let sources = supernet.params_of(large).collect::<Vec<&Param>>();
        if sources.len() != node.params.len() {
            return Err(fail(SliceRule::Operation { expected: large.op, found: node.op }));
        }
        for ((id, param), source) in node.params.iter().zip(sub.params_of(node)).zip(sources) {
            let axes = operands.axes(param, source, &channels).map_err(fail)?;
            params.push((id.0, ParamSlice::new(&param.name, &source.name, &source.shape, &axes)));
        }
        kept.push(channels);
    }
    params.sort_unstable_by_key(|(id, _)| *id);
    Ok(SliceMap { params: params.into_iter().map(|(_, param)| param).collect() })
}

/// The other operand of the scale or sum that reads the result of a convolution, directly or through batch norms and
/// activations.
fn partner(graph: &Graph, readers: &[Vec<NodeId>], convolution: NodeId) -> Option<NodeId> {
    if !matches!(graph.node(convolution).op, Op::Convolution(_)) {
        return None;
    }
    let mut at = convolution;
    loop {
        let [reader] = readers[at.0][..] else { return None };
        let node = graph.node(reader);
        match node.op {
            Op::BatchNorm | Op::Activation(_) => at = reader,
            Op::Scale | Op::Add => return node.inputs.iter().copied().find(|&input| input != at),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
