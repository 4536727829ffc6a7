//! Activations of ncnn: layers, and those that its optimiser merges into convolutions.

use super::options::{Options, list, number};
use crate::ForeignActivation::{self, HardSigmoid, HardSwish, Other, Relu, Sigmoid, SquareRoot};

/// Slope and offset that ncnn's layers have without options.
const DEFAULT: [f32; 2] = [0.2, 0.5];

/// The square root among the operators of `UnaryOp`.
const SQUARE_ROOT: &str = "5";

/// Returns the activation of a layer; `is_merged` states that it is a convolution with one.
pub(super) fn read(kind: &str, is_merged: bool, options: &Options<'_>) -> Option<ForeignActivation> {
    if is_merged {
        return Some(merged(options));
    }
    let gate = || number(options, "0", DEFAULT[0]).zip(number(options, "1", DEFAULT[1]));
    Some(match kind {
        "HardSwish" => gate().map_or(Other, |(slope, offset)| HardSwish { slope, offset }),
        "HardSigmoid" => gate().map_or(Other, |(slope, offset)| HardSigmoid { slope, offset }),
        "ReLU" => number(options, "0", 0.0).map_or(Other, |slope| Relu { slope }),
        "Sigmoid" => Sigmoid,
        "UnaryOp" if options.get("0") == Some(&SQUARE_ROOT) => SquareRoot,
        "Clip" | "PReLU" | "Mish" | "Swish" | "TanH" | "ELU" | "GELU" | "SELU" => Other,
        _ => return None,
    })
}

/// The options 9 (the kind) and 10 (its values, as in `-23310=2,0.166667,0.5`) of a convolution.
fn merged(options: &Options<'_>) -> ForeignActivation {
    let values: Vec<f32> = list(options, 10).unwrap_or_default();
    let value = |index: usize, default: f32| values.get(index).copied().unwrap_or(default);
    match options.get("9").copied() {
        Some("1") => Relu { slope: 0.0 },
        Some("2") => Relu { slope: value(0, 0.0) },
        Some("4") => Sigmoid,
        Some("6") => HardSwish { slope: value(0, DEFAULT[0]), offset: value(1, DEFAULT[1]) },
        _ => Other,
    }
}
