//! Recognises files that are not images of a supported format, for error messages.

/// A recognised kind of file that is not an image of a supported format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// HEIC or HEIF, the format of telephones.
    Heic,
    /// AVIF.
    Avif,
    /// WebP, BMP or GIF, where they are not read: in the module for browsers.
    LeftToTheBrowser,
    /// TIFF.
    Tiff,
    /// A raw file of a camera: DNG, NEF, CR2, CR3, ARW, ORF, RW2, RAF.
    CameraRaw,
    /// JPEG 2000.
    Jpeg2000,
    /// JPEG XL.
    JpegXl,
    /// A Photoshop document.
    Photoshop,
    /// An SVG drawing.
    Svg,
    /// A PDF document.
    Pdf,
    /// OpenEXR or Radiance HDR.
    HighDynamicRange,
    /// PBM, PGM, PPM or PAM.
    Pnm,
    /// An icon.
    Icon,
    /// A video.
    Video,
    /// A pointer of Git LFS to the image.
    GitLfsPointer,
    /// An HTML page.
    Html,
    /// XML, JSON or other text.
    Text,
    /// Metadata that macOS stores next to a file.
    AppleDouble,
    /// An archive: ZIP, gzip, 7z, RAR.
    Archive,
    /// Zero bytes.
    Zeros,
}

impl FileKind {
    /// Recognises the kind of a file by its first bytes; a few kilobytes are enough.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let starts = |magic: &[&[u8]]| magic.iter().any(|magic| bytes.starts_with(magic));
        Some(match bytes {
            _ if bytes.get(4..8) == Some(b"ftyp") => media_brand(bytes),
            _ if starts(&[b"GIF8", b"BM"]) => Self::LeftToTheBrowser,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::LeftToTheBrowser,
            _ if starts(&[b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]) => tiff_based(bytes),
            _ if starts(&[b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb"]) => {
                Self::CameraRaw
            }
            _ if starts(&[b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"]) => Self::Jpeg2000,
            _ if starts(&[b"\0\0\0\x0cJXL ", b"\xff\x0a"]) => Self::JpegXl,
            _ if starts(&[b"8BPS", b"8BPB"]) => Self::Photoshop,
            _ if starts(&[b"%PDF-"]) => Self::Pdf,
            _ if starts(&[b"\x76\x2f\x31\x01", b"#?RADIANCE", b"#?RGBE"]) => Self::HighDynamicRange,
            [b'P', b'1'..=b'7', byte, ..] if byte.is_ascii_whitespace() => Self::Pnm,
            _ if starts(&[b"\0\0\x01\0", b"\0\0\x02\0"]) => Self::Icon,
            _ if starts(&[b"\x1a\x45\xdf\xa3", b"\0\0\x01\xba", b"FLV\x01"]) => Self::Video,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => Self::Video,
            _ if starts(&[b"version https://git-lfs.github.com/spec/"]) => Self::GitLfsPointer,
            _ if starts(&[b"\0\x05\x16\x07", b"\0\x05\x16\0"]) => Self::AppleDouble,
            _ if starts(&[
                b"PK\x03\x04",
                b"\x1f\x8b",
                b"7z\xbc\xaf\x27\x1c",
                b"Rar!",
                b"BZh",
                b"\xfd7zXZ",
            ]) =>
            {
                Self::Archive
            }
            [_, ..] if bytes.iter().all(|&byte| byte == 0) => Self::Zeros,
            _ => return text(bytes),
        })
    }

    /// Returns the kind with its article, for messages.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Heic => "a HEIC picture",
            Self::Avif => "an AVIF picture",
            Self::LeftToTheBrowser => "a WebP, BMP or GIF picture",
            Self::Tiff => "a TIFF picture",
            Self::CameraRaw => "a raw file of a camera",
            Self::Jpeg2000 => "a JPEG 2000 picture",
            Self::JpegXl => "a JPEG XL picture",
            Self::Photoshop => "a Photoshop document",
            Self::Svg => "an SVG drawing",
            Self::Pdf => "a PDF document",
            Self::HighDynamicRange => "an OpenEXR or Radiance HDR picture",
            Self::Pnm => "a PBM, PGM or PPM picture",
            Self::Icon => "an icon",
            Self::Video => "a video",
            Self::GitLfsPointer => "a Git LFS pointer",
            Self::Html => "an HTML page",
            Self::Text => "a text file",
            Self::AppleDouble => "a macOS metadata file (AppleDouble)",
            Self::Archive => "an archive",
            Self::Zeros => "a file of zero bytes",
        }
    }

