//! What a dataset needs of its image files: upright size, whether they decode, content hash,
//! small previews.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use picodet_image::{DecodeError, Image, Interpolation, Limits};
use sha2::{Digest, Sha256};

use crate::guard::{open_regular, read_bounded};

/// File extensions that count as images.
pub(crate) const EXTENSIONS: &[&str] = &["jpg", "jpeg", "png", "webp", "bmp"];

/// One image may be a gigabyte, as a file or decoded.
const LIMITS: Limits = Limits { pixels: u64::MAX, side: u32::MAX, bytes: 1 << 30 };
/// How a JPEG begins.
const JPEG: &[u8] = &[0xFF, 0xD8];
/// Bytes of a file that hold its header, mostly.
const BEGINNING: u64 = 1 << 16;

/// What an image file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageHeader {
    /// Width in pixels of the upright image (EXIF orientation applied).
    pub width: u32,
    /// Height in pixels of the upright image.
    pub height: u32,
    /// The EXIF orientation swaps width and height.
    pub turned: bool,
    /// Plain 8-bit RGB.
    pub rgb: bool,
    /// The content's format (`jpeg`, `png`, `webp`, `bmp`).
    pub format: &'static str,
}

/// Reads the header of an image, without decoding it.
///
/// # Errors
/// A sentence that says why this is no readable image.
pub fn read_header(path: &Path) -> Result<ImageHeader, String> {
    guarded(|| {
        let mut reader = BufReader::new(open_regular(path).map_err(|error| error.to_string())?);
        let start = reader.fill_buf().map_err(|error| error.to_string())?;
        if start.starts_with(JPEG) {
            return jpeg_header(&mut reader);
        }
        let mut bytes = Vec::new();
        // The end of a WebP file says how it is turned.
        if !start.starts_with(b"RIFF") {
            reader.by_ref().take(BEGINNING).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            if let Ok(header) = header_of(&bytes) {
                return Ok(header);
            }
        }
        reader.take(LIMITS.bytes).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        header_of(&bytes)
    })
}

/// Header, and the pixels if all of the image decodes.
pub(crate) fn decode(path: &Path) -> Result<(ImageHeader, Image), String> {
    guarded(|| {
        let bytes = read_bounded(path, LIMITS.bytes, "an image").map_err(|error| error.to_string())?;
        if bytes.starts_with(JPEG) && !jpeg_has_end(&bytes) {
            return Err("the JPEG is cut off: it has no end marker".to_string());
        }
        let (header, pixels) = picodet_image::decode_with_header(&bytes, &LIMITS).map_err(sentence)?;
        Ok((ours(header), pixels))
    })
}

/// Whether an end-of-image marker follows the last scan. Decoders fill up what is missing with
/// grey and say nothing; a half-copied file must not pass.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    // Embedded previews end before the main image's last scan starts.
    let last_scan = bytes.windows(2).rposition(|pair| pair == [0xFF, 0xDA]).unwrap_or(0);
    bytes[last_scan..].windows(2).any(|pair| pair == [0xFF, 0xD9])
}

