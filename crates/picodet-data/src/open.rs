//! Finding out what format lies at a path, and which splits it has.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::dataset::{Dataset, display};
use crate::error::DataError;
use crate::finding::{Findings, Kind, Place};
use crate::guard::open_json;
use crate::{coco, labelme, voc, yolo};

/// A dataset with what its reader had to complain about.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What could be read.
    pub dataset: Dataset,
    /// What could not, or looked wrong. Errors among these mean lost labels.
    pub findings: Findings,
    /// All label files of the image folder were read, so an image without a label is one that
    /// nobody uses.
    pub complete: bool,
}

/// What a JSON file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonKind {
    Coco,
    LabelMe,
    /// Valid so far, but something else (detections, configuration).
    Other,
    /// Not JSON.
    Broken,
}

/// Where a dataset is.
enum Site {
    Coco { json: PathBuf, siblings: usize },
    CocoFolder { files: Vec<(String, PathBuf)> },
    Voc { root: PathBuf },
    YoloYaml { yaml: PathBuf },
    YoloFolder { root: PathBuf },
    LabelMe { root: PathBuf, splits: Vec<String> },
}

/// The order in which splits are listed: train, val, test, then the others by name.
pub(crate) fn split_rank(name: &str) -> usize {
    ["train", "val", "valid", "validation", "test"]
        .iter()
        .position(|known| *known == name)
        .unwrap_or(usize::MAX)
}

/// The splits at `path`; empty when there is only one, without a name.
///
/// # Errors
/// [`DataError`] when no dataset is there.
pub fn splits(path: impl AsRef<Path>) -> Result<Vec<String>, DataError> {
    match site(path.as_ref())? {
        Site::Coco { .. } => Ok(Vec::new()),
        Site::CocoFolder { files } => Ok(files.into_iter().map(|(name, _)| name).collect()),
        Site::Voc { root } => Ok(voc::splits(&root)),
        Site::YoloYaml { yaml } => yolo::splits(&yaml),
        Site::YoloFolder { root } => Ok(folders(&root.join("images"))),
        Site::LabelMe { splits, .. } => Ok(splits),
    }
}

/// Subfolders that are named like splits.
fn folders(inside: &Path) -> Vec<String> {
    subfolders(inside).into_iter().filter(|name| split_rank(name) != usize::MAX).collect()
}

/// Subfolders, train first.
fn subfolders(inside: &Path) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(inside) else {
        return Vec::new();
    };
    let mut names: Vec<String> = listing
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().to_str().map(str::to_string))
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort_unstable_by_key(|name| (split_rank(name), name.clone()));
    names
}

/// Reads a dataset of any format and keeps going over faults; see [`Dataset::open`] for paths
/// and splits.
///
/// # Errors
/// [`DataError`] when there is nothing to read, or the one label file of a COCO or YOLO dataset
/// cannot be parsed.
pub fn open_lenient(path: impl AsRef<Path>, split: Option<&str>) -> Result<Loaded, DataError> {
    let path = path.as_ref();
    let unknown = |split: &str, available: Vec<String>| DataError::UnknownSplit {
        path: path.to_path_buf(),
        split: split.to_string(),
        available,
    };
    let (parts, complete) = match site(path)? {
        Site::Coco { json, siblings } => {
            // A single file is its own only split; naming it is allowed.
            if let Some(split) = split
                && split_of_file(&json).is_none_or(|own| own != split)
            {
                return Err(unknown(split, split_of_file(&json).into_iter().collect()));
            }
            (open_coco(&json)?, siblings <= 1)
        }
        Site::CocoFolder { files } => {
            let available = || files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            let chosen = match (split, &files[..]) {
                (None, [(_, json)]) => json,
                (None, _) => {
                    let path = path.to_path_buf();
                    return Err(DataError::SplitNeeded { path, available: available() });
                }
                (Some(split), _) => match files.iter().find(|(name, _)| name == split) {
                    Some((_, json)) => json,
                    None => return Err(unknown(split, available())),
                },
            };
            (open_coco(chosen)?, files.len() == 1)
        }
        Site::Voc { root } => (voc::read(&root, split)?, split.is_none()),
        Site::YoloYaml { yaml } => (yolo::read(&yaml, split)?, false),
        Site::YoloFolder { root } => (yolo::read_folder(&root, split)?, false),
        Site::LabelMe { root, splits } => match split {
            None => (labelme::read(&root, None)?, true),
            Some(split) if splits.iter().any(|name| name == split) => {
                // The class list of the whole dataset, so that all splits agree.
                let (whole, _) = labelme::read(&root, None)?;
                let (part, findings) = labelme::read(&root.join(split), Some(split))?;
                ((with_classes(part, whole), findings), true)
            }
            Some(split) => return Err(unknown(split, splits)),
        },
    };
    let (dataset, findings) = parts;
    Ok(Loaded { dataset, findings, complete })
}

