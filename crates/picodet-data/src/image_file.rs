//! Properties of image files: upright size, decodability, content hash, previews.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use picodet_image::{DecodeError, Image, Interpolation, Limits};
use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::input::{open_regular, read_bounded};

/// File extensions that count as images.
pub(crate) const EXTENSIONS: &[&str] = picodet_image::IMAGE_EXTENSIONS;

/// Maximum size of an image file in bytes.
const MAX_FILE: u64 = 1 << 30;
/// First bytes of a JPEG.
const JPEG: &[u8] = &[0xFF, 0xD8];
/// Number of bytes that contain the header of most files.
const BEGINNING: u64 = 1 << 16;

/// The header of an image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageHeader {
    /// Width in pixels of the upright image (EXIF orientation applied).
    pub width: u32,
    /// Height in pixels of the upright image.
    pub height: u32,
    /// Whether the EXIF orientation swaps width and height.
    pub turned: bool,
    /// Whether the pixels are 8-bit RGB.
    pub rgb: bool,
    /// Format of the content (`jpeg`, `png`, `webp`, `bmp`, `gif`).
    pub format: &'static str,
}

impl ImageHeader {
    /// Checks the size; a larger JPEG picture is within the limits if it can be decoded at a reduced size.
    pub(crate) fn check(&self, limits: &Limits) -> Result<(), ImageError> {
        Ok(limits.check(self.width, self.height, self.format == "jpeg")?)
    }
}

