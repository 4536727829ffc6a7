//! The training backend on burn's devices.
//!
//! Parameters become leaves of burn's autodiff graph, operations run in the order of the graph, and batch norms use the
//! statistics of the batch. Between steps the parameters are in a [`Weights`] map; a [`Pass`] holds one forward pass with
//! the tensors of its backward pass.

use burn::tensor::module::{avg_pool2d, conv2d, interpolate, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, InterpolateMode, InterpolateOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor as BurnTensor, TensorData, activation};
use picodet_graph::{
    Activation, BATCH_NORM_EPSILON, Graph, Node, Op, ResizeFactor, Tensor, Tensor4, TensorView, Weights,
};

use crate::backend::{BackendError, TrainingBackend};

/// A forward pass with the state of its backward pass.
#[derive(Debug)]
pub struct Pass {
    /// The parameters as leaves, by index in the graph.
    leaves: Vec<BurnTensor<1>>,
    /// Named outputs.
    outputs: Vec<(String, BurnTensor<4>)>,
    /// Batch mean and biased variance of each batch norm, by the names of its running statistics.
    statistics: Vec<(String, BurnTensor<4>)>,
}

fn values<const D: usize>(tensor: BurnTensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

impl Pass {
    /// Runs `image` (`[n, 3, h, w]`, normalised) through `graph` with `weights`, the parameters of that graph.
    ///
    /// `device` is a device of burn such as `Device::flex()`; autodiff is enabled here.
    pub fn forward(graph: &Graph, weights: &Weights, image: TensorView<'_>, device: &Device) -> Self {
        let device = device.clone().autodiff();
        let leaf = |name: &str| {
            let data = TensorData::new(weights[name].data.clone(), [weights[name].data.len()]);
            BurnTensor::<1>::from_data(data, &device)
        };
        let leaves: Vec<BurnTensor<1>> = graph
            .params
            .iter()
            .map(|param| match param.role.is_learned() {
                true => leaf(&param.name).require_grad(),
                false => leaf(&param.name),
            })
            .collect();
        let mut walk = Walk { graph, leaves: &leaves, statistics: Vec::new() };
        let mut remaining: Vec<usize> = graph.readers().iter().map(Vec::len).collect();
        graph.outputs.iter().for_each(|output| remaining[output.node.0] += 1);
        let mut features: Vec<Option<BurnTensor<4>>> = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let inputs: Vec<BurnTensor<4>> =
                node.inputs.iter().filter_map(|input| features[input.0].clone()).collect();
            let feature = match node.op {
                Op::Input => {
                    BurnTensor::from_data(TensorData::new(image.to_tensor().data, image.shape()), &device)
                }
                _ => walk.compute(node, inputs),
            };
            features.push(Some(feature));
            for input in &node.inputs {
                remaining[input.0] -= 1;
                if remaining[input.0] == 0 {
                    features[input.0] = None;
                }
            }
        }
        let statistics = walk.statistics;
        let outputs = graph
            .outputs
            .iter()
            .filter_map(|output| Some((output.name.clone(), features[output.node.0].clone()?)))
            .collect();
        Self { leaves, outputs, statistics }
    }

    /// Copies a named output from the device.
    pub fn output(&self, name: &str) -> Option<Tensor4> {
        let tensor = &self.outputs.iter().find(|output| output.0 == name)?.1;
        Some(Tensor { shape: tensor.dims(), data: values(tensor.clone().detach()) })
    }

    /// Returns the gradients of the learned parameters for the given gradients of named outputs.
    pub fn backward(&self, graph: &Graph, gradients: &[(String, TensorView<'_>)]) -> Weights {
        let mut total: Option<BurnTensor<1>> = None;
        for (name, gradient) in gradients {
            let Some((_, tensor)) = self.outputs.iter().find(|output| &output.0 == name) else { continue };
            let data = TensorData::new(gradient.to_tensor().data, tensor.dims());
            // The derivative of this sum by the output is the given gradient.
            let term = (tensor.clone() * BurnTensor::from_data(data, &tensor.device())).sum();
            total = Some(match total {
                Some(total) => total + term,
                None => term,
            });
        }
        let Some(total) = total else { return Weights::new() };
        let mut gradients = total.backward();
        let params = graph.params.iter().zip(&self.leaves).filter(|(param, _)| param.role.is_learned());
        params
            .filter_map(|(param, leaf)| {
                let data = values(leaf.grad_remove(&mut gradients)?);
                Some((param.name.clone(), Tensor { shape: param.shape.clone(), data }))
            })
            .collect()
    }

    /// Returns mean and biased variance of the batch at each batch norm, by the names of its running statistics.
    pub fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        self.statistics.iter().map(|(name, batch)| (name.clone(), values(batch.clone()))).collect()
    }
}

/// Starts a device by name: `flex`, or `cuda`, `rocm`, `vulkan`, `metal` or `wgpu` if the program was built with the
/// feature of that name.
///
/// # Errors
/// If the program was built without the device, or the machine does not have it.
pub fn device(name: &str) -> Result<Device, BackendError> {
    match name {
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => first_of(name, burn::tensor::DeviceType::Cuda),
        #[cfg(feature = "rocm")]
        "rocm" => first_of(name, burn::tensor::DeviceType::Rocm),
        #[cfg(feature = "vulkan")]
        "vulkan" => started(name, burn::tensor::wgpu::WgpuBackend::Vulkan),
        #[cfg(feature = "metal")]
        "metal" => started(name, burn::tensor::wgpu::WgpuBackend::Metal),
        #[cfg(feature = "wgpu")]
        "wgpu" => started(name, burn::tensor::wgpu::WgpuBackend::Auto),
        _ => Err(BackendError::UnknownDevice(name.to_owned())),
    }
}

/// Returns the first device that a driver lists.
#[cfg(any(feature = "cuda", feature = "rocm"))]
fn first_of(name: &str, kind: burn::tensor::DeviceType) -> Result<Device, BackendError> {
    // The bindings panic if the library of the driver is missing.
    let devices = quietly(|| Device::enumerate(kind).into_iter().next());
    devices.ok().flatten().ok_or_else(|| BackendError::MissingDevice(name.to_owned()))
}

/// Starts a device of wgpu; once per program. Starting it here turns a missing device into an error.
#[cfg(any(feature = "vulkan", feature = "metal", feature = "wgpu"))]
fn started(name: &str, api: burn::tensor::wgpu::WgpuBackend) -> Result<Device, BackendError> {
    let device = quietly(|| Device::wgpu_options().graphics_api(api).init())?;
    device.map_err(|_| BackendError::MissingDevice(name.to_owned()))
}

/// Runs code that reports failures by panics, and returns the message of a panic as an error.
fn quietly<R>(work: impl FnOnce() -> R) -> Result<R, BackendError> {
    use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let result = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown reason");
        BackendError::Device(text.lines().next().unwrap_or_default().to_owned())
    })
}

