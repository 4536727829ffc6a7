//! Determines which part of a PNG, WebP or BMP picture is missing.

use std::io::Cursor;

use image::ImageFormat;

use super::{Missing, png_chunks};

/// Returns the missing part of a file whose header cannot be read; `None` if the file does not end early.
pub(super) fn header(format: ImageFormat, bytes: &[u8]) -> Option<Missing> {
    match format {
        // Signature and IHDR; size and method.
        ImageFormat::Png => (bytes.len() < 33 || !png_has_data(bytes)).then_some(Missing::Unknown),
        ImageFormat::WebP => webp(bytes),
        // The header has the position of the pixels, after the palette.
        ImageFormat::Bmp => (bytes.len() < long(bytes, 10).map_or(54, |start| start.max(54) as usize))
            .then_some(Missing::Unknown),
        ImageFormat::Gif => gif(bytes),
        _ => None,
    }
}

/// Returns the missing part of a file whose pixels cannot be decoded; `None` if the file does not end early.
pub(super) fn pixels(format: ImageFormat, bytes: &[u8]) -> Option<Missing> {
    match format {
        ImageFormat::Png => png(bytes),
        ImageFormat::WebP => webp(bytes),
        ImageFormat::Bmp => bmp(bytes),
        ImageFormat::Gif => gif(bytes),
        _ => None,
    }
}

fn png_has_data(bytes: &[u8]) -> bool {
    png_chunks::of(bytes).any(|chunk| &chunk.kind == b"IDAT")
}

/// Returns the missing rows of a PNG file that ends before its `IEND`.
fn png(bytes: &[u8]) -> Option<Missing> {
    if png_chunks::of(bytes).any(|chunk| &chunk.kind == b"IEND" && chunk.is_whole) {
        return None;
    }
    let rows = || {
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().ok()?;
        let (count, interlaced) = (reader.info().height as usize, reader.info().interlaced);
        let mut first = 0;
        while !interlaced && first < count && matches!(reader.next_row(), Ok(Some(_))) {
            first += 1;
        }
        (!interlaced && first < count).then_some(Missing::Rows { first, count })
    };
    Some(rows().unwrap_or(Missing::Unknown))
}

/// Returns that a part of a WebP file is missing if the chunk of its picture, or of its first frame, exceeds the file.
fn webp(bytes: &[u8]) -> Option<Missing> {
    let mut at = 12;
    loop {
        let Some(&[kind, length]) = bytes.get(at..).and_then(|rest| rest.as_chunks::<4>().0.first_chunk())
        else {
            return Some(Missing::Unknown);
        };
        let length = u32::from_le_bytes(length) as usize;
        let end = at.saturating_add(8).saturating_add(length);
        if matches!(&kind, b"VP8 " | b"VP8L" | b"ANMF") {
            return (end > bytes.len()).then_some(Missing::Unknown);
        }
        at = end.saturating_add(length & 1);
    }
}

/// Returns that a part of a GIF file is missing if the file ends before its first picture does.
fn gif(bytes: &[u8]) -> Option<Missing> {
    gif_picture_end(bytes).is_none().then_some(Missing::Unknown)
}

/// Returns the position behind the first picture of a GIF file.
fn gif_picture_end(bytes: &[u8]) -> Option<usize> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let sub_blocks = |mut at: usize| loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    };
    let mut at = 13 + table(*bytes.get(10)?);
    loop {
        match *bytes.get(at)? {
            // Introducer and label of an extension.
            0x21 => at = sub_blocks(at + 2)?,
            // Separator, descriptor, colours, code size.
            0x2c => return sub_blocks(at + 10 + table(*bytes.get(at + 9)?) + 1),
            _ => return Some(at),
        }
    }
}

/// Returns a 32-bit number, least significant byte first.
fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Returns the missing rows of an uncompressed BMP file.
fn bmp(bytes: &[u8]) -> Option<Missing> {
    let long = |at: usize| long(bytes, at);
    let (start, width, height) = (long(10)? as usize, long(18)? as usize, long(22)? as i32);
    let (bits, compression) = (long(28)? as usize & 0xffff, long(30)?);
    let count = height.unsigned_abs() as usize;
    let row = width.checked_mul(bits)?.div_ceil(32).checked_mul(4)?;
    let present = bytes.len().saturating_sub(start).checked_div(row)?;
    // 1 and 2 are run-length encoded.
    if matches!(compression, 1 | 2) || present >= count {
        return None;
    }
    // With a positive height the first row of the file is the lowest.
    Some(Missing::Rows { first: present, count })
}