/// Why an image file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file cannot be accessed or is too large.
    #[error(transparent)]
    File(#[from] DataError),
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not an image, or the image is damaged or exceeds a limit.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A JPEG is damaged.
    #[error("{0}")]
    Jpeg(&'static str),
}

/// Reads the header of an image, without decoding it.
///
/// # Errors
/// [`ImageError`] when the file is not a readable image.
pub fn read_header(path: &Path) -> Result<ImageHeader, ImageError> {
    let mut reader = BufReader::new(open_regular(path)?);
    let start = reader.fill_buf()?;
    if start.starts_with(JPEG) {
        return jpeg_header(&mut reader);
    }
    let mut bytes = Vec::new();
    // The orientation is at the end of a WebP file.
    if !start.starts_with(b"RIFF") {
        reader.by_ref().take(BEGINNING).read_to_end(&mut bytes)?;
        if let Ok(header) = header_of(&bytes) {
            return Ok(header);
        }
    }
    reader.take(MAX_FILE).read_to_end(&mut bytes)?;
    header_of(&bytes)
}

/// Number of bytes at the end of a file in which the end of an image is looked for.
const END: u64 = 256;

/// Whether an image ends early. It is decoded only if the usual end of its format is not at the end of the file.
pub(crate) fn is_cut_off(path: &Path, header: &ImageHeader) -> bool {
    let end: &[u8] = match header.format {
        "jpeg" => &[0xFF, 0xD9],
        "png" => b"IEND",
        _ => return false,
    };
    let last = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(END);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(END).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    if last().is_ok_and(|bytes| bytes.windows(end.len()).any(|window| window == end)) {
        return false;
    }
    let decoded = ImageSource::File(path.to_path_buf()).decode(&Limits::default());
    decoded.is_err_and(|error| !matches!(error, ImageError::Decode(DecodeError::TooLarge { .. })))
}

/// Whether a file begins as an image of a known format.
pub(crate) fn begins_as_image(path: &Path) -> bool {
    let mut start = [0; 12];
    let read = open_regular(path).ok().and_then(|mut file| file.read_exact(&mut start).ok());
    let webp = start.starts_with(b"RIFF") && start.ends_with(b"WEBP");
    let others: [&[u8]; 4] = [JPEG, b"\x89PNG", b"GIF8", b"BM"];
    read.is_some() && (webp || others.iter().any(|magic| start.starts_with(magic)))
}

/// An image of a dataset: its file, or its bytes in the label file.
#[derive(Debug)]
pub(crate) enum ImageSource {
    /// The file exists.
    File(PathBuf),
    /// The file does not exist, and the label file contains the image.
    Embedded(Vec<u8>),
}

impl ImageSource {
    /// Reads the header as [`read_header`].
    pub(crate) fn header(&self) -> Result<ImageHeader, ImageError> {
        match self {
            Self::File(path) => read_header(path),
            Self::Embedded(bytes) => header_of(bytes),
        }
    }

    /// Decodes the image completely.
    pub(crate) fn decode(&self, limits: &Limits) -> Result<(ImageHeader, Image), ImageError> {
        let read;
        let bytes = match self {
            Self::File(path) => {
                read = read_bounded(path, MAX_FILE, "an image")?;
                &read
            }
            Self::Embedded(bytes) => bytes,
        };
        let (header, pixels) = picodet_image::decode_with_header(bytes, limits)?;
        Ok((convert(header), pixels))
    }

    /// Returns the SHA-256 of the bytes of the image; `None` if they cannot be read.
    pub(crate) fn content_hash(&self) -> Option<[u8; 32]> {
        match self {
            Self::File(path) => file_hash(path),
            Self::Embedded(bytes) => Some(Sha256::digest(bytes).into()),
        }
    }

    /// Returns the upright image as JPEG, scaled to at most `side` pixels in width and height.
    pub(crate) fn preview(&self, side: usize) -> Option<Vec<u8>> {
        let (_, mut pixels) = self.decode(&Limits::default()).ok()?;
        let largest = pixels.width().max(pixels.height());
        if largest > side {
            let scaled = |extent: usize| (extent as f64 * side as f64 / largest as f64).round() as usize;
            pixels = pixels.resized((scaled(pixels.height()), scaled(pixels.width())), Interpolation::Area);
        }
        Some(picodet_image::encode_jpeg(&pixels, 78))
    }
}

/// Returns the SHA-256 of a file; `None` if it cannot be read.
fn file_hash(path: &Path) -> Option<[u8; 32]> {
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

/// Parses the header of an image from its first bytes.
fn header_of(bytes: &[u8]) -> Result<ImageHeader, ImageError> {
    Ok(convert(picodet_image::header(bytes, &Limits::default())?))
}

fn convert(header: picodet_image::Header) -> ImageHeader {
    let format = match header.format {
        "JPEG" => "jpeg",
        "PNG" => "png",
        "WebP" => "webp",
        "GIF" => "gif",
        _ => "bmp",
    };
    let (width, height) = (header.width as u32, header.height as u32);
    ImageHeader { width, height, turned: header.turned, rgb: header.rgb, format }
}

/// Reads the segments of a JPEG up to its frame header, skipping all others: a few kilobytes instead of the
/// whole file.
fn jpeg_header(reader: &mut (impl BufRead + Seek)) -> Result<ImageHeader, ImageError> {
    let truncated = |_| ImageError::Jpeg("the JPEG ends before its frame header");
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
            0xD9 | 0xDA => return Err(ImageError::Jpeg("the JPEG has no frame header")),
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
            return Err(ImageError::Jpeg("the frame header of the JPEG is truncated"));
        };
        let height = u32::from(u16::from_be_bytes([h1, h0]));
        let width = u32::from(u16::from_be_bytes([w1, w0]));
        if width == 0 || height == 0 {
            return Err(ImageError::Jpeg("the image has no pixels"));
        }
        let (width, height) = if turned { (height, width) } else { (width, height) };
        let rgb = precision == 8 && components == 3;
        return Ok(ImageHeader { width, height, turned, rgb, format: "jpeg" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::print_stderr)] // A skipped test is reported.
    fn jpeg_headers_agree_with_the_decoder_on_every_file() {
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
            if let Ok((decoded, pixels)) = ImageSource::File(path.clone()).decode(&Limits::default()) {
                let header = read_header(&path);
                let size = header.as_ref().ok().map(|h| (h.width as usize, h.height as usize));
                turned += usize::from(decoded.turned);
                if size != Some(pixels.source_size()) || header.is_ok_and(|h| h.turned != decoded.turned) {
                    wrong.push(file);
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(turned >= 4, "EXIF orientations 5 to 8 were seen {turned} times");
    }
}
