//! `.pdparams`: a pickle of a dict from the parameter names of the reference to arrays (SPEC §12).
//!
//! The dict may be wrapped in others, as in `{"model": {…}, "epoch": 3}`; other values in it are ignored.
//! Names are returned with the prefix that a wrapper of the network may have added.

mod array;

use picodet_format::pickle::{PickleError, RcCell, Value, load_prefix};
use picodet_graph::Weights;

use crate::ReadError;
use crate::contents::PICKLE;

/// The entry of the dict that holds names instead of an array.
const NAMES: &str = "StructuredToParameterName@@";
/// Keys of wrapped weights, the preferred first: averaged weights are those that are evaluated.
const WRAPPERS: &[&str] = &[
    "ema",
    "model_ema",
    "ema_model",
    "ema_state_dict",
    "model",
    "model_state_dict",
    "state_dict",
    "student",
    "net",
    "network",
    "params",
    "weights",
];
/// Largest depth of wrapping dicts.
const MAX_WRAPPERS: usize = 4;
/// Largest number of entries that are searched for wrapped weights.
const MAX_VISITS: usize = 1_000_000;

/// The entries of a dict.
type Dict<'a> = RcCell<Vec<(Value<'a>, Value<'a>)>>;

/// Reads the arrays of a `.pdparams` file by their names; no content of the file is executed.
///
/// # Errors
/// [`ReadError`] when the file is not a pickle of a dict of arrays, or an array is damaged or of an
/// unsupported type.
pub fn read(bytes: &[u8]) -> Result<Weights, ReadError> {
    read_with_notes(bytes).map(|(weights, _)| weights)
}

/// Reads the arrays as [`read`]; returns also one line for each choice between several sets of weights in the file.
///
/// # Errors
/// As [`read`].
pub fn read_with_notes(bytes: &[u8]) -> Result<(Weights, Vec<String>), ReadError> {
    let format =
        |problem: &str| ReadError::Format { format: "a .pdparams file", problem: problem.to_owned() };
    let (value, length) = load_prefix(bytes).map_err(|error| {
        let error = match error {
            PickleError::Truncated { offset } => ReadError::Truncated { at: offset, what: "a pickle" },
            error => ReadError::Pickle(error),
        };
        error.explained(bytes, Some(PICKLE))
    })?;
    let Value::Dict(dict) = &value else {
        return Err(format("the pickle is not a dict of tensors"));
    };
    let mut notes = Vec::new();
    let dict = unwrap(dict.clone(), &mut notes)?;
    let mut weights = Weights::new();
    // Arrays can refer to the same bytes through the memo: a small file must not expand to a large amount of
    // memory.
    let mut budget = array::Budget::of(bytes);
    for (key, value) in dict.borrow().iter() {
        let Some(name) = text(key) else {
            return Err(format("a key of the dict is not text"));
        };
        let wrong = |problem: &str| ReadError::Tensor { name: name.clone(), problem: problem.to_owned() };
        let array = match value {
            // Some versions store (internal name, array).
            Value::Tuple(pair) if name != NAMES => {
                pair.get(1).cloned().ok_or_else(|| wrong("a tuple without array"))?
            }
            value => value.clone(),
        };
        let Value::Object(object) = &array else { continue };
        let object = object.borrow();
        if !array::is_array(&object) {
            continue;
        }
        let tensor = array::read(&name, &object, &mut budget)?;
        if weights.insert(name.clone(), tensor).is_some() {
            return Err(wrong("appears twice"));
        }
    }
    if weights.is_empty() {
        return Err(format("the dict holds no arrays"));
    }
    if length < bytes.len() {
        let rest = bytes.len() - length;
        let problem = format!(
            "{rest} bytes follow the pickle, which ends at byte {length}; the file is damaged or several files in one"
        );
        return Err(format(&problem));
    }
    Ok((weights, notes))
}

/// Returns text, or bytes as text: files of protocol 2 may store names as bytes.
fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        Value::Slice(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

/// Returns the innermost dict that holds arrays.
fn unwrap<'a>(dict: Dict<'a>, notes: &mut Vec<String>) -> Result<Dict<'a>, ReadError> {
    let mut dict = dict;
    let mut visits = MAX_VISITS;
    for _ in 0..MAX_WRAPPERS {
        let own = array_count(&dict);
        let inner: Vec<(String, Dict<'_>)> = dict
            .borrow()
            .iter()
            .filter_map(|(key, value)| match value {
                Value::Dict(inner) => Some((text(key)?, inner.clone())),
                _ => None,
            })
            .filter(|(name, inner)| name != NAMES && holds_arrays(inner, MAX_WRAPPERS, &mut visits))
            // Next to wrapped weights there can be single arrays: a learning rate, a step.
            .filter(|(_, inner)| own == 0 || array_count(inner) > own)
            .collect();
        let listed = || inner.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
        let preferred = WRAPPERS.iter().find_map(|key| inner.iter().find(|(name, _)| name == key));
        if let (Some((name, _)), [_, _, ..]) = (preferred, &inner[..]) {
            notes.push(format!("the file holds weights in {}; those in `{name}` are read", listed()));
        }
        let chosen = match (preferred, inner.as_slice()) {
            (Some((_, inner)), _) | (None, [(_, inner)]) => inner.clone(),
            (None, []) => return Ok(dict),
            (None, _) => {
                return Err(ReadError::Format {
                    format: "a .pdparams file of one network",
                    problem: format!("it holds weights in {}; store one of them", listed()),
                });
            }
        };
        dict = chosen;
    }
    Ok(dict)
}

/// Whether a value of the dict is an array.
fn has_arrays(dict: &Dict<'_>) -> bool {
    dict.borrow().iter().any(|(_, value)| is_array(value))
}

/// Number of values of the dict that are arrays.
fn array_count(dict: &Dict<'_>) -> usize {
    dict.borrow().iter().filter(|(_, value)| is_array(value)).count()
}

fn is_array(value: &Value<'_>) -> bool {
    match value {
        Value::Object(object) => array::is_array(&object.borrow()),
        Value::Tuple(pair) => {
            matches!(pair.get(1), Some(Value::Object(object)) if array::is_array(&object.borrow()))
        }
        _ => false,
    }
}

/// Whether the dict or a dict in it, up to a depth, has arrays. `visits` bounds the work: the memo of a
/// pickle can repeat a dict without end.
fn holds_arrays(dict: &Dict<'_>, depth: usize, visits: &mut usize) -> bool {
    let count = dict.borrow().len();
    if count > *visits {
        return false;
    }
    *visits -= count;
    has_arrays(dict)
        || depth > 0
            && dict.borrow().iter().any(
                |(_, value)| matches!(value, Value::Dict(inner) if holds_arrays(inner, depth - 1, visits)),
            )
}
