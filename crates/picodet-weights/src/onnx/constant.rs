//! Constants of an ONNX graph, and the nodes that only rearrange or convert them.

use super::message::RawNode;
use super::value::{Constant, Constants};
use crate::ReadError;

/// Returns the value of a node whose inputs are constants; `None` for other nodes and operators.
///
/// `budget` is the number of values that may still be computed, so that a small file does not expand.
pub(super) fn fold_constant(
    node: &RawNode,
    constants: &Constants,
    budget: &mut usize,
) -> Result<Option<Constant>, ReadError> {
    if node.operator == "Constant" {
        return Ok(node.value.clone());
    }
    let Some(x) = node.inputs.first().and_then(|name| constants.get(name)) else { return Ok(None) };
    let operand = |input: usize| node.inputs.get(input).and_then(|name| constants.get(name));
    let mut spend = || {
        *budget = budget.checked_sub(x.data.len()).ok_or_else(|| ReadError::Tensor {
            name: node.name.clone(),
            problem: "the constants that nodes compute are larger than the file".to_owned(),
        })?;
        Ok::<_, ReadError>(())
    };
    let value = match node.operator.as_str() {
        "Identity" | "Cast" => Some(x.clone()),
        "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => {
            let axes: Option<Vec<i64>> = match node.operator.as_str() {
                "Reshape" => Some(operand(1).map(integers).unwrap_or_default()),
                _ => operand(1).map(integers).or_else(|| Some(node.integers("axes").to_vec())),
            };
            axes.and_then(|axes| reshaped(&node.operator, x, &axes))
        }
        "Transpose" => {
            spend()?;
            transposed(x, node.integers("perm"))
        }
        "DequantizeLinear" => {
            spend()?;
            let axis = node.integers("axis").first().copied().unwrap_or(1);
            operand(1).and_then(|scale| dequantised(x, scale, operand(2), axis))
        }
        _ => None,
    };
    Ok(value)
}

fn integers(constant: &Constant) -> Vec<i64> {
    constant.data.iter().take(8).map(|&value| value as i64).collect()
}

fn reshaped(operator: &str, x: &Constant, parameters: &[i64]) -> Option<Constant> {
    let rank = x.shape.len();
    let shape = match operator {
        "Reshape" => {
            let mut shape = Vec::new();
            for (axis, &extent) in parameters.iter().enumerate() {
                shape.push(match extent {
                    0 => *x.shape.get(axis)?,
                    -1 => {
                        let mut others = parameters.iter().filter(|&&extent| extent > 0);
                        let others = others.try_fold(1i64, |product, &extent| product.checked_mul(extent))?;
                        x.data.len() / usize::try_from(others).ok()?
                    }
                    extent => usize::try_from(extent).ok()?,
                });
            }
            shape
        }
        "Squeeze" => {
            let is_removed = |axis: usize| {
                x.shape[axis] == 1
                    && (parameters.is_empty()
                        || parameters.contains(&(axis as i64))
                        || parameters.contains(&(axis as i64 - rank as i64)))
            };
            (0..rank).filter(|&axis| !is_removed(axis)).map(|axis| x.shape[axis]).collect()
        }
        "Unsqueeze" => {
            let rank = rank + parameters.len();
            let is_added = |axis: usize| {
                parameters.contains(&(axis as i64)) || parameters.contains(&(axis as i64 - rank as i64))
            };
            let mut kept = x.shape.iter();
            (0..rank)
                .map(|axis| if is_added(axis) { Some(1) } else { kept.next().copied() })
                .collect::<Option<_>>()?
        }
        _ => return None,
    };
    let count = shape.iter().try_fold(1usize, |product, &extent: &usize| product.checked_mul(extent));
    (count == Some(x.data.len())).then(|| Constant { shape, ..x.clone() })
}

fn transposed(x: &Constant, order: &[i64]) -> Option<Constant> {
    let rank = x.shape.len();
    let order: Vec<usize> = match order {
        [] => (0..rank).rev().collect(),
        order => order.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<_>>()?,
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return None;
    }
    let mut strides = vec![1; rank];
    for axis in (1..rank).rev() {
        strides[axis - 1] = x.shape[axis].saturating_mul(strides[axis]);
    }
    let shape: Vec<usize> = order.iter().map(|&axis| x.shape[axis]).collect();
    let mut index = vec![0; rank];
    let mut data = Vec::with_capacity(x.data.len());
    for _ in 0..x.data.len() {
        data.push(x.data[index.iter().zip(&order).map(|(&i, &axis)| i * strides[axis]).sum::<usize>()]);
        for axis in (0..rank).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Some(Constant { shape, data: data.into(), is_integer: x.is_integer })
}

/// `(x - zero_point) * scale`, with one scale or one per index of `axis`.
fn dequantised(x: &Constant, scale: &Constant, zero: Option<&Constant>, axis: i64) -> Option<Constant> {
    let zero_of = |index: usize| zero.map_or(Some(0.0), |zero| zero.data.get(index).copied());
    let (inner, count) = match scale.data.len() {
        1 => (x.data.len().max(1), 1),
        count => {
            let rank = x.shape.len() as i64;
            let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok()?;
            if x.shape.get(axis) != Some(&count) {
                return None;
            }
            // Next to an extent of 0 the others may have any product.
            let outer =
                x.shape[..=axis].iter().fold(1usize, |product, &extent| product.saturating_mul(extent));
            (x.data.len() / outer.max(1), count)
        }
    };
    let value = |(at, &value): (usize, &f32)| {
        let index = at / inner % count;
        Some((value - zero_of(index)?) * scale.data[index])
    };
    let data: Option<Vec<f32>> = x.data.iter().enumerate().map(value).collect();
    Some(Constant::of_floats(x.shape.clone(), data?))
}
