//! Borrowed pixels: an image in memory that belongs to another program.

use crate::Image;

/// The order of the three colour channels of a pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelOrder {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first, as OpenCV stores images.
    Bgr,
}

/// A borrowed, upright 8-bit image, `[height, width, 3]`, without padding between rows.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    width: usize,
    height: usize,
    data: &'a [u8],
    order: ChannelOrder,
    source_size: (usize, usize),
}

impl<'a> Pixels<'a> {
    /// Borrows `height` · `width` · 3 bytes; `None` where `data` has another length or is empty.
    #[must_use]
    pub fn new(width: usize, height: usize, data: &'a [u8], order: ChannelOrder) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(3)?;
        let source_size = (width, height);
        (expected > 0 && expected == data.len()).then_some(Self { width, height, data, order, source_size })
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

    /// Returns the bytes `[height, width, 3]`.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Returns the order of the channels.
    #[must_use]
    pub fn order(&self) -> ChannelOrder {
        self.order
    }

    /// Returns width and height of the picture to whose pixels boxes refer, as [`Image::source_size`] does.
    #[must_use]
    pub fn source_size(&self) -> (usize, usize) {
        self.source_size
    }

    /// Returns a copy of the image with red first.
    #[must_use]
    pub fn to_image(&self) -> Image {
        let mut data = self.data.to_vec();
        if self.order == ChannelOrder::Bgr {
            data.as_chunks_mut::<3>().0.iter_mut().for_each(|pixel| pixel.swap(0, 2));
        }
        let (width, height) = self.source_size;
        Image::from_checked(self.width, self.height, data).with_source_size(width, height)
    }
}

impl<'a> From<&'a Image> for Pixels<'a> {
    fn from(image: &'a Image) -> Self {
        Self {
            width: image.width(),
            height: image.height(),
            data: image.data(),
            order: ChannelOrder::Rgb,
            source_size: image.source_size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_data_must_match() {
        assert!(Pixels::new(2, 1, &[0; 6], ChannelOrder::Rgb).is_some());
        for (width, height, len) in [(2, 1, 5), (2, 1, 7), (0, 1, 0), (usize::MAX, 2, 6)] {
            assert!(
                Pixels::new(width, height, &vec![0; len], ChannelOrder::Rgb).is_none(),
                "{width}×{height}"
            );
        }
    }

    #[test]
    fn copies_have_red_first() {
        let data = [1, 2, 3, 4, 5, 6];
        let image = Image::new(1, 2, data.to_vec()).expect("an image");
        assert_eq!(Pixels::from(&image).to_image(), image);
        let swapped = Pixels::new(1, 2, &data, ChannelOrder::Bgr).expect("pixels").to_image();
        assert_eq!(swapped.data(), [3, 2, 1, 6, 5, 4]);
    }
}
