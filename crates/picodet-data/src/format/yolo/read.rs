//! Reads the images and label files of a dataset.

use std::path::{Path, PathBuf};

use super::class_lists::report_other_lists;
use super::data_yaml::{DataYaml, load_yaml};
use super::folder;
use super::label_path::find_label;
use super::labels::{IndexRange, MAX_LABELS, RowFormat, Rows, parse_rows};
use super::list::SplitFiles;
use crate::dataset::{Class, Dataset, Format, ImageRecord, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::format::handler::choose_split;
use crate::format::other_labels::label_of_other_format;
use crate::image_file::read_header;
use crate::paths::{Stated, is_absent};
use crate::split_name::{is_test_split, sort_splits};
use crate::text::read_text;
use crate::unsupported::unsupported_format;

/// Reads a YOLO dataset with a `data.yaml`; without `split`, all splits together.
///
/// # Errors
/// [`DataError`] when the YAML or the folders cannot be read.
pub fn read(yaml: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let data = load_yaml(yaml, &mut findings)?;
    read_described(yaml, data, split, findings)
}

/// Reads the dataset that a data file describes.
pub(super) fn read_described(
    file: &Path,
    data: DataYaml,
    split: Option<&str>,
    findings: Findings,
) -> Result<(Dataset, Findings), DataError> {
    let root = root_of(file, data.path.as_deref());
    let (mut dataset, findings) = read_splits(file, &root, data, split, findings)?;
    dataset.annotations = Some(file.to_path_buf());
    Ok((dataset, findings))
}

/// Returns the splits of a data file, and those of test images that do not exist; tools name these in any case.
pub(super) fn existing_splits(file: &Path, data: &DataYaml) -> (Vec<String>, Vec<String>) {
    existing_below(&root_of(file, data.path.as_deref()), file, data)
}

fn existing_below(root: &Path, file: &Path, data: &DataYaml) -> (Vec<String>, Vec<String>) {
    let files = SplitFiles::new(root, file);
    let exists = |name: &String| {
        let entries = data.splits.get(name).into_iter().flatten();
        let has = |entry: &String| files.has(entry, name) && !files.is_list_without_images(entry, name);
        !is_test_split(name) || entries.into_iter().any(has)
    };
    let (mut existing, absent): (Vec<String>, Vec<String>) = data.splits.keys().cloned().partition(exists);
    sort_splits(&mut existing);
    (existing, absent)
}

/// Reads images and labels with a `classes.txt` instead of a `data.yaml`.
///
/// # Errors
/// [`DataError`] when they cannot be read.
pub fn read_folder(root: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    match folder::recognise(root) {
        Some(Ok(folder)) => read_recognised(&folder, split),
        _ => Err(DataError::Incomplete {
            path: root.to_path_buf(),
            problem: "YOLO labels without class names; add a data.yaml or classes.txt",
        }),
    }
}

/// Reads a recognised folder.
pub(super) fn read_recognised(
    folder: &folder::YoloFolder,
    split: Option<&str>,
) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let data = folder.load(split, &mut findings)?;
    read_splits(&folder.classes, &folder.root, data, split, findings)
}

