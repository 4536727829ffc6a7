//! The program of Paddle 3: JSON of its intermediate representation.
//!
//! Keys are abbreviated: `#` is the name of an operation or type, `I` and `O` are operands and results, each
//! with the number `%` of a value, `A` are attributes with a name `N` and a value `AT` of type `#` and data
//! `D`. Parameters are operations `p` whose fourth attribute is the name.

use serde_json::Value;

use super::operation::{MAX_OPERATIONS, Operation, Parameter, Program, is_resize};
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
        let kind = kind_of(kind);
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
        let mut read = Operation::new(kind);
        (read.inputs, read.outputs) = (values("I"), values("O"));
        move_to_slots(&mut read);
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

/// The value that takes the place of an optional operand.
const ABSENT: &str = "%0";

/// Returns the kind of an operation: the dialect before the point is abbreviated to a number.
fn kind_of(name: &str) -> String {
    match name.split_once('.') {
        // The dialect of lists has operations of the same names as that of tensors.
        Some(("0" | "builtin", kind @ ("split" | "slice"))) => format!("builtin_{kind}"),
        Some((_, kind)) => kind.to_owned(),
        None => name.to_owned(),
    }
}

/// Moves the operands that are attributes in a protocol buffer to their slots.
fn move_to_slots(operation: &mut Operation) {
    let slots: &[&str] = match operation.kind.trim_end_matches('_') {
        "concat" | "split_with_num" => &["AxisTensor"],
        "split" => &["SectionsTensorList", "AxisTensor"],
        "slice" => &["StartsTensor", "EndsTensor"],
        "strided_slice" => &["StartsTensor", "EndsTensor", "StridesTensor"],
        "reshape" => &["Shape"],
        "squeeze" | "unsqueeze" => &["AxesTensor"],
        "pool2d" => &["Ksize"],
        "scale" => &["ScaleTensor"],
        kind if is_resize(kind) => &["OutSize", "SizeTensor", "Scale"],
        _ => return,
    };
    let others = operation.inputs.split_off(operation.inputs.len().min(1));
    let given = slots.iter().zip(others).filter(|(_, value)| value != ABSENT);
    operation.slots.extend(given.map(|(slot, value)| ((*slot).to_owned(), vec![value])));
}

fn set_attribute(attribute: &Value, operation: &mut Operation) {
    let Some(name) = attribute.get("N").and_then(Value::as_str) else { return };
    let Some(data) = attribute.pointer("/AT/D") else { return };
    let number = |value: &Value| match value {
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        value => value.as_f64(),
    };
    match data {
        Value::String(text) => operation.set_text(name, text.clone()),
        Value::Array(items) => {
            let numbers = items.iter().filter_map(|item| number(item.get("D").unwrap_or(item)));
            operation.set_numbers(name, numbers.collect());
        }
        value => {
            if let Some(number) = number(value) {
                operation.set_numbers(name, vec![number]);
            }
        }
    }
}
