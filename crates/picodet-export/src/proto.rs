//! The wire format of protocol buffers, as far as an ONNX model needs it.

/// A message under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(Vec<u8>);

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

impl Message {
    /// A field of an integer; negative numbers take ten bytes, as the format wants it.
    pub(crate) fn integer(mut self, field: u32, value: i64) -> Self {
        varint(&mut self.0, u64::from(field << 3));
        varint(&mut self.0, value as u64);
        self
    }

    /// A field of a 32-bit float.
    pub(crate) fn float(mut self, field: u32, value: f32) -> Self {
        varint(&mut self.0, u64::from(field << 3 | 5));
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A field of bytes.
    pub(crate) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        varint(&mut self.0, u64::from(field << 3 | 2));
        varint(&mut self.0, value.len() as u64);
        self.0.extend(value);
        self
    }

    /// A field of text.
    pub(crate) fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// A field of another message.
    pub(crate) fn message(self, field: u32, value: &Message) -> Self {
        self.bytes(field, &value.0)
    }

    /// The bytes so far.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A tensor of floats.
pub(crate) fn float_tensor(name: &str, shape: &[usize], values: &[f32]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dims = shape.iter().fold(Message::default(), |message, &extent| message.integer(1, extent as i64));
    dims.integer(2, 1).text(8, name).bytes(9, &raw)
}

/// A tensor of integers along one axis.
pub(crate) fn integer_tensor(name: &str, values: &[i64]) -> Message {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Message::default().integer(1, values.len() as i64).integer(2, 7).text(8, name).bytes(9, &raw)
}

/// An attribute of a node.
#[derive(Clone, Debug)]
pub(crate) enum Attribute {
    Integer(i64),
    Integers(Vec<i64>),
    Float(f32),
    Text(&'static str),
}

/// A node: kind, inputs, outputs, attributes.
pub(crate) fn node(
    kind: &str,
    name: &str,
    inputs: &[String],
    outputs: &[String],
    attributes: &[(&str, Attribute)],
) -> Message {
    let message = inputs.iter().fold(Message::default(), |message, input| message.text(1, input));
    let message = outputs.iter().fold(message, |message, output| message.text(2, output));
    let message = message.text(3, name).text(4, kind);
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

/// One extent of a value's shape.
#[derive(Clone, Debug)]
pub(crate) enum Extent {
    Fixed(usize),
    Named(&'static str),
}

/// The name, type and shape of an input or output; integers when `integer`, else floats.
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
