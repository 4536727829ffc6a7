//! Activations of an ONNX graph: operators, and those that ONNX Runtime merges into convolutions.

use super::message::RawNode;
use crate::ForeignActivation::{self, HardSigmoid, HardSwish, Other, Relu, Sigmoid, SquareRoot};

/// Slope and offset of ONNX's hard-swish, which has no attributes.
const SWISH: [f32; 2] = [1.0 / 6.0, 0.5];
/// Slope and offset of ONNX's hard sigmoid without attributes.
const SIGMOID: [f32; 2] = [0.2, 0.5];
/// Slope of ONNX's leaky ReLU without an attribute.
const LEAKY: f32 = 0.01;

/// Returns the activation of a node.
pub(super) fn read(node: &RawNode) -> Option<ForeignActivation> {
    let merged = node.texts.get("activation").map(String::as_str);
    let attribute = |name: &str, default: f32| {
        node.floats.get(name).and_then(|values| values.first()).copied().unwrap_or(default)
    };
    let parameter = |index: usize, name: &str, default: f32| match merged {
        Some(_) => {
            let values = node.floats.get("activation_params");
            values.and_then(|values| values.get(index)).copied().unwrap_or(default)
        }
        None => attribute(name, default),
    };
    Some(match merged.unwrap_or(&node.operator) {
        "HardSwish" => HardSwish { slope: SWISH[0], offset: SWISH[1] },
        "HardSigmoid" => {
            HardSigmoid { slope: parameter(0, "alpha", SIGMOID[0]), offset: parameter(1, "beta", SIGMOID[1]) }
        }
        "Relu" => Relu { slope: 0.0 },
        "LeakyRelu" => Relu { slope: parameter(0, "alpha", LEAKY) },
        "Sigmoid" => Sigmoid,
        "Sqrt" => SquareRoot,
        "Clip" | "PRelu" | "Min" | "Max" | "Tanh" | "Elu" | "Selu" | "Softplus" | "Mish" | "Gelu" => Other,
        _ if merged.is_some() => Other,
        _ => return None,
    })
}
