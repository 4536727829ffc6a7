//! Looks up the images that are read by their paths.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::paths::real_below;
use crate::dataset::{Dataset, Format, ImageRecord};
use crate::input::same_bytes;
use crate::paths::{real, turned};

/// The images of datasets.
pub(super) struct Images<'a> {
    datasets: &'a [&'a Dataset],
    /// The dataset and the position in it of the first entry of an image with objects, or of any entry, by the path without
    /// links.
    pub(super) by_path: HashMap<PathBuf, (usize, usize)>,
    /// The images of LabelMe by the name of their file.
    by_name: HashMap<OsString, Vec<PathBuf>>,
}

impl<'a> Images<'a> {
    pub(super) fn of(datasets: &'a [&'a Dataset]) -> Self {
        let mut images = Self { datasets, by_path: HashMap::new(), by_name: HashMap::new() };
        for (part, dataset) in datasets.iter().enumerate() {
            let root = real(&dataset.root);
            let files: Vec<String> = dataset.images.iter().map(|image| turned(&image.file)).collect();
            let paths = real_below(&root, &files);
            for (index, (image, path)) in dataset.images.iter().zip(paths).enumerate() {
                let (of, at) = *images.by_path.entry(path.clone()).or_insert((part, index));
                if datasets[of].images[at].objects.is_empty() && !image.objects.is_empty() {
                    images.by_path.insert(path, (part, index));
                }
            }
        }
        if datasets.iter().any(|dataset| dataset.format == Format::LABELME) {
            for path in images.by_path.keys() {
                let name = path.file_name().unwrap_or_default().to_owned();
                images.by_name.entry(name).or_default().push(path.clone());
            }
        }
        images
    }

    /// The dataset and entry of an image, or of the one of which it is a copy that LabelMe's reader has reported.
    pub(super) fn get(&self, path: &Path) -> Option<(&'a Dataset, &'a ImageRecord)> {
        let &(part, index) = self.by_path.get(path).or_else(|| {
            let originals = self.by_name.get(path.file_name()?)?;
            let original = originals.iter().find(|original| same_bytes(original, path))?;
            self.by_path.get(original)
        })?;
        let dataset: &'a Dataset = self.datasets[part];
        Some((dataset, &dataset.images[index]))
    }

    pub(super) fn has_objects(&self, path: &Path) -> bool {
        self.get(path).is_some_and(|(_, image)| !image.objects.is_empty())
    }
}
