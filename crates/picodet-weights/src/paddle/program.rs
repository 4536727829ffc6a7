//! The program of Paddle 1 and 2: a protocol buffer (`ProgramDesc`).

use std::collections::HashMap;

use picodet_format::protobuf::{Field, ProtobufError, Reader, push_integers};

use super::operation::{
    MAX_OPERATIONS, Operation, Parameter, Program, is_batch_norm, is_convolution, is_resize,
};
use crate::ReadError;

/// The variable type of a tensor (`VarType.LOD_TENSOR`); others are feeds, fetches and readers.
const TENSOR: u64 = 7;

/// Slots of values that take the place of attributes.
const EXTRAS: &[&str] = &[
    "AxesTensor",
    "AxesTensorList",
    "AxisTensor",
    "EndsTensor",
    "EndsTensorList",
    "OutSize",
    "ScaleTensor",
    "SectionsTensorList",
    "Shape",
    "ShapeTensor",
    "SizeTensor",
    "StartsTensor",
    "StartsTensorList",
    "StridesTensor",
    "StridesTensorList",
];

/// Reads the first block of a program.
pub(super) fn read(bytes: &[u8]) -> Result<Program, ReadError> {
    let block = first_block(bytes).map_err(ReadError::Program)?;
    let block = block.ok_or_else(|| ReadError::Format {
        format: "a Paddle program",
        problem: "it has no block of operations".to_owned(),
    })?;
    let mut program = Program::default();
    // A variable may be written more than once; each time it gets another name.
    let mut versions: HashMap<String, String> = HashMap::new();
    let mut message = Reader::new(block);
    let mut variables = 0;
    while let Some((number, field)) = message.next_field().map_err(ReadError::Program)? {
        let Field::Bytes(bytes) = field else { continue };
        if program.operations.len() + variables > MAX_OPERATIONS {
            let problem = format!("more than {MAX_OPERATIONS} operations and variables");
            return Err(ReadError::Format { format: "a supported Paddle program", problem });
        }
        match number {
            3 => {
                variables += 1;
                program.parameters.extend(parameter(bytes).map_err(ReadError::Program)?);
            }
            4 => {
                let operation = operation(bytes, &mut versions, program.operations.len());
                program.operations.push(operation.map_err(ReadError::Program)?);
            }
            _ => {}
        }
    }
    Ok(program)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn first_block(bytes: &[u8]) -> Result<Option<&[u8]>, ProtobufError> {
    let mut block = None;
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        if let (1, Field::Bytes(bytes), None) = (number, field, block) {
            block = Some(bytes);
        }
    }
    Ok(block)
}

/// Returns the parameter that a variable is, if it is one.
fn parameter(bytes: &[u8]) -> Result<Option<Parameter>, ProtobufError> {
    let (mut name, mut kind, mut is_persistable) = (String::new(), 0, false);
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = text(bytes),
            (2, Field::Bytes(bytes)) => {
                let mut message = Reader::new(bytes);
                while let Some((number, field)) = message.next_field()? {
                    if let (1, Field::Integer(value)) = (number, field) {
                        kind = value;
                    }
                }
            }
            (3, Field::Integer(value)) => is_persistable = value != 0,
            _ => {}
        }
    }
    let value = name.clone();
    Ok((is_persistable && kind == TENSOR).then_some(Parameter { name, value }))
}

fn operation(
    bytes: &[u8],
    versions: &mut HashMap<String, String>,
    index: usize,
) -> Result<Operation, ProtobufError> {
    let mut operation = Operation::new(String::new());
    let (mut inputs, mut outputs, mut attributes) = (Vec::new(), Vec::new(), Vec::new());
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        let Field::Bytes(bytes) = field else { continue };
        match number {
            1 => inputs.push(arguments(bytes)?),
            2 => outputs.push(arguments(bytes)?),
            3 => operation.kind = text(bytes),
            4 => attributes.push(bytes),
            _ => {}
        }
    }
    for attribute in attributes {
        read_attribute(attribute, &mut operation)?;
    }
    let slots: &[&str] = if is_convolution(&operation.kind) {
        &["Input", "Filter", "Bias"]
    } else if is_batch_norm(&operation.kind) {
        &["X", "Mean", "Variance", "Scale", "Bias"]
    } else {
        &["X", "Y"]
    };
    let is_extra = |slot: &str| EXTRAS.contains(&slot) || slot == "Scale" && is_resize(&operation.kind);
    let current = |name: String| versions.get(&name).cloned().unwrap_or(name);
    let (extras, mut inputs): (Vec<_>, Vec<_>) = inputs.into_iter().partition(|(slot, _)| is_extra(slot));
    let given = extras.into_iter().filter(|(_, names)| !names.is_empty());
    let given = given.map(|(slot, names)| (slot, names.into_iter().map(current).collect()));
    operation.slots = given.collect();
    // The known slots in their order, then the others.
    let position = |slot: &str| slots.iter().position(|known| *known == slot).unwrap_or(slots.len());
    inputs.sort_by_key(|(slot, _)| position(slot));
    operation.inputs = inputs.into_iter().flat_map(|(_, names)| names).map(current).collect();
    // A batch norm also writes its own mean and variance.
    if is_batch_norm(&operation.kind) {
        outputs.retain(|(slot, _)| slot == "Y");
    }
    for name in outputs.into_iter().flat_map(|(_, names)| names) {
        let version = format!("{name}@{index}");
        versions.insert(name, version.clone());
        operation.outputs.push(version);
    }
    Ok(operation)
}

/// Reads the name of a slot and the variables in it.
fn arguments(bytes: &[u8]) -> Result<(String, Vec<String>), ProtobufError> {
    let (mut slot, mut names) = (String::new(), Vec::new());
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => slot = text(bytes),
            (2, Field::Bytes(bytes)) => names.push(text(bytes)),
            _ => {}
        }
    }
    Ok((slot, names))
}

fn read_attribute(bytes: &[u8], operation: &mut Operation) -> Result<(), ProtobufError> {
    let (mut name, mut integers, mut numbers, mut word) = (String::new(), Vec::new(), Vec::new(), None);
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = text(bytes),
            // One or several integers, truth values, 64-bit integers.
            (3 | 6 | 10 | 11 | 13 | 15, field) => push_integers(field, &mut integers)?,
            (4 | 7, Field::Fixed32(bytes)) => numbers.push(f64::from(f32::from_le_bytes(bytes))),
            (7, Field::Bytes(bytes)) => {
                let values = bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk));
                numbers.extend(values.map(f64::from));
            }
            (16 | 19, Field::Fixed64(bytes)) => numbers.push(f64::from_le_bytes(bytes)),
            (5, Field::Bytes(bytes)) => word = Some(text(bytes)),
            _ => {}
        }
    }
    if let Some(word) = word {
        operation.set_text(&name, word);
    }
    numbers.extend(integers.into_iter().map(|value| value as f64));
    operation.set_numbers(&name, numbers);
    Ok(())
}
