//! Decodes the bytes of a file to an upright image; sizes are checked before memory is allocated.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader};

use crate::Image;

/// Limits on the size that a file's header claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of pixels, width times height.
    pub pixels: u64,
    /// Maximum width and height in pixels.
    pub side: u32,
    /// Maximum number of bytes that decoding allocates for pixels.
    pub bytes: u64,
}

impl Default for Limits {
    /// 100 million pixels of at most four 16-bit channels, 65,535 pixels per side.
    fn default() -> Self {
        Self { pixels: 100_000_000, side: 65_535, bytes: 800_000_000 }
    }
}

/// The header of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Columns of the upright image.
    pub width: usize,
    /// Rows of the upright image.
    pub height: usize,
    /// Whether the EXIF orientation swaps width and height.
    pub turned: bool,
    /// Whether the pixels are stored as three bytes.
    pub rgb: bool,
    /// The format: `JPEG`, `PNG`, `WebP` or `BMP`.
    pub format: &'static str,
}

/// The reasons why an image is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The file has no bytes.
    #[error("the image is empty")]
    Empty,
    /// The format is not supported.
    #[error("not a JPEG, PNG, WebP or BMP image")]
    UnknownFormat,
    /// The format is supported but the bytes are broken or of an unsupported kind.
    #[error("broken or unsupported {format} image: {problem}")]
    Broken {
        /// The format.
        format: &'static str,
        /// The decoder's message.
        problem: String,
    },
    /// The image exceeds the limits.
    #[error(
        "an image of {width} x {height} pixels is larger than the limit of {limit} pixels; scale it down first"
    )]
    TooLarge {
        /// Columns according to the header.
        width: u32,
        /// Rows according to the header.
        height: u32,
        /// Maximum number of pixels.
        limit: u64,
    },
}

/// Detects the format and its name in errors.
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

/// Whether a JPEG is lossless, by its frame marker.
fn is_lossless_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
        match marker {
            0xc3 | 0xc7 | 0xcb | 0xcf => return true,
            // Another kind of frame, or the scan data.
            0xc0..=0xc2 | 0xda => return false,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2),
        }
    }
    false
}

/// Reads the header; returns the decoder, the EXIF orientation and the header.
fn open(bytes: &[u8], limits: &Limits) -> Result<(impl ImageDecoder, Orientation, Header), DecodeError> {
    let (format, name) = format_of(bytes)?;
    if format == ImageFormat::Jpeg && is_lossless_jpeg(bytes) {
        let problem =
            "lossless JPEG is not supported; save the image as PNG or as a baseline JPEG".to_owned();
        return Err(DecodeError::Broken { format: name, problem });
    }
    let broken = |error: ImageError| DecodeError::Broken { format: name, problem: error.to_string() };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allowed = image::Limits::default();
    allowed.max_alloc = Some(limits.bytes);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(DecodeError::Broken { format: name, problem: "it has no pixels".to_owned() });
    }
    // A broken EXIF block does not make the pixels useless.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let rgb = decoder.original_color_type() == ExtendedColorType::Rgb8;
    let (width, height) = (width as usize, height as usize);
    let (width, height) = if turned { (height, width) } else { (width, height) };
    Ok((decoder, orientation, Header { width, height, turned, rgb, format: name }))
}

fn check_size(decoder: &impl ImageDecoder, limits: &Limits) -> Result<(), DecodeError> {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let limit = limits.pixels.min(limits.bytes / (decoder.total_bytes() / pixels.max(1)).max(1));
    if pixels > limit || width > limits.side || height > limits.side {
        return Err(DecodeError::TooLarge { width, height, limit });
    }
    Ok(())
}

/// Reads the header, without limits on the size; the first kilobytes of a file are usually enough.
///
/// # Errors
/// When the bytes are not an image, or broken.
pub fn header(bytes: &[u8], limits: &Limits) -> Result<Header, DecodeError> {
    Ok(open(bytes, limits)?.2)
}

/// Returns width and height of the upright image, reading only the header.
///
/// # Errors
/// When the bytes are not an image, or exceed the limits.
pub fn dimensions(bytes: &[u8], limits: &Limits) -> Result<(usize, usize), DecodeError> {
    let (decoder, _, header) = open(bytes, limits)?;
    check_size(&decoder, limits)?;
    Ok((header.width, header.height))
}

/// Decodes JPEG, PNG, WebP or BMP bytes, and applies the EXIF orientation.
///
/// As `cv2.imread` in colour: grey becomes equal red, green and blue, 16-bit values lose their lower byte, and alpha is
/// dropped without blending.
///
/// # Errors
/// When the bytes are not an image, broken, or exceed the limits; limits are checked before memory is allocated.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image, DecodeError> {
    Ok(decode_with_header(bytes, limits)?.1)
}

/// As [`decode`]; returns the header too.
///
/// # Errors
/// As [`decode`].
pub fn decode_with_header(bytes: &[u8], limits: &Limits) -> Result<(Header, Image), DecodeError> {
    let (decoder, orientation, header) = open(bytes, limits)?;
    check_size(&decoder, limits)?;
    let broken = |problem: String| DecodeError::Broken { format: header.format, problem };
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| broken(error.to_string()))?;
    picture.apply_orientation(orientation);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let image = Image::new(width, height, into_rgb(picture));
    Ok((header, image.ok_or_else(|| broken("it has no pixels".to_owned()))?))
}

/// Returns the upper byte of each 16-bit value.
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
