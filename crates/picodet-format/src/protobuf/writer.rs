//! Builds a message field by field.

use super::{FIXED_32, FIXED_64, LENGTH_DELIMITED, VARINT};

/// A message under construction: each method appends one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Message(Vec<u8>);

impl Message {
    /// Appends an integer; a negative one takes ten bytes, as the format requires.
    pub fn integer(mut self, number: u32, value: i64) -> Self {
        self.key(number, VARINT);
        self.varint(value as u64);
        self
    }

    /// Appends a 32-bit float.
    pub fn float(mut self, number: u32, value: f32) -> Self {
        self.key(number, FIXED_32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Appends a 64-bit float.
    pub fn double(mut self, number: u32, value: f64) -> Self {
        self.key(number, FIXED_64);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Appends bytes.
    pub fn bytes(mut self, number: u32, value: &[u8]) -> Self {
        self.key(number, LENGTH_DELIMITED);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Appends text.
    pub fn text(self, number: u32, value: &str) -> Self {
        self.bytes(number, value.as_bytes())
    }

    /// Appends a nested message.
    pub fn message(self, number: u32, value: &Message) -> Self {
        self.bytes(number, &value.0)
    }

    /// The encoded message.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded message.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, number: u32, wire_type: u8) {
        self.varint(u64::from(number) << 3 | u64::from(wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
