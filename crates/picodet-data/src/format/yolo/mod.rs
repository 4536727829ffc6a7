//! YOLO: a `data.yaml` with names and folders, and one text file per image with normalised rows.

mod data_yaml;
mod labels;
mod read;
mod write;
mod yaml;

use std::path::{Path, PathBuf};

use super::handler::{
    Conventions, Evidence, FormatHandler, LossRule, ObjectSource, Recognition, Source, SplitOutput,
    write_file,
};
use crate::dataset::{Format, Loaded, Part};
use crate::error::DataError;
use crate::split_name::split_folders;

pub use data_yaml::{DataYaml, parse_data_yaml};
pub use labels::parse_labels;
pub use read::{read, read_folder};
pub use write::{write_data_yaml, write_rows};

impl Format {
    /// YOLO.
    pub const YOLO: Self = Self::new("yolo");
}

pub(super) struct YoloHandler;

impl FormatHandler for YoloHandler {
    fn format(&self) -> Format {
        Format::YOLO
    }

    fn description(&self) -> &'static str {
        "a YOLO data.yaml (or a folder with one)"
    }

    fn conventions(&self) -> Conventions {
        Conventions {
            pixel_boxes: false,
            stores_extents: false,
            single_file: false,
            images_from_folders: true,
            object_source: ObjectSource::Line,
        }
    }

    fn recognise(&self, path: &Path, evidence: Evidence) -> Recognition {
        if evidence == Evidence::Layout {
            let layout = path.join("labels").is_dir() && path.join("images").is_dir();
            let folder = || Recognition::Found(Box::new(ImagesAndLabels(path.to_path_buf())));
            return if layout { folder() } else { Recognition::None };
        }
        let is_yaml = |path: &Path| {
            path.extension()
                .is_some_and(|ext| ext.eq_ignore_ascii_case("yaml") || ext.eq_ignore_ascii_case("yml"))
        };
        let yaml = if path.is_file() {
            Some(path.to_path_buf()).filter(|path| is_yaml(path))
        } else {
            let usual = ["data.yaml", "data.yml", "dataset.yaml"].into_iter();
            usual.map(|name| path.join(name)).find(|path| path.is_file())
        };
        yaml.map_or(Recognition::None, |yaml| Recognition::Found(Box::new(YamlFile(yaml))))
    }

    fn image_folder(&self, split: &str) -> String {
        format!("images/{split}")
    }

    /// YOLO has one list of class indices for all splits.
    fn check_parts(&self, parts: &[Part<'_>]) -> Result<(), DataError> {
        let names = |part: &Part<'_>| -> Vec<String> {
            part.dataset.classes.iter().map(|class| class.name.clone()).collect()
        };
        let Some(first) = parts.first() else { return Ok(()) };
        match parts.iter().find(|part| names(part) != names(first)) {
            None => Ok(()),
            Some(other) => Err(DataError::BadArgument {
                what: format!(
                    "the splits `{}` and `{}` have different classes, but YOLO has one list for all; \
                     `picodet check` shows the difference",
                    first.name, other.name
                ),
            }),
        }
    }

    fn losses(&self) -> &'static [LossRule] {
        &[
            LossRule { what: "crowd regions (left out)", applies: |object| object.crowd, drops_object: true },
            LossRule { what: "difficult flags", applies: |object| object.difficult, drops_object: false },
            LossRule { what: "truncated flags", applies: |object| object.truncated, drops_object: false },
        ]
    }

    fn write_split(&self, output: &SplitOutput<'_>) -> Result<(), DataError> {
        write::write_split(output)
    }

    fn write_lists(&self, parts: &[Part<'_>], splits: &[String], out: &Path) -> Result<(), DataError> {
        let classes = parts.first().map_or(&[][..], |part| &part.dataset.classes);
        let folders: Vec<(String, String)> =
            splits.iter().map(|split| (split.clone(), self.image_folder(split))).collect();
        write_file(&out.join("data.yaml"), &write_data_yaml(classes, &folders))
    }
}

/// A dataset with a `data.yaml`.
struct YamlFile(PathBuf);

impl Source for YamlFile {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        data_yaml::splits(&self.0)
    }

    fn read(&self, split: Option<&str>) -> Result<Loaded, DataError> {
        let (dataset, findings) = read(&self.0, split)?;
        Ok(Loaded { dataset, findings, complete: false })
    }
}

/// A folder with `images/`, `labels/` and a class list.
struct ImagesAndLabels(PathBuf);

impl Source for ImagesAndLabels {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        Ok(split_folders(&self.0.join("images")))
    }

    fn read(&self, split: Option<&str>) -> Result<Loaded, DataError> {
        let (dataset, findings) = read_folder(&self.0, split)?;
        Ok(Loaded { dataset, findings, complete: false })
    }
}
