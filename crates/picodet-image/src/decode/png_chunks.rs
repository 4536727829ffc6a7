//! The chunks of a PNG file (ISO/IEC 15948, section 5), and what is read from them without decoding pixels.

use image::metadata::Orientation;

use super::orientation::of_exif;

/// A chunk, of which the end may be missing.
pub(super) struct Chunk<'a> {
    pub(super) kind: [u8; 4],
    /// The data that is there.
    data: &'a [u8],
    /// Whether the file contains data and checksum whole.
    pub(super) is_whole: bool,
    /// The position behind it.
    end: usize,
}

/// Returns the chunks of a PNG file.
pub(super) fn of(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut at = 8;
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?) as usize;
        let kind = *bytes.get(at + 4..)?.first_chunk()?;
        let data = bytes.get(at + 8..).unwrap_or_default();
        let data = data.get(..length).unwrap_or(data);
        // Length, kind and checksum.
        at = at.saturating_add(length).saturating_add(12);
        Some(Chunk { kind, data, is_whole: at <= bytes.len(), end: at })
    })
}

/// Returns the orientation that the EXIF data states, which may come before or behind the pixels.
pub(super) fn orientation(bytes: &[u8]) -> Option<Orientation> {
    let exif = |chunk: &Chunk<'_>| &chunk.kind == b"eXIf" && chunk.is_whole;
    of(bytes).take_while(|chunk| &chunk.kind != b"IEND").find(exif).and_then(|chunk| of_exif(chunk.data))
}

/// Returns a file with an `IEND` if it has none and all of its data chunks are whole.
pub(super) fn with_end(bytes: &[u8]) -> Option<Vec<u8>> {
    const END: [u8; 12] = [0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82];
    if !bytes.starts_with(b"\x89PNG") {
        return None;
    }
    let (mut end, mut has_data) = (8, false);
    for chunk in of(bytes) {
        let is_data = &chunk.kind == b"IDAT";
        match chunk.is_whole {
            true if &chunk.kind == b"IEND" => return None,
            true => end = chunk.end,
            false if is_data => return None,
            false => break,
        }
        has_data |= is_data;
    }
    has_data.then(|| [&bytes[..end], &END].concat())
}
