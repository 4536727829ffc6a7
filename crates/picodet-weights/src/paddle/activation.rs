//! Activations and poolings of a Paddle program.

use super::operation::Operation;
use super::values::Values;
use crate::ForeignActivation::{self, HardSigmoid, HardSwish, Other, Relu, Sigmoid, SquareRoot};
use crate::ForeignPooling;

/// Returns the activation of an operation.
pub(super) fn activation(operation: &Operation) -> Option<ForeignActivation> {
    let number = |name: &str, default: f32| operation.number(name).map_or(default, |value| value as f32);
    Some(match operation.kind.trim_end_matches('_') {
        "hard_swish" | "hardswish" => {
            // x · clip(x + offset, 0, threshold) / scale
            let (threshold, scale, offset) =
                (number("threshold", 6.0), number("scale", 6.0), number("offset", 3.0));
            match threshold == scale {
                true => HardSwish { slope: 1.0 / scale, offset: offset / scale },
                false => Other,
            }
        }
        "hard_sigmoid" | "hardsigmoid" => {
            HardSigmoid { slope: number("slope", 0.2), offset: number("offset", 0.5) }
        }
        "relu" => Relu { slope: 0.0 },
        "leaky_relu" => {
            let slope = number("negative_slope", number("alpha", 0.02));
            Relu { slope }
        }
        "sigmoid" => Sigmoid,
        "sqrt" => SquareRoot,
        "relu6" | "swish" | "silu" | "mish" | "gelu" | "prelu" | "elu" | "selu" | "celu" | "softplus"
        | "tanh" | "clip" | "brelu" | "softsign" | "hard_shrink" | "soft_relu" => Other,
        _ => return None,
    })
}

/// Returns the window of a pooling; `None` for other operations.
pub(super) fn pooling(operation: &Operation, values: &Values) -> Option<ForeignPooling> {
    if operation.kind.trim_end_matches('_') != "pool2d" {
        return None;
    }
    let positive = |value: i64| usize::try_from(value).unwrap_or(0);
    let pair = |list: &[i64], default: usize| -> [usize; 2] {
        let first = list.first().map_or(default, |&value| positive(value));
        [first, list.get(1).map_or(first, |&value| positive(value))]
    };
    let given = operation.slots.get("Ksize").and_then(|names| values.all(names));
    let kernel = match given {
        Some(list) => list.into_iter().map(|value| value.unwrap_or(0)).collect(),
        None => operation.integers("ksize"),
    };
    let (kernel, strides) = (pair(&kernel, 0), pair(&operation.integers("strides"), 1));
    let is_adaptive = operation.is_set("adaptive");
    let pads = match (operation.text("padding_algorithm"), operation.integers("paddings").as_slice()) {
        // Of an even extent the last row and column are padded.
        ("SAME", _) => [0, 0, 1, 1],
        ("VALID", _) | (_, []) => [0; 4],
        (_, &[both]) => [both; 4],
        (_, &[rows, columns]) => [rows, columns, rows, columns],
        (_, &[top, bottom, left, right, ..]) => [top, left, bottom, right],
        (_, _) => [-1; 4],
    };
    Some(ForeignPooling {
        is_average: operation.text("pooling_type") == "avg",
        is_global: operation.is_set("global_pooling") || is_adaptive && kernel == [1; 2],
        kernel,
        // The strides of an adaptive pooling follow from the extent of the map.
        strides: if is_adaptive { [0; 2] } else { strides },
        pads,
    })
}
