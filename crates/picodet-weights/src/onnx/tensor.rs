//! Tensors of an ONNX model: values in the message, raw bytes, or bytes of another file.

use half::{bf16, f16};
use picodet_format::protobuf::{Field, Reader, push_integers};

use super::entry::{read_entry, text};
use super::external::{ExternalData, Location};
use super::value::Constant;
use crate::ReadError;

/// Largest rank of a tensor.
const MAX_RANK: usize = 8;

/// Element types (`TensorProto.DataType`) whose values are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ElementType {
    Float,
    UInt8,
    Int8,
    Int32,
    Int64,
    Half,
    Double,
    Bfloat16,
}

impl ElementType {
    fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            1 => Self::Float,
            2 => Self::UInt8,
            3 => Self::Int8,
            6 => Self::Int32,
            7 => Self::Int64,
            10 => Self::Half,
            11 => Self::Double,
            16 => Self::Bfloat16,
            _ => return None,
        })
    }

    fn is_integer(self) -> bool {
        matches!(self, Self::UInt8 | Self::Int8 | Self::Int32 | Self::Int64)
    }

    /// Size of an element in bytes.
    fn width(self) -> usize {
        match self {
            Self::UInt8 | Self::Int8 => 1,
            Self::Half | Self::Bfloat16 => 2,
            Self::Float | Self::Int32 => 4,
            Self::Double | Self::Int64 => 8,
        }
    }

    /// Converts little-endian elements.
    fn widen(self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
        }
        match self {
            Self::Float => floats(bytes),
            Self::UInt8 => each(bytes, |[byte]: [u8; 1]| f32::from(byte)),
            Self::Int8 => each(bytes, |bytes| f32::from(i8::from_le_bytes(bytes))),
            Self::Int32 => each(bytes, |bytes| i32::from_le_bytes(bytes) as f32),
            Self::Int64 => each(bytes, |bytes| i64::from_le_bytes(bytes) as f32),
            Self::Half => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Self::Double => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
            Self::Bfloat16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        }
    }

    /// Converts a value of the message's list of integers, which also holds the bits of 16-bit floats.
    fn with_integer(self, value: i64) -> f32 {
        match self {
            Self::Half => f16::from_bits(value as u16).to_f32(),
            Self::Bfloat16 => bf16::from_bits(value as u16).to_f32(),
            _ => value as f32,
        }
    }
}

/// Little-endian 32-bit floats.
pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

/// Returns the name of a tensor, and its values if they are of a supported type.
pub(super) fn read_tensor(
    bytes: &[u8],
    external: &mut ExternalData,
) -> Result<(String, Option<Constant>), ReadError> {
    let mut name = String::new();
    let (mut extents, mut code, mut raw) = (Vec::new(), 0, None);
    let (mut listed, mut integers) = (Vec::new(), Vec::new());
    let (mut is_external, mut location) = (false, Location::default());
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        match (number, field) {
            (1, field) => push_integers(field, &mut extents)?,
            (2, Field::Integer(value)) => code = value,
            (4, Field::Bytes(bytes)) => listed.extend(floats(bytes)),
            (4, Field::Fixed32(bytes)) => listed.push(f32::from_le_bytes(bytes)),
            (5 | 7, field) => push_integers(field, &mut integers)?,
            (8, Field::Bytes(bytes)) => name = text(bytes),
            (9, Field::Bytes(bytes)) => raw = Some(bytes),
            (10, Field::Bytes(bytes)) => listed.extend(ElementType::Double.widen(bytes)),
            (10, Field::Fixed64(bytes)) => listed.push(f64::from_le_bytes(bytes) as f32),
            (13, Field::Bytes(bytes)) => location.set(read_entry(bytes)?),
            (14, Field::Integer(value)) => is_external = value == 1,
            _ => {}
        }
    }
    let wrong = |problem: String| ReadError::Tensor { name: name.clone(), problem };
    let Some(dtype) = ElementType::from_code(code) else { return Ok((name, None)) };
    let shape: Option<Vec<usize>> = extents.iter().map(|&extent| usize::try_from(extent).ok()).collect();
    let shape = shape
        .filter(|shape| shape.len() <= MAX_RANK)
        .ok_or_else(|| wrong(format!("shape {extents:?} is not supported")))?;
    let count = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    let count = count.ok_or_else(|| wrong(format!("shape {shape:?} is too large")))?;
    let data = if is_external {
        let length = count.checked_mul(dtype.width());
        let length = length.ok_or_else(|| wrong(format!("shape {shape:?} is too large")))?;
        dtype.widen(&external.read(&location, length).map_err(wrong)?)
    } else if let Some(raw) = raw {
        dtype.widen(raw)
    } else if listed.is_empty() {
        integers.into_iter().map(|value| dtype.with_integer(value)).collect()
    } else {
        listed
    };
    if data.len() != count {
        return Err(wrong(format!("{} values do not match shape {shape:?}", data.len())));
    }
    Ok((name, Some(Constant { shape, data: data.into(), is_integer: dtype.is_integer() })))
}
