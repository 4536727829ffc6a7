//! YOLO: a `data.yaml` (names and folders) and one text file an image with normalised rows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::dataset::{Class, Dataset, Format, ImageRecord, Object, display};
use crate::error::DataError;
use crate::finding::{Findings, Kind, Place};
use crate::guard::read_bounded;
use crate::image_file::{EXTENSIONS, parallel, read_header};
use crate::walk::{self, file_name, without_extension};
use crate::yaml::{self, Yaml};

/// Largest label file.
const MAX_LABELS: u64 = 64 << 20;
/// Largest data.yaml.
const MAX_YAML: u64 = 4 << 20;
/// Most numbers in one row: a polygon of ten thousand points.
const MAX_COLUMNS: usize = 20_001;
/// How far beyond 0 and 1 a number may be by rounding.
const TOLERANCE: f64 = 1e-3;

/// Parses a label file: `class x y w h` rows, centre and size as fractions of the upright image
/// of `size` pixels (width, height). Polygon rows become their bounding boxes. Faults go to
/// `findings` under the name `file`; such rows are left out.
pub fn parse_labels(
    text: &str,
    size: (u32, u32),
    classes: usize,
    file: &str,
    findings: &mut Findings,
) -> Vec<Object> {
    let mut objects = Vec::new();
    let (width, height) = (f64::from(size.0), f64::from(size.1));
    for (number, line) in text.lines().enumerate() {
        let number = number as u64 + 1;
        let place = || Place::line(file, number);
        // One more than allowed is enough to know; a row of a million numbers is not collected.
        let columns: Vec<&str> = line.split_whitespace().take(MAX_COLUMNS + 1).collect();
        if columns.is_empty() {
            continue;
        }
        let polygon = columns.len() >= 7 && columns.len() % 2 == 1;
        if columns.len() > MAX_COLUMNS || !(columns.len() == 5 || polygon) {
            let count = line.split_whitespace().count();
            let hint = if count == 6 { " (a sixth column is a detector's score)" } else { "" };
            let message = format!("{count} columns; a row is `class x y w h`{hint}; row left out");
            findings.push(Kind::YoloColumns, place(), message);
            continue;
        }
        let numbers: Result<Vec<f64>, _> =
            columns[1..].iter().map(|text| text.parse::<f64>().map_err(|_| *text)).collect();
        let numbers = match numbers {
            Ok(numbers) => numbers,
            Err(text) => {
                let message = format!("`{}` is not a number; row left out", clip(text));
                findings.push(Kind::BadNumber, place(), message);
                continue;
            }
        };
        let class = match columns[0].parse::<f64>() {
            Ok(class) if class.fract() == 0.0 && class >= 0.0 && class < classes as f64 => class as usize,
            _ => {
                let message = format!(
                    "class `{}` is no index below the {classes} names; row left out",
                    clip(columns[0])
                );
                findings.push(Kind::YoloClass, place(), message);
                continue;
            }
        };
        let out_of_range =
            |value: &&f64| value.is_finite() && !(-TOLERANCE..=1.0 + TOLERANCE).contains(*value);
        // A negative width is an inverted box, which the box checks report.
        let checked = if polygon { &numbers[..] } else { &numbers[..2] };
        let too_large = numbers.iter().find(|value| value.is_finite() && **value > 1.0 + TOLERANCE);
        if let Some(value) = checked.iter().find(out_of_range).or(too_large) {
            let message = format!("{value} is not between 0 and 1; row left out");
            findings.push(Kind::YoloRange, place(), message);
            continue;
        }
        let bbox = if polygon {
            findings.push(Kind::YoloPolygon, place(), format!("{} points", numbers.len() / 2));
            let xs = || numbers.iter().step_by(2).copied();
            let ys = || numbers.iter().skip(1).step_by(2).copied();
            bounds(xs(), ys())
                .map_or([f64::NAN; 4], |[x1, y1, x2, y2]| [x1 * width, y1 * height, x2 * width, y2 * height])
        } else {
            let [x, y, w, h] = numbers[..] else { continue };
            [(x - w / 2.0) * width, (y - h / 2.0) * height, (x + w / 2.0) * width, (y + h / 2.0) * height]
        };
        let source = u32::try_from(number).unwrap_or(u32::MAX);
        objects.push(Object { source, ..Object::new(class, bbox) });
    }
    objects
}

/// The bounding box of points; `None` without points or when one is not finite.
pub(crate) fn bounds(xs: impl Iterator<Item = f64>, ys: impl Iterator<Item = f64>) -> Option<[f64; 4]> {
    let mut bbox = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for (x, y) in xs.zip(ys) {
        if !x.is_finite() || !y.is_finite() {
            return None;
        }
        bbox = [bbox[0].min(x), bbox[1].min(y), bbox[2].max(x), bbox[3].max(y)];
    }
    bbox[0].is_finite().then_some(bbox)
}

fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

