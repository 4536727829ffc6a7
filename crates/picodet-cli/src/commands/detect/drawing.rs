//! Writes copies of images with the detections drawn in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use picodet::{Detection, Image};

use crate::output::write_file;

/// The drawings of one run, in one folder.
pub(super) struct Drawings {
    folder: PathBuf,
    /// Paths that earlier images of this run have taken.
    written: BTreeSet<PathBuf>,
}

impl Drawings {
    /// Creates the folder.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), written: BTreeSet::new() })
    }

    /// Draws `detections` into a copy of `image` and writes it.
    pub(super) fn write(
        &mut self,
        source: &Path,
        image: &Image,
        detections: &[Detection],
        classes: &[String],
    ) -> Result<()> {
        let path = self.free_path(source);
        let drawing = picodet::draw(image, detections, classes);
        let bytes = match path.extension().and_then(|extension| extension.to_str()) {
            Some("jpg") => picodet::image::encode_jpeg(&drawing, 92),
            _ => picodet::image::encode_png(&drawing),
        };
        write_file(&path, &bytes)
    }

    /// Returns a path for the drawing of `source` that no earlier image has taken and that is not `source` itself.
    fn free_path(&mut self, source: &Path) -> PathBuf {
        let stem = if source == Path::new("-") {
            "stdin".into()
        } else {
            source.file_stem().unwrap_or_default().to_string_lossy()
        };
        let extension = source.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let extension = if matches!(extension.as_str(), "jpg" | "jpeg") { "jpg" } else { "png" };
        let original = source.canonicalize().ok();
        let mut number = 1;
        loop {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let path = self.folder.join(format!("{stem}{suffix}.{extension}"));
            let is_source = original.is_some() && path.canonicalize().ok() == original;
            if !is_source && self.written.insert(path.clone()) {
                return path;
            }
            number += 1;
        }
    }
}
