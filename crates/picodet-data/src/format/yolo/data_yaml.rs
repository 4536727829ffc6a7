//! Parses `data.yaml`: class names, kind of the rows, and folders or lists of each split.

use std::collections::BTreeMap;
use std::path::Path;

use super::yaml::{self, Yaml};
use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::paths::is_absent;
use crate::text::{clip, read_text};

/// Largest `data.yaml` in bytes.
const MAX_SIZE: u64 = 4 << 20;
/// Keys of splits.
const SPLITS: [&str; 5] = ["train", "val", "valid", "validation", "test"];
/// Largest class index.
const MAX_INDEX: u32 = 1 << 20;

/// The contents of a `data.yaml`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct DataYaml {
    /// Class names, in the order of their indices.
    pub names: Vec<String>,
    /// The index of each name in the rows: 0, 1, 2, … unless the file numbers them differently.
    pub indices: Vec<u32>,
    /// `kpt_shape`: number of keypoints per object, and of values per keypoint.
    pub keypoints: Option<[usize; 2]>,
    /// Folders or list files of each split, as written.
    pub splits: BTreeMap<String, Vec<String>>,
    /// `path`, as written.
    pub path: Option<String>,
}

/// Parses a `data.yaml`; `names` may be a list or a map from index to name.
///
/// # Errors
/// [`DataError::Syntax`] when the text is not YAML or has no names.
pub fn parse_data_yaml(text: &str, path: &Path, findings: &mut Findings) -> Result<DataYaml, DataError> {
    let yaml = yaml::parse(text, path)?;
    let known = ["names", "nc", "path", "kpt_shape"];
    for key in yaml.repeated() {
        if known.iter().chain(&SPLITS).any(|known| known.eq_ignore_ascii_case(key)) {
            report_repeated(key, path, findings);
        }
    }
    let count = yaml.get("nc").and_then(Yaml::text).map(str::trim);
    let (names, indices) = names(&yaml, count, path, findings)?;
    if let Some(count) = count
        && count.parse() != Ok(names.len())
    {
        let message = format!("`nc` is {count}, but there are {} names", names.len());
        findings.push(FindingKind::YoloCount, Location::file(display(path)), message);
    }
    let splits = splits(&yaml);
    let root = yaml.get("path").and_then(Yaml::text).filter(|path| !is_absent(path)).map(str::to_string);
    Ok(DataYaml { names, indices, keypoints: keypoints(&yaml), splits, path: root })
}

/// Reports a key that occurs more than once.
pub(super) fn report_repeated(key: &str, path: &Path, findings: &mut Findings) {
    let message = format!("the key `{}` occurs more than once; the last one is read", clip(key));
    findings.push(FindingKind::DuplicateKey, Location::file(display(path)), message);
}

/// Returns the class names and their indices.
fn names(
    yaml: &Yaml,
    count: Option<&str>,
    path: &Path,
    findings: &mut Findings,
) -> Result<(Vec<String>, Vec<u32>), DataError> {
    let bad = |message: String| DataError::Syntax { path: path.to_path_buf(), line: None, message };
    match yaml.get("names") {
        Some(Yaml::List(list)) => {
            let names = list.iter().map(|name| name.text().unwrap_or_default().to_string());
            Ok((names.collect(), (0..).take(list.len()).collect()))
        }
        Some(Yaml::Map(entries)) => {
            let mut by_index = BTreeMap::new();
            for (key, name) in entries {
                let index: u32 = (key.trim().parse().ok())
                    .filter(|index| *index <= MAX_INDEX)
                    .ok_or_else(|| bad(format!("the key `{key}` of `names` is not an index")))?;
                if by_index.insert(index, name.text().unwrap_or_default().to_string()).is_some() {
                    report_repeated(key, path, findings);
                }
            }
            if let Some((expected, (index, name))) =
                (0u32..).zip(&by_index).find(|(n, (index, _))| n != *index)
            {
                let message = format!("index {expected} is missing; the next is {index}, `{name}`");
                findings.push(FindingKind::YoloNamesGap, Location::file(display(path)), message);
            }
            let (indices, names) = by_index.into_iter().unzip();
            Ok((names, indices))
        }
        None if count.is_some_and(|count| count.parse::<u32>().is_ok_and(|n| n <= 10_000)) => {
            let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or(0);
            let message =
                format!("`nc` is {count}, but there are no names; classes are named by their index");
            findings.push(FindingKind::YoloCount, Location::file(display(path)), message);
            Ok(((0..count).map(|index| index.to_string()).collect(), (0..count).collect()))
        }
        Some(Yaml::Text(text)) if !is_absent(text) => Err(bad(format!(
            "`names` is the text `{}`; write a list (`names: [{0}]`), or a map from index to name",
            clip(text)
        ))),
        _ => Err(bad("`names` is missing (a list, or a map from index to name)".to_string())),
    }
}

/// Returns the entries of the splits: those of Ultralytics, and others in the folder `images/` of their name.
fn splits(yaml: &Yaml) -> BTreeMap<String, Vec<String>> {
    let own = |key: &str, value: &Yaml| value.text() == Some(format!("images/{key}").as_str());
    let Yaml::Map(entries) = yaml else { return BTreeMap::new() };
    let mut splits = BTreeMap::new();
    for (key, _) in entries {
        let known = SPLITS.into_iter().find(|split| split.eq_ignore_ascii_case(key)).unwrap_or(key);
        let Some(value) =
            yaml.get(known).filter(|value| known != key || SPLITS.contains(&known) || own(key, value))
        else {
            continue;
        };
        let mut folders: Vec<String> = value.texts().into_iter().map(str::to_string).collect();
        folders.retain(|folder| !is_absent(folder));
        if !folders.is_empty() {
            splits.entry(known.to_string()).or_insert(folders);
        }
    }
    splits
}

/// Returns `kpt_shape`.
fn keypoints(yaml: &Yaml) -> Option<[usize; 2]> {
    let shape: Vec<usize> =
        yaml.get("kpt_shape")?.texts().iter().filter_map(|text| text.trim().parse().ok()).collect();
    match shape[..] {
        [count, values] if count <= 10_000 && matches!(values, 2 | 3) => Some([count, values]),
        _ => None,
    }
}

/// Reads and parses a `data.yaml`.
pub(super) fn load_yaml(path: &Path, findings: &mut Findings) -> Result<DataYaml, DataError> {
    let text = read_text(path, MAX_SIZE, "a data.yaml", findings)?;
    parse_data_yaml(&text, path, findings)
}

/// Whether a YAML file can be meant as the description of a dataset: it has class names or splits, or is broken. Other
/// programs have files of this name as well.
pub(super) fn can_be_data_yaml(path: &Path) -> bool {
    let Ok(text) = read_text(path, MAX_SIZE, "a data.yaml", &mut Findings::default()) else { return true };
    let Ok(yaml) = yaml::parse(&text, path) else { return true };
    ["names", "nc"].iter().chain(&SPLITS).any(|key| yaml.get(key).is_some())
}

/// Whether a YAML file describes a dataset: it has class names, and a split or a path.
pub(crate) fn is_data_yaml(path: &Path) -> bool {
    let Ok(text) = read_text(path, MAX_SIZE, "a data.yaml", &mut Findings::default()) else { return false };
    let Ok(yaml) = yaml::parse(&text, path) else { return false };
    let has = |key: &str| yaml.get(key).is_some();
    (has("names") || has("nc")) && SPLITS.into_iter().any(has)
}
