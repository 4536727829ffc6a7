//! Texts and metadata entries of ONNX messages.

use picodet_format::protobuf::{Field, Reader};

use crate::ReadError;

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads key and value of a `StringStringEntryProto`.
pub(super) fn read_entry(bytes: &[u8]) -> Result<(String, String), ReadError> {
    let (mut key, mut value) = (String::new(), String::new());
    let mut entry = Reader::new(bytes);
    while let Some((number, field)) = entry.next_field()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => key = text(bytes),
            (2, Field::Bytes(bytes)) => value = text(bytes),
            _ => {}
        }
    }
    Ok((key, value))
}
