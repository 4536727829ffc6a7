//! Arrays of a pickle: NumPy's `_reconstruct` with a state, or `_frombuffer` of protocol 5.

use std::collections::HashSet;

use half::{bf16, f16};
use picodet_format::pickle::{Global, Object, Value};
use picodet_graph::Tensor;

use crate::ReadError;
use crate::error::integers;

/// The name of the element type of the package `ml_dtypes`.
const BFLOAT16: &str = "bfloat16";
/// Largest rank of an array.
const MAX_RANK: usize = 8;

/// The parts of a stored array.
struct Parts<'a> {
    shape: Value<'a>,
    dtype: Value<'a>,
    /// Whether the values are in column-major order.
    fortran: bool,
    data: Value<'a>,
}

/// The bytes that arrays may take: each byte of the file once, and those that the memo repeats, as for student and teacher of a
/// distillation with one backbone, a few times.
pub(super) struct Budget {
    fresh: usize,
    repeated: usize,
    seen: HashSet<*const u8>,
}

impl Budget {
    /// Number of times that the whole file may be repeated.
    const REPEATS: usize = 3;

    pub(super) fn of(bytes: &[u8]) -> Self {
        let repeated = bytes.len().saturating_mul(Self::REPEATS);
        Self { fresh: bytes.len(), repeated, seen: HashSet::new() }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), &'static str> {
        let is_fresh = self.seen.insert(data.as_ptr());
        let left = if is_fresh { &mut self.fresh } else { &mut self.repeated };
        *left = left.checked_sub(data.len()).ok_or("the arrays hold more bytes than the file")?;
        Ok(())
    }
}

/// Whether a value is an array.
pub(super) fn is_array(object: &Object<'_>) -> bool {
    matches!(object.global, Global::Reconstruct | Global::FromBuffer)
}

/// Converts an array; `budget` bounds the bytes of all.
pub(super) fn read(name: &str, object: &Object<'_>, budget: &mut Budget) -> Result<Tensor, ReadError> {
    read_parts(object, budget).map_err(|problem| ReadError::Tensor { name: name.to_owned(), problem })
}

fn read_parts(object: &Object<'_>, budget: &mut Budget) -> Result<Tensor, String> {
    let Parts { shape, dtype, fortran, data } = parts(object)?;
    let (Value::Tuple(shape), Value::Object(dtype)) = (&shape, &dtype) else {
        return Err("an array whose state has an unknown form".to_owned());
    };
    let data: &[u8] = match &data {
        Value::Slice(slice) => slice,
        Value::Bytes(bytes) => bytes,
        _ => return Err("an array without bytes".to_owned()),
    };
    let extents = shape.iter().map(|extent| match extent {
        Value::Int(extent) => usize::try_from(*extent).ok(),
        _ => None,
    });
    let shape: Vec<usize> =
        extents.collect::<Option<_>>().ok_or("the shape has an extent that is not a natural number")?;
    if shape.len() > MAX_RANK {
        return Err(format!("rank {} is more than {MAX_RANK}", shape.len()));
    }
    let dtype = dtype_of(&dtype.borrow())?;
    let width = width_of(&dtype).ok_or_else(|| format!("element type `{dtype}` is not supported"))?;
    let count = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    if count.and_then(|count| count.checked_mul(width)) != Some(data.len()) {
        return Err(format!("{} bytes do not match shape {shape:?} of `{dtype}`", data.len()));
    }
    let is_counter = count == Some(1) && width >= 4;
    if matches!(&*dtype, "b1" | "i1" | "u1" | "i2" | "i4" | "i8") && !is_counter {
        return Err(integers(&dtype));
    }
    budget.take(data)?;
    let values = values_of(&dtype, data);
    if dtype == "u2" && !are_weights(&values) {
        return Err(integers(&dtype));
    }
    let values = if fortran { from_fortran(&shape, &values) } else { values };
    Tensor::new(shape, values).map_err(|problem| problem.to_string())
}

