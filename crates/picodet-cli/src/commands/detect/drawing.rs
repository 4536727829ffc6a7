//! Writes copies of images with the detections drawn in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use picodet::{Detections, Fonts, Image};

use crate::output::status;

/// The drawings of one run, in one folder.
pub(super) struct Drawings {
    folder: PathBuf,
    fonts: Fonts,
    /// Paths that earlier images of this run have taken.
    written: BTreeSet<PathBuf>,
}

impl Drawings {
    /// Reads the font and creates the folder; warns where no font can draw one of the class names.
    pub(super) fn new(folder: &Path, font: Option<&Path>, classes: &[Arc<str>]) -> Result<Self> {
        let mut fonts = Fonts::default();
        if let Some(path) = font {
            fonts = fonts.with_file(path)?;
        }
        let missing = classes.iter().find_map(|name| Some((name, fonts.missing(name)?)));
        if let Some((name, character)) = missing {
            status(&format!(
                "picodet: no font has the character `{character}` of the class name `{name}`; such names are drawn \
                 as the class index (#0, #1, …); give a font with --font FILE"
            ));
        }
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder: folder.to_owned(), fonts, written: BTreeSet::new() })
    }

    /// Draws `detections` into a copy of `image` and writes it.
    pub(super) fn write(&mut self, source: &Path, image: &Image, detections: &Detections) -> Result<()> {
        Ok(detections.draw_with(image, &self.fonts).save(self.free_path(source))?)
    }

    /// Returns a path for the drawing of `source` that no earlier image has taken and that is not `source` itself.
    fn free_path(&mut self, source: &Path) -> PathBuf {
        let stem = if source == Path::new("-") {
            "stdin".into()
        } else {
            source.file_stem().unwrap_or_default().to_string_lossy()
        };
        let extension = source.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let is_jpeg = extension.starts_with('j') || matches!(extension.as_str(), "pjpeg" | "pjp" | "mpo");
        let extension = if is_jpeg { "jpg" } else { "png" };
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
