//! Quantisations of a part of a network.

use std::collections::BTreeSet;

use super::Quantisation;
use super::symmetric::joined_nodes;
use crate::pass::fuse;
use crate::{Graph, NodeId};

impl Quantisation {
    /// Returns the quantisation of the convolutions whose scope is in `scopes`, and of the maps that they read or write; the rest of
    /// the network is computed in f32. Values that a concat, a slice or a shuffle connects are all bytes or all f32.
    ///
    /// `self` fits the graph ([`Quantisation::check`]).
    #[must_use]
    pub fn restricted(&self, graph: &Graph, scopes: &BTreeSet<String>) -> Self {
        let fusion = fuse(graph);
        let count = graph.nodes.len();
        let group = joined_nodes(graph, &fusion);
        let mut is_bytes = vec![false; count];
        for (index, node) in graph.nodes.iter().enumerate().filter(|(_, node)| scopes.contains(&node.scope)) {
            is_bytes[group[node.inputs[0].0]] = true;
            let Some(block) = fusion.block(NodeId(index)) else { continue };
            is_bytes[group[block.last.0]] = true;
            if let Some(sum) = block.sum {
                is_bytes[group[sum.addend.0]] = true;
            }
        }
        let stored = |(index, node): (usize, &crate::Node)| {
            let map = self.maps.get(&node.scope).filter(|_| is_bytes[group[index]])?;
            Some((node.scope.clone(), map.clone()))
        };
        Self {
            convolutions: self
                .convolutions
                .iter()
                .filter(|(scope, _)| scopes.contains(*scope))
                .map(|(scope, convolution)| (scope.clone(), convolution.clone()))
                .collect(),
            maps: graph.nodes.iter().enumerate().filter_map(stored).collect(),
            ..*self
        }
    }
}