/// What a `data.yaml` says.
#[derive(Debug, Clone, PartialEq)]
pub struct DataYaml {
    /// Class names by index.
    pub names: Vec<String>,
    /// Split name to its folders or list files, as written.
    pub splits: BTreeMap<String, Vec<String>>,
    /// `path`, as written.
    pub path: Option<String>,
}

/// Parses a `data.yaml`; `names` may be a list or a map from index to name.
///
/// # Errors
/// [`DataError::Syntax`] when it is no YAML or has no names.
pub fn parse_data_yaml(text: &str, path: &Path, findings: &mut Findings) -> Result<DataYaml, DataError> {
    let yaml = yaml::parse(text, path)?;
    let no_names = |message: &str| DataError::Syntax {
        path: path.to_path_buf(),
        line: None,
        message: message.to_string(),
    };
    let mut names = Vec::new();
    match yaml.get("names") {
        Some(Yaml::List(list)) => {
            names.extend(list.iter().map(|name| name.text().unwrap_or_default().to_string()));
        }
        Some(Yaml::Map(entries)) => {
            let mut by_index = BTreeMap::new();
            for (key, name) in entries {
                let index: u32 =
                    key.parse().map_err(|_| no_names(&format!("`names` has the key `{key}`, no index")))?;
                by_index.insert(index, name.text().unwrap_or_default().to_string());
            }
            // Names after a gap would need invented classes in between.
            for (index, name) in by_index {
                if index as usize != names.len() {
                    let message = format!("index {} is missing; `{name}` left out", names.len());
                    findings.push(Kind::YoloNamesGap, Place::file(display(path)), message);
                    break;
                }
                names.push(name);
            }
        }
        _ => return Err(no_names("no `names` (a list, or a map from index to name)")),
    }
    if let Some(count) = yaml.get("nc").and_then(Yaml::text)
        && count.trim().parse() != Ok(names.len())
    {
        let message = format!("`nc` is {count}, there are {} names", names.len());
        findings.push(Kind::YoloCount, Place::file(display(path)), message);
    }
    let splits = ["train", "val", "test"]
        .into_iter()
        .filter_map(|split| {
            let folders: Vec<String> = yaml.get(split)?.texts().into_iter().map(str::to_string).collect();
            let named = folders.iter().any(|folder| !folder.is_empty() && folder != "~");
            named.then(|| (split.to_string(), folders))
        })
        .collect();
    let path = yaml.get("path").and_then(Yaml::text).map(str::to_string);
    Ok(DataYaml { names, splits, path })
}

/// Splits of a `data.yaml`, train first.
pub(crate) fn splits(yaml: &Path) -> Result<Vec<String>, DataError> {
    let mut names: Vec<String> = load_yaml(yaml, &mut Findings::default())?.splits.into_keys().collect();
    names.sort_by_key(|name| crate::open::split_rank(name));
    Ok(names)
}

fn load_yaml(path: &Path, findings: &mut Findings) -> Result<DataYaml, DataError> {
    let bytes = read_bounded(path, MAX_YAML, "a data.yaml")?;
    let text = String::from_utf8(bytes).map_err(|_| DataError::Syntax {
        path: path.to_path_buf(),
        line: None,
        message: "the file is not UTF-8; save it as UTF-8".to_string(),
    })?;
    parse_data_yaml(&text, path, findings)
}

/// Reads a YOLO dataset by its `data.yaml`; without `split`, train, val and test together.
///
/// # Errors
/// [`DataError`] when the YAML or the folders cannot be read.
pub fn read(yaml: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let data = load_yaml(yaml, &mut findings)?;
    let home = yaml.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Ultralytics resolves `path` against a global folder; beside the YAML is what moves with it.
    let root = match &data.path {
        Some(path) if home.join(path).is_dir() => home.join(path),
        _ => home.to_path_buf(),
    };
    let mut available: Vec<String> = data.splits.keys().cloned().collect();
    available.sort_by_key(|name| crate::open::split_rank(name));
    let wanted: Vec<String> = match split {
        None => available,
        Some(split) if data.splits.contains_key(split) => vec![split.to_string()],
        Some(split) => {
            let (path, split) = (yaml.to_path_buf(), split.to_string());
            return Err(DataError::UnknownSplit { path, split, available });
        }
    };
    let mut files: Vec<String> = Vec::new();
    for name in &wanted {
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

/// Reads `images/` and `labels/` beside a `classes.txt`, without a `data.yaml`.
///
/// # Errors
/// [`DataError`] when they cannot be read.
pub fn read_folder(root: &Path, split: Option<&str>) -> Result<(Dataset, Findings), DataError> {
    let mut findings = Findings::default();
    let list = classes_file(root).ok_or_else(|| DataError::UnknownFormat {
        path: root.to_path_buf(),
        reason: "YOLO labels without class names: neither data.yaml nor classes.txt".to_string(),
    })?;
    let bytes = read_bounded(&list, MAX_YAML, "a class list")?;
    let text = String::from_utf8_lossy(&bytes);
    let names = text.lines().map(str::trim).filter(|n| !n.is_empty()).map(str::to_string).collect();
    let folder = split.map_or_else(|| "images".to_string(), |split| format!("images/{split}"));
    if !root.join(&folder).is_dir() {
        let (path, split) = (root.to_path_buf(), split.unwrap_or_default().to_string());
        return Err(DataError::UnknownSplit { path, split, available: Vec::new() });
    }
    let mut files = Vec::new();
    list_split(root, &folder, split.unwrap_or("all"), &list, &mut files, &mut findings)?;
    let mut dataset = read_images(root, files, names, &mut findings);
    dataset.split = split.map(str::to_string);
    Ok((dataset, findings))
}

pub(crate) fn classes_file(root: &Path) -> Option<PathBuf> {
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
    // Roboflow writes `../train/images` beside the folder `train`.
    let candidates = [Some(folder), folder.strip_prefix("../")];
    let Some(found) = candidates.into_iter().flatten().find(|name| root.join(name).exists()) else {
        let message = format!("`{split}: {folder}` does not exist under {}", root.display());
        findings.push(Kind::SplitMissing, Place::file(display(yaml)), message);
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
            let place = Place::line(display(&path), number as u64 + 1);
            findings.push(Kind::SplitDuplicate, place, message);
            continue;
        }
        files.push(line.trim_start_matches("./").to_string());
    }
    Ok(())
}

/// Label files that no image belongs to.
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
            let place = Place::file(display(&labels.join(&label)));
            findings.push(Kind::LabelWithoutImage, place, "no image of this name".to_string());
        }
    }
    Ok(())
}

