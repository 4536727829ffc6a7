//! Parameters and multiply-accumulates, per node and in total.

use crate::{Graph, Node, Op};

/// The cost of a node or a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Learned values: weights, biases, batch-norm affines.
    pub parameters: usize,
    /// Multiply-accumulates of convolutions and linear layers for one image; other operations count as zero
    /// (SPEC §10).
    pub macs: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.parameters += other.parameters;
        self.macs += other.macs;
    }
}

impl Graph {
    /// Returns the cost of one node for an input of `input` = (height, width) pixels.
    #[must_use]
    pub fn cost_of(&self, node: &Node, input: (usize, usize)) -> Cost {
        let parameters =
            self.params_of(node).filter(|param| param.role.is_learned()).map(|param| param.len()).sum();
        let weight = self.params_of(node).next().map_or(0, |param| param.len()) as u64;
        let macs = match node.op {
            Op::Convolution(_) => {
                let [_, height, width] = node.shape.resolve(input);
                weight * (height * width) as u64
            }
            Op::Linear { .. } => weight,
            _ => 0,
        };
        Cost { parameters, macs }
    }

    /// Returns the cost of the whole graph for an input of `input` = (height, width) pixels.
    #[must_use]
    pub fn cost(&self, input: (usize, usize)) -> Cost {
        let mut total = Cost::default();
        self.nodes.iter().for_each(|node| total += self.cost_of(node, input));
        total
    }
}
