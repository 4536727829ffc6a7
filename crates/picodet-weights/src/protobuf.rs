//! The wire format of protocol buffers: fields of a number and a value.

use crate::ReadError;

/// A field's value; nested messages and packed lists are bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    /// A variable-length integer.
    Integer(u64),
    /// A 32-bit value.
    Fixed([u8; 4]),
    /// A 64-bit value, which ONNX has nothing of that we read.
    Double,
    /// Text, bytes, a message, or a packed list.
    Bytes(&'a [u8]),
}

/// Iterates over the fields of one message.
pub(crate) struct Message<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the message lies in the file, for errors.
    base: usize,
}

impl<'a> Message<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, base: 0 }
    }

    fn wrong(&self, problem: &str) -> ReadError {
        ReadError::Format {
            format: "an ONNX file",
            problem: format!("{problem} at byte {}", self.base + self.at),
        }
    }

    fn varint(&mut self) -> Result<u64, ReadError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte =
                *self.bytes.get(self.at).ok_or_else(|| self.wrong("the file ends inside an integer"))?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.wrong("an integer of more than 64 bits"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.wrong("the file ends inside a field"))?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    /// The next field's number and value, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, ReadError> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Field::Integer(self.varint()?),
            1 => {
                self.take(8)?;
                Field::Double
            }
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| self.wrong("a field too long"))?;
                Field::Bytes(self.take(length)?)
            }
            5 => {
                let mut value = [0; 4];
                value.copy_from_slice(self.take(4)?);
                Field::Fixed(value)
            }
            _ => return Err(self.wrong("a field of an unknown type")),
        };
        Ok(Some((key >> 3, value)))
    }
}

/// The integers of a field that is either one of them or a packed list.
pub(crate) fn integers(field: Field<'_>, into: &mut Vec<i64>) -> Result<(), ReadError> {
    match field {
        Field::Integer(value) => into.push(value as i64),
        Field::Bytes(bytes) => {
            let mut list = Message::new(bytes);
            while list.at < bytes.len() {
                let value = list.varint()?;
                into.push(value as i64);
            }
        }
        _ => {}
    }
    Ok(())
}
