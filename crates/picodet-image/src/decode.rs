//! From the bytes of a file to an upright picture, with every size checked before memory is taken.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::Image;

/// What is believed of a file's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels, width times height.
    pub pixels: u64,
    /// Most pixels along either side.
    pub side: u32,
}

impl Default for Limits {
    /// 100 million pixels, 65,535 a side.
    fn default() -> Self {
        Self { pixels: 100_000_000, side: 65_535 }
    }
}

/// Why a picture is refused.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// There is nothing.
    #[error("the image is empty")]
    Empty,
    /// The bytes are of no format that is read.
    #[error("not a JPEG, PNG, WebP or BMP image")]
    UnknownFormat,
    /// The format is known but the bytes are broken or of an unusual kind.
    #[error("broken or unsupported {format} image: {problem}")]
    Broken {
        /// The format.
        format: &'static str,
        /// What the decoder says.
        problem: String,
    },
    /// The picture is larger than the limits.
    #[error(
        "an image of {width} x {height} pixels is larger than the limit of {limit} pixels; scale it down first"
    )]
    TooLarge {
        /// Columns that the header claims.
        width: u32,
        /// Rows that the header claims.
        height: u32,
        /// Most pixels.
        limit: u64,
    },
}

/// The formats, by how errors call them.
fn format_of(bytes: &[u8]) -> Result<(ImageFormat, &'static str), DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Ok((ImageFormat::Jpeg, "JPEG")),
        Ok(ImageFormat::Png) => Ok((ImageFormat::Png, "PNG")),
        Ok(ImageFormat::WebP) => Ok((ImageFormat::WebP, "WebP")),
        Ok(ImageFormat::Bmp) => Ok((ImageFormat::Bmp, "BMP")),
        _ => Err(DecodeError::UnknownFormat),
    }
}

/// Whether a JPEG is of a lossless kind, by its frame marker.
fn is_lossless_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        match marker {
            0xc3 | 0xc7 | 0xcb | 0xcf => return true,
            // Another frame, or the picture itself.
            0xc0..=0xc2 | 0xda => return false,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2),
        }
    }
    false
}

/// A decoder whose header has been read and checked, and how the camera was held.
fn open(
    bytes: &[u8],
    limits: &Limits,
) -> Result<(impl ImageDecoder, Orientation, &'static str), DecodeError> {
    let (format, name) = format_of(bytes)?;
    if format == ImageFormat::Jpeg && is_lossless_jpeg(bytes) {
        let problem = "lossless JPEG is not read; save it as PNG or as an ordinary JPEG".to_owned();
        return Err(DecodeError::Broken { format: name, problem });
    }
    let broken = |error: ImageError| DecodeError::Broken { format: name, problem: error.to_string() };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = image::Limits::default();
    // Four channels of 16 bits are the most that a pixel takes.
    allowed.max_alloc = Some(limits.pixels.saturating_mul(8));
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.pixels || width > limits.side || height > limits.side {
        return Err(DecodeError::TooLarge { width, height, limit: limits.pixels });
    }
    if width == 0 || height == 0 {
        return Err(DecodeError::Broken { format: name, problem: "it has no pixels".to_owned() });
    }
    // A broken EXIF block does not make the pixels useless.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation, name))
}

/// Width and height of the upright picture, from the header alone.
///
/// # Errors
/// When the bytes are no image or larger than the limits.
pub fn dimensions(bytes: &[u8], limits: &Limits) -> Result<(usize, usize), DecodeError> {
    let (decoder, orientation, _) = open(bytes, limits)?;
    let (width, height) = decoder.dimensions();
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (width, height) = (width as usize, height as usize);
    Ok(if turned { (height, width) } else { (width, height) })
}

/// Decodes JPEG, PNG, WebP or BMP bytes, and turns the picture upright by its EXIF orientation.
///
/// As `cv2.imread` in colour: grey becomes equal red, green and blue, 16-bit values lose their lower byte, and alpha is
/// dropped without blending.
///
/// # Errors
/// When the bytes are no image, broken, or larger than the limits; limits are checked before memory is taken.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image, DecodeError> {
    let (decoder, orientation, name) = open(bytes, limits)?;
    let broken = |problem: String| DecodeError::Broken { format: name, problem };
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| broken(error.to_string()))?;
    picture.apply_orientation(orientation);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Image::new(width, height, into_rgb(picture)).ok_or_else(|| broken("it has no pixels".to_owned()))
}

/// The upper byte of each 16-bit value.
fn upper(values: &[u16]) -> Vec<u8> {
    values.iter().map(|value| (value >> 8) as u8).collect()
}

fn into_rgb(picture: DynamicImage) -> Vec<u8> {
    match picture {
        DynamicImage::ImageRgb16(picture) => upper(&picture),
        DynamicImage::ImageRgba16(picture) => {
            upper(&picture).as_chunks::<4>().0.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect()
        }
        DynamicImage::ImageLuma16(picture) => {
            upper(&picture).into_iter().flat_map(|grey| [grey; 3]).collect()
        }
        DynamicImage::ImageLumaA16(picture) => {
            upper(&picture).as_chunks::<2>().0.iter().flat_map(|&[grey, _]| [grey; 3]).collect()
        }
        other => other.into_rgb8().into_raw(),
    }
}
