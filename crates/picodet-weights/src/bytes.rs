//! Values and errors of safetensors files.

use std::collections::BTreeMap;

use safetensors::SafeTensorError;
use safetensors::tensor::TensorView;

use crate::ReadError;

/// The tensors of a file by name.
pub(crate) type Views<'a> = BTreeMap<String, TensorView<'a>>;

pub(crate) fn not_safetensors(error: SafeTensorError) -> ReadError {
    ReadError::Format { format: "a safetensors file", problem: error.to_string() }
}

/// Returns the error for bytes that the parser refuses: with both sizes if the file is cut or too long.
pub(crate) fn refused(bytes: &[u8], error: SafeTensorError) -> ReadError {
    match size_by_header(bytes) {
        Some(expected) if expected != bytes.len() as u64 => {
            ReadError::Size { expected, found: bytes.len() as u64 }
        }
        _ => not_safetensors(error).explained(bytes, None),
    }
}

/// Returns the size that the header of a safetensors file gives: up to the end of its last tensor, or of the header if it is
/// cut itself; `None` if it is no such header.
fn size_by_header(bytes: &[u8]) -> Option<u64> {
    /// Longest header of the format, 100 MB.
    const LONGEST: u64 = 100_000_000;
    let length = u64::from_le_bytes(*bytes.first_chunk()?);
    let rest = &bytes[8..];
    if length > LONGEST || !rest.starts_with(b"{\"") {
        return None;
    }
    let header_end = 8 + length;
    let Some(header) = rest.get(..usize::try_from(length).ok()?) else { return Some(header_end) };
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let ends = header.values().filter_map(|info| info.get("data_offsets")?.get(1)?.as_u64());
    ends.max()?.checked_add(header_end)
}

/// Returns little-endian values.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}
