//! Reads the fields of one message; nested messages are read by a reader of their bytes.

use super::{FIXED_32, FIXED_64, LENGTH_DELIMITED, VARINT};

/// Why a message cannot be read. Offsets are bytes from the start of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtobufError {
    /// The message ends inside a field.
    #[error("the message ends inside a field at byte {offset}; it is truncated")]
    Truncated {
        /// Offset at which more bytes were expected.
        offset: usize,
    },
    /// A variable-length integer has more than 64 bits.
    #[error("an integer of more than 64 bits ends at byte {offset}")]
    IntegerTooLong {
        /// Offset after the tenth byte of the integer.
        offset: usize,
    },
    /// A wire type that does not exist or is deprecated (groups).
    #[error("wire type {wire_type} before byte {offset} is not supported")]
    UnknownWireType {
        /// The wire type.
        wire_type: u8,
        /// Offset after the field's key.
        offset: usize,
    },
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field<'a> {
    /// A variable-length integer; cast to `i64` for signed fields.
    Integer(u64),
    /// A 32-bit value, little-endian.
    Fixed32([u8; 4]),
    /// A 64-bit value, little-endian.
    Fixed64([u8; 8]),
    /// Text, bytes, a nested message or a packed list.
    Bytes(&'a [u8]),
}

/// Iterates over the fields of one message.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first field of the message `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Returns the number and value of the next field, or `None` at the end of the message.
    ///
    /// # Errors
    /// [`ProtobufError`] when the bytes are no field; reading must then end.
    pub fn next_field(&mut self) -> Result<Option<(u64, Field<'a>)>, ProtobufError> {
        if self.offset == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match (key & 7) as u8 {
            VARINT => Field::Integer(self.varint()?),
            FIXED_64 => Field::Fixed64(self.array()?),
            LENGTH_DELIMITED => {
                let length = self.varint()?;
                let truncated = ProtobufError::Truncated { offset: self.offset };
                Field::Bytes(self.take(usize::try_from(length).map_err(|_| truncated)?)?)
            }
            FIXED_32 => Field::Fixed32(self.array()?),
            wire_type => return Err(ProtobufError::UnknownWireType { wire_type, offset: self.offset }),
        };
        Ok(Some((key >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.bytes.get(self.offset);
            let byte = *byte.ok_or(ProtobufError::Truncated { offset: self.offset })?;
            self.offset += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ProtobufError::IntegerTooLong { offset: self.offset })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ProtobufError> {
        let end = self.offset.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(ProtobufError::Truncated { offset: self.offset })?;
        let slice = &self.bytes[self.offset..end];
        self.offset = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtobufError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

/// Appends the integers of a field that holds one of them or a packed list; other fields hold none.
///
/// # Errors
/// [`ProtobufError`] when a packed list ends inside an integer.
pub fn push_integers(field: Field<'_>, integers: &mut Vec<i64>) -> Result<(), ProtobufError> {
    match field {
        Field::Integer(value) => integers.push(value as i64),
        Field::Bytes(bytes) => {
            let mut list = Reader::new(bytes);
            while list.offset < bytes.len() {
                integers.push(list.varint()? as i64);
            }
        }
        _ => {}
    }
    Ok(())
}
