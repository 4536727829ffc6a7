//! The program of Paddle 3: JSON of its intermediate representation.
//!
//! Keys are abbreviated: `#` is the name of an operation or type, `I` and `O` are operands and results, each
//! with the number `%` of a value, `A` are attributes with a name `N` and a value `AT` of type `#` and data
//! `D`. Parameters are operations `p` whose fourth attribute is the name.

use serde_json::Value;

use super::operation::{MAX_OPERATIONS, Operation, Parameter, Program};
use crate::ReadError;

fn wrong(problem: impl Into<String>) -> ReadError {
    ReadError::Format { format: "a Paddle program in JSON", problem: problem.into() }
}

/// Reads the first block of the first region of a program.
pub(super) fn read(bytes: &[u8]) -> Result<Program, ReadError> {
    let file: Value = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    if file.pointer("/base_code/magic").and_then(Value::as_str) != Some("pir") {
        return Err(wrong("`base_code.magic` is not `pir`; give the inference.json that Paddle 3 exports"));
    }
    let operations = file.pointer("/program/regions/0/blocks/0/ops").and_then(Value::as_array);
    let operations = operations.ok_or_else(|| wrong("it has no block of operations"))?;
    if operations.len() > MAX_OPERATIONS {
        return Err(wrong(format!("more than {MAX_OPERATIONS} operations")));
    }
    let mut program = Program::default();
    for operation in operations {
        let kind =
            operation.get("#").and_then(Value::as_str).ok_or_else(|| wrong("an operation without name"))?;
        // The dialect before the point is abbreviated to a number.
        let kind = kind.rsplit('.').next().unwrap_or(kind);
        if kind == "p" || kind == "parameter" {
            let name = operation.pointer("/A/3").and_then(Value::as_str);
            let value = operation.get("O").and_then(value_name);
            let (Some(name), Some(value)) = (name, value) else {
                return Err(wrong("a parameter without name or value"));
            };
            program.parameters.push(Parameter { name: name.to_owned(), value });
            continue;
        }
        let values = |key: &str| -> Vec<String> {
            operation
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(value_name)
                .collect()
        };
        let mut read = Operation::new(kind.to_owned());
        (read.inputs, read.outputs) = (values("I"), values("O"));
        for attribute in operation.get("A").and_then(Value::as_array).into_iter().flatten() {
            set_attribute(attribute, &mut read);
        }
        program.operations.push(read);
    }
    Ok(program)
}

/// Returns the name of a value.
fn value_name(value: &Value) -> Option<String> {
    Some(format!("%{}", value.get("%")?.as_i64()?))
}

fn set_attribute(attribute: &Value, operation: &mut Operation) {
    let Some(name) = attribute.get("N").and_then(Value::as_str) else { return };
    let Some(data) = attribute.pointer("/AT/D") else { return };
    match data {
        Value::String(text) => operation.set_text(name, text.clone()),
        Value::Array(items) => {
            let integers = items.iter().filter_map(|item| item.get("D").unwrap_or(item).as_i64()).collect();
            operation.set_integers(name, integers);
        }
        Value::Number(number) if name == "epsilon" => {
            operation.epsilon = number.as_f64().unwrap_or_default() as f32;
        }
        Value::Number(number) => operation.set_integers(name, number.as_i64().into_iter().collect()),
        _ => {}
    }
}
