//! The network of a program with its parameters.

use std::collections::HashMap;

use picodet_graph::Tensor;

use super::activation::{activation, pooling};
use super::flow::{self, Splits, Surroundings};
use super::operation::{Operation, Program, is_batch_norm, is_convolution};
use super::values::Values;
use crate::foreign::{Affine, Channels, Foldable, Transform, fold};
use crate::{ForeignConvolution, ForeignNetwork, ForeignNode, ReadError};

/// Epsilon of a batch norm without the attribute.
const EPSILON: f32 = 1e-5;

/// Parameters by the name of their value.
type Parameters = HashMap<String, Parameter>;

/// A parameter, or one that an operation has reshaped.
#[derive(Clone)]
struct Parameter {
    shape: Vec<usize>,
    data: Channels,
}

/// Largest number of inputs that lists of tensors add to the operations that read them.
const MAX_LISTED: usize = 1_000_000;

/// Assigns the tensors to the parameters of the program, and builds its network.
pub(super) fn assemble(program: Program, tensors: Vec<Tensor>) -> Result<ForeignNetwork, ReadError> {
    let mut parameters = assign(&program, tensors)?;
    let mut budget: usize = parameters.values().map(|parameter| parameter.data.len()).sum();
    let mut network = ForeignNetwork::default();
    let mut foldable = Vec::with_capacity(program.operations.len());
    let (mut values, mut splits, mut listed) = (Values::default(), Splits::new(), MAX_LISTED);
    for (index, mut operation) in program.operations.into_iter().enumerate() {
        pass_through(&operation, &mut parameters);
        let convolution = match is_convolution(&operation.kind) {
            true => Some(convolution(index, &operation, &parameters, &mut budget)?),
            false => None,
        };
        let is_other = operation.kind.contains("conv2d") && !operation.kind.contains("transpose");
        if convolution.is_none() && is_other || has_fused_activation(&operation) {
            return Err(wrong(
                index,
                &operation,
                "a fused or quantised convolution; export the model again without",
            ));
        }
        values.follow(&operation);
        if let Some(list) = operation.inputs.first().and_then(|input| values.list(input)) {
            listed = listed.checked_sub(list.len()).ok_or_else(|| {
                wrong(index, &operation, "its list of tensors is too long; the file is damaged")
            })?;
            operation.inputs = list.to_vec();
        }
        let (activation, pooling) = (activation(&operation), pooling(&operation, &values));
        let size = |input: &String| parameters.get(input).map(|parameter| parameter.data.len());
        let around = Surroundings {
            values: &values,
            constants: operation.inputs.iter().map(size).collect(),
            pooling,
            is_activation: activation.is_some(),
        };
        let flow = flow::read(&operation, &around, &mut splits);
        foldable.push(Foldable { affine: affine(&operation, &parameters), has_activation: false });
        let Operation { kind, inputs, outputs, .. } = operation;
        let name = outputs.first().cloned().unwrap_or_else(|| format!("{kind}.{index}"));
        network.nodes.push(ForeignNode {
            name,
            kind,
            inputs,
            outputs,
            convolution,
            pooling,
            activation,
            flow,
        });
    }
    fold(&mut network, &foldable);
    Ok(network)
}

/// Whether an optimiser has merged an activation into a convolution.
fn has_fused_activation(operation: &Operation) -> bool {
    let is_fused = |name| !matches!(operation.text(name), "" | "identity");
    is_convolution(&operation.kind)
        && (is_fused("fuse_activation")
            || operation.is_set("fuse_relu")
            || operation.is_set("fuse_relu_before_depthwise_conv"))
}

/// The stream of tensors has the order of the sorted names.
fn assign(program: &Program, tensors: Vec<Tensor>) -> Result<Parameters, ReadError> {
    let mut sorted: Vec<_> = program.parameters.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    if sorted.len() != tensors.len() {
        return Err(ReadError::Format {
            format: "the .pdiparams file of this program",
            problem: format!("it has {} tensors, the program has {} parameters", tensors.len(), sorted.len()),
        });
    }
    let entry = |(parameter, tensor): (&super::operation::Parameter, Tensor)| {
        (parameter.value.clone(), Parameter { shape: tensor.shape, data: tensor.data.into() })
    };
    Ok(sorted.into_iter().zip(tensors).map(entry).collect())
}

