//! LabelMe and X-AnyLabeling: one JSON per image; shapes are replaced by their bounding boxes.

mod annotation;
mod copies;
mod list;
mod read;
mod rewrite;
mod shape;
mod split;
mod write;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::handler::{
    Conventions, Evidence, FormatHandler, LossRule, ObjectSource, Recognition, Source, SplitOutput,
    choose_split, class_lines, write_file,
};
use crate::dataset::{Dataset, Format, Loaded, Part, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Location};
use crate::image_paths::ImagePaths;
use crate::input::open_regular;
use crate::layout::with_classes;
use crate::loss::Loss;
use crate::paths::resolve_images;
use crate::sniff::{JsonKind, json_files, json_kind};
use crate::split_name::{split_folders, split_role, subfolders};

pub use annotation::{Annotation, parse};
pub(crate) use read::annotation_in;
pub use read::read;
use read::read_listed;
pub use write::write_one;

impl Format {
    /// LabelMe.
    pub const LABELME: Self = Self::new("labelme");
}

/// Number of files and folders that are inspected to recognise a dataset.
const INSPECTED: usize = 20;
/// Depth below the dataset at which files are looked for.
const MAX_DEPTH: usize = 3;

pub(super) struct LabelMeHandler;

impl FormatHandler for LabelMeHandler {
    fn format(&self) -> Format {
        Format::LABELME
    }

    fn description(&self) -> &'static str {
        "a folder of LabelMe .json files"
    }

    fn conventions(&self) -> Conventions {
        Conventions {
            pixel_boxes: true,
            stores_extents: false,
            single_file: false,
            images_from_folders: false,
            images_by_extension: false,
            object_source: ObjectSource::Element("/shapes"),
        }
    }

    fn recognise(&self, path: &Path, evidence: Evidence) -> Recognition {
        if path.is_file() {
            let json = path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json"));
            let single = json && json_kind(path) == JsonKind::LabelMe;
            return if single {
                Recognition::Refused("a single LabelMe file; open its folder".to_string())
            } else {
                Recognition::None
            };
        }
        if evidence != Evidence::Layout {
            return Recognition::None;
        }
        let root = path.to_path_buf();
        let lists = list::lists(path);
        if !lists.is_empty() && is_labelme(path) {
            return Recognition::Found(Box::new(LabelMeLists { root, lists }));
        }
        // With labels next to the folders, and none for training, the folders are no splits.
        let mut ignored = split_folders(path);
        ignored.retain(|name| is_labelme(&path.join(name)));
        let divided = ignored.iter().any(|name| split_role(name) == Some("train"));
        if !divided && has_labelme(path) {
            return Recognition::Found(Box::new(LabelMeFolder { root, splits: Vec::new(), ignored }));
        }
        let splits = splits(path);
        if splits.is_empty() && !is_labelme(path) {
            return Recognition::None;
        }
        Recognition::Found(Box::new(LabelMeFolder { root, splits, ignored: Vec::new() }))
    }

    fn image_folder(&self, split: &str) -> String {
        split.to_string()
    }

    fn losses(&self) -> &'static [LossRule] {
        &[LossRule {
            what: "swapped corners of boxes (read as the boxes between them)",
            applies: |_, object| object.bbox[2] < object.bbox[0] || object.bbox[3] < object.bbox[1],
            drops_object: false,
        }]
    }

    fn extras(&self, parts: &[Part<'_>]) -> Result<Vec<Loss>, DataError> {
        Ok(rewrite::extras(parts))
    }

    fn embedded_image(&self, dataset: &Dataset, image: usize) -> Option<Vec<u8>> {
        let label = dataset.images.get(image)?.label.as_ref()?;
        annotation::embedded_image(open_regular(&dataset.root.join(label)).ok()?)?.ok()
    }

    fn has_broken_image(&self, dataset: &Dataset, image: usize) -> bool {
        let label = dataset.images.get(image).and_then(|image| image.label.as_ref());
        let file = label.and_then(|label| open_regular(&dataset.root.join(label)).ok());
        file.and_then(annotation::embedded_image).is_some_and(|image| image.is_err())
    }

    fn write_split(&self, output: &SplitOutput<'_>) -> Result<(), DataError> {
        split::write_split(output)
    }

    fn write_lists(&self, parts: &[Part<'_>], _: &[String], out: &Path) -> Result<(), DataError> {
        write_file(&out.join("labels.txt"), &class_lines(parts))
    }
}

struct LabelMeFolder {
    root: PathBuf,
    splits: Vec<String>,
    /// Folders with names of splits next to labels that are in none.
    ignored: Vec<String>,
}

impl Source for LabelMeFolder {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        Ok(self.splits.clone())
    }

    fn read(&self, split: Option<&str>, _: ImagePaths) -> Result<Loaded, DataError> {
        let split = split.map(|split| choose_split(&self.root, split, &self.splits)).transpose()?;
        let (mut dataset, mut findings) = match split {
            None => read(&self.root, None)?,
            Some(split) => {
                // All splits get the class list of the whole dataset.
                let (whole, _) = read(&self.root, None)?;
                let (part, findings) = read(&self.root.join(split), Some(split))?;
                (with_classes(part, &whole.classes), findings)
            }
        };
        for name in &self.ignored {
            let message =
                format!("`{name}` is read as part of the whole, since there are labels next to the folder");
            findings.push(FindingKind::SplitIgnored, Location::file(display(&self.root.join(name))), message);
        }
        let top = dataset.root.clone();
        resolve_images(&mut dataset, &top, &mut findings);
        Ok(Loaded { dataset, findings, complete: true })
    }
}

