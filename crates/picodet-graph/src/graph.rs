//! The graph: nodes in topological order, parameters, named outputs.

use crate::{Op, Param, Shape};

/// Index of a node in [`Graph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// Index of a parameter in [`Graph::params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub usize);

/// One operation with its inputs, its parameters and the shape of its result.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// Nodes whose results it reads, all of them earlier in the graph.
    pub inputs: Vec<NodeId>,
    /// Its parameters, in the order that [`Op`] documents.
    pub params: Vec<ParamId>,
    /// Path of the paper's blocks, as in `neck.top_down.0.main.conv`.
    pub scope: String,
    /// Shape of the result.
    pub shape: Shape,
}

/// A named result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The name, such as `backbone.0`, `neck.3`, `cls_logit.0`, `reg.0`, `score.0`.
    pub name: String,
    /// The node whose result it is.
    pub node: NodeId,
}

/// A network. Built with a [`crate::Builder`], rewritten by the functions of [`crate::pass`].
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Graph {
    /// Nodes; inputs come before their readers.
    pub nodes: Vec<Node>,
    /// Parameters, each read by exactly one node.
    pub params: Vec<Param>,
    /// Named results.
    pub outputs: Vec<Output>,
}

impl Graph {
    /// Returns the node with an id of this graph.
    ///
    /// # Panics
    /// If the id is of another, larger graph.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Returns the parameters of a node, in order.
    pub fn params_of<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a Param> + 'a {
        node.params.iter().map(|id| &self.params[id.0])
    }

    /// Returns the node of a named output.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<NodeId> {
        self.outputs.iter().find(|output| output.name == name).map(|output| output.node)
    }

    /// Returns the readers of each node; a node that reads another twice is listed twice.
    #[must_use]
    pub fn readers(&self) -> Vec<Vec<NodeId>> {
        let mut readers = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                readers[input.0].push(NodeId(index));
            }
        }
        readers
    }

    /// Returns the number of learned values: weights, biases and batch-norm affines, without running statistics.
    pub fn parameter_count(&self) -> usize {
        self.params.iter().filter(|param| param.role.is_learned()).map(Param::len).sum()
    }
}
