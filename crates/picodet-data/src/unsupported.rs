//! Names image files of formats that are not read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::finding::Findings;
use crate::paths::fold;
use crate::walk::{self, file_name, has_extension, without_extension};

/// Formats of images by the extensions of their files.
const FORMATS: [(&str, &[&str]); 11] = [
    ("TIFF", &["tif", "tiff"]),
    ("HEIC", &["heic", "heif"]),
    ("AVIF", &["avif"]),
    ("JPEG 2000", &["jp2", "j2k", "jpf", "jpx"]),
    ("JPEG XL", &["jxl"]),
    ("raw", &["dng", "cr2", "cr3", "nef", "arw", "raf", "orf", "rw2"]),
    ("SVG", &["svg"]),
    ("PSD", &["psd"]),
    ("DICOM", &["dcm"]),
    ("TGA", &["tga"]),
    ("Netpbm", &["ppm", "pgm", "pbm", "pnm"]),
];

/// The format of an image that is not read, by its extension.
pub(crate) fn unsupported_format(name: &str) -> Option<&'static str> {
    FORMATS.into_iter().find(|(_, extensions)| has_extension(name, extensions)).map(|(format, _)| format)
}

/// The images of formats that are not read below a folder, which is listed at the first search only.
#[derive(Debug)]
pub(crate) struct UnsupportedImages {
    root: PathBuf,
    by_stem: OnceLock<HashMap<String, String>>,
}

impl UnsupportedImages {
    /// Searches below `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), by_stem: OnceLock::new() }
    }

    /// Returns a description of the image with the name of a file, in any folder and with any extension.
    pub(crate) fn describe(&self, file: &str) -> Option<String> {
        let by_stem = self.by_stem.get_or_init(|| {
            let extensions: Vec<&str> = FORMATS.iter().flat_map(|(_, list)| list.iter().copied()).collect();
            let files = walk::files(&self.root, &extensions, &mut Findings::default()).unwrap_or_default();
            files.into_iter().rev().map(|file| (fold(without_extension(file_name(&file))), file)).collect()
        });
        let found = by_stem.get(&fold(without_extension(file_name(file))))?;
        let format = unsupported_format(found)?;
        Some(format!("the image {found} has the format {format}"))
    }
}
