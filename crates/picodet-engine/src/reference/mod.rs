//! The reference engine: every operation by its definition in SPEC, one after the other, in f32 or f64.

mod convolution;
mod elementwise;
mod matrix;
mod quantised;
mod resample;

use std::marker::PhantomData;
use std::sync::Arc;

use picodet_graph::{Graph, Node, Op, ResizeFactor, Tensor4, Weights};

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
        let mut remaining: Vec<usize> = self.graph.readers().iter().map(Vec::len).collect();
        self.graph.outputs.iter().for_each(|output| remaining[output.node.0] += 1);

        let mut features: Vec<Option<Tensor4<T>>> = Vec::with_capacity(self.graph.nodes.len());
        for node in &self.graph.nodes {
            // A checked graph has inputs before their readers, and `remaining` keeps them until the last one.
            let inputs: Vec<&Tensor4<T>> =
                node.inputs.iter().filter_map(|input| features[input.0].as_ref()).collect();
            let feature = self.compute(node, &inputs, image);
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

    fn compute(&self, node: &Node, inputs: &[&Tensor4<T>], image: &Tensor4<T>) -> Tensor4<T> {
        let param = |index: usize| self.params[node.params[index].0].as_slice();
        match node.op {
            Op::Input => image.clone(),
            Op::Convolution(op) => {
                let bias = op.bias.then(|| param(1));
                convolution::convolution(inputs[0], param(0), bias, &op)
            }
            Op::BatchNorm => elementwise::batch_norm(inputs[0], [param(0), param(1), param(2), param(3)]),
            Op::Activation(activation) => elementwise::activation(inputs[0], activation),
            Op::MaxPool => resample::max_pool(inputs[0]),
            Op::AveragePool => resample::average_pool(inputs[0]),
            Op::GlobalAveragePool => resample::global_average_pool(inputs[0]),
            Op::Add => elementwise::add(inputs[0], inputs[1]),
            Op::Scale => elementwise::scale(inputs[0], inputs[1]),
            Op::Concat => elementwise::concat(inputs),
            Op::Slice { start, len } => elementwise::slice(inputs[0], start, len),
            Op::ChannelShuffle => elementwise::channel_shuffle(inputs[0]),
            Op::UpsampleNearest => resample::upsample_nearest(inputs[0]),
            Op::ResizeBilinear(ResizeFactor::Double) => {
                resample::resize_bilinear(inputs[0], |extent| extent * 2)
            }
            Op::ResizeBilinear(ResizeFactor::Half) => resample::resize_bilinear(inputs[0], |e| e.div_ceil(2)),
            Op::Linear { out_features } => convolution::linear(inputs[0], param(0), param(1), out_features),
            Op::Dropout { rate } => elementwise::map(inputs[0], |x| x * T::from_f64(1.0 - f64::from(rate))),
            Op::GeometricMean { epsilon } => elementwise::geometric_mean(inputs[0], inputs[1], epsilon),
        }
    }
}