/// A folder with lists of splits.
struct LabelMeLists {
    root: PathBuf,
    /// Name and list of each split, train first.
    lists: Vec<(String, PathBuf)>,
}

impl Source for LabelMeLists {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        Ok(self.lists.iter().map(|(name, _)| name.clone()).collect())
    }

    fn read(&self, split: Option<&str>, _: ImagePaths) -> Result<Loaded, DataError> {
        let names = self.splits()?;
        let split = split.map(|split| choose_split(&self.root, split, &names)).transpose()?;
        let chosen = self.lists.iter().filter(|(name, _)| split.is_none_or(|split| split == name));
        let lists: Vec<PathBuf> = chosen.map(|(_, list)| list.clone()).collect();
        let (mut dataset, mut findings) = read_listed(&self.root, split, &lists)?;
        resolve_images(&mut dataset, &self.root, &mut findings);
        Ok(Loaded { dataset, findings, complete: split.is_none() })
    }
}

/// Subfolders with LabelMe files: all of them next to a `labels.txt`, otherwise those with a usual name of a
/// split.
fn splits(root: &Path) -> Vec<String> {
    let names = if root.join("labels.txt").is_file() { subfolders(root) } else { split_folders(root) };
    names.into_iter().filter(|name| is_labelme(&root.join(name))).collect()
}

/// Whether one of the first JSON files directly in the folder is a LabelMe file.
fn has_labelme(folder: &Path) -> bool {
    json_files(folder).iter().take(INSPECTED).any(|file| json_kind(file) == JsonKind::LabelMe)
}

/// Whether one of the first JSON files in the folder, or else in the folders below, is a LabelMe file.
fn is_labelme(folder: &Path) -> bool {
    let mut todo = VecDeque::from([(folder.to_path_buf(), 0)]);
    let mut inspected = 0;
    while let Some((folder, depth)) = todo.pop_front() {
        let files = json_files(&folder);
        if files.iter().take(INSPECTED).any(|file| json_kind(file) == JsonKind::LabelMe) {
            return true;
        }
        inspected += 1;
        if files.is_empty() && depth < MAX_DEPTH && inspected < INSPECTED {
            let below = subfolders(&folder).into_iter().take(INSPECTED);
            todo.extend(below.map(|name| (folder.join(name), depth + 1)));
        }
    }
    false
}
