//! The image type: upright, three bytes per pixel.

use crate::{Interpolation, resize_u8};

/// An upright 8-bit RGB image, `[height, width, 3]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Image {
    /// Wraps `height` · `width` · 3 bytes; `None` where `data` has another length or is empty.
    #[must_use]
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(3)?;
        (expected > 0 && expected == data.len()).then_some(Self { width, height, data })
    }

    /// Creates an image of one colour; sides of 0 become 1.
    #[must_use]
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, data: colour.repeat(width * height) }
    }

    /// Returns the number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// Returns the bytes `[height, width, 3]`, red first.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Returns the colour of a pixel; outside the image, that of the nearest pixel at the edge.
    #[must_use]
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y.min(self.height - 1) * self.width + x.min(self.width - 1)) * 3;
        [self.data[at], self.data[at + 1], self.data[at + 2]]
    }

    /// Sets the colour of a pixel; pixels outside the image are ignored.
    pub fn set_pixel(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.data[at..at + 3].copy_from_slice(&colour);
        }
    }

    /// Returns the image resized to (height, width) without keeping its aspect ratio.
    #[must_use]
    pub fn resized(&self, (height, width): (usize, usize), interpolation: Interpolation) -> Self {
        let (height, width) = (height.max(1), width.max(1));
        let data = resize_u8(&self.data, (self.height, self.width), 3, (height, width), interpolation);
        Self { width, height, data }
    }
}
