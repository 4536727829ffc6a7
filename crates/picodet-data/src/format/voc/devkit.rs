//! The root of a VOC devkit: one dataset per year.

use std::path::{Path, PathBuf};

use super::layout::VocLayout;
use super::read::read_layout;
use crate::dataset::Loaded;
use crate::error::DataError;
use crate::format::handler::{Source, choose_split};
use crate::image_paths::ImagePaths;
use crate::layout::{class_union, merge, with_classes};
use crate::split_name::{sort_splits, split_role, subfolders};
use crate::walk::existing;

/// A folder of VOC datasets that are read as one.
pub(super) struct Devkit {
    root: PathBuf,
    /// Folder and layout of each year.
    years: Vec<(String, VocLayout)>,
}

impl Devkit {
    /// Recognises a folder with subfolders that have `Annotations/`, such as `VOC2007` and `VOC2012`.
    pub(super) fn find(root: &Path) -> Option<Self> {
        let years: Vec<(String, VocLayout)> = subfolders(root)
            .into_iter()
            .filter(|name| split_role(name).is_none() && existing(&root.join(name), "Annotations").is_some())
            .filter_map(|name| Some((name.clone(), VocLayout::find(&root.join(&name))?)))
            .collect();
        (!years.is_empty()).then(|| Self { root: root.to_path_buf(), years })
    }

    fn read_year(layout: &VocLayout, split: Option<&str>) -> Result<Loaded, DataError> {
        let (dataset, findings) = read_layout(layout, split)?;
        Ok(Loaded { dataset, findings, complete: split.is_none() })
    }
}

impl Source for Devkit {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        let mut names: Vec<String> = self.years.iter().flat_map(|(_, layout)| layout.splits()).collect();
        sort_splits(&mut names);
        names.dedup();
        Ok(names)
    }

    /// Reads the years that have the split; classes are those of all years.
    fn read(&self, split: Option<&str>, _: ImagePaths) -> Result<Loaded, DataError> {
        let available = self.splits()?;
        let split = split.map(|split| choose_split(&self.root, split, &available)).transpose()?;
        let mut parts = Vec::new();
        let mut lists = Vec::new();
        for (name, layout) in &self.years {
            if split.is_none_or(|split| layout.splits().iter().any(|other| other == split)) {
                parts.push((name.clone(), Self::read_year(layout, split)?));
            } else {
                lists.push(Self::read_year(layout, None)?.dataset.classes);
            }
        }
        let known = parts.iter().map(|(_, part)| &part.dataset.classes[..]);
        let classes = class_union(known.chain(lists.iter().map(Vec::as_slice)));
        let merged = merge(&self.root, parts, split);
        let mut loaded =
            merged.ok_or_else(|| DataError::SplitNeeded { path: self.root.clone(), available })?;
        loaded.dataset = with_classes(loaded.dataset, &classes);
        Ok(loaded)
    }
}
