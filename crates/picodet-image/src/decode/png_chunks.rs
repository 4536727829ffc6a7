//! The chunks of a PNG file (ISO/IEC 15948, section 5), and what is read from them without decoding pixels.

use image::metadata::Orientation;

use super::orientation::of_exif;

/// The keywords of texts with EXIF data, with the zero behind them.
const PROFILES: [&[u8]; 2] = [b"Raw profile type exif\0", b"Raw profile type APP1\0"];
/// Largest text in bytes: a JPEG segment of 64 KiB, with two digits per byte and the ends of lines.
const MAX_PROFILE: usize = 1 << 18;
/// Length of the signature and the chunk `IHDR`.
const HEADER: usize = 33;
/// An empty chunk `IDAT`.
const DATA: [u8; 12] = [0, 0, 0, 0, b'I', b'D', b'A', b'T', 0x35, 0xaf, 0x06, 0x1e];

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

/// Returns the orientation that the EXIF data states, which may come before or behind the pixels. Programs from before the
/// chunk `eXIf` (2017) write the data as a text of hexadecimal digits.
pub(super) fn orientation(bytes: &[u8]) -> Option<Orientation> {
    let chunks = || of(bytes).take_while(|chunk| &chunk.kind != b"IEND").filter(|chunk| chunk.is_whole);
    let exif = chunks().find(|chunk| &chunk.kind == b"eXIf").and_then(|chunk| of_exif(chunk.data));
    exif.or_else(|| chunks().find_map(|chunk| of_profile(&profile(bytes, &chunk)?)))
}

/// Returns the text of a chunk with EXIF data as text.
fn profile(bytes: &[u8], chunk: &Chunk<'_>) -> Option<String> {
    let text = PROFILES.iter().find_map(|keyword| chunk.data.strip_prefix(*keyword))?;
    match &chunk.kind {
        b"tEXt" => Some(String::from_utf8_lossy(text).into_owned()),
        b"zTXt" => {
            let own = bytes.get(chunk.end.checked_sub(chunk.data.len() + 12)?..chunk.end)?;
            let file = [bytes.get(..HEADER)?, own, &DATA].concat();
            let reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().ok()?;
            let mut text = reader.info().compressed_latin1_text.first()?.clone();
            text.decompress_text_with_limit(MAX_PROFILE).ok()?;
            text.get_text().ok()
        }
        _ => None,
    }
}

/// Returns the orientation in a text of a name, the number of bytes, and their hexadecimal digits in lines.
fn of_profile(text: &str) -> Option<Orientation> {
    let mut words = text.split_ascii_whitespace().skip(1);
    let length: usize = words.next()?.parse().ok()?;
    let digits: Vec<u8> = words.flat_map(str::bytes).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let data: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    data.filter(|data| data.len() == length).and_then(|data| of_exif(&data))
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
