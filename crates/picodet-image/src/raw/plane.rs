//! A plane of raw pixels in memory.

use super::RawError;

/// Bytes of one plane, row by row.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    /// The bytes from the first of the first row to at least the last of the last row.
    pub data: &'a [u8],
    /// Bytes from row to row, at least the length of a row.
    pub stride: usize,
    /// Bytes from sample to sample of a YUV plane: 2 where U and V alternate, otherwise 1. Without effect on packed pixels.
    pub step: usize,
}

impl<'a> Plane<'a> {
    /// Describes a plane of step 1.
    #[must_use]
    pub fn new(data: &'a [u8], stride: usize) -> Self {
        Self { data, stride, step: 1 }
    }

    /// Sets the number of bytes from sample to sample.
    #[must_use]
    pub fn with_step(self, step: usize) -> Self {
        Self { step, ..self }
    }

    /// Returns the length of a row in bytes, saturating; 0 for a step of 0.
    pub(super) fn row(&self, samples: usize) -> usize {
        if self.step == 0 { 0 } else { (samples - 1).saturating_mul(self.step).saturating_add(1) }
    }

    /// Returns the samples of a row; the plane has been checked.
    pub(super) fn samples(&self, row: usize, samples: usize) -> impl Iterator<Item = &'a u8> + use<'a> {
        self.data[row * self.stride..][..self.row(samples)].iter().step_by(self.step)
    }

    /// Checks that the plane holds `rows` rows of `row` bytes.
    pub(super) fn check(&self, plane: &'static str, row: usize, rows: usize) -> Result<(), RawError> {
        let (stride, found) = (self.stride, self.data.len());
        if row == 0 {
            return Err(RawError::Step { plane });
        }
        if stride < row && rows > 1 {
            return Err(RawError::Stride { plane, stride, row });
        }
        let needed = stride.saturating_mul(rows - 1).saturating_add(row);
        if needed > found { Err(RawError::Short { plane, needed, found }) } else { Ok(()) }
    }
}

impl std::fmt::Debug for Plane<'_> {
    /// Writes the sizes without the bytes.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { data, stride, step } = self;
        let mut fields = formatter.debug_struct("Plane");
        fields.field("bytes", &data.len()).field("stride", stride).field("step", step).finish()
    }
}
