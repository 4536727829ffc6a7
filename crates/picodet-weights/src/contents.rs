//! Recognises what a file that is refused contains, for the error.

use crate::ReadError;

/// A format of weights that its first bytes show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightsFormat {
    /// A pickle, as in `.pdparams`.
    Pickle,
    /// Safetensors.
    Safetensors,
    /// The text `.param` of an ncnn model.
    Ncnn,
    /// ONNX.
    Onnx,
}

impl WeightsFormat {
    /// Returns the format of a file from its contents; `None` if they show none of these.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let header_length = bytes.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk));
        if bytes.get(8) == Some(&b'{') && header_length < bytes.len() as u64 {
            return Some(Self::Safetensors);
        }
        if matches!(bytes, [0x80, 2..=5, ..]) {
            return Some(Self::Pickle);
        }
        // The first fields: version, then the name of the program that wrote it, or the graph.
        if matches!(bytes, [0x08, 1..=20, 0x12 | 0x1a | 0x22 | 0x3a | 0x42, ..]) {
            return Some(Self::Onnx);
        }
        bytes.trim_ascii_start().starts_with(b"7767517").then_some(Self::Ncnn)
    }
}

/// Kinds that are recognised and have a reader.
pub(crate) const PICKLE: &str = "a pickle, as Paddle writes .pdparams";
pub(crate) const ONNX: &str = "an ONNX model";
pub(crate) const NCNN: &str = "the network of an ncnn model";
pub(crate) const JSON: &str = "a JSON text";
const TEXT: &str = "a text file";

const AGAIN: &str = "copy or download it again";
const ORIGINAL: &str =
    "convert the original weights instead (.pdparams, .safetensors, .onnx or ncnn's .param)";
const NO_WEIGHTS: &str = "it has no weights";
const CONVERT: &str = "`picodet convert` converts it";

/// Returns the kind of a file, with its article, and advice for the user.
fn recognise(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const SAMPLE: usize = 1024;
    let starts = |magic: &[&[u8]]| magic.iter().any(|magic| bytes.starts_with(magic));
    if bytes.iter().all(|&byte| byte == 0) {
        return Some((if bytes.is_empty() { "an empty file" } else { "a file of zero bytes" }, AGAIN));
    }
    if starts(&[b"version https://git-lfs.github.com/spec/"]) {
        return Some(("a Git LFS pointer", "fetch the file with `git lfs pull`"));
    }
    if starts(&[b"PK\x03\x04"]) {
        let remedy = "unpack it; of a file that torch.save wrote, store the arrays with safetensors";
        return Some(("a zip archive", remedy));
    }
    if starts(&[b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"]) {
        return Some(("a compressed archive", "unpack it"));
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return Some(("a TensorFlow Lite model", ORIGINAL));
    }
    if starts(&[b"\x89HDF"]) {
        return Some(("an HDF5 file", ORIGINAL));
    }
    if starts(&[b"GGUF"]) {
        return Some(("a GGUF file", ORIGINAL));
    }
    match WeightsFormat::of(bytes) {
        Some(WeightsFormat::Pickle) => return Some((PICKLE, CONVERT)),
        Some(WeightsFormat::Onnx) => return Some((ONNX, CONVERT)),
        Some(WeightsFormat::Ncnn) => return Some((NCNN, CONVERT)),
        Some(WeightsFormat::Safetensors) | None => {}
    }
    if starts(&[b"(dp", b"(lp", b"(d", b"}q", b"]q", b"ccollections\n", b"ccopy_reg\n", b"cnumpy"])
        && bytes.ends_with(b".")
    {
        let remedy = "save it again with protocol 2 to 5, as in `pickle.dump(weights, file, protocol=4)`";
        return Some(("a pickle of protocol 0 or 1", remedy));
    }
    if starts(&[b"\xdd\x85\x76\0"]) {
        return Some(("the binary form of an ncnn .param", "use its text form"));
    }
    if starts(&[b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM"]) {
        return Some(("an image", NO_WEIGHTS));
    }
    if starts(&[b"%PDF"]) {
        return Some(("a PDF document", NO_WEIGHTS));
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some(("a tar archive", "unpack it"));
    }
    let sample = String::from_utf8_lossy(&bytes[..bytes.len().min(SAMPLE)]).to_ascii_lowercase();
    let sample = sample.trim_start_matches('\u{feff}').trim_start();
    if sample.starts_with("<!doctype html") || sample.contains("<html") {
        return Some(("an HTML page", AGAIN));
    }
    if sample.starts_with("<?xml") || sample.starts_with("<net") {
        return Some(("an XML file, as OpenVINO writes it", ORIGINAL));
    }
    let is_text = |character: char| !character.is_control() || character.is_ascii_whitespace();
    if !sample.contains('\u{fffd}') && sample.chars().all(is_text) {
        return Some(if sample.starts_with(['{', '[']) { (JSON, NO_WEIGHTS) } else { (TEXT, NO_WEIGHTS) });
    }
    None
}

impl ReadError {
    /// Says what `bytes`, which are refused with this error, contain, if they are recognised as another kind than `own`, that of
    /// the reader.
    pub(crate) fn explained(self, bytes: &[u8], own: Option<&str>) -> Self {
        match recognise(bytes) {
            // The readers of texts know better where a text is wrong.
            Some((TEXT, _)) if matches!(own, Some(NCNN | JSON)) => self,
            Some((found, remedy)) if Some(found) != own => Self::Contents { found, remedy },
            _ => self,
        }
    }

    /// Returns the error for a file whose extension is unknown, if its contents are recognised.
    #[must_use]
    pub fn of_unknown(bytes: &[u8]) -> Option<Self> {
        recognise(bytes).map(|(found, remedy)| Self::Contents { found, remedy })
    }
}
