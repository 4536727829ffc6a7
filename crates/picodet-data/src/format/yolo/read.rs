//! Reads the images and label files of a dataset.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::data_yaml::{MAX_SIZE, load_yaml};
use super::labels::parse_labels;
use crate::dataset::{Class, Dataset, Format, ImageRecord, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::format::handler::unknown_split;
use crate::image_file::{EXTENSIONS, read_header};
use crate::input::read_bounded;
use crate::split_name::split_rank;
use crate::walk::{self, file_name, without_extension};

/// Largest label file in bytes.
const MAX_LABELS: u64 = 64 << 20;

/// Reads a YOLO dataset with a `data.yaml`; without `split`, all splits together.
///
/// # Errors
/// [`DataError`] when the YAML or the folders cannot be read.
pub fn read(yaml: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let data = load_yaml(yaml, &mut findings)?;
    let home = yaml.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Ultralytics resolves `path` in a global folder; relative to the YAML, the dataset can be moved.
    let root = match &data.path {
        Some(path) if home.join(path).is_dir() => home.join(path),
        _ => home.to_path_buf(),
    };
    let mut available: Vec<String> = data.splits.keys().cloned().collect();
    available.sort_by_key(|name| split_rank(name));
    let chosen: Vec<String> = match split {
        None => available,
        Some(split) if data.splits.contains_key(split) => vec![split.to_string()],
        Some(split) => {
            return Err(unknown_split(yaml, split, available));
        }
    };
    let mut files: Vec<String> = Vec::new();
    for name in &chosen {
        for folder in data.splits.get(name).into_iter().flatten() {
            list_split(&root, folder, name, yaml, &mut files, &mut findings)?;
        }
    }
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.clone()));
    let names = data.names;
    let mut dataset = read_images(&root, files, names, &mut findings);
    dataset.annotations = Some(yaml.to_path_buf());
    dataset.split = split.map(str::to_string);
    Ok((dataset, findings))
}

/// Reads `images/` and `labels/` with a `classes.txt` instead of a `data.yaml`.
///
/// # Errors
/// [`DataError`] when they cannot be read.
pub fn read_folder(root: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let list = classes_file(root).ok_or_else(|| DataError::Incomplete {
        path: root.to_path_buf(),
        problem: "YOLO labels without class names; add a data.yaml or classes.txt",
    })?;
    let bytes = read_bounded(&list, MAX_SIZE, "a class list")?;
    let text = String::from_utf8_lossy(&bytes);
    let names = text.lines().map(str::trim).filter(|n| !n.is_empty()).map(str::to_string).collect();
    let folder = split.map_or_else(|| "images".to_string(), |split| format!("images/{split}"));
    if !root.join(&folder).is_dir() {
        return Err(unknown_split(root, split.unwrap_or_default(), Vec::new()));
    }
    let mut files = Vec::new();
    list_split(root, &folder, split.unwrap_or("all"), &list, &mut files, &mut findings)?;
    let mut dataset = read_images(root, files, names, &mut findings);
    dataset.split = split.map(str::to_string);
    Ok((dataset, findings))
}

/// The class list of a dataset without `data.yaml`.
fn classes_file(root: &Path) -> Option<PathBuf> {
    ["classes.txt", "labels/classes.txt"].into_iter().map(|name| root.join(name)).find(|p| p.is_file())
}

/// Adds the images of one folder or list file, relative to `root`.
fn list_split(
    root: &Path,
    folder: &str,
    split: &str,
    yaml: &Path,
    files: &mut Vec<String>,
    findings: &mut Findings,
) -> Result<(), DataError> {
    let folder = folder.trim_end_matches('/');
    // Roboflow writes `../train/images` for `train/images`.
    let candidates = [Some(folder), folder.strip_prefix("../")];
    let Some(found) = candidates.into_iter().flatten().find(|name| root.join(name).exists()) else {
        let message = format!("`{split}: {folder}` does not exist under {}", root.display());
        findings.push(FindingKind::SplitMissing, Location::file(display(yaml)), message);
        return Ok(());
    };
    let found = found.trim_start_matches("./");
    let path = root.join(found);
    if path.is_dir() {
        let listed = walk::files(&path, EXTENSIONS, findings)?;
        let prefix = if found == "." || found.is_empty() { String::new() } else { format!("{found}/") };
        orphans(&path, &prefix, &listed, findings)?;
        files.extend(listed.into_iter().map(|file| format!("{prefix}{file}")));
        return Ok(());
    }
    let bytes = read_bounded(&path, 1 << 30, "an image list")?;
    let text = String::from_utf8_lossy(&bytes);
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(first) = seen.insert(line, number + 1) {
            let message = format!("`{line}` is already in line {first}");
            let location = Location::line(display(&path), number as u64 + 1);
            findings.push(FindingKind::SplitDuplicate, location, message);
            continue;
        }
        files.push(line.trim_start_matches("./").to_string());
    }
    Ok(())
}

