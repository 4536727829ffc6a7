//! COCO detection JSON: one file with all images, annotations and categories.

mod read;
mod write;

use std::path::{Path, PathBuf};

use super::handler::{
    Conventions, Evidence, FormatHandler, LossRule, ObjectSource, Recognition, Source, SplitOutput,
    unknown_split,
};
use crate::dataset::{Dataset, Format, Loaded};
use crate::error::DataError;
use crate::sniff::{JsonKind, json_files, json_kind};
use crate::split_name::{split_of_file, split_rank};

pub use read::{parse, read};
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
            object_source: ObjectSource::Element("/annotations"),
        }
    }

    fn recognise(&self, path: &Path, evidence: Evidence) -> Recognition {
        if evidence == Evidence::Layout {
            return Recognition::None;
        }
        if path.is_file() {
            if !path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json")) {
                return Recognition::None;
            }
            return match json_kind(path) {
                // A broken file is opened for the parser's error message.
                JsonKind::Coco | JsonKind::Broken => {
                    Recognition::Found(Box::new(CocoFile(path.to_path_buf())))
                }
                JsonKind::LabelMe => Recognition::None,
                JsonKind::Other => Recognition::Refused(
                    "JSON without `images`, `annotations` or `categories`; detection results are not a dataset",
                ),
            };
        }
        let folders = [path.join("annotations"), path.to_path_buf()];
        match folders.iter().map(|folder| coco_files(folder)).find(|files| !files.is_empty()) {
            Some(files) => Recognition::Found(Box::new(CocoFolder::new(path, files))),
            None => Recognition::None,
        }
    }

    fn image_folder(&self, split: &str) -> String {
        split.to_string()
    }

    fn losses(&self) -> &'static [LossRule] {
        &[]
    }

    fn write_split(&self, output: &SplitOutput<'_>) -> Result<(), DataError> {
        write::write_split(output)
    }
}

/// A single annotation file.
struct CocoFile(PathBuf);

impl Source for CocoFile {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        Ok(Vec::new())
    }

    /// The file is its only split, whose name is accepted.
    fn read(&self, split: Option<&str>) -> Result<Loaded, DataError> {
        let own = split_of_file(&self.0);
        if let Some(split) = split
            && own.as_deref() != Some(split)
        {
            return Err(unknown_split(&self.0, split, own.into_iter().collect()));
        }
        let folder = self.0.parent().filter(|folder| !folder.as_os_str().is_empty());
        let siblings = coco_files(folder.unwrap_or(Path::new("."))).len();
        load(&self.0, siblings <= 1)
    }
}

/// A folder of annotation files.
struct CocoFolder {
    path: PathBuf,
    /// Name of the split and file, train first.
    files: Vec<(String, PathBuf)>,
}

impl CocoFolder {
    fn new(path: &Path, files: Vec<PathBuf>) -> Self {
        let mut files: Vec<(String, PathBuf)> =
            files.into_iter().map(|json| (split_of_file(&json).unwrap_or_default(), json)).collect();
        files.sort_unstable_by_key(|(name, json)| (split_rank(name), json.clone()));
        // Files with the same split name (instances_val, keypoints_val) are named by their whole stem.
        let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
        for (name, json) in &mut files {
            if names.iter().filter(|other| *other == name).count() > 1 {
                *name = json.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            }
        }
        Self { path: path.to_path_buf(), files }
    }
}

impl Source for CocoFolder {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        Ok(self.files.iter().map(|(name, _)| name.clone()).collect())
    }

    fn read(&self, split: Option<&str>) -> Result<Loaded, DataError> {
        let chosen = match (split, &self.files[..]) {
            (None, [(_, json)]) => json,
            (None, _) => {
                let available = self.splits()?;
                return Err(DataError::SplitNeeded { path: self.path.clone(), available });
            }
            (Some(split), files) => match files.iter().find(|(name, _)| name == split) {
                Some((_, json)) => json,
                None => return Err(unknown_split(&self.path, split, self.splits()?)),
            },
        };
        load(chosen, self.files.len() == 1)
    }
}

fn load(json: &Path, complete: bool) -> Result<Loaded, DataError> {
    let (mut dataset, findings) = read(json, Path::new(""))?;
    dataset.root = image_root(json, &dataset);
    dataset.split = split_of_file(json);
    Ok(Loaded { dataset, findings, complete })
}

/// Returns the COCO files of a folder, sorted.
fn coco_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in json_files(folder) {
        match json_kind(&file) {
            JsonKind::Coco => found.push(file),
            // A LabelMe folder has thousands of files; its first file is sufficient.
            JsonKind::LabelMe if found.is_empty() => return Vec::new(),
            _ => {}
        }
    }
    found
}

/// Returns the folder that the file names of a COCO file are relative to: the usual folder in which most of
/// its first images exist.
fn image_root(json: &Path, dataset: &Dataset) -> PathBuf {
    let home = match json.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let above = home.join("..");
    let stem = json.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let split = split_of_file(json).unwrap_or_default();
    let tail = stem.rsplit('_').next().unwrap_or_default().to_string();
    let mut candidates = Vec::new();
    for base in [&home, &above] {
        for name in [split.as_str(), tail.as_str(), stem.as_str()] {
            if !name.is_empty() {
                candidates.push(base.join(name));
                candidates.push(base.join("images").join(name));
            }
        }
        for name in ["", "images", "JPEGImages", "train2017", "val2017", "data"] {
            candidates.push(if name.is_empty() { base.clone() } else { base.join(name) });
        }
    }
    let probe: Vec<&str> = dataset.images.iter().take(20).map(|image| image.file.as_str()).collect();
    let hits = |folder: &PathBuf| probe.iter().filter(|file| folder.join(file).is_file()).count();
    let best = candidates.iter().map(hits).max().unwrap_or(0);
    candidates.into_iter().find(|folder| best > 0 && hits(folder) == best).unwrap_or(home)
}
