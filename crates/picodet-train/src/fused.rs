//! Our own forward and backward kernels as one operation of burn's CPU backend, through burn's backend extension.
//!
//! The operation takes all parameters in one tensor and returns all outputs in one tensor; burn's autodiff calls its
//! backward pass.

use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DType, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bytes, Device, Shape, Tensor as BurnTensor, TensorData};
use burn_flex::{FlexTensor, Layout};
use picodet_gradient::{GradientError, Tape};
use picodet_graph::{Graph, Tensor, Tensor4, TensorView, Weights};

use crate::backend::{BackendError, TrainingBackend};

/// A graph, its memory, and the result of the last batch.
#[derive(Debug)]
struct Inner {
    graph: Graph,
    tape: Tape,
    /// Names, shapes and lengths of the outputs of the last forward.
    outputs: Vec<(String, [usize; 4])>,
    problem: Option<GradientError>,
}

/// The state of the operation, shared because burn keeps it for the backward pass.
#[derive(Clone, Debug)]
pub struct Session(Arc<Mutex<Inner>>);

impl Session {
    fn with<R>(&self, work: impl FnOnce(&mut Inner) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns all outputs one after another; none on an error, which is kept in `problem`.
    fn forward(&self, params: &[f32], shape: [usize; 4], image: &[f32]) -> Vec<f32> {
        self.with(|inner| {
            let weights = unpacked(&inner.graph, params);
            inner.problem = inner.tape.forward(&weights, shape, image).err();
            inner.outputs.clear();
            let mut all = Vec::new();
            for output in inner.graph.outputs.iter().filter(|_| inner.problem.is_none()) {
                if let Some(view) = inner.tape.output(&output.name) {
                    inner.outputs.push((output.name.clone(), view.shape()));
                    all.extend(view.iter());
                }
            }
            all
        })
    }

    /// Returns the gradients of all parameters one after another, for the gradients of all outputs.
    fn backward(&self, gradient: &[f32]) -> Vec<f32> {
        self.with(|inner| {
            let mut at = 0;
            let mut by_output = Vec::new();
            for (name, shape) in &inner.outputs {
                let len: usize = shape.iter().product();
                let data = gradient[at..at + len].to_vec();
                by_output.push((name.clone(), Tensor4 { shape: *shape, data }));
                at += len;
            }
            match inner.tape.backward(&by_output) {
                Ok(gradients) => packed(&inner.graph, &gradients),
                Err(error) => {
                    inner.problem = Some(error);
                    packed(&inner.graph, &Weights::new())
                }
            }
        })
    }
}

/// Concatenates all parameters, with zeros for missing ones.
fn packed(graph: &Graph, weights: &Weights) -> Vec<f32> {
    let mut all = Vec::with_capacity(graph.params.iter().map(|param| param.len()).sum());
    for param in &graph.params {
        match weights.get(&param.name) {
            Some(tensor) => all.extend_from_slice(&tensor.data),
            None => all.resize(all.len() + param.len(), 0.0),
        }
    }
    all
}

fn unpacked(graph: &Graph, all: &[f32]) -> Weights {
    let mut at = 0;
    let take = |param: &picodet_graph::Param| {
        let data = all[at..at + param.len()].to_vec();
        at += param.len();
        (param.name.clone(), Tensor { shape: param.shape.clone(), data })
    };
    graph.params.iter().map(take).collect()
}

/// The network as an operation of a burn backend.
#[backend_extension(Flex, Autodiff)]
pub trait FusedNetwork: Backend {
    /// Computes all outputs (`[length]`) from all parameters (`[length]`) and images (`[n, 3, h, w]`).
    fn fused_network(
        params: FloatTensor<Self>,
        image: FloatTensor<Self>,
        session: Session,
    ) -> FloatTensor<Self>;

