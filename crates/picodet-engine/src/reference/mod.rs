//! The reference engine: every operation by its definition in SPEC, one after the other, in f32 or f64.

mod convolution;
mod elementwise;
mod matrix;
mod quantised;
mod resample;
mod step;

use std::marker::PhantomData;
use std::sync::Arc;

use picodet_graph::{Graph, Tensor4, Weights};

use step::{remaining_readers, step};

pub use quantised::{QuantisedReference, QuantisedValue};

use crate::{Engine, Plan, PlanError, Real, RunError, check_plan, convert};

/// The engine that others are compared with; it computes in `T`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceEngine<T = f32>(PhantomData<T>);

impl<T: Real> ReferenceEngine<T> {
    /// Returns the engine; it has no state.
    pub fn new() -> Self {
        Self(PhantomData)
    }

    /// Prepares a network as [`Engine::plan`] does, and keeps the concrete type, whose outputs are in `T`.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        input_size: (usize, usize),
    ) -> Result<ReferencePlan<T>, PlanError> {
        check_plan(graph, weights, input_size)?;
        let params = graph
            .params
            .iter()
            .map(|param| {
                weights[&param.name].data.iter().map(|&value| T::from_f64(f64::from(value))).collect()
            })
            .collect();
        Ok(ReferencePlan { graph: graph.clone(), params, input_size })
    }
}

impl<T: Real> Engine for ReferenceEngine<T> {
    fn plan(
        &self,
        graph: &Graph,
        weights: &Weights,
        input_size: (usize, usize),
    ) -> Result<Arc<dyn Plan>, PlanError> {
        Ok(Arc::new(self.prepare(graph, weights, input_size)?))
    }
}

/// A graph with its parameter values in `T`.
#[derive(Clone, Debug)]
pub struct ReferencePlan<T> {
    graph: Graph,
    /// By parameter index of the graph.
    params: Vec<Vec<T>>,
    input_size: (usize, usize),
}

impl<T: Real> Plan for ReferencePlan<T> {
    fn input_size(&self) -> (usize, usize) {
        self.input_size
    }

    fn run(&self, image: &Tensor4) -> Result<Vec<(String, Tensor4)>, RunError> {
        let outputs = self.run_exact(&convert(image))?;
        Ok(outputs.into_iter().map(|(name, feature)| (name, convert(&feature))).collect())
    }
}

impl<T: Real> ReferencePlan<T> {
    /// Runs a batch as [`Plan::run`] does, in `T` throughout.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_exact(&self, image: &Tensor4<T>) -> Result<Vec<(String, Tensor4<T>)>, RunError> {
        let [_, channels, height, width] = image.shape;
        if channels != 3 || (height, width) != self.input_size {
            return Err(RunError::Shape { found: image.shape, size: self.input_size });
        }
        let mut remaining = remaining_readers(&self.graph);
        let mut features: Vec<Option<Tensor4<T>>> = Vec::with_capacity(self.graph.nodes.len());
        for node in &self.graph.nodes {
            // A checked graph has inputs before their readers, and `remaining` keeps them until the last one.
            let inputs: Vec<&Tensor4<T>> =
                node.inputs.iter().filter_map(|input| features[input.0].as_ref()).collect();
            let params: Vec<&[T]> = node.params.iter().map(|param| self.params[param.0].as_slice()).collect();
            let feature = step(node.op, &params, &inputs).unwrap_or_else(|| image.clone());
            features.push(Some(feature));
            for input in &node.inputs {
                remaining[input.0] -= 1;
                if remaining[input.0] == 0 {
                    features[input.0] = None;
                }
            }
        }
        let outputs = self.graph.outputs.iter();
        Ok(outputs.filter_map(|out| Some((out.name.clone(), features[out.node.0].clone()?))).collect())
    }
}
