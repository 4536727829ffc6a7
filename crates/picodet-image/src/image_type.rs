//! The image type: upright, three bytes per pixel.

use std::fmt;

use crate::{Interpolation, resize_u8};

/// An upright 8-bit RGB image, `[height, width, 3]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    data: Vec<u8>,
    /// Width and height of the picture that was decoded at a reduced size.
    source_size: Option<(usize, usize)>,
}

impl Image {
    /// Wraps `height` · `width` · 3 bytes; `None` where `data` has another length or is empty.
    #[must_use]
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(3)?;
        (expected > 0 && expected == data.len()).then_some(Self { width, height, data, source_size: None })
    }

    /// Wraps bytes whose length was checked.
    pub(crate) fn from_checked(width: usize, height: usize, data: Vec<u8>) -> Self {
        debug_assert_eq!(data.len(), width * height * 3);
        Self { width, height, data, source_size: None }
    }

    /// Creates an image of one colour; sides of 0 become 1.
    #[must_use]
    pub fn filled(width: usize, height: usize, colour: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, data: colour.repeat(width * height), source_size: None }
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

    /// Returns width and height of the picture in its file, upright, to whose pixels boxes refer. They differ from
    /// [`Image::width`] and [`Image::height`] only where a JPEG picture above the limit was decoded at a reduced size.
    #[must_use]
    pub fn source_size(&self) -> (usize, usize) {
        self.source_size.unwrap_or((self.width, self.height))
    }

    /// Returns the image resized to (height, width) as a reduced copy: boxes still refer to [`Image::source_size`].
    #[must_use]
    pub fn reduced(&self, (height, width): (usize, usize), interpolation: Interpolation) -> Self {
        let (height, width) = (height.max(1), width.max(1));
        let data = resize_u8(&self.data, (self.height, self.width), 3, (height, width), interpolation);
        let (source_width, source_height) = self.source_size();
        Self::from_checked(width, height, data).with_source_size(source_width, source_height)
    }

    /// Returns the image as a reduced copy of a picture of `width` × `height` pixels.
    #[must_use]
    pub(crate) fn with_source_size(self, width: usize, height: usize) -> Self {
        let source_size = ((width, height) != (self.width, self.height)).then_some((width, height));
        Self { source_size, ..self }
    }

    /// Returns the bytes `[height, width, 3]`, red first.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Returns the bytes `[height, width, 3]`, red first, without a copy.
    #[must_use]
    pub fn into_data(self) -> Vec<u8> {
        self.data
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
        Self { width, height, data, source_size: None }
    }
}

impl fmt::Debug for Image {
    /// Writes the sizes without the pixels.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { width, height, source_size, .. } = self;
        let mut fields = formatter.debug_struct("Image");
        fields.field("width", width).field("height", height).field("source_size", source_size);
        fields.finish_non_exhaustive()
    }
}