fn parts<'a>(object: &Object<'a>) -> Result<Parts<'a>, String> {
    if object.global == Global::FromBuffer {
        let [data, dtype, shape, Value::Text(order)] = &object.arguments[..] else {
            return Err("an array whose arguments have an unknown form".to_owned());
        };
        return Ok(Parts {
            shape: shape.clone(),
            dtype: dtype.clone(),
            fortran: &**order == "F",
            data: data.clone(),
        });
    }
    // The state of an array: version, shape, dtype, Fortran order, bytes.
    let Some(Value::Tuple(state)) = &object.state else {
        return Err("an array without state".to_owned());
    };
    let [_, shape, dtype, Value::Bool(fortran), data] = &state[..] else {
        return Err("an array whose state has an unknown form".to_owned());
    };
    Ok(Parts { shape: shape.clone(), dtype: dtype.clone(), fortran: *fortran, data: data.clone() })
}

/// Whether 16-bit values can be the bits of bf16 weights: the bits of integers up to 3000 are numbers below 1e-30, those of
/// larger ones include numbers above 1e30.
fn are_weights(values: &[f32]) -> bool {
    const LEAST: f32 = 1e-30;
    const LARGEST: f32 = 1e30;
    /// Smaller arrays do not show which of the two they are.
    const COUNT: usize = 16;
    let is_tiny = |value: &f32| value.abs() < LEAST;
    let is_zero = |value: &f32| *value == 0.0;
    let is_huge = |value: &f32| value.is_finite() && value.abs() > LARGEST;
    values.len() < COUNT
        || values.iter().all(is_zero)
        || !values.iter().all(is_tiny) && !values.iter().any(is_huge)
}

/// Returns the size of a supported element type in bytes.
fn width_of(dtype: &str) -> Option<usize> {
    match dtype {
        "b1" | "i1" | "u1" => Some(1),
        "f2" | "u2" | "i2" | BFLOAT16 => Some(2),
        "f4" | "i4" => Some(4),
        "f8" | "i8" => Some(8),
        _ => None,
    }
}

/// Returns the values of little-endian elements of a type that [`width_of`] supports.
fn values_of(dtype: &str, data: &[u8]) -> Vec<f32> {
    fn each<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
    }
    match dtype {
        "f2" => each(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        // NumPy itself has no bfloat16: Paddle stores its bits as 16-bit integers.
        "u2" | BFLOAT16 => each(data, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        "i2" => each(data, |bytes| f32::from(i16::from_le_bytes(bytes))),
        "b1" | "u1" => each(data, |[byte]: [u8; 1]| f32::from(byte)),
        "i1" => each(data, |bytes| f32::from(i8::from_le_bytes(bytes))),
        "f4" => each(data, f32::from_le_bytes),
        "i4" => each(data, |bytes| i32::from_le_bytes(bytes) as f32),
        "f8" => each(data, |bytes| f64::from_le_bytes(bytes) as f32),
        _ => each(data, |bytes| i64::from_le_bytes(bytes) as f32),
    }
}

/// Returns the element type without byte order, as in `f4`; big-endian types are refused.
fn dtype_of(object: &Object<'_>) -> Result<String, String> {
    if object.global != Global::Dtype {
        return Err("an array without element type".to_owned());
    }
    let name = match object.arguments.first() {
        Some(Value::Text(name)) => &**name,
        Some(Value::Global(Global::Bfloat16)) => BFLOAT16,
        _ => return Err("an element type without name".to_owned()),
    };
    let order = match &object.state {
        Some(Value::Tuple(state)) => state.get(1).cloned(),
        _ => None,
    };
    let big_endian = matches!(&order, Some(Value::Text(order)) if &**order == ">") || name.starts_with('>');
    if big_endian {
        Err("big-endian elements are not supported".to_owned())
    } else {
        Ok(name.trim_start_matches(['<', '|', '=']).to_owned())
    }
}

/// Reorders values from column-major (Fortran) to row-major order.
fn from_fortran(shape: &[usize], values: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    let mut index = vec![0; shape.len()];
    for _ in 0..values.len() {
        let mut at = 0;
        for (axis, &i) in index.iter().enumerate().rev() {
            at = at * shape[axis] + i;
        }
        out.push(values[at]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::from_fortran;

    #[test]
    fn column_major_becomes_row_major() {
        assert_eq!(from_fortran(&[2, 3], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}
