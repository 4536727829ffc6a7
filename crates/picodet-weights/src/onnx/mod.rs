//! ONNX models: nodes and initialisers in a protocol buffer.
//!
//! Weights may be `f32`, `f16`, `bf16` or `f64`, quantised constants before a `DequantizeLinear`,
//! initialisers, `Constant` nodes, or data in a file next to the model. A batch norm or an addition of
//! constants is folded into the convolution before it, if it is its only reader. Models that ONNX Runtime
//! optimised up to its extended level (operators of the domain `com.microsoft`) are read as well.

mod activation;
mod constant;
mod convolution;
mod entry;
mod external;
mod flow;
mod message;
mod pooling;
mod resize;
mod shapes;
mod tensor;
mod value;

use std::path::Path;

use crate::contents::ONNX;
use crate::foreign::{Affine, Channels, Foldable, Transform, fold};
use crate::{ForeignFlow, ForeignNetwork, ForeignNode, ReadError};

use constant::fold_constant;
use external::ExternalData;
use message::{MICROSOFT, Model, RawNode};
use shapes::Shapes;
use value::Constants;

/// Reads a network from the bytes of an `.onnx` file with embedded weights.
///
/// # Errors
/// [`ReadError`] when the bytes are not an ONNX model, weights are stored in another file, or a convolution
/// is of an unsupported kind.
pub fn read(bytes: &[u8]) -> Result<ForeignNetwork, ReadError> {
    read_model(bytes, &mut ExternalData::refused())
}

/// Reads a network from the bytes of an `.onnx` file whose weights may be stored in other files of `folder`.
///
/// # Errors
/// As [`read`], and when a file of weights is missing, too short, or outside of the folder.
pub fn read_with_external_data(bytes: &[u8], folder: &Path) -> Result<ForeignNetwork, ReadError> {
    read_model(bytes, &mut ExternalData::in_folder(folder))
}

fn read_model(bytes: &[u8], external: &mut ExternalData) -> Result<ForeignNetwork, ReadError> {
    if bytes.get(4..8) == Some(b"ORTM") {
        let problem = "a model in ONNX Runtime's own format (.ort); give the original .onnx file";
        return Err(ReadError::Format { format: "an ONNX file", problem: problem.to_owned() });
    }
    let Model { nodes, mut constants, inputs, metadata, has_functions } =
        Model::read(bytes, external).map_err(|error| error.explained(bytes, Some(ONNX)))?;
    let inner = nodes.iter().find(|node| node.has_graph).map(|node| node.operator.clone());
    let size = bytes.len().saturating_add(external.bytes_read());
    let (mut constant_budget, mut weight_budget) = (size, size);
    let mut network = ForeignNetwork { nodes: Vec::with_capacity(nodes.len()), metadata, inputs: Vec::new() };
    let mut foldable = Vec::with_capacity(nodes.len());
    let mut shapes = Shapes::default();
    for node in nodes {
        if let Some(constant) = fold_constant(&node, &constants, &mut constant_budget)? {
            constants.extend(node.outputs.first().map(|output| (output.clone(), constant)));
        }
        shapes.follow(&node, &constants);
        let convolution = convolution::read(&node, &constants, &inputs, &mut weight_budget)?;
        let affine = affine(&node, &constants);
        let pooling = pooling::read(&node);
        let activation = activation::read(&node);
        let flow = flow::read(&node, &constants, &shapes, pooling, activation.is_some());
        let has_activation = node.texts.contains_key("activation");
        let kind = if convolution.is_some() { "Conv".to_owned() } else { node.operator };
        let sum = (node.domain == MICROSOFT && kind == "Conv").then(|| node.inputs.get(3).cloned()).flatten();
        let RawNode { name, mut inputs, outputs, .. } = node;
        if let Some(sum) = sum.filter(|sum| !sum.is_empty()) {
            // ONNX Runtime adds a fourth input to the result: a convolution and an addition.
            let product = format!("{name}.product");
            inputs.truncate(3);
            network.nodes.push(ForeignNode {
                name: name.clone(),
                kind,
                inputs,
                outputs: vec![product.clone()],
                convolution,
                ..ForeignNode::default()
            });
            foldable.push(Foldable::default());
            let inputs = vec![product, sum];
            network.nodes.push(ForeignNode {
                name,
                kind: "Add".to_owned(),
                inputs,
                outputs,
                activation,
                flow: ForeignFlow::Sum,
                ..ForeignNode::default()
            });
        } else {
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
        foldable.push(Foldable { affine, has_activation });
    }
    if network.nodes.iter().all(|node| node.convolution.is_none()) && (has_functions || inner.is_some()) {
        let place = match inner {
            Some(operator) => format!("an inner graph of the operator `{operator}`"),
            None => "functions".to_owned(),
        };
        let problem = format!("its convolutions are in {place}; export the model without, or simplify it");
        return Err(ReadError::Format { format: "a supported ONNX file", problem });
    }
    fold(&mut network, &foldable);
    network.inputs = inputs.into_iter().filter(|name| !constants.contains_key(name)).collect();
    network.inputs.sort_unstable();
    Ok(network)
}

/// Returns the transform that a batch norm or an operation with one constant per channel applies.
fn affine(node: &RawNode, constants: &Constants) -> Option<Affine> {
    let constant = |input: usize| constants.get(node.inputs.get(input)?);
    let vector = |input: usize| -> Option<Channels> { Some(constant(input)?.data.clone()) };
    if node.operator == "BatchNormalization" {
        let transform = Transform::BatchNorm {
            gamma: vector(1)?,
            beta: vector(2)?,
            mean: vector(3)?,
            variance: vector(4)?,
            epsilon: node.epsilon,
        };
        return Some(Affine { input: node.inputs.first()?.clone(), transform });
    }
    let (input, other) = match (constant(0), constant(1)) {
        (None, Some(_)) => (0, 1),
        (Some(_), None) => (1, 0),
        _ => return None,
    };
    // A constant that is added to maps `[n, c, h, w]` has one value per channel if its shape ends with `[c,
    // 1, 1]`.
    let [leading @ .., _, 1, 1] = constant(other)?.shape.as_slice() else { return None };
    if leading.iter().any(|&extent| extent != 1) {
        return None;
    }
    let transform = match node.operator.as_str() {
        "Add" => Transform::Shift(vector(other)?),
        "Mul" => Transform::Scale(vector(other)?),
        _ => return None,
    };
    Some(Affine { input: node.inputs.get(input)?.clone(), transform })
}
