//! An upright picture of red, green and blue bytes.

use crate::{Interpolation, resize_u8};

/// An upright picture: rows of pixels of red, green, blue, 0 to 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Image {
    /// Wraps `height` · `width` · 3 bytes; `None` when they are not so many, or none.
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(3)?;
        (expected > 0 && expected == data.len()).then_some(Self { width, height, data })
    }

    /// A picture of one colour; sides of 0 become 1.
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, data: colour.repeat(width * height) }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, red first, row by row.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The colour of a pixel; the picture's edge repeats outside.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y.min(self.height - 1) * self.width + x.min(self.width - 1)) * 3;
        [self.data[at], self.data[at + 1], self.data[at + 2]]
    }

    /// Sets the colour of a pixel; outside the picture nothing happens.
    pub fn set_pixel(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.data[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// The picture in another size, without regard to its proportions.
    pub fn resized(&self, (height, width): (usize, usize), interpolation: Interpolation) -> Self {
        let (height, width) = (height.max(1), width.max(1));
        let data = resize_u8(&self.data, (self.height, self.width), 3, (height, width), interpolation);
        Self { width, height, data }
    }
}
