//! Recognises YOLO folders without a data file: images, label files and a class list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::data_yaml::DataYaml;
use super::label_path::{can_be_labels, find_label};
use crate::class_names::read_names;
use crate::error::DataError;
use crate::finding::Findings;
use crate::format::handler::Recognition;
use crate::image_file::EXTENSIONS;
use crate::paths::Stated;
use crate::sniff::files_with_extension;
use crate::split_name::{split_folders, subfolders};
use crate::text::read_text;
use crate::unsupported::UnsupportedImages;
use crate::walk::{self, file_name};

/// File names of class lists.
pub(super) const CLASS_LISTS: [&str; 7] = [
    "classes.txt",
    "obj.names",
    "names.txt",
    "class.txt",
    "class_names.txt",
    "predefined_classes.txt",
    "_darknet.labels",
];
/// Class lists that other formats have as well.
pub(super) const OTHER_LISTS: [&str; 2] = ["labels.txt", "label_list.txt"];
/// Largest list of images in bytes.
const MAX_LIST: u64 = 256 << 20;
/// Number of images that are inspected for label files.
const INSPECTED: usize = 50;

/// A folder of images and label files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct YoloFolder {
    pub(super) root: PathBuf,
    pub(super) classes: PathBuf,
    /// Name of each split and its image folder relative to `root`; one split `all` if there are none.
    pub(super) splits: Vec<(String, String)>,
    /// Folder of all images, if the splits are its subfolders.
    pub(super) whole: Option<String>,
}

/// Recognises a folder of images with label files.
pub(super) fn recognise(root: &Path) -> Option<Result<YoloFolder, Recognition>> {
    let Some(splits) = image_folders(root) else {
        let label = label_without_images(root)?;
        let what = match UnsupportedImages::new(root).describe(&label) {
            Some(what) => {
                format!("YOLO labels, but {what}, which is not read; convert the images to JPEG or PNG")
            }
            None => format!(
                "YOLO labels without images, the first is {label}; copy the images into `images`, or export with images"
            ),
        };
        return Some(Err(Recognition::Refused(what)));
    };
    if lists_differ(root, &splits) {
        return None;
    }
    let Some(classes) = class_list(root, &splits) else {
        return Some(Err(Recognition::Refused(
            "YOLO labels without class names; add a data.yaml or classes.txt".to_string(),
        )));
    };
    let whole = splits
        .first()
        .and_then(|(name, folder)| Some(folder.strip_suffix(name)?.trim_end_matches('/').to_string()));
    let whole = whole.filter(|folder| !folder.is_empty());
    let (splits, whole) = match (lists(root), &splits[..]) {
        (lists, [(all, folder)]) if all == "all" && !lists.is_empty() => (lists, Some(folder.clone())),
        _ => (splits, whole),
    };
    Some(Ok(YoloFolder { root: root.to_path_buf(), classes, splits, whole }))
}

impl YoloFolder {
    /// Returns the class names and the folders as those of a data file; without `split`, one folder of all images if there
    /// is one.
    pub(super) fn load(&self, split: Option<&str>, findings: &mut Findings) -> Result<DataYaml, DataError> {
        let names = read_names(&self.classes, findings)?;
        let indices = (0..).take(names.len()).collect();
        let mut splits: BTreeMap<String, Vec<String>> =
            self.splits.iter().map(|(name, folder)| (name.clone(), vec![folder.clone()])).collect();
        if let (None, Some(whole)) = (split, &self.whole) {
            splits = BTreeMap::from([("all".to_string(), vec![whole.clone()])]);
        }
        Ok(DataYaml { names, indices, splits, ..DataYaml::default() })
    }
}

/// Returns the splits with their image folders, if some of their images have label files.
fn image_folders(root: &Path) -> Option<Vec<(String, String)>> {
    let images = subfolders(root).into_iter().find(|name| name.eq_ignore_ascii_case("images"));
    let labelled = |folder: &str| has_labels(root, folder);
    if let Some(images) = images {
        let below = split_folders(&root.join(&images));
        let splits: Vec<(String, String)> =
            below.into_iter().map(|name| (name.clone(), format!("{images}/{name}"))).collect();
        if splits.iter().any(|(_, folder)| labelled(folder)) {
            return Some(splits);
        }
        if labelled(&images) {
            return Some(vec![("all".to_string(), images)]);
        }
    }
    // A folder per split, with `images/` in it or labels next to the images.
    let splits: Vec<(String, String)> = split_folders(root)
        .into_iter()
        .map(|name| {
            let inner = format!("{name}/images");
            let folder = if root.join(&inner).is_dir() { inner } else { name.clone() };
            (name, folder)
        })
        .collect();
    if splits.iter().any(|(_, folder)| labelled(folder)) {
        return Some(splits);
    }
    let others = ["data", "JPEGImages", "img", "imgs"];
    let mut folders = others.into_iter().filter(|folder| root.join(folder).is_dir() && labelled(folder));
    let folder = match (folders.next(), folders.next()) {
        // The images of several folders are those of the dataset.
        (Some(folder), None) if !has_own_labels(root, ".") => folder,
        (None, _) if !labelled(".") => return None,
        _ => ".",
    };
    Some(vec![("all".to_string(), folder.to_string())])
}