/// Operations that keep the values of a parameter: the bias of a convolution is reshaped to `[1, c, 1, 1]`.
fn pass_through(operation: &Operation, parameters: &mut Parameters) {
    let keeps_values =
        matches!(operation.kind.as_str(), "reshape" | "reshape2" | "cast" | "assign" | "share_data");
    let Some(parameter) = operation.inputs.first().and_then(|input| parameters.get(input)).cloned() else {
        return;
    };
    let Some(output) = operation.outputs.first().filter(|_| keeps_values) else { return };
    let is_reshaped = operation.kind.starts_with("reshape");
    let shape = if is_reshaped { vec![parameter.data.len()] } else { parameter.shape };
    parameters.insert(output.clone(), Parameter { shape, data: parameter.data });
}

fn wrong(index: usize, operation: &Operation, problem: &str) -> ReadError {
    ReadError::Tensor { name: format!("{} (operation {index})", operation.kind), problem: problem.to_owned() }
}

fn convolution(
    index: usize,
    operation: &Operation,
    parameters: &Parameters,
    budget: &mut usize,
) -> Result<ForeignConvolution, ReadError> {
    let wrong = |problem: &str| wrong(index, operation, problem);
    let weight = operation.inputs.get(1).and_then(|input| parameters.get(input));
    let weight =
        weight.ok_or_else(|| wrong("its weight is not a parameter; quantised models are not supported"))?;
    let &[out, _, kernel, width] = weight.shape.as_slice() else {
        return Err(wrong("its weight does not have rank 4"));
    };
    let strides = operation.integers("strides");
    let stride = strides.first().map_or(Ok(1), |&stride| usize::try_from(stride)).unwrap_or(0);
    let groups =
        operation.integers("groups").first().map_or(Ok(1), |&groups| usize::try_from(groups)).unwrap_or(0);
    let paddings = operation.integers("paddings");
    let padding = kernel.saturating_sub(1) as i64 / 2;
    let is_centred = match operation.text("padding_algorithm") {
        "" | "EXPLICIT" => {
            paddings.iter().all(|&side| side == padding) && (kernel == 1 || !paddings.is_empty())
        }
        "SAME" => stride == 1 && kernel % 2 == 1,
        _ => kernel == 1,
    };
    let is_square = kernel == width
        && operation.numbers("dilations").iter().all(|&dilation| dilation == 1.0)
        && strides.iter().all(|&other| usize::try_from(other) == Ok(stride));
    if kernel == 0 || !is_square || !is_centred || stride == 0 || groups == 0 {
        return Err(wrong("only square, centred, undilated convolutions are supported"));
    }
    if operation.data_format() == "NHWC" {
        return Err(wrong("only maps in the order NCHW are supported"));
    }
    *budget = budget
        .checked_sub(weight.data.len())
        .ok_or_else(|| wrong("the weights of the convolutions are larger than the file"))?;
    let weight = Tensor { shape: weight.shape.clone(), data: weight.data.to_vec() };
    let bias = operation.inputs.get(2).and_then(|input| parameters.get(input));
    let bias = bias.filter(|bias| bias.data.len() == out);
    let bias = bias.map(|bias| Tensor { shape: vec![out], data: bias.data.to_vec() });
    Ok(ForeignConvolution { weight, bias, stride, groups })
}

/// Returns the transform that a batch norm or an addition of one parameter per channel applies.
fn affine(operation: &Operation, parameters: &Parameters) -> Option<Affine> {
    let vector = |input: usize| -> Option<Channels> {
        let parameter = parameters.get(operation.inputs.get(input)?)?;
        let long_axes = parameter.shape.iter().filter(|&&extent| extent != 1).count();
        (long_axes <= 1).then(|| parameter.data.clone())
    };
    let input = operation.inputs.first()?.clone();
    if is_batch_norm(&operation.kind) {
        let transform = Transform::BatchNorm {
            mean: vector(1)?,
            variance: vector(2)?,
            gamma: vector(3)?,
            beta: vector(4)?,
            epsilon: operation.number("epsilon").map_or(EPSILON, |value| value as f32),
        };
        return Some(Affine { input, transform });
    }
    let is_addition = matches!(operation.kind.as_str(), "add" | "elementwise_add");
    if !is_addition {
        return None;
    }
    Some(Affine { input, transform: Transform::Shift(vector(1)?) })
}
