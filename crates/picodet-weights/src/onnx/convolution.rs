//! Nodes of an ONNX graph that are convolutions.

use std::collections::HashSet;

use picodet_graph::Tensor;

use super::message::{MICROSOFT, RawNode};
use super::value::Constants;
use crate::{ForeignConvolution, ReadError};

/// Returns the convolution of a node; `None` for other operators.
///
/// `budget` is the number of values that weights may still have: nodes may refer to the same constant.
///
/// # Errors
/// When the node is a convolution whose weights are not in the file in a known order, or one that no PicoDet
/// has.
pub(super) fn read(
    node: &RawNode,
    constants: &Constants,
    inputs: &HashSet<String>,
    budget: &mut usize,
) -> Result<Option<ForeignConvolution>, ReadError> {
    let wrong = |problem: String| ReadError::Tensor { name: node.name.clone(), problem };
    match (node.domain.as_str(), node.operator.as_str()) {
        ("" | "ai.onnx", "Conv") | (MICROSOFT, "FusedConv") => {}
        (domain, operator) => {
            return match unreadable(domain, operator) {
                Some(problem) => Err(wrong(problem)),
                None => Ok(None),
            };
        }
    }
    let constant = |input: usize| node.inputs.get(input).and_then(|name| constants.get(name));
    let Some(weight) = constant(1) else {
        return Err(wrong(match node.inputs.get(1) {
            Some(name) if inputs.contains(name) => format!(
                "its weight `{name}` is an input of the graph without a value; export the model with its \
                 parameters"
            ),
            _ => "the weight of this convolution is not a constant".to_owned(),
        }));
    };
    if [1, 2].into_iter().any(|input| constant(input).is_some_and(|constant| constant.is_integer)) {
        let problem = "its weights are integers without scales; give the file before quantisation";
        return Err(wrong(problem.to_owned()));
    }
    *budget = budget
        .checked_sub(weight.data.len())
        .ok_or_else(|| wrong("the weights of the convolutions are larger than the file".to_owned()))?;
    let weight = Tensor { shape: weight.shape.clone(), data: weight.data.to_vec() };
    let &[out, _, kernel, width] = weight.shape.as_slice() else {
        return Err(wrong("the weight of this convolution does not have rank 4".to_owned()));
    };
    let all = |name: &str, value: usize| node.integers(name).iter().all(|&v| usize::try_from(v) == Ok(value));
    let first = |name: &str| node.integers(name).first().map_or(Ok(1), |&v| usize::try_from(v)).unwrap_or(0);
    let (stride, groups) = (first("strides"), first("group"));
    let pads = node.integers("pads");
    let is_centred = match node.texts.get("auto_pad").map(String::as_str) {
        None | Some("NOTSET" | "") => {
            all("pads", kernel.saturating_sub(1) / 2) && (kernel == 1 || !pads.is_empty())
        }
        // On a stride of 1 both sides are padded equally.
        Some("SAME_UPPER" | "SAME_LOWER") => stride == 1 && kernel % 2 == 1,
        Some(word) => word == "VALID" && kernel == 1,
    };
    let is_square = kernel == width && all("dilations", 1) && all("strides", stride);
    if kernel == 0 || !is_square || stride == 0 || groups == 0 {
        return Err(wrong("only square, undilated convolutions are supported".to_owned()));
    }
    if !is_centred {
        return Err(wrong("only convolutions with padding (kernel - 1) / 2 are supported".to_owned()));
    }
    let bias = match node.inputs.get(2).filter(|name| !name.is_empty()) {
        None => None,
        Some(_) => match constant(2) {
            Some(bias) if bias.data.len() == out => {
                Some(Tensor { shape: vec![out], data: bias.data.to_vec() })
            }
            _ => {
                return Err(wrong("the bias of this convolution is not one constant per channel".to_owned()));
            }
        },
    };
    Ok(Some(ForeignConvolution { weight, bias, stride, groups }))
}

/// Returns the reason why the weights of an operator cannot be read, if it is a convolution in a form that is
/// not supported.
fn unreadable(domain: &str, operator: &str) -> Option<String> {
    if domain == "com.microsoft.nchwc" || operator == "NhwcConv" || operator == "NhwcFusedConv" {
        return Some(format!(
            "`{domain}.{operator}`: ONNX Runtime has rearranged the weights for one processor; save the model \
             with the extended level (ORT_ENABLE_EXTENDED) or give the file before optimisation"
        ));
    }
    if operator.starts_with("QLinearConv") || operator == "ConvInteger" {
        return Some(format!("`{operator}`: the model is quantised; give the file before quantisation"));
    }
    if operator == "nn.Conv2d" {
        let problem = "`nn.Conv2d`: pnnx's own operators; give its .pnnxsim.onnx or .ncnn.param file";
        return Some(problem.to_owned());
    }
    None
}