/// A graph in training on a device of burn.
#[derive(Debug)]
pub struct BurnNetwork {
    graph: Graph,
    device: Device,
    pass: Option<Pass>,
    /// Outputs of the last pass. Devices compute lazily and fail when values are read, which happens in `forward`.
    outputs: Vec<(String, Tensor4)>,
    statistics: Vec<(String, Vec<f32>)>,
}

impl BurnNetwork {
    /// Prepares a graph for a device such as `Device::flex()`.
    pub fn new(graph: &Graph, device: Device) -> Self {
        Self { graph: graph.clone(), device, pass: None, outputs: Vec::new(), statistics: Vec::new() }
    }
}

impl TrainingBackend for BurnNetwork {
    fn forward(&mut self, weights: &Weights, images: TensorView<'_>) -> Result<(), BackendError> {
        // Frees the last pass first, so that two passes are never in memory together.
        self.pass = None;
        let (pass, outputs, statistics) = quietly(|| {
            let pass = Pass::forward(&self.graph, weights, images, &self.device);
            let names = pass.outputs.iter().map(|output| &output.0);
            let outputs = names.filter_map(|name| Some((name.clone(), pass.output(name)?))).collect();
            let statistics = pass.statistics();
            (pass, outputs, statistics)
        })?;
        (self.pass, self.outputs, self.statistics) = (Some(pass), outputs, statistics);
        Ok(())
    }

    fn output(&self, name: &str) -> Option<TensorView<'_>> {
        self.outputs.iter().find(|output| output.0 == name).map(|output| output.1.view())
    }

    fn backward(&mut self, gradients: &[(String, TensorView<'_>)]) -> Result<Weights, BackendError> {
        let pass = self.pass.as_ref().ok_or(BackendError::NoForward)?;
        quietly(|| pass.backward(&self.graph, gradients))
    }

    fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        self.statistics.clone()
    }
}

/// The state of a walk through the operations of a graph.
struct Walk<'a> {
    graph: &'a Graph,
    leaves: &'a [BurnTensor<1>],
    statistics: Vec<(String, BurnTensor<4>)>,
}

