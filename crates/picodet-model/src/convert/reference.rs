//! Weights with the names of the reference implementation, batch norms not folded.

use picodet_graph::{CheckError, Param, Tensor, Weights};
use picodet_zoo::{HeadKind, REG_CHANNELS, Variant, names};

use super::error::WeightsError;
use super::network::Network;
use crate::MAX_CLASSES;

/// The tensor whose shape gives the number of classes.
const PREDICTION: &str = "head.head_cls0.weight";

/// Renames the tensors of the reference implementation and checks that they are those of `variant`.
pub(super) fn network(variant: &Variant, mut tensors: Weights) -> Result<Network, WeightsError> {
    let graph = variant.architecture.graph(class_count(variant, &tensors)?);
    let mut weights = Weights::new();
    let mut problems = Vec::new();
    for param in &graph.params {
        let reference_name = names::reference_name(&variant.architecture, &param.name).unwrap_or_default();
        match tensors.remove(&reference_name) {
            Some(tensor) => drop(weights.insert(param.name.clone(), with_unit_axes(tensor, param))),
            None => problems.push(format!("`{reference_name}` is missing")),
        }
    }
    let unexpected = tensors.keys().filter(|name| !names::is_unused(name));
    problems.extend(unexpected.map(|name| format!("unexpected tensor `{name}`")));
    if !problems.is_empty() {
        return Err(CheckError { problems }.into());
    }
    graph.check_weights(&weights)?;
    Ok(Network { graph, weights, folded: false })
}

fn class_count(variant: &Variant, tensors: &Weights) -> Result<usize, WeightsError> {
    let prediction = tensors.get(PREDICTION).and_then(|tensor| tensor.shape.first().copied());
    let rows =
        prediction.ok_or_else(|| CheckError { problems: vec![format!("`{PREDICTION}` is missing")] })?;
    let classes = match variant.architecture.head.kind {
        HeadKind::PicoHead => rows.saturating_sub(REG_CHANNELS),
        HeadKind::PicoHeadV2 => rows,
    };
    if !(1..=MAX_CLASSES).contains(&classes) {
        return Err(WeightsError::ClassCount { tensor: PREDICTION, rows, classes });
    }
    Ok(classes)
}

/// Gives a tensor the shape of its parameter if only axes of length 1 differ: the reference implementation stores
/// some vectors of one value without an axis.
fn with_unit_axes(mut tensor: Tensor, param: &Param) -> Tensor {
    let is_long = |extent: &&usize| **extent != 1;
    let long_axes = tensor.shape.iter().filter(is_long);
    if tensor.data.len() == param.len() && long_axes.eq(param.shape.iter().filter(is_long)) {
        tensor.shape.clone_from(&param.shape);
    }
    tensor
}