/// `part` with the class list of `whole`, by name.
fn with_classes(mut part: Dataset, whole: Dataset) -> Dataset {
    let map: Vec<usize> =
        part.classes.iter().map(|class| whole.class_index(&class.name).unwrap_or(0)).collect();
    for object in part.images.iter_mut().flat_map(|image| &mut image.objects) {
        object.class = map.get(object.class).copied().unwrap_or(0);
    }
    part.classes = whole.classes;
    part
}

fn open_coco(json: &Path) -> Result<(Dataset, Findings), DataError> {
    let (mut dataset, findings) = coco::read(json, Path::new(""))?;
    dataset.root = image_root(json, &dataset);
    dataset.split = split_of_file(json);
    Ok((dataset, findings))
}

/// The folder that a COCO file's `file_name`s are relative to: the first of the usual ones in
/// which one of its first images exists.
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

/// The split in a file name: `instances_val2017.json` → `val2017`, `train.json` → `train`.
fn split_of_file(json: &Path) -> Option<String> {
    let stem = json.file_stem()?.to_str()?;
    if let Some(split) = stem.strip_prefix("instances_") {
        return Some(split.to_string());
    }
    let tail = stem.rsplit(['_', '.', '-']).next().unwrap_or(stem);
    Some(if tail == "annotations" || tail == "coco" { stem } else { tail }.to_string())
}

fn site(path: &Path) -> Result<Site, DataError> {
    let kind = std::fs::metadata(path).map_err(|source| DataError::io(path, source))?;
    let extension = path.extension().and_then(|ext| ext.to_str()).unwrap_or_default().to_ascii_lowercase();
    let unknown =
        |reason: &str| DataError::UnknownFormat { path: path.to_path_buf(), reason: reason.to_string() };
    if kind.is_file() {
        return match extension.as_str() {
            "json" => match json_kind(path) {
                JsonKind::Coco | JsonKind::Broken => {
                    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
                    let siblings = coco_files(folder.unwrap_or(Path::new("."))).len();
                    Ok(Site::Coco { json: path.to_path_buf(), siblings })
                }
                JsonKind::LabelMe => Err(unknown("one LabelMe file; open the folder that it is in")),
                JsonKind::Other => Err(unknown(
                    "JSON without `images`, `annotations` or `categories`; detections are no dataset",
                )),
            },
            "yaml" | "yml" => Ok(Site::YoloYaml { yaml: path.to_path_buf() }),
            _ => Err(unknown("a file that is neither .json nor .yaml")),
        };
    }
    let root = voc::root_of(path);
    if let Some(yaml) = find_yaml(&root) {
        return Ok(Site::YoloYaml { yaml });
    }
    if voc::label_folder(&root).is_some() {
        return Ok(Site::Voc { root });
    }
    for folder in [root.join("annotations"), root.clone()] {
        let files = coco_files(&folder);
        if !files.is_empty() {
            let mut files: Vec<(String, PathBuf)> =
                files.into_iter().map(|json| (split_of_file(&json).unwrap_or_default(), json)).collect();
            files.sort_unstable_by_key(|(name, json)| (split_rank(name), json.clone()));
            // Two files of one split name (instances_val, keypoints_val): the whole stem tells.
            let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
            for (name, json) in &mut files {
                if names.iter().filter(|other| *other == name).count() > 1 {
                    *name = json.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                }
            }
            return Ok(Site::CocoFolder { files });
        }
    }
    if root.join("labels").is_dir() && root.join("images").is_dir() {
        return Ok(Site::YoloFolder { root });
    }
    let splits = labelme_splits(&root);
    if is_labelme(&root) || !splits.is_empty() {
        return Ok(Site::LabelMe { root, splits });
    }
    Err(unknown("no label files"))
}