/// Returns the lists of images in a folder that have the name of a split, with this name.
fn lists(root: &Path) -> Vec<(String, String)> {
    let names_images = |list: &str| {
        let text = read_text(&root.join(list), MAX_LIST, "an image list", &mut Findings::default());
        let text = text.unwrap_or_default();
        let Some(line) = text.lines().map(str::trim).find(|line| !line.is_empty()) else { return false };
        let is_file = |suffix: String| root.join(suffix).is_file();
        walk::has_extension(line, EXTENSIONS) && Stated::new(line).suffixes().any(is_file)
    };
    let names = ["train", "valid", "val", "test"].map(|name| (name.to_string(), format!("{name}.txt")));
    names.into_iter().filter(|(_, list)| names_images(list)).collect()
}

/// Whether one of the first images of a folder, or of its subfolders, has a label file.
fn has_labels(root: &Path, folder: &str) -> bool {
    let inner = subfolders(&root.join(folder)).into_iter().take(INSPECTED);
    has_own_labels(root, folder)
        || inner.into_iter().any(|name| has_own_labels(root, &format!("{folder}/{name}")))
}

/// Whether one of the first images in a folder has a label file.
fn has_own_labels(root: &Path, folder: &str) -> bool {
    let folder = folder.trim_start_matches("./");
    walk::images_in(&root.join(folder)).into_iter().take(INSPECTED).any(|name| {
        let image = if folder == "." { name } else { format!("{folder}/{name}") };
        let (label, exists) = find_label(root, &image);
        exists && can_be_labels(&root.join(label))
    })
}

/// Returns the first label file of a folder of labels with a class list, but without images.
fn label_without_images(root: &Path) -> Option<String> {
    class_list(root, &[])?;
    if !walk::images(root, &mut Findings::default()).ok()?.is_empty() {
        return None;
    }
    let labels = walk::files(&root.join("labels"), &["txt"], &mut Findings::default()).ok()?;
    let label = labels.into_iter().find(|label| !CLASS_LISTS.contains(&file_name(label)))?;
    can_be_labels(&root.join("labels").join(&label)).then(|| format!("labels/{label}"))
}

/// Whether the folders of two splits have class lists of their own with other contents; each of them is a dataset.
fn lists_differ(root: &Path, splits: &[(String, String)]) -> bool {
    let read = |name: &str| {
        let own = |list: &&&str| root.join(name).join(list).is_file();
        let list = CLASS_LISTS.iter().chain(&OTHER_LISTS).find(own)?;
        read_names(&root.join(name).join(list), &mut Findings::default()).ok()
    };
    let mut lists = splits.iter().filter_map(|(name, _)| read(name));
    lists.next().is_some_and(|first| lists.any(|list| list != first))
}

/// Returns the class list in the folder, its subfolders of labels, or its splits.
fn class_list(root: &Path, splits: &[(String, String)]) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ["", "labels", "data", "images"].iter().map(|name| root.join(name)).collect();
    for (name, folder) in splits {
        folders.extend([root.join(name), root.join(folder), root.join("labels").join(name)]);
    }
    let in_folders = |lists: &[&str]| {
        folders
            .iter()
            .flat_map(|folder| lists.iter().map(move |list| folder.join(list)))
            .find(|path| path.is_file())
    };
    // `Classes.txt`, or a list of darknet under another name (`coco.names`).
    let otherwise = || {
        let in_other_case = |folder: &PathBuf| {
            let names = CLASS_LISTS.iter().find_map(|list| walk::existing(folder, list))?;
            Some(folder.join(names)).filter(|path| path.is_file())
        };
        let of_darknet = |folder: &PathBuf| match &files_with_extension(folder, &["names"])[..] {
            [only] => Some(only.clone()),
            _ => None,
        };
        folders.iter().find_map(in_other_case).or_else(|| folders.iter().find_map(of_darknet))
    };
    let parent = || {
        let is_split = root.file_name()?.to_str().and_then(crate::split_name::split_role).is_some();
        let list = root.parent()?.join("classes.txt");
        (is_split && list.is_file()).then_some(list)
    };
    in_folders(&CLASS_LISTS).or_else(|| in_folders(&OTHER_LISTS)).or_else(otherwise).or_else(parent)
}