/// Reports label files without image.
fn orphans(folder: &Path, prefix: &str, images: &[String], findings: &mut Findings) -> Result<(), DataError> {
    let stems: HashSet<&str> = images.iter().map(|file| without_extension(file)).collect();
    let probe = label_of(&format!("{prefix}x.jpg"));
    let Some(below) = probe.strip_suffix("x.txt") else {
        return Ok(());
    };
    let base = folder.to_string_lossy();
    let Some(root) = base.strip_suffix(prefix.trim_end_matches('/')) else {
        return Ok(());
    };
    let labels = Path::new(root).join(below);
    if !labels.is_dir() {
        return Ok(());
    }
    for label in walk::files(&labels, &["txt"], findings)? {
        let special =
            matches!(file_name(&label), "classes.txt" | "README.txt" | "train.txt" | "val.txt" | "test.txt");
        if !special && !stems.contains(without_extension(&label)) {
            let location = Location::file(display(&labels.join(&label)));
            findings.push(FindingKind::LabelWithoutImage, location, "no image of this name".to_string());
        }
    }
    Ok(())
}

/// Returns the label path of an image: the last folder `images` becomes `labels`, the extension `.txt`.
fn label_of(image: &str) -> String {
    let stem = without_extension(image);
    let mut parts: Vec<&str> = stem.split('/').collect();
    let folders = parts.len().saturating_sub(1);
    if let Some(part) = parts[..folders].iter_mut().rev().find(|part| **part == "images") {
        *part = "labels";
    }
    format!("{}.txt", parts.join("/"))
}

/// Reads the labels of all images.
fn read_images(root: &Path, files: Vec<String>, names: Vec<String>, findings: &mut Findings) -> Dataset {
    let count = names.len();
    let read = picodet_parallel::map(0..files.len(), 0, |index| {
        let mut own = Findings::default();
        let file = &files[index];
        let label = label_of(file);
        let path = root.join(&label);
        let header = read_header(&root.join(file));
        let size = header.as_ref().map_or((0, 0), |header| (header.width, header.height));
        let location = || Location::file(display(&path));
        if !path.exists() {
            let message = format!("{file} has no label file {label}");
            own.push(FindingKind::ImageWithoutLabel, Location::file(display(&root.join(file))), message);
            return (size, None, Vec::new(), own);
        }
        let objects = match read_bounded(&path, MAX_LABELS, "a YOLO label file") {
            Err(error) => {
                own.push(FindingKind::FileUnreadable, location(), error.to_string());
                Vec::new()
            }
            Ok(bytes) => match String::from_utf8(bytes) {
                Err(_) => {
                    own.push(FindingKind::LabelNotUtf8, location(), "the label is not UTF-8".to_string());
                    Vec::new()
                }
                // Without the size of the image, which is reported, the rows can only be checked.
                Ok(text) => {
                    let objects = parse_labels(&text, size, count, &location().file, &mut own);
                    if size.0 == 0 { Vec::new() } else { objects }
                }
            },
        };
        (size, Some(label), objects, own)
    });
    let mut images = Vec::with_capacity(files.len());
    for (file, ((width, height), label, objects, own)) in files.into_iter().zip(read) {
        findings.extend(own);
        let id = images.len() as i64 + 1;
        images.push(ImageRecord { id, file, width, height, objects, label, source: 0 });
    }
    let classes = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| Class { id: index as i64, name, supercategory: None })
        .collect();
    Dataset {
        format: Format::YOLO,
        root: root.to_path_buf(),
        annotations: None,
        split: None,
        classes,
        images,
    }
}