/// SHA-256 of the file's bytes; `None` when it cannot be read.
pub(crate) fn content_hash(path: &Path) -> Option<[u8; 32]> {
    let mut file = open_regular(path).ok()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Some(hasher.finalize().into()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// The upright image, scaled to at most `side` pixels a side, as JPEG.
pub(crate) fn preview(path: &Path, side: usize) -> Option<Vec<u8>> {
    let (_, mut pixels) = decode(path).ok()?;
    let largest = pixels.width().max(pixels.height());
    if largest > side {
        let scaled = |extent: usize| (extent as f64 * side as f64 / largest as f64).round() as usize;
        pixels = pixels.resized((scaled(pixels.height()), scaled(pixels.width())), Interpolation::Area);
    }
    Some(picodet_image::encode_jpeg(&pixels, 78))
}

/// A decoder must not take the process down, whatever the file holds.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err("the decoder failed".to_string()))
}

/// The header of an image whose beginning, or all of it, is `bytes`.
fn header_of(bytes: &[u8]) -> Result<ImageHeader, String> {
    picodet_image::header(bytes, &LIMITS).map(ours).map_err(sentence)
}

fn ours(header: picodet_image::Header) -> ImageHeader {
    let format = match header.format {
        "JPEG" => "jpeg",
        "PNG" => "png",
        "WebP" => "webp",
        _ => "bmp",
    };
    let (width, height) = (header.width as u32, header.height as u32);
    ImageHeader { width, height, turned: header.turned, rgb: header.rgb, format }
}

fn sentence(error: DecodeError) -> String {
    match error {
        DecodeError::Empty | DecodeError::UnknownFormat => {
            "not an image (empty, or neither JPEG, PNG, WebP nor BMP)".to_string()
        }
        DecodeError::Broken { problem, .. } => problem,
        error => error.to_string(),
    }
}

/// Walks the segments of a JPEG up to its frame header, seeking over everything else: a few
/// kilobytes are read instead of the whole file.
fn jpeg_header(reader: &mut (impl BufRead + Seek)) -> Result<ImageHeader, String> {
    let truncated = |_| "the JPEG ends before its frame header".to_string();
    let mut turned = false;
    reader.seek(SeekFrom::Start(2)).map_err(truncated)?;
    loop {
        let mut byte = [0];
        reader.read_exact(&mut byte).map_err(truncated)?;
        if byte[0] != 0xFF {
            continue;
        }
        while byte[0] == 0xFF {
            reader.read_exact(&mut byte).map_err(truncated)?;
        }
        match byte[0] {
            0x00 | 0x01 | 0xD0..=0xD8 => continue,
            0xD9 | 0xDA => return Err("the JPEG has no frame header".to_string()),
            _ => {}
        }
        let marker = byte[0];
        let mut length = [0; 2];
        reader.read_exact(&mut length).map_err(truncated)?;
        let length = usize::from(u16::from_be_bytes(length)).saturating_sub(2);
        let is_frame = matches!(marker, 0xC0..=0xCF) && !matches!(marker, 0xC4 | 0xC8 | 0xCC);
        if !is_frame && marker != 0xE1 {
            reader.seek_relative(length as i64).map_err(truncated)?;
            continue;
        }
        let mut payload = vec![0; length];
        reader.read_exact(&mut payload).map_err(truncated)?;
        if marker == 0xE1 {
            if let Some(tiff) = payload.strip_prefix(b"Exif\0\0") {
                turned |=
                    Orientation::from_exif_chunk(tiff).is_some_and(|orientation| orientation.to_exif() >= 5);
            }
            continue;
        }
        let [precision, h1, h0, w1, w0, components, ..] = payload[..] else {
            return Err("the JPEG's frame header is cut short".to_string());
        };
        let height = u32::from(u16::from_be_bytes([h1, h0]));
        let width = u32::from(u16::from_be_bytes([w1, w0]));
        if width == 0 || height == 0 {
            return Err("the image has no pixels".to_string());
        }
        let (width, height) = if turned { (height, width) } else { (width, height) };
        let rgb = precision == 8 && components == 3;
        return Ok(ImageHeader { width, height, turned, rgb, format: "jpeg" });
    }
}

/// Computes `work(0), …, work(count - 1)` on all cores; results in order.
pub(crate) fn parallel<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    picodet_parallel::map(0..count, 0, work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::print_stderr)] // A skipped test must say so.
    fn own_jpeg_header_agrees_with_the_decoder_on_every_file() {
        let root = std::env::var("PICODET_SHARED")
            .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_string());
        let root = Path::new(&root).join("data");
        if !root.is_dir() {
            eprintln!("skipped: ../shared is absent");
            return;
        }
        let mut findings = crate::finding::Findings::default();
        let files = crate::walk::files(&root, EXTENSIONS, &mut findings).unwrap();
        assert!(files.len() > 500, "{}", files.len());
        let mut wrong = Vec::new();
        let mut turned = 0;
        for file in &files {
            let path = root.join(file);
            if let Ok((decoded, pixels)) = decode(&path) {
                let header = read_header(&path);
                let size = header.as_ref().map(|h| (h.width, h.height));
                turned += usize::from(decoded.turned);
                if size != Ok((pixels.width() as u32, pixels.height() as u32))
                    || header.is_ok_and(|h| h.turned != decoded.turned)
                {
                    wrong.push(file);
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(turned >= 4, "EXIF orientations 5 to 8 were seen {turned} times");
    }
}
