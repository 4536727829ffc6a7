//! The images of a dataset, a folder or a glob pattern.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use picodet::crates::data::{Dataset, open_lenient};

use crate::images;

/// Files of images, and their labels if they belong to a dataset.
#[derive(Clone)]
pub(super) struct Pictures {
    /// The labels, of the images of `files` in their order.
    pub(super) dataset: Option<Dataset>,
    pub(super) files: Vec<PathBuf>,
}

impl Pictures {
    pub(super) fn open(path: &Path, split: Option<&str>) -> Result<Self> {
        let pictures = match open_lenient(path, split) {
            Ok(loaded) => {
                let mut dataset = loaded.strict(path)?;
                let found: Vec<Option<PathBuf>> =
                    (0..dataset.images.len()).map(|index| dataset.image_path(index)).collect();
                let mut index = 0;
                dataset.images.retain(|_| {
                    index += 1;
                    found[index - 1].is_some()
                });
                Self { files: found.into_iter().flatten().collect(), dataset: Some(dataset) }
            }
            Err(error) if split.is_some() => return Err(error.into()),
            Err(_) => Self { files: images::expand(path)?, dataset: None },
        };
        if pictures.files.is_empty() {
            bail!("{}: contains no images", path.display());
        }
        Ok(pictures)
    }

    /// Takes `count` images evenly spread over all, and up to `count` of the rest, spread in the same way.
    pub(super) fn divide(self, count: usize) -> (Self, Self) {
        let total = self.files.len();
        let spread = |total: usize| -> Vec<usize> {
            let count = count.min(total);
            (0..count).map(|index| index * total / count).collect()
        };
        let first = spread(total);
        let rest: Vec<usize> = (0..total).filter(|index| first.binary_search(index).is_err()).collect();
        let second: Vec<usize> = spread(rest.len()).into_iter().map(|index| rest[index]).collect();
        (self.select(&first), self.select(&second))
    }

    fn select(&self, indices: &[usize]) -> Self {
        let dataset = self.dataset.as_ref().map(|dataset| Dataset {
            images: indices.iter().map(|&index| dataset.images[index].clone()).collect(),
            ..dataset.clone()
        });
        Self { files: indices.iter().map(|&index| self.files[index].clone()).collect(), dataset }
    }
}
