//! The stream of tensors of a `.pdiparams` file.
//!
//! Each tensor is a version, its levels of detail, a second version, the length of a message with element
//! type and shape, that message, and the values.

use half::{bf16, f16};
use picodet_format::protobuf::{Field, Reader, push_integers};
use picodet_graph::Tensor;

use super::operation::MAX_OPERATIONS;
use crate::ReadError;

/// Largest rank of a tensor, and largest number of levels of detail.
const MAX_RANK: usize = 8;

/// Reads all tensors, converted to `f32`.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Tensor>, ReadError> {
    let mut stream = Stream { bytes, at: 0 };
    let mut tensors = Vec::new();
    while stream.at < bytes.len() {
        if tensors.len() == MAX_OPERATIONS {
            return Err(stream.wrong("too many tensors"));
        }
        tensors.push(stream.tensor()?);
    }
    Ok(tensors)
}

struct Stream<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Stream<'a> {
    fn wrong(&self, problem: impl std::fmt::Display) -> ReadError {
        ReadError::Format {
            format: "a .pdiparams file",
            problem: format!("{problem} before byte {}", self.at),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(ReadError::Truncated { at: self.bytes.len(), what: "a tensor" })?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn version(&mut self) -> Result<(), ReadError> {
        match u32::from_le_bytes(self.array()?) {
            0 => Ok(()),
            version => Err(self.wrong(format!("version {version} of a tensor is not supported"))),
        }
    }

    fn length(&mut self) -> Result<usize, ReadError> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| self.wrong("a length of more than the file"))
    }

    fn tensor(&mut self) -> Result<Tensor, ReadError> {
        self.version()?;
        let levels = self.length()?;
        if levels > MAX_RANK {
            return Err(self.wrong(format!("{levels} levels of detail")));
        }
        for _ in 0..levels {
            let length = self.length()?;
            self.take(length)?;
        }
        self.version()?;
        let length = u32::from_le_bytes(self.array()?) as usize;
        let description = self.take(length)?;
        let (code, extents) = describe(description).map_err(ReadError::Program)?;
        let shape: Option<Vec<usize>> = extents.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let shape = shape.filter(|shape| shape.len() <= MAX_RANK);
        let shape = shape.ok_or_else(|| self.wrong(format!("shape {extents:?} is not supported")))?;
        let width = match code {
            0 | 20 | 21 => 1,
            1 | 4 | 22 => 2,
            2 | 5 => 4,
            3 | 6 => 8,
            code => return Err(self.wrong(format!("element type {code} is not supported"))),
        };
        let count = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        let size = count.and_then(|count| count.checked_mul(width));
        let size = size.ok_or_else(|| self.wrong(format!("shape {shape:?} is too large")))?;
        let data = widen(code, self.take(size)?);
        Tensor::new(shape, data).map_err(|error| self.wrong(error))
    }
}

/// Reads element type (`VarType.Type`) and extents.
fn describe(bytes: &[u8]) -> Result<(u64, Vec<i64>), picodet_format::protobuf::ProtobufError> {
    let (mut code, mut extents) = (u64::MAX, Vec::new());
    let mut message = Reader::new(bytes);
    while let Some((number, field)) = message.next_field()? {
        match (number, field) {
            (1, Field::Integer(value)) => code = value,
            (2, field) => push_integers(field, &mut extents)?,
            _ => {}
        }
    }
    Ok((code, extents))
}

/// Converts little-endian elements of one of the types that are supported.
fn widen(code: u64, bytes: &[u8]) -> Vec<f32> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
    }
    match code {
        1 => each(bytes, |bytes| f32::from(i16::from_le_bytes(bytes))),
        2 => each(bytes, |bytes| i32::from_le_bytes(bytes) as f32),
        3 => each(bytes, |bytes| i64::from_le_bytes(bytes) as f32),
        4 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
        5 => each(bytes, f32::from_le_bytes),
        6 => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        21 => each(bytes, |bytes| f32::from(i8::from_le_bytes(bytes))),
        22 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        _ => each(bytes, |[byte]: [u8; 1]| f32::from(byte)),
    }
}
