//! A folder per split, each of which is a complete dataset (Roboflow, `train/` and `test/`).

use std::path::{Path, PathBuf};

use super::merge::{class_union, merge, with_classes};
use super::search::find_format;
use crate::dataset::Loaded;
use crate::error::DataError;
use crate::format::handler::{Evidence, Recognition, Source, choose_split};
use crate::format::handler_of;
use crate::image_paths::ImagePaths;
use crate::sniff::{JsonKind, json_files, json_kind};
use crate::split_name::split_folders;

/// Returns the dataset of a folder whose subfolders with names of splits are datasets.
pub(super) fn recognise(root: &Path) -> Option<Box<dyn Source>> {
    let mut parts = Vec::new();
    for name in split_folders(root) {
        let found = find_format(&root.join(&name), &[Evidence::Files, Evidence::Layout, Evidence::Weak]);
        if let Recognition::Found(source) = found {
            parts.push((name, source));
        }
    }
    let source = SplitFolders { root: root.to_path_buf(), parts };
    if source.parts.is_empty() { None } else { Some(Box::new(source)) }
}

struct SplitFolders {
    root: PathBuf,
    /// Name of the folder and its dataset, train first.
    parts: Vec<(String, Box<dyn Source>)>,
}

impl SplitFolders {
    /// Reads the dataset of one folder as a whole, whatever the dataset calls its split.
    fn read_part(source: &dyn Source, paths: ImagePaths) -> Result<Loaded, DataError> {
        let names = source.splits()?;
        match &names[..] {
            [only] => source.read(Some(only), paths),
            _ => source.read(None, paths).map_err(|error| match error {
                DataError::SplitNeeded { path, available } => several_files(path, available),
                error => error,
            }),
        }
    }
}

/// The error for the folder of a split with several COCO files, of which `--split` cannot choose one.
fn several_files(path: PathBuf, names: Vec<String>) -> DataError {
    let mut files = json_files(&path);
    files.retain(|file| json_kind(file) == JsonKind::Coco);
    let files: Vec<String> =
        files.iter().filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned())).collect();
    DataError::SeveralFiles { path, files: if files.is_empty() { names } else { files } }
}

impl Source for SplitFolders {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        Ok(self.parts.iter().map(|(name, _)| name.clone()).collect())
    }

    fn read(&self, split: Option<&str>, paths: ImagePaths) -> Result<Loaded, DataError> {
        let names = self.splits()?;
        let Some(split) = split else {
            let parts: Result<Vec<_>, DataError> = self
                .parts
                .iter()
                .map(|(name, part)| Ok((name.clone(), Self::read_part(part.as_ref(), paths)?)))
                .collect();
            let parts = parts?;
            let single_file = |part: &Loaded| handler_of(part.dataset.format).conventions().single_file;
            if parts.len() > 1 && parts.iter().any(|(_, part)| single_file(part)) {
                return Err(DataError::SplitNeeded { path: self.root.clone(), available: names });
            }
            let merged = merge(&self.root, parts, None);
            return merged
                .ok_or_else(|| DataError::SplitNeeded { path: self.root.clone(), available: names });
        };
        let split = choose_split(&self.root, split, &names)?;
        let Some((_, part)) = self.parts.iter().find(|(name, _)| name == split) else {
            return Err(DataError::SplitNeeded { path: self.root.clone(), available: names });
        };
        let mut chosen = Self::read_part(part.as_ref(), paths)?;
        // A format without a class list has the classes of all splits; COCO states the list of each.
        if !handler_of(chosen.dataset.format).conventions().single_file {
            let others = self.parts.iter().filter(|(name, _)| name != split);
            let others: Vec<Loaded> =
                others.filter_map(|(_, part)| Self::read_part(part.as_ref(), paths).ok()).collect();
            let lists = std::iter::once(&chosen).chain(&others).map(|part| &part.dataset.classes[..]);
            let classes = class_union(lists);
            chosen.dataset = with_classes(chosen.dataset, &classes);
        }
        chosen.dataset.split = Some(split.to_string());
        Ok(chosen)
    }
}
