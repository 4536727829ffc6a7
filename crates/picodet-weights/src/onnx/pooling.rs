//! Nodes of an ONNX graph that are poolings.

use super::message::RawNode;
use crate::ForeignPooling;

/// Returns the window of a pooling; `None` for other operators.
pub(super) fn read(node: &RawNode) -> Option<ForeignPooling> {
    let (is_average, is_global) = match node.operator.as_str() {
        "MaxPool" => (false, false),
        "AveragePool" => (true, false),
        "GlobalMaxPool" => (false, true),
        "GlobalAveragePool" => (true, true),
        _ => return None,
    };
    let pair = |name: &str, default: usize| -> [usize; 2] {
        let value = |index: usize| {
            let value = node.integers(name).get(index);
            value.map_or(default, |&value| usize::try_from(value).unwrap_or(0))
        };
        [value(0), value(1)]
    };
    let pad = |index: usize| node.integers("pads").get(index).copied().unwrap_or(0);
    let (kernel, strides) = (pair("kernel_shape", 0), pair("strides", 1));
    Some(ForeignPooling { is_average, is_global, kernel, strides, pads: [pad(0), pad(1), pad(2), pad(3)] })
}
