//! `.pdparams`: a pickle of a dict from the reference's names to arrays (SPEC §12).

use half::f16;
use picodet_graph::{Tensor, Weights};

use crate::ReadError;
use crate::pickle::{Global, Object, Value, load};

/// An entry of the dict that holds names instead of an array.
const NAMES: &str = "StructuredToParameterName@@";
/// More axes than any weight has.
const MOST_AXES: usize = 8;

/// Reads the arrays of a `.pdparams` file by the reference's names; nothing in the file is executed.
///
/// # Errors
/// When the file is not such a pickle, asks for anything but arrays, or an array is not what it says.
pub fn read(bytes: &[u8]) -> Result<Weights, ReadError> {
    let format =
        |problem: &str| ReadError::Format { format: "a .pdparams file", problem: problem.to_owned() };
    let value = load(bytes)?;
    let Value::Dict(dict) = &value else {
        return Err(format("the pickle holds no dict of tensors"));
    };
    let mut weights = Weights::new();
    // Arrays may share their bytes through the pickle's memo: a small file must not unfold into a large memory.
    let mut budget = bytes.len();
    for (key, value) in dict.borrow().iter() {
        let name: String = match key {
            Value::Text(name) => name.to_string(),
            // Files of protocol 2 may keep names as bytes.
            Value::Slice(name) => String::from_utf8_lossy(name).into_owned(),
            _ => return Err(format("a key that is not text")),
        };
        if name == NAMES {
            continue;
        }
        let wrong = |problem: String| ReadError::Tensor { name: name.clone(), problem };
        // Some versions store (internal name, array).
        let array = match value {
            Value::Tuple(pair) => {
                pair.get(1).cloned().ok_or_else(|| wrong("a tuple without array".to_owned()))?
            }
            other => other.clone(),
        };
        let Value::Object(object) = &array else {
            return Err(wrong("is no array".to_owned()));
        };
        let tensor = array_of(&object.borrow(), &mut budget).map_err(wrong)?;
        if weights.insert(name.clone(), tensor).is_some() {
            return Err(wrong("appears twice".to_owned()));
        }
    }
    Ok(weights)
}

/// The kinds of numbers that arrays hold.
fn width_of(dtype: &str) -> Option<usize> {
    match dtype {
        "f2" => Some(2),
        "f4" | "i4" => Some(4),
        "f8" | "i8" => Some(8),
        _ => None,
    }
}

fn array_of(object: &Object<'_>, budget: &mut usize) -> Result<Tensor, String> {
    if object.of != Global::Reconstruct {
        return Err("is no array".to_owned());
    }
    // The state of an array: version, shape, dtype, Fortran order, bytes.
    let Some(Value::Tuple(state)) = &object.state else {
        return Err("an array without state".to_owned());
    };
    let [_, Value::Tuple(shape), Value::Object(dtype), Value::Bool(fortran), data] = &state[..] else {
        return Err("an array of an unknown form".to_owned());
    };
    let data: &[u8] = match data {
        Value::Slice(slice) => slice,
        Value::Bytes(bytes) => bytes,
        _ => return Err("an array without bytes".to_owned()),
    };
    let extents = shape.iter().map(|extent| match extent {
        Value::Int(extent) => usize::try_from(*extent).ok(),
        _ => None,
    });
    let shape: Vec<usize> = extents.collect::<Option<_>>().ok_or("a shape that is not of numbers")?;
    if shape.len() > MOST_AXES {
        return Err(format!("{} axes", shape.len()));
    }
    let dtype = dtype_of(&dtype.borrow())?;
    let width = width_of(&dtype).ok_or_else(|| format!("numbers of type `{dtype}`, which are not read"))?;
    let count = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    if count.and_then(|count| count.checked_mul(width)) != Some(data.len()) {
        return Err(format!("{} bytes do not fill shape {shape:?} of `{dtype}`", data.len()));
    }
    *budget = budget.checked_sub(data.len()).ok_or("more bytes than the file has; it repeats itself")?;
    let chunks = data.chunks_exact(width);
    let values: Vec<f32> = match dtype.as_str() {
        "f4" => chunks.map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect(),
        "i4" => chunks.map(|c| i32::from_le_bytes([c[0], c[1], c[2], c[3]]) as f32).collect(),
        "f2" => chunks.map(|c| f16::from_le_bytes([c[0], c[1]]).to_f32()).collect(),
        "f8" => chunks
            .map(|c| f64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]) as f32)
            .collect(),
        _ => chunks
            .map(|c| i64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]) as f32)
            .collect(),
    };
    let values = if *fortran { from_fortran(&shape, &values) } else { values };
    Tensor::new(shape, values)
}

/// The type's name without byte order, as in `f4`; big-endian numbers are refused.
fn dtype_of(object: &Object<'_>) -> Result<String, String> {
    if object.of != Global::Dtype {
        return Err("a type that is none".to_owned());
    }
    let Some(Value::Text(name)) = object.arguments.first() else {
        return Err("a type without name".to_owned());
    };
    let order = match &object.state {
        Some(Value::Tuple(state)) => state.get(1).cloned(),
        _ => None,
    };
    let big = matches!(&order, Some(Value::Text(order)) if &**order == ">") || name.starts_with('>');
    if big {
        Err("big-endian numbers, which are not read".to_owned())
    } else {
        Ok(name.trim_start_matches('<').to_owned())
    }
}

/// Values whose first axis runs fastest, with the last one fastest.
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
    fn fortran_order_is_turned() {
        assert_eq!(from_fortran(&[2, 3], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}