    /// Computes the gradients of all parameters from those of all outputs.
    fn fused_network_backward(gradient: FloatTensor<Self>, session: Session) -> FloatTensor<Self>;
}

fn vector(values: Vec<f32>) -> FlexTensor {
    let shape = Shape::from(vec![values.len()]);
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

impl FusedNetwork for Flex {
    fn fused_network(params: FlexTensor, image: FlexTensor, session: Session) -> FlexTensor {
        let (params, image) = (params.to_contiguous(), image.to_contiguous());
        vector(session.forward(params.storage::<f32>(), image.shape().dims(), image.storage::<f32>()))
    }

    fn fused_network_backward(gradient: FlexTensor, session: Session) -> FlexTensor {
        vector(session.backward(gradient.to_contiguous().storage::<f32>()))
    }
}

/// The backward pass as an operation of burn's autodiff.
#[derive(Debug)]
struct BackwardPass;

impl<B: FusedNetwork> Backward<B, 1> for BackwardPass {
    type State = Session;

    fn backward(self, ops: Ops<Session, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [params] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        if let Some(params) = params {
            gradients.register::<B>(params.id, B::fused_network_backward(gradient, ops.state));
        }
    }
}

impl<B: FusedNetwork, C: CheckpointStrategy> FusedNetwork for Autodiff<B, C> {
    fn fused_network(
        params: FloatTensor<Self>,
        image: FloatTensor<Self>,
        session: Session,
    ) -> FloatTensor<Self> {
        let ((params, node), (image, _)) = (params.into_parts(), image.into_parts());
        match BackwardPass.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let output = B::fused_network(params, image, session.clone());
                prepared.finish(session, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::fused_network(params, image, session)),
        }
    }

    fn fused_network_backward(gradient: FloatTensor<Self>, session: Session) -> FloatTensor<Self> {
        // Second derivatives are not supported: the result is a constant.
        let (gradient, _) = gradient.into_parts();
        <Self as burn::backend::AutodiffBackend>::from_inner(B::fused_network_backward(gradient, session))
    }
}

/// A graph in training on burn's CPU backend with our own kernels.
#[derive(Debug)]
pub struct FusedBurnNetwork {
    session: Session,
    graph: Graph,
    last: Option<Last>,
}

/// The tensors of the last batch.
#[derive(Debug)]
struct Last {
    params: BurnTensor<1>,
    output: BurnTensor<1>,
    /// The values of `output`.
    values: Vec<f32>,
    /// Names and shapes of the outputs in `output`, in order.
    parts: Vec<(String, [usize; 4])>,
}

impl FusedBurnNetwork {
    /// Prepares a graph for `threads` threads.
    ///
    /// # Errors
    /// If the graph cannot be differentiated.
    pub fn new(graph: &Graph, threads: usize) -> Result<Self, GradientError> {
        let tape = Tape::new(graph, threads)?;
        let inner = Inner { graph: graph.clone(), tape, outputs: Vec::new(), problem: None };
        Ok(Self { session: Session(Arc::new(Mutex::new(inner))), graph: graph.clone(), last: None })
    }

    /// Returns the error of the last operation.
    fn problem(&self) -> Result<(), GradientError> {
        self.session.with(|inner| inner.problem.take()).map_or(Ok(()), Err)
    }
}

impl TrainingBackend for FusedBurnNetwork {
    fn forward(&mut self, weights: &Weights, images: TensorView<'_>) -> Result<(), BackendError> {
        let device = Device::flex().autodiff();
        let all = packed(&self.graph, weights);
        let params =
            BurnTensor::<1>::from_data(TensorData::new(all.clone(), [all.len()]), &device).require_grad();
        let image = TensorData::new(images.to_tensor().data, images.shape());
        let image = BurnTensor::<4>::from_data(image, &device);
        let output = <Dispatch as FusedNetwork>::fused_network(
            params.clone().into_dispatch(),
            image.into_dispatch(),
            self.session.clone(),
        );
        self.problem()?;
        let parts = self.session.with(|inner| inner.outputs.clone());
        let output = BurnTensor::<1>::from_dispatch(output);
        let values = output.clone().detach().into_data().iter::<f32>().collect();
        self.last = Some(Last { params, output, values, parts });
        Ok(())
    }

    fn output(&self, name: &str) -> Option<TensorView<'_>> {
        let last = self.last.as_ref()?;
        let mut at = 0;
        for (part, shape) in &last.parts {
            let len: usize = shape.iter().product();
            if part == name {
                return TensorView::channels_first(&last.values[at..at + len], *shape);
            }
            at += len;
        }
        None
    }

    fn backward(&mut self, gradients: &[(String, TensorView<'_>)]) -> Result<Weights, BackendError> {
        let last = self.last.as_ref().ok_or(BackendError::NoForward)?;
        let mut all = Vec::new();
        for (part, shape) in &last.parts {
            match gradients.iter().find(|gradient| gradient.0 == *part) {
                Some((_, gradient)) => all.extend(gradient.iter()),
                None => all.resize(all.len() + shape.iter().product::<usize>(), 0.0),
            }
        }
        let given =
            BurnTensor::<1>::from_data(TensorData::new(all.clone(), [all.len()]), &last.output.device());
        // The derivative of this sum by the outputs are the given gradients.
        let mut found = (last.output.clone() * given).sum().backward();
        self.problem()?;
        let values = last
            .params
            .grad_remove(&mut found)
            .ok_or_else(|| BackendError::Device("burn returned no gradient".to_owned()))?;
        let values: Vec<f32> = values.into_data().iter::<f32>().collect();
        let mut gradients = unpacked(&self.graph, &values);
        let learned: Vec<&str> = self
            .graph
            .params
            .iter()
            .filter(|param| param.role.is_learned())
            .map(|param| param.name.as_str())
            .collect();
        gradients.retain(|name, _| learned.contains(&name.as_str()));
        Ok(gradients)
    }

    fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        self.session.with(|inner| {
            let statistics = inner.tape.statistics();
            statistics.map(|(name, values)| (name.to_owned(), values.to_vec())).collect()
        })
    }
}