impl Walk<'_> {
    fn param(&self, node: &Node, index: usize) -> BurnTensor<1> {
        self.leaves[node.params[index].0].clone()
    }

    fn compute(&mut self, node: &Node, mut inputs: Vec<BurnTensor<4>>) -> BurnTensor<4> {
        if node.op == Op::Concat {
            return BurnTensor::cat(inputs, 1);
        }
        let second = if inputs.len() > 1 { inputs.pop() } else { None };
        let Some(x) = inputs.pop() else { unreachable!("a checked graph gives every operation its inputs") };
        let [n, c, h, w] = x.dims();
        match (node.op, second) {
            (Op::Convolution(op), _) => {
                let shape: [usize; 4] = [op.out_channels, c / op.groups, op.kernel, op.kernel];
                let weight = self.param(node, 0).reshape(shape);
                let bias = op.bias.then(|| self.param(node, 1));
                let pad = (op.kernel - 1) / 2;
                conv2d(x, weight, bias, ConvOptions::new([op.stride; 2], [pad; 2], [1; 2], op.groups))
            }
            (Op::BatchNorm, _) => self.batch_norm(node, x),
            (Op::Activation(activation), _) => activate(x, activation),
            (Op::MaxPool, _) => {
                max_pool2d(x, MaxPoolOptions::new([3; 2]).with_stride([2; 2]).with_padding([1; 2]))
            }
            (Op::AveragePool, _) => {
                let mut options = AvgPoolOptions::new([2; 2]);
                options.count_include_pad = false;
                options.ceil_mode = true;
                avg_pool2d(x, options)
            }
            (Op::GlobalAveragePool, _) => x.mean_dim(3).mean_dim(2),
            (Op::Add, Some(y)) => x + y,
            (Op::Scale, Some(factors)) => x * factors,
            (Op::Slice { start, len }, _) => x.narrow(1, start, len),
            (Op::ChannelShuffle, _) => x.reshape([n, 2, c / 2, h, w]).swap_dims(1, 2).reshape([n, c, h, w]),
            (Op::UpsampleNearest, _) => {
                let options =
                    InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([2 * h, 2 * w]);
                interpolate(x, options.with_align_corners(false))
            }
            (Op::ResizeBilinear(factor), _) => {
                let size = match factor {
                    ResizeFactor::Double => [2 * h, 2 * w],
                    ResizeFactor::Half => [h.div_ceil(2), w.div_ceil(2)],
                };
                let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_output_size(size);
                interpolate(x, options.with_align_corners(false))
            }
            (Op::Linear { out_features }, _) => {
                let weight = self.param(node, 0).reshape([c, out_features]);
                let product =
                    x.reshape([n, c]).matmul(weight) + self.param(node, 1).reshape([1, out_features]);
                product.reshape([n, out_features, 1, 1])
            }
            (Op::Dropout { rate }, _) => {
                let keep =
                    x.random_like(burn::tensor::Distribution::Uniform(0.0, 1.0)).greater_equal_elem(rate);
                x * keep.float()
            }
            (Op::GeometricMean { epsilon }, Some(y)) => (x * y + f64::from(epsilon)).sqrt(),
            (op, _) => unreachable!("{op} has other inputs in a checked graph"),
        }
    }

    /// Normalises with the mean and biased variance of the batch.
    fn batch_norm(&mut self, node: &Node, x: BurnTensor<4>) -> BurnTensor<4> {
        let channels = x.dims()[1];
        let mean_of = |x: BurnTensor<4>| x.mean_dim(0).mean_dim(2).mean_dim(3);
        let mean = mean_of(x.clone());
        let centred = x - mean.clone();
        let variance = mean_of(centred.clone() * centred.clone());
        for (index, statistic) in [(2, &mean), (3, &variance)] {
            let name = self.graph.params[node.params[index].0].name.clone();
            self.statistics.push((name, statistic.clone().detach()));
        }
        let gamma = self.param(node, 0).reshape([1, channels, 1, 1]);
        let beta = self.param(node, 1).reshape([1, channels, 1, 1]);
        centred / (variance + BATCH_NORM_EPSILON).sqrt() * gamma + beta
    }
}

fn activate(x: BurnTensor<4>, function: Activation) -> BurnTensor<4> {
    match function {
        Activation::HardSwish => x.clone() * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Relu => activation::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => activation::leaky_relu(x, f64::from(slope)),
        Activation::HardSigmoid { slope } => (x * f64::from(slope) + 0.5).clamp(0.0, 1.0),
        Activation::Sigmoid => activation::sigmoid(x),
    }
}
