//! Recognises COCO files and folders: the files of the splits, and the folder of their images.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::read::read;
use crate::dataset::{Dataset, Loaded};
use crate::error::DataError;
use crate::finding::FindingKind;
use crate::format::handler::{Evidence, Recognition, Source, choose_split, fill_sizes, unknown_split};
use crate::image_paths::ImagePaths;
use crate::input::same_bytes;
use crate::paths::{Stated, resolve_images};
use crate::sniff::{JsonKind, json_files, json_kind};
use crate::split_name::{find_split, split_folders, split_of_file, split_rank, split_role, subfolders};
use crate::walk::{self, without_extension};

/// Folders with annotation files.
const FOLDERS: [&str; 4] = ["annotations", "Annotations", "", "labels"];
/// Files of COCO without boxes of all classes, which `instances_*` files replace.
const OTHER_TASKS: [&str; 5] = ["captions", "person_keypoints", "stuff", "panoptic", "image_info"];
/// Number of LabelMe files that are inspected until a folder is taken for one of them.
const INSPECTED: usize = 50;
/// Usual folders of images.
const IMAGE_FOLDERS: [&str; 7] = ["", "images", "JPEGImages", "train2017", "val2017", "data", "img"];

/// Recognises an annotation file, or a folder with some.
pub(super) fn recognise(path: &Path, evidence: Evidence) -> Recognition {
    if evidence != Evidence::Files {
        return Recognition::None;
    }
    if path.is_file() {
        if !path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json")) {
            return Recognition::None;
        }
        return match json_kind(path) {
            // A broken file is opened for the parser's error message.
            JsonKind::Coco | JsonKind::Broken => Recognition::Found(Box::new(CocoFile(path.to_path_buf()))),
            JsonKind::Results => {
                Recognition::Refused("detection results are not a dataset; open the annotations".to_string())
            }
            JsonKind::Other => {
                Recognition::Refused("JSON without the lists `images` and `annotations`".to_string())
            }
            _ => Recognition::None,
        };
    }
    let found = FOLDERS.iter().map(|folder| coco_files(&path.join(folder))).find(|files| !files.is_empty());
    match found {
        Some(files) if !are_beside_splits(path, &files) => {
            Recognition::Found(Box::new(CocoFolder::new(path, files)))
        }
        _ => Recognition::None,
    }
}

/// Whether no file is of a split, and the folder has folders of splits that contain files.
fn are_beside_splits(folder: &Path, files: &[PathBuf]) -> bool {
    let of_split = |file: &PathBuf| split_of_file(file).as_deref().and_then(split_role).is_some();
    files.iter().all(|file| file.parent() == Some(folder) && !of_split(file))
        && split_folders(folder).iter().any(|split| !coco_files(&folder.join(split)).is_empty())
}

/// A single annotation file.
struct CocoFile(PathBuf);

impl Source for CocoFile {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        Ok(Vec::new())
    }

    /// The file is its only split, whose name is accepted.
    fn read(&self, split: Option<&str>, paths: ImagePaths) -> Result<Loaded, DataError> {
        let own: Vec<String> = split_of_file(&self.0).into_iter().collect();
        if let Some(split) = split
            && find_split(&own, split).is_none()
        {
            return Err(unknown_split(&self.0, split, own));
        }
        let siblings = coco_files(home_of(&self.0)).len();
        load(&self.0, siblings <= 1, paths)
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

    fn read(&self, split: Option<&str>, paths: ImagePaths) -> Result<Loaded, DataError> {
        let available = self.splits()?;
        let chosen = match (split, &self.files[..]) {
            (None, [(_, json)]) => json,
            (None, _) => return Err(DataError::SplitNeeded { path: self.path.clone(), available }),
            (Some(split), files) => {
                let name = choose_split(&self.path, split, &available)?;
                match files.iter().find(|(other, _)| other == name) {
                    Some((_, json)) => json,
                    None => return Err(unknown_split(&self.path, split, available)),
                }
            }
        };
        load(chosen, self.files.len() == 1, paths)
    }
}

fn load(json: &Path, complete: bool, paths: ImagePaths) -> Result<Loaded, DataError> {
    let (mut dataset, mut findings) = read(json, Path::new(""))?;
    dataset.split = split_of_file(json);
    dataset.root = image_root(json, &dataset);
    if paths != ImagePaths::AsWritten {
        resolve_images(&mut dataset, &dataset_folder(json), &mut findings);
    }
    if paths == ImagePaths::Optional {
        findings.remove(FindingKind::PathAmbiguous);
    }
    fill_sizes(&mut dataset, &mut findings, "width or height is missing");
    Ok(Loaded { dataset, findings, complete })
}

/// Reads a file and finds its images; `None` if it cannot be read.
pub(crate) fn read_with_images(json: &Path) -> Option<Dataset> {
    load(json, false, ImagePaths::Needed).ok().map(|loaded| loaded.dataset)
}

