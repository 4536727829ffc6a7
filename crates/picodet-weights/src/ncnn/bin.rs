//! The `.bin` of an ncnn network: the weights of its layers in their order.

use half::f16;

use crate::ReadError;

/// Flag before a weight of 16-bit floats.
const HALF_FLAG: u32 = 0x0130_6B47;
/// Flag before a weight of 8-bit integers.
const INT8_FLAG: u32 = 0x000D_4B38;
/// Flag before 32-bit floats that follow a separate scale.
const SCALED_FLAG: u32 = 0x0002_C056;

/// Reads weights one after the other.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Number of bytes that have not been read.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Reads 32-bit floats.
    pub(super) fn floats(&mut self, count: usize, name: &str) -> Result<Vec<f32>, ReadError> {
        let bytes = self.take(count.saturating_mul(4), name)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect())
    }

    /// Reads values after a flag that gives their element type.
    pub(super) fn flagged(&mut self, count: usize, name: &str) -> Result<Vec<f32>, ReadError> {
        let flag = self.take(4, name)?.first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk));
        let problem = match flag {
            0 | SCALED_FLAG => return self.floats(count, name),
            HALF_FLAG => {
                let bytes = self.take(count.saturating_mul(2).next_multiple_of(4), name)?;
                let halves = bytes.as_chunks::<2>().0.iter().take(count);
                return Ok(halves.map(|chunk| f16::from_le_bytes(*chunk).to_f32()).collect());
            }
            INT8_FLAG => "the weights are quantised to int8; convert the file before quantisation".to_owned(),
            flag => format!(
                "{flag:#010x} at byte {} marks no kind of weights; the file is damaged or of another .param",
                self.at - 4
            ),
        };
        Err(error(name, problem))
    }

    fn take(&mut self, count: usize, name: &str) -> Result<&'a [u8], ReadError> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            let problem = format!(
                "the file ends at byte {}, {count} bytes are needed from byte {}; it is cut or of another .param",
                self.bytes.len(),
                self.at
            );
            error(name, problem)
        })?;
        let slice = &self.bytes[self.at..end];
        self.at = end;
        Ok(slice)
    }
}

fn error(name: &str, problem: String) -> ReadError {
    ReadError::Paired(Box::new(ReadError::Tensor { name: name.to_owned(), problem }))
}
