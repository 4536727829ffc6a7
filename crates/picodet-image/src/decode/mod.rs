//! Decodes the bytes of a file to an upright image; sizes are checked before memory is allocated.

mod decoder;
mod error;
mod file_kind;
mod jpeg;
mod limits;
mod orientation;
mod png_chunks;
mod truncated;

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{ImageFormat, RgbImage};

use self::decoder::{Decoder, Samples};
pub use self::error::{DecodeError, Missing};
pub use self::file_kind::FileKind;
use self::jpeg::{Outline, with_tables};
use self::limits::IN_BROWSER;
pub use self::limits::Limits;
use self::orientation::{is_turned, upright};
use crate::Image;

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
    /// The format: `JPEG`, `PNG`, `WebP`, `BMP` or `GIF`.
    pub format: &'static str,
}

/// Memory of decoders that does not depend on the number of pixels, in bytes.
const METADATA: u64 = 64 << 20;

/// Detects the format and its name in errors.
fn format_of(bytes: &[u8]) -> Result<(ImageFormat, &'static str), DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Ok((ImageFormat::Jpeg, "JPEG")),
        Ok(ImageFormat::Png) => Ok((ImageFormat::Png, "PNG")),
        Ok(ImageFormat::WebP) if !IN_BROWSER => Ok((ImageFormat::WebP, "WebP")),
        Ok(ImageFormat::Bmp) if !IN_BROWSER => Ok((ImageFormat::Bmp, "BMP")),
        Ok(ImageFormat::Gif) if !IN_BROWSER => Ok((ImageFormat::Gif, "GIF")),
        _ => Err(FileKind::of(bytes).map_or(DecodeError::UnknownFormat, DecodeError::Unsupported)),
    }
}

/// Whether the first bytes of a file are those of a supported image format.
#[must_use]
pub fn is_supported(bytes: &[u8]) -> bool {
    format_of(bytes).is_ok()
}

/// An image file whose header has been read.
struct Opened<'a> {
    bytes: &'a [u8],
    decoder: Decoder<'a>,
    orientation: Orientation,
    header: Header,
    format: ImageFormat,
    /// The structure of a JPEG file.
    outline: Option<Outline>,
}

/// Reads the header.
fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Opened<'a>, DecodeError> {
    let (format, name) = format_of(bytes)?;
    let broken = |problem: String| DecodeError::Broken { format: name, problem };
    let outline = (format == ImageFormat::Jpeg).then(|| Outline::of(bytes));
    if let Some(process) = outline.as_ref().and_then(Outline::unsupported_process) {
        let remedy = "save the image as PNG or as a baseline JPEG";
        return Err(broken(format!("{process} is not supported; {remedy}")));
    }
    let mut decoder =
        Decoder::new(bytes, format, limits.bytes().max(METADATA)).map_err(|error| {
            match outline.as_ref().map_or_else(|| truncated::header(format, bytes), Outline::missing_header) {
                Some(missing) => DecodeError::Incomplete { format: name, missing },
                None => broken(error.to_string()),
            }
        })?;
    let (width, height) = decoder.size();
    if width == 0 || height == 0 {
        return Err(broken("it has no pixels".to_owned()));
    }
    let orientation = match format {
        ImageFormat::Jpeg => outline.as_ref().and_then(Outline::orientation),
        ImageFormat::Png => png_chunks::orientation(bytes),
        _ => decoder.orientation(),
    }
    .unwrap_or(Orientation::NoTransforms);
    let turned = is_turned(orientation);
    let rgb = decoder.is_rgb();
    let (width, height) = (width as usize, height as usize);
    let (width, height) = if turned { (height, width) } else { (width, height) };
    let header = Header { width, height, turned, rgb, format: name };
    Ok(Opened { bytes, decoder, orientation, header, format, outline })
}

