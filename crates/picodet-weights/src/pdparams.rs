//! `.pdparams`: a pickle of a dict from the parameter names of the reference to arrays (SPEC §12).

use half::f16;
use picodet_format::pickle::{Global, Object, PickleError, Value, load};
use picodet_graph::{Tensor, Weights};

use crate::ReadError;

/// The entry of the dict that holds names instead of an array.
const NAMES: &str = "StructuredToParameterName@@";
/// Largest rank of an array.
const MAX_RANK: usize = 8;

/// Reads the arrays of a `.pdparams` file by their names in the reference; no content of the file is
/// executed.
///
/// # Errors
/// [`ReadError`] when the file is not a pickle of a dict of arrays, or an array is damaged or of an
/// unsupported type.
pub fn read(bytes: &[u8]) -> Result<Weights, ReadError> {
    let format =
        |problem: &str| ReadError::Format { format: "a .pdparams file", problem: problem.to_owned() };
    let value = load(bytes).map_err(|error| match error {
        PickleError::Truncated { offset } => ReadError::Truncated { at: offset, what: "a pickle" },
        error => ReadError::Pickle(error),
    })?;
    let Value::Dict(dict) = &value else {
        return Err(format("the pickle is not a dict of tensors"));
    };
    let mut weights = Weights::new();
    // Arrays can refer to the same bytes through the memo: a small file must not expand to a large amount of
    // memory.
    let mut budget = bytes.len();
    for (key, value) in dict.borrow().iter() {
        let name: String = match key {
            Value::Text(name) => name.to_string(),
            // Files of protocol 2 may store names as bytes.
            Value::Slice(name) => String::from_utf8_lossy(name).into_owned(),
            _ => return Err(format("a key of the dict is not text")),
        };
        if name == NAMES {
            continue;
        }
        let wrong = |problem: &str| ReadError::Tensor { name: name.clone(), problem: problem.to_owned() };
        // Some versions store (internal name, array).
        let array = match value {
            Value::Tuple(pair) => pair.get(1).cloned().ok_or_else(|| wrong("a tuple without array"))?,
            other => other.clone(),
        };
        let Value::Object(object) = &array else {
            return Err(wrong("not an array"));
        };
        let tensor = array_of(&name, &object.borrow(), &mut budget)?;
        if weights.insert(name.clone(), tensor).is_some() {
            return Err(wrong("appears twice"));
        }
    }
    Ok(weights)
}

/// Size of a supported element type in bytes.
fn width_of(dtype: &str) -> Option<usize> {
    match dtype {
        "f2" => Some(2),
        "f4" | "i4" => Some(4),
        "f8" | "i8" => Some(8),
        _ => None,
    }
}

/// Converts an array; `budget` is the number of bytes that further arrays may take.
fn array_of(name: &str, object: &Object<'_>, budget: &mut usize) -> Result<Tensor, ReadError> {
    let wrong = |problem: String| ReadError::Tensor { name: name.to_owned(), problem };
    if object.global != Global::Reconstruct {
        return Err(wrong("not an array".to_owned()));
    }
    // The state of an array: version, shape, dtype, Fortran order, bytes.
    let Some(Value::Tuple(state)) = &object.state else {
        return Err(wrong("an array without state".to_owned()));
    };
    let [_, Value::Tuple(shape), Value::Object(dtype), Value::Bool(fortran), data] = &state[..] else {
        return Err(wrong("an array whose state has an unknown form".to_owned()));
    };
    let data: &[u8] = match data {
        Value::Slice(slice) => slice,
        Value::Bytes(bytes) => bytes,
        _ => return Err(wrong("an array without bytes".to_owned())),
    };
    let extents = shape.iter().map(|extent| match extent {
        Value::Int(extent) => usize::try_from(*extent).ok(),
        _ => None,
    });
    let shape: Vec<usize> = extents
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("the shape has an extent that is not a natural number".to_owned()))?;
    if shape.len() > MAX_RANK {
        return Err(wrong(format!("rank {} is more than {MAX_RANK}", shape.len())));
    }
    let dtype = dtype_of(&dtype.borrow()).map_err(|problem| wrong(problem.to_owned()))?;
    let width = width_of(&dtype).ok_or_else(|| wrong(format!("element type `{dtype}` is not supported")))?;
    let count = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    if count.and_then(|count| count.checked_mul(width)) != Some(data.len()) {
        return Err(wrong(format!("{} bytes do not match shape {shape:?} of `{dtype}`", data.len())));
    }
    *budget = budget
        .checked_sub(data.len())
        .ok_or_else(|| wrong("the arrays hold more bytes than the file".to_owned()))?;
    let values = values_of(&dtype, data);
    let values = if *fortran { from_fortran(&shape, &values) } else { values };
    Tensor::new(shape, values).map_err(|problem| wrong(problem.to_string()))
}

/// The values of little-endian elements of a type that [`width_of`] supports.
fn values_of(dtype: &str, data: &[u8]) -> Vec<f32> {
    fn each<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        data.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
    }
    match dtype {
        "f2" => each(data, |bytes| f16::from_le_bytes(bytes).to_f32()),
        "f4" => each(data, f32::from_le_bytes),
        "i4" => each(data, |bytes| i32::from_le_bytes(bytes) as f32),
        "f8" => each(data, |bytes| f64::from_le_bytes(bytes) as f32),
        _ => each(data, |bytes| i64::from_le_bytes(bytes) as f32),
    }
}

/// The element type without byte order, as in `f4`; big-endian types are refused.
fn dtype_of(object: &Object<'_>) -> Result<String, &'static str> {
    if object.global != Global::Dtype {
        return Err("an array without element type");
    }
    let Some(Value::Text(name)) = object.arguments.first() else {
        return Err("an element type without name");
    };
    let order = match &object.state {
        Some(Value::Tuple(state)) => state.get(1).cloned(),
        _ => None,
    };
    let big_endian = matches!(&order, Some(Value::Text(order)) if &**order == ">") || name.starts_with('>');
    if big_endian {
        Err("big-endian elements are not supported")
    } else {
        Ok(name.trim_start_matches('<').to_owned())
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
