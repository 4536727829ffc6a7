//! Parses `data.yaml`: class names, and folders or lists of each split.

use std::collections::BTreeMap;
use std::path::Path;

use super::yaml::{self, Yaml};
use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::input::read_bounded;
use crate::split_name::split_rank;

/// Largest `data.yaml` or class list in bytes.
pub(super) const MAX_SIZE: u64 = 4 << 20;

/// The contents of a `data.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct DataYaml {
    /// Class names by index.
    pub names: Vec<String>,
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
                let index: u32 = key
                    .parse()
                    .map_err(|_| no_names(&format!("the key `{key}` of `names` is not an index")))?;
                by_index.insert(index, name.text().unwrap_or_default().to_string());
            }
            // Names after a gap would need placeholder classes.
            for (index, name) in by_index {
                if index as usize != names.len() {
                    let message = format!("index {} is missing; `{name}` left out", names.len());
                    findings.push(FindingKind::YoloNamesGap, Location::file(display(path)), message);
                    break;
                }
                names.push(name);
            }
        }
        _ => return Err(no_names("`names` is missing (a list, or a map from index to name)")),
    }
    if let Some(count) = yaml.get("nc").and_then(Yaml::text)
        && count.trim().parse() != Ok(names.len())
    {
        let message = format!("`nc` is {count}, but there are {} names", names.len());
        findings.push(FindingKind::YoloCount, Location::file(display(path)), message);
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

/// Returns the splits of a `data.yaml`, train first.
pub(super) fn splits(yaml: &Path) -> Result<Vec<String>, DataError> {
    let mut names: Vec<String> = load_yaml(yaml, &mut Findings::default())?.splits.into_keys().collect();
    names.sort_by_key(|name| split_rank(name));
    Ok(names)
}

/// Reads and parses a `data.yaml`.
pub(super) fn load_yaml(path: &Path, findings: &mut Findings) -> Result<DataYaml, DataError> {
    let bytes = read_bounded(path, MAX_SIZE, "a data.yaml")?;
    let text = String::from_utf8(bytes).map_err(|_| DataError::Syntax {
        path: path.to_path_buf(),
        line: None,
        message: "the file is not UTF-8; save it as UTF-8".to_string(),
    })?;
    parse_data_yaml(&text, path, findings)
}
