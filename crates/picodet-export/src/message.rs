//! The messages of an ONNX model: tensors, nodes, inputs and outputs.

use picodet_format::protobuf::Message;

/// Encodes a tensor of 32-bit floats.
pub(crate) fn float_tensor(name: &str, shape: &[usize], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dims = shape.iter().fold(Message::default(), |message, &extent| message.integer(1, extent as i64));
    dims.integer(2, 1).text(8, name).bytes(9, &raw)
}

/// Encodes a tensor of integers of rank 1.
pub(crate) fn integer_tensor(name: &str, values: &[i64]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Message::default().integer(1, values.len() as i64).integer(2, 7).text(8, name).bytes(9, &raw)
}

/// Encodes a tensor of bytes: of unsigned ones (element type 2) or of signed ones (3).
pub(crate) fn byte_tensor(name: &str, shape: &[usize], element_type: i64, values: &[u8]) -> Message {
    let dims = shape.iter().fold(Message::default(), |message, &extent| message.integer(1, extent as i64));
    dims.integer(2, element_type).text(8, name).bytes(9, values)
}

/// Encodes a tensor of 32-bit integers of rank 1.
pub(crate) fn integer32_tensor(name: &str, values: &[i32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Message::default().integer(1, values.len() as i64).integer(2, 6).text(8, name).bytes(9, &raw)
}

/// An attribute of a node.
#[derive(Clone, Debug)]
pub(crate) enum Attribute {
    Integer(i64),
    Integers(Vec<i64>),
    Float(f32),
    Text(&'static str),
}

/// Encodes a node.
pub(crate) fn node(
    operator: &str,
    name: &str,
    inputs: &[String],
    outputs: &[String],
    attributes: &[(&str, Attribute)],
) -> Message {
    let message = inputs.iter().fold(Message::default(), |message, input| message.text(1, input));
    let message = outputs.iter().fold(message, |message, output| message.text(2, output));
    let message = message.text(3, name).text(4, operator);
    attributes.iter().fold(message, |message, (name, attribute)| {
        let field = Message::default().text(1, name);
        let field = match attribute {
            Attribute::Integer(value) => field.integer(3, *value).integer(20, 2),
            Attribute::Float(value) => field.float(2, *value).integer(20, 1),
            Attribute::Text(value) => field.text(4, value).integer(20, 3),
            Attribute::Integers(values) => {
                values.iter().fold(field, |field, value| field.integer(8, *value)).integer(20, 7)
            }
        };
        message.message(5, &field)
    })
}

/// One extent of a shape.
#[derive(Clone, Debug)]
pub(crate) enum Extent {
    Fixed(usize),
    Named(&'static str),
}

/// Encodes the name, type (`integer` or float) and shape of an input or output.
pub(crate) fn value_info(name: &str, shape: &[Extent], integer: bool) -> Message {
    let shape = shape.iter().fold(Message::default(), |message, extent| {
        let dim = match extent {
            Extent::Fixed(extent) => Message::default().integer(1, *extent as i64),
            Extent::Named(name) => Message::default().text(2, name),
        };
        message.message(1, &dim)
    });
    let tensor = Message::default().integer(1, if integer { 7 } else { 1 }).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}
