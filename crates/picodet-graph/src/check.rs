//! Checks the invariants of a graph and its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::infer::infer;
use crate::{Graph, Node, Op, Role, Weights};

/// All violations found in a graph or its weights, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckError {
    /// One sentence per problem, each naming the scope or the tensor.
    pub problems: Vec<String>,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        f.write_str(&self.problems[..self.problems.len().min(SHOWN)].join("; "))?;
        match self.problems.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, "; and {more} more"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for CheckError {}

pub(crate) fn into_result(problems: Vec<String>) -> Result<(), CheckError> {
    if problems.is_empty() { Ok(()) } else { Err(CheckError { problems }) }
}

/// The roles and shapes that the parameters of a node must have.
fn expected_params(graph: &Graph, node: &Node) -> Vec<(Role, Vec<usize>)> {
    let in_channels = node.inputs.first().map_or(0, |&input| graph.node(input).shape.channels);
    match node.op {
        Op::Convolution(c) => {
            let weight = (Role::Weight, vec![c.out_channels, in_channels / c.groups, c.kernel, c.kernel]);
            let bias = c.bias.then(|| (Role::Bias, vec![c.out_channels]));
            std::iter::once(weight).chain(bias).collect()
        }
        Op::BatchNorm => [Role::Gamma, Role::Beta, Role::RunningMean, Role::RunningVariance]
            .map(|role| (role, vec![in_channels]))
            .to_vec(),
        Op::Linear { out_features } => {
            vec![(Role::Weight, vec![in_channels, out_features]), (Role::Bias, vec![out_features])]
        }
        _ => Vec::new(),
    }
}

impl Graph {
    /// Checks order, shapes, parameters and names.
    ///
    /// # Errors
    /// [`CheckError`] with all problems.
    pub fn check(&self) -> Result<(), CheckError> {
        let mut problems = Vec::new();
        let mut readers = vec![0usize; self.params.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            let scope = &node.scope;
            if let Some(input) = node.inputs.iter().find(|input| input.0 >= index) {
                problems.push(format!("{scope}: reads node {} which comes later", input.0));
                continue;
            }
            let shapes: Vec<_> = node.inputs.iter().map(|&input| self.node(input).shape).collect();
            match infer(&node.op, &shapes) {
                Ok(shape) if shape == node.shape => {}
                Ok(shape) => problems
                    .push(format!("{scope}: is declared as {} but its inputs give {shape}", node.shape)),
                Err(problem) => problems.push(format!("{scope}: {problem}")),
            }
            if let Some(param) = node.params.iter().find(|param| param.0 >= self.params.len()) {
                problems.push(format!("{scope}: reads parameter {} which does not exist", param.0));
                continue;
            }
            node.params.iter().for_each(|param| readers[param.0] += 1);
            let found: Vec<_> = self.params_of(node).map(|param| (param.role, param.shape.clone())).collect();
            let expected = expected_params(self, node);
            if found != expected {
                problems.push(format!("{scope}: has parameters {found:?} instead of {expected:?}"));
            }
        }
        for (param, readers) in self.params.iter().zip(readers) {
            if readers != 1 {
                problems.push(format!("{}: is read by {readers} nodes instead of one", param.name));
            }
        }
        let mut scopes = BTreeSet::new();
        let again = self.nodes.iter().filter(|node| !scopes.insert(&node.scope));
        problems.extend(again.map(|node| format!("{}: is the scope of more than one node", node.scope)));
        let mut names = BTreeSet::new();
        let all =
            self.params.iter().map(|param| &param.name).chain(self.outputs.iter().map(|output| &output.name));
        problems.extend(
            all.filter(|name| !names.insert(*name))
                .map(|name| format!("{name}: is the name of more than one parameter or output")),
        );
        let missing = self.outputs.iter().filter(|output| output.node.0 >= self.nodes.len());
        problems.extend(missing.map(|output| format!("{}: is an output without a node", output.name)));
        into_result(problems)
    }

    /// Checks that `weights` holds exactly the parameters of this graph.
    ///
    /// # Errors
    /// [`CheckError`] with every missing, unexpected and mis-shaped tensor.
    pub fn check_weights(&self, weights: &Weights) -> Result<(), CheckError> {
        self.check_shapes(weights.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice())))
    }

    /// Checks that names and shapes are exactly those of the parameters of this graph.
    ///
    /// # Errors
    /// As [`Graph::check_weights`].
    pub fn check_shapes<'a>(
        &self,
        shapes: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    ) -> Result<(), CheckError> {
        let mut shapes: BTreeMap<&str, &[usize]> = shapes.into_iter().collect();
        let mut problems = Vec::new();
        for param in &self.params {
            match shapes.remove(param.name.as_str()) {
                None => problems.push(format!("`{}` {:?} is missing", param.name, param.shape)),
                Some(shape) if shape != param.shape => {
                    problems.push(format!("`{}` has shape {shape:?}, not {:?}", param.name, param.shape));
                }
                Some(_) => {}
            }
        }
        problems.extend(shapes.keys().map(|name| format!("unexpected tensor `{name}`")));
        into_result(problems)
    }
}
