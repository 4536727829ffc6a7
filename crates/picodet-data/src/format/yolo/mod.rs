//! YOLO: a data file with names and folders, and one text file per image with normalised rows.

mod class_lists;
mod darknet;
mod data_yaml;
mod folder;
mod label_path;
mod labels;
mod list;
mod orphans;
mod read;
mod rewrite;
mod split;
mod write;
mod yaml;

use std::path::{Path, PathBuf};

use super::handler::{
    Conventions, Evidence, FormatHandler, LossRule, ObjectSource, Recognition, Source, SplitOutput,
    write_file,
};
use crate::dataset::{Format, Loaded, Part};
use crate::error::DataError;
use crate::finding::Findings;
use crate::image_paths::ImagePaths;
use crate::loss::Loss;
use crate::sniff::files_with_extension;
use crate::split_name::split_role;
use folder::YoloFolder;
use write::has_row;

pub(crate) use data_yaml::is_data_yaml;
pub use data_yaml::{DataYaml, parse_data_yaml};
pub(crate) use label_path::{boxes_in, rows_in};
pub(crate) use labels::is_dota;
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
        "a YOLO data.yaml or obj.data (or a folder with one, or with images, labels and classes.txt)"
    }

    fn conventions(&self) -> Conventions {
        Conventions {
            pixel_boxes: false,
            stores_extents: false,
            single_file: false,
            images_from_folders: true,
            images_by_extension: true,
            object_source: ObjectSource::Line,
        }
    }

    fn recognise(&self, path: &Path, evidence: Evidence) -> Recognition {
        let has_extension = |extensions: &[&str]| {
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            extensions.iter().any(|known| known.eq_ignore_ascii_case(extension))
        };
        if path.is_file() {
            return match evidence {
                Evidence::Files if has_extension(&["yaml", "yml"]) => {
                    found(DataFile::Yaml(path.to_path_buf()))
                }
                Evidence::Files if has_extension(&["data", "names"]) => {
                    found(DataFile::Darknet(path.to_path_buf()))
                }
                _ => Recognition::None,
            };
        }
        match evidence {
            Evidence::Files => recognise_data_file(path),
            Evidence::Layout => match folder::recognise(path) {
                Some(Ok(folder)) => Recognition::Found(Box::new(folder)),
                Some(Err(refused)) => refused,
                None => Recognition::None,
            },
            // A file that states no classes is opened for its error.
            Evidence::Weak => {
                usual_data_file(path).map_or(Recognition::None, |yaml| found(DataFile::Yaml(yaml)))
            }
        }
    }

    fn image_folder(&self, split: &str) -> String {
        format!("images/{split}")
    }

    /// The labels are in the folder next to the last folder `images` of a path.
    fn folder_name(&self, name: &str) -> String {
        if name.eq_ignore_ascii_case("images") { format!("{name}_") } else { name.to_owned() }
    }

    fn losses(&self) -> &'static [LossRule] {
        &[
            LossRule {
                what: "crowd regions (left out)",
                applies: |_, object| object.crowd,
                drops_object: true,
            },
            LossRule {
                what: "boxes far outside of their images (left out)",
                applies: |image, object| !object.crowd && !has_row(image, object),
                drops_object: true,
            },
            LossRule { what: "difficult flags", applies: |_, object| object.difficult, drops_object: false },
            LossRule { what: "truncated flags", applies: |_, object| object.truncated, drops_object: false },
        ]
    }

    fn extras(&self, parts: &[Part<'_>]) -> Result<Vec<Loss>, DataError> {
        Ok(rewrite::extras(parts))
    }

    fn write_split(&self, output: &SplitOutput<'_>) -> Result<(), DataError> {
        split::write_split(output)
    }

    fn write_lists(&self, parts: &[Part<'_>], splits: &[String], out: &Path) -> Result<(), DataError> {
        let classes = parts.first().map_or(&[][..], |part| &part.dataset.classes);
        let keys = split_keys(splits);
        let folders: Vec<(String, String)> =
            keys.into_iter().zip(splits).map(|(key, split)| (key, self.image_folder(split))).collect();
        let mut text = write_data_yaml(classes, &folders);
        if parts.iter().all(|part| part.dataset.format == Format::YOLO) {
            text.push_str(&rewrite::rest_of_yaml(parts));
        }
        write_file(&out.join("data.yaml"), &text)
    }
}

/// Returns the keys of splits in a data file: `train`, `val` and `test`, which Ultralytics knows, where the roles are
/// different; otherwise their names. A single split is `train`.
fn split_keys(splits: &[String]) -> Vec<String> {
    if let [only] = splits {
        return vec![split_role(only).unwrap_or("train").to_string()];
    }
    let same_role = |role: &str| splits.iter().filter(|split| split_role(split) == Some(role)).count();
    splits
        .iter()
        .map(|split| match split_role(split) {
            Some(role) if same_role(role) == 1 => role.to_string(),
            _ => split.clone(),
        })
        .collect()
}

/// Finds the data file of a folder, or a folder with images, labels and a class list.
fn recognise_data_file(path: &Path) -> Recognition {
    if let Some(yaml) = usual_data_file(path).filter(|yaml| data_yaml::can_be_data_yaml(yaml)) {
        return found(DataFile::Yaml(yaml));
    }
    let mut others = files_with_extension(path, &["yaml", "yml"]);
    others.retain(|yaml| data_yaml::is_data_yaml(yaml));
    match &others[..] {
        [] => {}
        [only] => return found(DataFile::Yaml(only.clone())),
        [first, second, ..] => {
            return Recognition::Refused(format!(
                "several data files: {} and {}; open one of them",
                first.display(),
                second.display()
            ));
        }
    }
    // Darknet runs in the folder above that of its data file.
    let below = || ["data", "cfg"].into_iter().find_map(|name| darknet::find_data(&path.join(name)));
    if let Some(file) = darknet::find(path).or_else(below) {
        return found(DataFile::Darknet(file));
    }
    // Other tools leave JSON or XML next to YOLO labels.
    match folder::recognise(path) {
        Some(Ok(folder)) => Recognition::Found(Box::new(folder)),
        _ => Recognition::None,
    }
}

/// Returns the file of a folder that has a usual name of data files.
fn usual_data_file(folder: &Path) -> Option<PathBuf> {
    let usual = ["data.yaml", "data.yml", "dataset.yaml", "dataset.yml"];
    usual.into_iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

fn found(file: DataFile) -> Recognition {
    Recognition::Found(Box::new(file))
}

/// A dataset with a data file.
enum DataFile {
    Yaml(PathBuf),
    Darknet(PathBuf),
}

impl DataFile {
    fn load(&self, findings: &mut Findings) -> Result<(&Path, DataYaml), DataError> {
        match self {
            Self::Yaml(file) => Ok((file, data_yaml::load_yaml(file, findings)?)),
            Self::Darknet(file) => Ok((file, darknet::load(file, findings)?)),
        }
    }
}

impl Source for DataFile {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        let (file, data) = self.load(&mut Findings::default())?;
        Ok(read::existing_splits(file, &data).0)
    }

    fn read(&self, split: Option<&str>, _: ImagePaths) -> Result<Loaded, DataError> {
        let mut findings = Findings::default();
        let (file, data) = self.load(&mut findings)?;
        let (dataset, findings) = read::read_described(file, data, split, findings)?;
        Ok(Loaded { dataset, findings, complete: false })
    }
}

impl Source for YoloFolder {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        let names = self.splits.iter().map(|(name, _)| name.clone());
        Ok(names.filter(|name| name != "all").collect())
    }

    fn read(&self, split: Option<&str>, _: ImagePaths) -> Result<Loaded, DataError> {
        let (dataset, findings) = read::read_recognised(self, split)?;
        Ok(Loaded { dataset, findings, complete: false })
    }
}
