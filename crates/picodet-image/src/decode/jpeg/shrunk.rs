//! Decodes a JPEG picture at a half, a quarter or an eighth of its width and height.

use image::ColorType;
use jpeg_decoder::{Decoder, PixelFormat};

use crate::decode::decoder::Samples;

/// Decodes a picture at the fraction `1 / by` of its sides, rounded up; not turned.
///
/// # Errors
/// The message of the decoder.
pub(in crate::decode) fn decode(
    bytes: &[u8],
    (width, height): (u32, u32),
    by: u64,
) -> Result<Samples, String> {
    let side = |side: u32| u16::try_from(u64::from(side).div_ceil(by)).unwrap_or(u16::MAX);
    let mut decoder = Decoder::new(bytes);
    let (width, height) = decoder.scale(side(width), side(height)).map_err(|error| error.to_string())?;
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    let format = decoder.info().map(|info| info.pixel_format);
    let rgb = match format {
        Some(PixelFormat::RGB24) => pixels,
        Some(PixelFormat::L8) => pixels.into_iter().flat_map(|grey| [grey; 3]).collect(),
        Some(PixelFormat::CMYK32) => pixels.as_chunks().0.iter().flat_map(rgb_of_cmyk).collect(),
        Some(PixelFormat::L16) | None => return Err("samples of more than 8 bits".to_owned()),
    };
    Ok(Samples { width: width.into(), height: height.into(), color: ColorType::Rgb8, bytes: rgb })
}

/// Converts as the decoder of whole pictures does: each colour is darkened by black.
fn rgb_of_cmyk(&[cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 3] {
    [cyan, magenta, yellow].map(|ink| {
        let (paper, light) = (255 - u32::from(ink), 255 - u32::from(black));
        ((paper * light + 127) / 255) as u8
    })
}
