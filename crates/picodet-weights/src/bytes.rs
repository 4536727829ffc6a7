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

/// Returns little-endian values.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}
