//! Pascal VOC: one XML per image, splits as lists of ids or paths.

mod annotation;
mod devkit;
mod image_index;
mod layout;
mod list;
mod read;
mod rewrite;
mod shape;
mod split;
mod unlabelled;
mod write;
mod xml;

use std::path::{Path, PathBuf};

use super::handler::{
    Conventions, Evidence, FormatHandler, LossRule, ObjectSource, Recognition, Source, SplitOutput,
    class_lines, write_file,
};
use crate::dataset::{Format, Loaded, Part};
use crate::error::DataError;
use crate::image_paths::ImagePaths;
use crate::loss::Loss;
use devkit::Devkit;
use layout::VocLayout;
pub(crate) use read::annotation_in;

pub use annotation::{Annotation, XmlError, parse};
pub use read::read;
pub use write::write_one;

impl Format {
    /// Pascal VOC.
    pub const VOC: Self = Self::new("voc");
}

pub(super) struct VocHandler;

impl FormatHandler for VocHandler {
    fn format(&self) -> Format {
        Format::VOC
    }

    fn description(&self) -> &'static str {
        "a folder with Annotations/*.xml (Pascal VOC)"
    }

    fn conventions(&self) -> Conventions {
        Conventions {
            pixel_boxes: true,
            stores_extents: false,
            single_file: false,
            images_from_folders: false,
            images_by_extension: true,
            object_source: ObjectSource::Line,
        }
    }

    fn recognise(&self, path: &Path, evidence: Evidence) -> Recognition {
        if !path.is_dir() {
            return Recognition::None;
        }
        let root = root_of(path);
        let layout = match evidence {
            Evidence::Files => VocLayout::find(&root),
            Evidence::Layout => {
                return Devkit::find(&root)
                    .map_or(Recognition::None, |devkit| Recognition::Found(Box::new(devkit)));
            }
            Evidence::Weak => VocLayout::find_below(&root),
        };
        layout.map_or(Recognition::None, |layout| Recognition::Found(Box::new(layout)))
    }

    /// All splits share one folder.
    fn image_folder(&self, _: &str) -> String {
        "JPEGImages".to_string()
    }

    fn losses(&self) -> &'static [LossRule] {
        &[LossRule {
            what: "crowd flags (written as difficult)",
            applies: |_, object| object.crowd,
            drops_object: false,
        }]
    }

    fn extras(&self, parts: &[Part<'_>]) -> Result<Vec<Loss>, DataError> {
        Ok(rewrite::extras(parts))
    }

    fn write_split(&self, output: &SplitOutput<'_>) -> Result<(), DataError> {
        split::write_split(output)
    }

    fn write_lists(&self, parts: &[Part<'_>], _: &[String], out: &Path) -> Result<(), DataError> {
        let mut text = class_lines(parts);
        let mut classes = parts.iter().flat_map(|part| &part.dataset.classes);
        if classes.any(|class| class.name.trim().is_empty()) {
            let named = text.lines().map(|name| if name.trim().is_empty() { write::UNNAMED } else { name });
            text = named.flat_map(|name| [name, "\n"]).collect();
        }
        write_file(&out.join("label_list.txt"), &text)
    }
}

impl Source for VocLayout {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        Ok(Self::splits(self))
    }

    fn read(&self, split: Option<&str>, _: ImagePaths) -> Result<Loaded, DataError> {
        let (dataset, findings) = read::read_layout(self, split)?;
        Ok(Loaded { dataset, findings, complete: split.is_none() })
    }
}

/// The dataset folder for a path that can be its `Annotations/`.
fn root_of(path: &Path) -> PathBuf {
    let inside = path.file_name().is_some_and(|name| name.eq_ignore_ascii_case("Annotations"));
    if inside { path.parent().unwrap_or(path).to_path_buf() } else { path.to_path_buf() }
}