fn read_splits(
    file: &Path,
    root: &Path,
    mut data: DataYaml,
    split: Option<&str>,
    mut findings: Findings,
) -> Result<(Dataset, Findings), DataError> {
    let (available, absent) = existing_below(root, file, &data);
    let chosen: Vec<String> = match split {
        None => available.clone(),
        Some(split) => {
            let all = [&available[..], &absent].concat();
            vec![choose_split(file, split, &all)?.to_string()]
        }
    };
    for name in absent.iter().filter(|name| !chosen.contains(name)) {
        let entries = data.splits.get(name).map(|entries| entries.join(", ")).unwrap_or_default();
        let lists = SplitFiles::new(root, file);
        let mut listed = data.splits.get(name).into_iter().flatten();
        let message = match listed.any(|entry| lists.has(entry, name)) {
            true => format!("none of the images in `{name}: {entries}` exists under {}", root.display()),
            false => format!("`{name}: {entries}` does not exist under {}", root.display()),
        };
        findings.push(FindingKind::SplitAbsent, Location::file(display(file)), message);
    }
    report_other_lists(file, root, &data, &root_of, &mut findings);
    let files = files_of(root, file, &data, &chosen, &mut findings)?;
    let mut format = RowFormat { indices: data.indices.clone(), keypoints: data.keypoints };
    let mut labels = read_all_labels(root, &files, &format);
    // Which index the classes begin with is the same in all splits; a split may lack some classes.
    let mut indices = indices_of(&labels);
    if format.begins_at_zero() && indices.is_without_zero() {
        if chosen != available {
            let others = files_of(root, file, &data, &available, &mut Findings::default())?;
            indices = indices_of(&read_all_labels(root, &others, &format));
        }
        if indices.begins_at_one(data.names.len()) {
            let count = data.names.len();
            let message = format!("the rows have the class indices 1 to {count} for {count} names");
            findings.push(FindingKind::YoloFromOne, Location::file(display(file)), message);
            data.indices.iter_mut().for_each(|index| *index += 1);
            format.indices.clone_from(&data.indices);
            labels = read_all_labels(root, &files, &format);
        }
    }
    let mut dataset = to_dataset(root, files, labels, &data, file, &mut findings);
    dataset.split = split.and(chosen.into_iter().next());
    Ok((dataset, findings))
}

/// Returns the images of these splits.
fn files_of(
    root: &Path,
    file: &Path,
    data: &DataYaml,
    splits: &[String],
    findings: &mut Findings,
) -> Result<Vec<String>, DataError> {
    let mut files = SplitFiles::new(root, file);
    for name in splits {
        for entry in data.splits.get(name).into_iter().flatten() {
            files.add(entry, name, findings)?;
        }
    }
    Ok(files.into_files(findings))
}

/// Returns the folder that `path` of a data file means: Ultralytics resolves it in a global folder, but relative to the
/// file the dataset can be moved.
fn root_of(file: &Path, path: Option<&str>) -> PathBuf {
    let home = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(path) = path.filter(|path| !is_absent(path)) else { return home.to_path_buf() };
    let plain = home.join(path);
    if plain.is_dir() {
        return plain;
    }
    let below = Stated::new(path).suffixes().map(|suffix| home.join(suffix)).find(|folder| folder.is_dir());
    below.unwrap_or_else(|| home.to_path_buf())
}

/// The labels of one image.
struct Labels {
    size: (u32, u32),
    label: Option<String>,
    rows: Rows,
    /// The rows that have no boxes, since the image is missing or cannot be read.
    without_size: usize,
    findings: Findings,
}

fn read_all_labels(root: &Path, files: &[String], format: &RowFormat) -> Vec<Labels> {
    picodet_parallel::map(0..files.len(), 0, |index| read_labels(root, &files[index], format))
}

/// The class indices of all rows.
fn indices_of(labels: &[Labels]) -> IndexRange {
    labels.iter().fold(IndexRange::default(), |range, labels| range.union(labels.rows.indices))
}

