//! COCO detection JSON: one file with all images, annotations and categories.

mod builder;
mod extras;
mod ids;
mod joined;
mod layout;
mod read;
mod reading;
mod rewrite;
mod split;
mod write;

use std::path::{Path, PathBuf};

use super::handler::{
    Conventions, Evidence, FormatHandler, LossRule, ObjectSource, Recognition, SplitOutput,
};
use crate::dataset::{Format, Part};
use crate::error::DataError;
use crate::loss::Loss;

pub(crate) use layout::{dataset_folder, is_other_task, read_with_images};
pub use read::{parse, read, text_ids};
pub use write::write_to;

impl Format {
    /// COCO detection JSON.
    pub const COCO: Self = Self::new("coco");
}

pub(super) struct CocoHandler;

impl FormatHandler for CocoHandler {
    fn format(&self) -> Format {
        Format::COCO
    }

    fn description(&self) -> &'static str {
        "a COCO .json (or a folder with one)"
    }

    fn conventions(&self) -> Conventions {
        Conventions {
            pixel_boxes: true,
            stores_extents: true,
            single_file: true,
            images_from_folders: false,
            images_by_extension: false,
            object_source: ObjectSource::Element("/annotations"),
        }
    }

    fn recognise(&self, path: &Path, evidence: Evidence) -> Recognition {
        layout::recognise(path, evidence)
    }

    fn image_folder(&self, split: &str) -> String {
        split.to_string()
    }

    fn losses(&self) -> &'static [LossRule] {
        &[]
    }

    fn extras(&self, parts: &[Part<'_>]) -> Result<Vec<Loss>, DataError> {
        extras::extras(parts)
    }

    fn losses_of_join(&self, files: &[PathBuf]) -> Result<Vec<Loss>, DataError> {
        joined::losses(files)
    }

    fn write_split(&self, output: &SplitOutput<'_>) -> Result<(), DataError> {
        split::write_split(output)
    }
}
