//! Encodes images as PNG and JPEG.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use crate::Image;

/// Encodes an image as PNG.
#[must_use]
pub fn encode_png(image: &Image) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    // Writing to memory does not fail, and the sides of a decoded image fit in 32 bits.
    let _ = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive)
        .write_image(image.data(), image.width() as u32, image.height() as u32, ExtendedColorType::Rgb8);
    bytes.into_inner()
}

/// Encodes an image as JPEG of a quality from 1 to 100.
///
/// JPEG has at most 65,535 pixels per side; for a larger image the result is empty.
#[must_use]
pub fn encode_jpeg(image: &Image, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100)).encode(
        image.data(),
        image.width() as u32,
        image.height() as u32,
        ExtendedColorType::Rgb8,
    );
    if written.is_ok() { bytes } else { Vec::new() }
}
