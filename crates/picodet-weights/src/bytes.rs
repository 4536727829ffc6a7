//! Values and errors of safetensors files.

use safetensors::SafeTensorError;

use crate::ReadError;

pub(crate) fn not_safetensors(error: SafeTensorError) -> ReadError {
    ReadError::Format { format: "a safetensors file", problem: error.to_string() }
}

/// Returns little-endian values.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}