/// Whether a file has the name of one without boxes of all classes (`captions_*`, `person_keypoints_*`).
pub(crate) fn is_other_task(file: &Path) -> bool {
    OTHER_TASKS.iter().any(|task| name_of(file).starts_with(task))
}

/// The name of a file without extension, in lower case.
fn name_of(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

/// Returns the COCO files of a folder, sorted: those with boxes of all classes if there are any.
fn coco_files(folder: &Path) -> Vec<PathBuf> {
    let files = json_files(folder);
    let images: HashSet<PathBuf> = match files.len() {
        0 => return Vec::new(),
        _ => walk::images_in(folder).iter().map(|image| Path::new(without_extension(image)).into()).collect(),
    };
    // A LabelMe folder has thousands of files, each next to its image; the first ones are sufficient.
    let is_label = |file: &&PathBuf| file.file_stem().is_some_and(|stem| images.contains(Path::new(stem)));
    let (beside_images, others): (Vec<&PathBuf>, Vec<&PathBuf>) = files.iter().partition(is_label);
    let mut found = Vec::new();
    let mut inspected = 0;
    for file in others.into_iter().chain(beside_images.into_iter().take(INSPECTED)) {
        match json_kind(file) {
            JsonKind::Coco => found.push(file.clone()),
            JsonKind::LabelMe => inspected += 1,
            _ => {}
        }
        if found.is_empty() && inspected == INSPECTED {
            break;
        }
    }
    found.sort_unstable();
    if found.iter().any(|file| name_of(file).starts_with("instance")) {
        found.retain(|file| !is_other_task(file));
        // Datumaro writes the labels of whole images of `instances_train.json` to `labels_train.json`.
        let stems: Vec<String> = found.iter().map(|file| name_of(file)).collect();
        let of_images = |file: &PathBuf| {
            let stem = name_of(file);
            let rest = stem.strip_prefix("labels_");
            rest.is_some_and(|rest| stems.iter().any(|other| *other == format!("instances_{rest}")))
        };
        found.retain(|file| !of_images(file));
    }
    // A copy under another name is no second split, unless both have the name of one: `val` can be equal to `train`.
    let role = |file: &Path| split_of_file(file).and_then(|split| split_role(&split));
    let are_splits =
        |one: &Path, other: &Path| role(one).zip(role(other)).is_some_and(|(one, other)| one != other);
    let mut kept: Vec<PathBuf> = Vec::new();
    for file in found {
        if !kept.iter().any(|other| !are_splits(other, &file) && same_bytes(other, &file)) {
            kept.push(file);
        }
    }
    kept
}

/// The folder of a file.
fn home_of(json: &Path) -> &Path {
    json.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The folder above, as a path without `..` if possible.
fn above(folder: &Path) -> PathBuf {
    let named = folder.file_name().is_some();
    match folder.parent() {
        Some(parent) if named && !parent.as_os_str().is_empty() => parent.to_path_buf(),
        Some(_) if named => PathBuf::from("."),
        _ => folder.join(".."),
    }
}

/// The folder of the whole dataset, which contains that of the annotations.
pub(crate) fn dataset_folder(json: &Path) -> PathBuf {
    let home = home_of(json);
    let name = home.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if matches!(name.as_str(), "annotations" | "annotation" | "labels" | "coco") {
        above(home)
    } else {
        home.to_path_buf()
    }
}

/// Returns the folder that the file names of a COCO file are relative to: the usual folder in which most of
/// its first images exist.
fn image_root(json: &Path, dataset: &Dataset) -> PathBuf {
    let home = home_of(json).to_path_buf();
    let above = above(&home);
    let stem = json.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let split = split_of_file(json).unwrap_or_default();
    let tail = stem.rsplit('_').next().unwrap_or_default().to_string();
    let role = split_role(&split);
    let mut candidates = Vec::new();
    for base in [&home, &above] {
        for name in [split.as_str(), tail.as_str(), stem.as_str()] {
            if !name.is_empty() {
                candidates.push(base.join(name));
                candidates.push(base.join("images").join(name));
            }
        }
        // Folders of the same role under another name: `val2017/` for `valid`.
        for folder in [base.clone(), base.join("images")] {
            let same = |name: &String| role.is_some() && split_role(name) == role;
            candidates.extend(subfolders(&folder).into_iter().filter(same).map(|name| folder.join(name)));
        }
        for name in IMAGE_FOLDERS {
            candidates.push(if name.is_empty() { base.clone() } else { base.join(name) });
        }
    }
    // Separators of Windows are turned when the paths are resolved.
    let probe: Vec<(&str, String)> = (dataset.images.iter().take(20))
        .map(|image| (image.file.as_str(), Stated::new(&image.file).joined()))
        .collect();
    let hits = |folder: &PathBuf| {
        let exists = |(file, plain): &&(&str, String)| {
            folder.join(file).is_file() || (file.contains('\\') && folder.join(plain).is_file())
        };
        probe.iter().filter(exists).count()
    };
    let best = candidates.iter().map(hits).max().unwrap_or(0);
    candidates.into_iter().find(|folder| best > 0 && hits(folder) == best).unwrap_or(home)
}