impl Opened<'_> {
    /// Returns the divisor of the sides with which the picture is within the limits; 1 decodes it whole.
    fn divisor(&self, limits: &Limits) -> Result<u64, DecodeError> {
        let (width, height) = self.decoder.size();
        let divisor = limits.divisor(width, height, self.outline.is_some())?;
        // The coefficients of a progressive picture are kept whole at any divisor.
        let bytes = self.outline.as_ref().map_or(0, Outline::coefficient_bytes);
        let bytes = if divisor > 1 { bytes } else { self.decoder.bytes() };
        if bytes > limits.bytes().max(METADATA) {
            return Err(DecodeError::TooLarge { width, height, limit: limits.pixels });
        }
        Ok(divisor)
    }

    fn incomplete(&self, missing: Missing) -> DecodeError {
        DecodeError::Incomplete { format: self.header.format, missing }
    }

    /// Decodes the pixels and turns them upright.
    fn decode(self, limits: &Limits) -> Result<(Header, Image), DecodeError> {
        let divisor = self.divisor(limits)?;
        let (header, orientation) = (self.header, self.orientation);
        let samples = match &self.outline {
            Some(_) => self.decode_jpeg(divisor)?,
            None => self.decode_other()?,
        };
        let (width, height) = (samples.width, samples.height);
        let image = RgbImage::from_raw(width, height, samples.into_rgb()).and_then(|picture| {
            let picture = upright(picture, orientation);
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            Image::new(width, height, picture.into_raw())
        });
        let wrong_size = || DecodeError::Broken {
            format: header.format,
            problem: "the picture has another size than its header".to_owned(),
        };
        let image = image.ok_or_else(wrong_size)?;
        Ok((header, image.with_source_size(header.width, header.height)))
    }

    fn decode_jpeg(self, divisor: u64) -> Result<Samples, DecodeError> {
        let Some(outline) = &self.outline else { return self.decode_other() };
        let missing = || outline.missing_part(self.bytes).map(|missing| self.incomplete(missing));
        // A decoder at reduced size fills missing data with colours.
        if (outline.is_suspicious() || divisor > 1)
            && let Some(error) = missing()
        {
            return Err(error);
        }
        // A decoder may drop the last rows where the end of image is missing.
        let terminated;
        let bytes = if outline.is_unterminated() {
            terminated = [self.bytes, &[0xff, 0xd9]].concat();
            &terminated
        } else {
            self.bytes
        };
        #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
        if divisor > 1 {
            use self::jpeg::shrunk;
            let (size, format) = (self.decoder.size(), self.header.format);
            return shrunk::decode(bytes, size, divisor)
                .map_err(|problem| DecodeError::Broken { format, problem });
        }
        let samples = if outline.is_unterminated() {
            // The size has been checked.
            Decoder::new(bytes, self.format, u64::MAX).and_then(Decoder::samples)
        } else {
            self.decoder.samples()
        };
        let (header, bytes) = (self.header, self.bytes);
        let samples = samples
            .map_err(|error| DecodeError::Broken { format: header.format, problem: error.to_string() })?;
        if ends_in_filler(&samples, outline.mcu_width())
            && let Some(missing) = outline.missing_part(bytes)
        {
            return Err(DecodeError::Incomplete { format: header.format, missing });
        }
        Ok(samples)
    }

    fn decode_other(self) -> Result<Samples, DecodeError> {
        let Self { bytes, format, header, .. } = self;
        let incomplete = |missing| DecodeError::Incomplete { format: header.format, missing };
        self.decoder.samples().map_err(|error| match truncated::pixels(format, bytes) {
            Some(missing) => incomplete(missing),
            None => DecodeError::Broken { format: header.format, problem: error.to_string() },
        })
    }
}

/// Whether the last row looks as if it was decoded without data: a decoder of JPEG fills it with one value, or reads zeros,
/// which give equal MCUs of `mcu` columns. Plain borders look so too.
fn ends_in_filler(samples: &Samples, mcu: usize) -> bool {
    let last = samples.last_row();
    let period = mcu * usize::from(samples.color.bytes_per_pixel());
    // Interpolated colours differ in the first and the last MCU.
    let inner = last.get(period..last.len().saturating_sub(period)).unwrap_or_default();
    inner.len() <= period || inner[period..] == inner[..inner.len() - period]
}

/// Reads the header, without limits on the size; the first kilobytes of a file are usually enough.
///
/// # Errors
/// When the bytes are not an image, or broken.
pub fn header(bytes: &[u8], limits: &Limits) -> Result<Header, DecodeError> {
    guarded(|| Ok(open(bytes, limits)?.header))
}

/// Returns width and height of the upright image, reading only the header.
///
/// # Errors
/// When the bytes are not an image, or exceed the limits.
pub fn dimensions(bytes: &[u8], limits: &Limits) -> Result<(usize, usize), DecodeError> {
    guarded(|| {
        let opened = open(bytes, limits)?;
        opened.divisor(limits)?;
        Ok((opened.header.width, opened.header.height))
    })
}

/// Decodes JPEG, PNG, WebP or BMP bytes, or the first picture of GIF bytes, and applies the EXIF orientation.
///
/// As `cv2.imread` in colour: grey becomes equal red, green and blue, 16-bit values lose their lower byte, and alpha is
/// dropped without blending. A JPEG picture that exceeds the limits is decoded at a half, a quarter or an eighth of its
/// sides; [`Image::source_size`] is its full size. Bytes behind the picture are ignored, and its end marker may be missing.
/// Pictures of Motion JPEG, which leave out the standard Huffman tables, are read.
///
/// # Errors
/// When the bytes are not an image, broken, or exceed the limits, and when a part of the picture is missing. Limits are
/// checked before memory is allocated.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image, DecodeError> {
    Ok(decode_with_header(bytes, limits)?.1)
}

/// As [`decode`]; returns the header too.
///
/// # Errors
/// As [`decode`].
pub fn decode_with_header(bytes: &[u8], limits: &Limits) -> Result<(Header, Image), DecodeError> {
    guarded(|| {
        let decoded = open(&with_tables(bytes), limits)?.decode(limits);
        match (&decoded, png_chunks::with_end(bytes)) {
            // Only the end marker may be missing.
            (Err(DecodeError::Incomplete { .. }), Some(ended)) => {
                open(&ended, limits)?.decode(limits).or(decoded)
            }
            _ => decoded,
        }
    })
}

/// Converts a panic of a decoder to an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(DecodeError::Panic))
}