/// Subfolders with LabelMe files: all of them beside a `labels.txt`, otherwise those that are
/// named like splits.
fn labelme_splits(root: &Path) -> Vec<String> {
    let names = if root.join("labels.txt").is_file() { subfolders(root) } else { folders(root) };
    names.into_iter().filter(|name| is_labelme(&root.join(name))).collect()
}

/// One of the first JSON files in the folder (or in a folder in it) is LabelMe's.
fn is_labelme(folder: &Path) -> bool {
    let here = json_files(folder);
    let below = || subfolders(folder).into_iter().take(20).flat_map(|name| json_files(&folder.join(name)));
    let is = |file: &PathBuf| json_kind(file) == JsonKind::LabelMe;
    here.iter().take(20).any(is) || (here.is_empty() && below().take(20).any(|file| is(&file)))
}

fn find_yaml(root: &Path) -> Option<PathBuf> {
    let fixed = ["data.yaml", "data.yml", "dataset.yaml"].into_iter().map(|name| root.join(name));
    fixed.into_iter().find(|path| path.is_file())
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = listing
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json")))
        .collect();
    files.sort_unstable();
    files
}

fn coco_files(folder: &Path) -> Vec<PathBuf> {
    let files = json_files(folder);
    // A LabelMe folder has thousands of files: the first that is LabelMe's settles it.
    let mut found = Vec::new();
    for file in files {
        match json_kind(&file) {
            JsonKind::Coco => found.push(file),
            JsonKind::LabelMe if found.is_empty() => return Vec::new(),
            _ => {}
        }
    }
    found
}

/// Looks at the top-level keys until one tells the format.
pub(crate) fn json_kind(path: &Path) -> JsonKind {
    const COCO: &str = "found: coco";
    const LABELME: &str = "found: labelme";
    const OTHER: &str = "found: other";

    struct Sniff;
    impl<'de> Visitor<'de> for Sniff {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a label file")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<String>()? {
                // The error is how a serde visitor stops early.
                match key.as_str() {
                    "images" | "annotations" | "categories" => return Err(A::Error::custom(COCO)),
                    "shapes" | "imagePath" | "imageData" => return Err(A::Error::custom(LABELME)),
                    _ => map.next_value::<IgnoredAny>()?,
                };
            }
            Err(A::Error::custom(OTHER))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
            Err(A::Error::custom(OTHER))
        }
    }
    let Ok(reader) = open_json(path, 256 << 20) else {
        return JsonKind::Broken;
    };
    let mut deserializer = serde_json::Deserializer::from_reader(reader);
    let result = serde::Deserializer::deserialize_any(&mut deserializer, Sniff);
    let message = result.err().map(|error| error.to_string()).unwrap_or_default();
    match message {
        message if message.starts_with(COCO) => JsonKind::Coco,
        message if message.starts_with(LABELME) => JsonKind::LabelMe,
        message if message.starts_with(OTHER) => JsonKind::Other,
        _ => JsonKind::Broken,
    }
}

/// An error of opening as a finding, where it is a fault of the data.
pub(crate) fn as_finding(error: &DataError, findings: &mut Findings) -> bool {
    let place = match error {
        DataError::Syntax { path, line, .. } => Place { file: display(path), line: *line, pointer: None },
        DataError::TooLarge { path, .. } => Place::file(display(path)),
        _ => return false,
    };
    findings.push(Kind::FileUnreadable, place, error.to_string());
    true
}