/// Joins images and their labels.
fn to_dataset(
    root: &Path,
    files: Vec<String>,
    read: Vec<Labels>,
    data: &DataYaml,
    source: &Path,
    findings: &mut Findings,
) -> Dataset {
    let (mut rows, mut in_pixels, mut largest) = (0, 0, 0.0f64);
    for labels in &read {
        largest = largest.max(labels.rows.largest);
        rows += labels.rows.count;
        in_pixels += labels.rows.in_pixels.errors();
    }
    // Single rows are reported one by one, a dataset in pixels once.
    let all_in_pixels = in_pixels * 2 > rows && in_pixels > 1;
    if all_in_pixels {
        let message = format!(
            "{in_pixels} of {rows} rows have values far outside of 0 to 1, up to {largest}: they are in pixels; rows left out"
        );
        let first = read.iter().find_map(|labels| labels.rows.in_pixels.list().first());
        let location = first.map_or_else(|| Location::file(display(source)), |first| first.location.clone());
        findings.push_many(FindingKind::YoloRange, location, message, in_pixels);
    }
    report_rows_without_size(root, &files, &read, source, findings);
    let mut images = Vec::with_capacity(files.len());
    for (file, labels) in files.into_iter().zip(read) {
        findings.extend(labels.findings);
        if !all_in_pixels {
            findings.extend(labels.rows.in_pixels);
        }
        let id = images.len() as i64 + 1;
        let ((width, height), label) = (labels.size, labels.label);
        images.push(ImageRecord { id, file, width, height, objects: labels.rows.objects, label, source: 0 });
    }
    let classes = data
        .names
        .iter()
        .zip(&data.indices)
        .map(|(name, &index)| Class { id: i64::from(index), name: name.clone(), supercategory: None })
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

/// Reports the label files whose rows have no boxes: one by one, or together if no image exists at all.
fn report_rows_without_size(
    root: &Path,
    files: &[String],
    read: &[Labels],
    source: &Path,
    findings: &mut Findings,
) {
    let lost: Vec<usize> = (0..files.len()).filter(|&index| read[index].without_size > 0).collect();
    let Some(&first) = lost.first() else { return };
    let (total, image) = (files.len(), root.join(&files[first]));
    if total > 1 && files.iter().all(|file| !root.join(file).exists()) {
        let message = format!(
            "none of the {total} images exists, the first is {}; copy the images there, or export with images",
            image.display()
        );
        findings.push_many(FindingKind::YoloSize, Location::file(display(source)), message, lost.len());
        return;
    }
    for index in lost {
        let label = read[index].label.as_deref().unwrap_or_default();
        let problem = match unsupported_format(&files[index]) {
            Some(format) if root.join(&files[index]).exists() => {
                format!("has the format {format}, which is not read")
            }
            None if root.join(&files[index]).exists() => "cannot be read".to_string(),
            _ => "does not exist".to_string(),
        };
        let message = format!("{} rows, but {} {problem}", read[index].without_size, files[index]);
        findings.push(FindingKind::YoloSize, Location::file(display(&root.join(label))), message);
    }
}

/// Reads the label file of an image.
fn read_labels(root: &Path, file: &str, format: &RowFormat) -> Labels {
    let mut findings = Findings::default();
    let (label, exists) = find_label(root, file);
    let path = root.join(&label);
    let header = read_header(&root.join(file));
    let size = header.as_ref().map_or((0, 0), |header| (header.width, header.height));
    if !exists && !path.exists() {
        let location = Location::file(display(&root.join(file)));
        match label_of_other_format(root, file, Format::YOLO) {
            Some(other) => {
                let message = format!("{file} has no label file {label}, but {other}, which is not read");
                findings.push(FindingKind::LabelOtherFormat, location, message);
            }
            None => {
                let message = format!("{file} has no label file {label}");
                findings.push(FindingKind::ImageWithoutLabel, location, message);
            }
        }
        return Labels { size, label: None, rows: Rows::default(), without_size: 0, findings };
    }
    let location = Location::file(display(&path));
    let mut rows = Rows::default();
    let mut without_size = 0;
    match read_text(&path, MAX_LABELS, "a YOLO label file", &mut findings) {
        Err(error) => {
            let (location, message) = error.in_file(&location.file);
            findings.push(FindingKind::FileUnreadable, location, message);
        }
        Ok(text) => {
            if text.trim().is_empty()
                && let Some(other) = label_of_other_format(root, file, Format::YOLO)
            {
                let message =
                    format!("the label file {label} is empty, but {other} is not, which is not read");
                findings.push(
                    FindingKind::LabelOtherFormat,
                    Location::file(display(&root.join(file))),
                    message,
                );
            }
            rows = parse_rows(&text, size, format, &location.file, &mut findings);
            // Without the size of the image the rows can only be checked.
            if size.0 == 0 {
                without_size = rows.objects.len();
                rows.objects.clear();
            }
        }
    }
    Labels { size, label: Some(label), rows, without_size, findings }
}