    /// Returns what a user can do about a file of this kind.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Pdf | Self::Video => "extract pictures from it as JPEG or PNG",
            Self::GitLfsPointer => "fetch the picture with `git lfs pull`",
            Self::Html => "download the picture again",
            Self::Text | Self::AppleDouble => "it is not a picture",
            Self::Archive => "unpack it",
            Self::Zeros => "copy or download it again",
            _ => "convert it to JPEG or PNG",
        }
    }
}

/// The kind of an ISO base media file, by its main brand, or a later brand if that is generic.
fn media_brand(bytes: &[u8]) -> FileKind {
    let size = bytes.first_chunk().map_or(0, |&size| u32::from_be_bytes(size) as usize);
    let brands = bytes.get(8..size.clamp(12, 256).min(bytes.len())).unwrap_or_default();
    let kind = |brand: &[u8; 4]| match brand {
        b"avif" | b"avis" => Some(FileKind::Avif),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => Some(FileKind::Heic),
        b"crx " => Some(FileKind::CameraRaw),
        b"jp2 " | b"jpx " => Some(FileKind::Jpeg2000),
        _ => None,
    };
    let is_image = |brand: &[u8; 4]| matches!(brand, b"mif1" | b"msf1" | b"mif2");
    let brands = brands.as_chunks().0;
    brands
        .iter()
        .find_map(kind)
        .unwrap_or_else(|| if brands.iter().any(is_image) { FileKind::Heic } else { FileKind::Video })
}

/// Whether a file with the start of a TIFF is a raw file of a camera: its first directory has the version of DNG, or
/// describes a thumbnail with further directories.
fn tiff_based(bytes: &[u8]) -> FileKind {
    const SUBFILE_TYPE: u16 = 254;
    const SUB_DIRECTORIES: u16 = 330;
    const DNG_VERSION: u16 = 50_706;
    let little = bytes[0] == b'I';
    let short = |at: usize| {
        let value = *bytes.get(at..)?.first_chunk()?;
        Some(if little { u16::from_le_bytes(value) } else { u16::from_be_bytes(value) })
    };
    let long = |at: usize| {
        let value = *bytes.get(at..)?.first_chunk()?;
        Some(if little { u32::from_le_bytes(value) } else { u32::from_be_bytes(value) })
    };
    if bytes.get(8..10) == Some(b"CR") {
        return FileKind::CameraRaw;
    }
    let directory = long(4).unwrap_or(0) as usize;
    let count = usize::from(short(directory).unwrap_or(0));
    let entry =
        |tag: u16| (0..count).map(|index| directory + 2 + 12 * index).find(|&at| short(at) == Some(tag));
    let is_thumbnail = entry(SUBFILE_TYPE).and_then(|at| long(at + 8)).is_some_and(|kind| kind & 1 == 1);
    let is_raw = entry(DNG_VERSION).is_some() || (is_thumbnail && entry(SUB_DIRECTORIES).is_some());
    if is_raw { FileKind::CameraRaw } else { FileKind::Tiff }
}

/// The kind of a text; `None` if the bytes are not text.
fn text(bytes: &[u8]) -> Option<FileKind> {
    const SAMPLE: usize = 1024;
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let is_control = |byte: &u8| *byte < 32 && !byte.is_ascii_whitespace() && *byte != 0x1b;
    if sample.is_empty() || sample.iter().any(is_control) {
        return None;
    }
    // A character may be cut at the end of the sample.
    let valid = match std::str::from_utf8(sample) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&sample[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let lower = valid.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let starts = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
    Some(
        if lower.starts_with("<svg")
            || (starts(&["<?xml", "<!doctype svg", "<!--"]) && lower.contains("<svg"))
        {
            FileKind::Svg
        } else if starts(&["<!doctype html", "<html", "<head", "<body", "<script"]) || lower.contains("<html")
        {
            FileKind::Html
        } else {
            FileKind::Text
        },
    )
}