/// The label path of an image: the last folder `images` becomes `labels`, the extension `.txt`.
pub(crate) fn label_of(image: &str) -> String {
    let stem = without_extension(image);
    let mut parts: Vec<&str> = stem.split('/').collect();
    let folders = parts.len().saturating_sub(1);
    if let Some(part) = parts[..folders].iter_mut().rev().find(|part| **part == "images") {
        *part = "labels";
    }
    format!("{}.txt", parts.join("/"))
}

fn read_images(root: &Path, files: Vec<String>, names: Vec<String>, findings: &mut Findings) -> Dataset {
    let count = names.len();
    let read = parallel(files.len(), |index| {
        let mut own = Findings::default();
        let file = &files[index];
        let label = label_of(file);
        let path = root.join(&label);
        let header = read_header(&root.join(file));
        let size = header.as_ref().map_or((0, 0), |header| (header.width, header.height));
        let place = || Place::file(display(&path));
        if !path.exists() {
            let message = format!("{file} has no label file {label}");
            own.push(Kind::ImageWithoutLabel, Place::file(display(&root.join(file))), message);
            return Some((size, None, Vec::new(), own));
        }
        let objects = match read_bounded(&path, MAX_LABELS, "a YOLO label file") {
            Err(error) => {
                own.push(Kind::FileUnreadable, place(), error.to_string());
                Vec::new()
            }
            Ok(bytes) => match String::from_utf8(bytes) {
                Err(_) => {
                    own.push(Kind::LabelNotUtf8, place(), "the label is not UTF-8".to_string());
                    Vec::new()
                }
                // Without a size there are no pixels: the image is reported, its rows are only checked.
                Ok(text) => {
                    let objects = parse_labels(&text, size, count, &place().file, &mut own);
                    if size.0 == 0 { Vec::new() } else { objects }
                }
            },
        };
        Some((size, Some(label), objects, own))
    });
    let mut images = Vec::with_capacity(files.len());
    for (file, result) in files.into_iter().zip(read) {
        let Some(((width, height), label, objects, own)) = result else {
            continue;
        };
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
        format: Format::Yolo,
        root: root.to_path_buf(),
        annotations: None,
        split: None,
        classes,
        images,
    }
}

/// The rows of one image; needs its size. Crowd regions are left out: YOLO would train on them.
pub fn write_rows(image: &ImageRecord) -> String {
    use std::fmt::Write as _;
    let mut rows = String::new();
    let (width, height) = (f64::from(image.width.max(1)), f64::from(image.height.max(1)));
    for object in image.objects.iter().filter(|object| !object.crowd) {
        let [x1, y1, x2, y2] = object.bbox;
        let x = (x1 + x2) / 2.0 / width;
        let y = (y1 + y2) / 2.0 / height;
        let (w, h) = ((x2 - x1) / width, (y2 - y1) / height);
        let _ = writeln!(rows, "{} {x} {y} {w} {h}", object.class);
    }
    rows
}

/// A `data.yaml` for these splits (name and folder).
pub fn write_data_yaml(classes: &[Class], splits: &[(String, String)]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("path: .\n");
    for (name, folder) in splits {
        let _ = writeln!(text, "{name}: {}", yaml::quote(folder));
    }
    let _ = writeln!(text, "nc: {}\nnames:", classes.len());
    for (index, class) in classes.iter().enumerate() {
        let _ = writeln!(text, "  {index}: {}", yaml::quote(&class.name));
    }
    text
}
