//! The decoders of all formats behind one type, and the samples that they return.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageError, ImageFormat};

/// The decoder of a file whose header has been read.
///
/// JPEG and PNG are no trait objects, which would contain every method: the module for browsers is downloaded.
pub(super) enum Decoder<'a> {
    Jpeg(JpegDecoder<Cursor<&'a [u8]>>),
    Png(Box<PngDecoder<Cursor<&'a [u8]>>>),
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    Other(Box<dyn ImageDecoder + 'a>),
}

/// Evaluates an expression with the decoder of whichever format.
macro_rules! with {
    ($self:expr, $decoder:ident => $value:expr) => {
        match $self {
            Decoder::Jpeg($decoder) => $value,
            Decoder::Png($decoder) => $value,
            #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
            Decoder::Other($decoder) => $value,
        }
    };
}

impl<'a> Decoder<'a> {
    /// Reads the header; the decoder allocates at most `memory` bytes.
    pub(super) fn new(bytes: &'a [u8], format: ImageFormat, memory: u64) -> Result<Self, ImageError> {
        let bytes = Cursor::new(bytes);
        let mut limits = image::Limits::default();
        limits.max_alloc = Some(memory);
        match format {
            ImageFormat::Jpeg => Ok(Self::Jpeg(JpegDecoder::new(bytes)?)),
            #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
            ImageFormat::WebP | ImageFormat::Bmp | ImageFormat::Gif => {
                let mut reader = image::ImageReader::with_format(bytes, format);
                reader.limits(limits);
                Ok(Self::Other(Box::new(reader.into_decoder()?)))
            }
            _ => Ok(Self::Png(Box::new(PngDecoder::with_limits(bytes, limits)?))),
        }
    }

    /// Returns the width and height in the file, before the image is turned.
    pub(super) fn size(&self) -> (u32, u32) {
        with!(self, decoder => decoder.dimensions())
    }

    /// Returns the number of bytes of the samples.
    pub(super) fn bytes(&self) -> u64 {
        with!(self, decoder => decoder.total_bytes())
    }

    /// Whether the file has three bytes per pixel.
    pub(super) fn is_rgb(&self) -> bool {
        with!(self, decoder => decoder.original_color_type()) == ExtendedColorType::Rgb8
    }

    /// Returns the orientation that the metadata of a format other than JPEG and PNG states.
    pub(super) fn orientation(&mut self) -> Option<Orientation> {
        match self {
            Self::Jpeg(_) | Self::Png(_) => None,
            #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
            Self::Other(decoder) => decoder.orientation().ok(),
        }
    }

    /// Decodes the samples.
    pub(super) fn samples(self) -> Result<Samples, ImageError> {
        let ((width, height), bytes) = (self.size(), self.bytes());
        let mut samples = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        let color = with!(&self, decoder => decoder.color_type());
        match self {
            Self::Jpeg(decoder) => decoder.read_image(&mut samples)?,
            Self::Png(decoder) => (*decoder).read_image(&mut samples)?,
            #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
            Self::Other(decoder) => decoder.read_image_boxed(&mut samples)?,
        }
        Ok(Samples { width, height, color, bytes: samples })
    }
}

/// A decoded picture before it is turned, with the channels of the file.
pub(super) struct Samples {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) color: ColorType,
    /// `[height, width, channels]`, 16-bit samples in native byte order.
    pub(super) bytes: Vec<u8>,
}

impl Samples {
    /// Returns the bytes of the last row.
    pub(super) fn last_row(&self) -> &[u8] {
        let row = self.width as usize * usize::from(self.color.bytes_per_pixel());
        &self.bytes[self.bytes.len().saturating_sub(row)..]
    }

    /// Returns red, green and blue of all pixels: grey becomes three equal values, alpha is dropped without blending, and
    /// 16-bit samples lose their lower byte.
    pub(super) fn into_rgb(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        let mut color = self.color;
        let of_8_bits = match color {
            ColorType::L16 => Some(ColorType::L8),
            ColorType::La16 => Some(ColorType::La8),
            ColorType::Rgb16 => Some(ColorType::Rgb8),
            ColorType::Rgba16 => Some(ColorType::Rgba8),
            _ => None,
        };
        if let Some(of_8_bits) = of_8_bits {
            let samples = bytes.as_chunks::<2>().0.iter();
            bytes = samples.map(|&sample| (u16::from_ne_bytes(sample) >> 8) as u8).collect();
            color = of_8_bits;
        }
        match color {
            ColorType::L8 => bytes.into_iter().flat_map(|grey| [grey; 3]).collect(),
            ColorType::La8 => bytes.as_chunks::<2>().0.iter().flat_map(|&[grey, _]| [grey; 3]).collect(),
            ColorType::Rgba8 => bytes.as_chunks::<4>().0.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect(),
            _ => bytes,
        }
    }
}
