//! Joins the splits of a dataset.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use crate::class_list::unified;
use crate::contained::{real_images, without_contained};
use crate::dataset::{Dataset, ImageRecord, Loaded, Part};
use crate::error::DataError;
use crate::finding::Findings;
use crate::format::handler_of;
use crate::loss::Loss;
use crate::open::{open_lenient, open_split, splits, splits_without_unions};
use crate::paths::{plain, real};
use crate::split_name::{is_test_split, split_role};
use crate::unread::find_unread;

/// The images of a split without objects.
const UNLABELLED: &str = "images of splits without objects";

/// Whether images without objects of a split are unlabelled: those of training, validation and test, but not of a split of
/// background images.
fn must_have_objects(split: &str) -> bool {
    is_test_split(split) || split_role(split).is_some()
}

/// All splits of a dataset as one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Joined {
    /// The dataset and its faults.
    pub loaded: Loaded,
    /// The names of the splits that were joined; empty if there was only one.
    pub splits: Vec<String>,
    /// Contents of the splits that the joined dataset lacks.
    pub losses: Vec<Loss>,
}

/// Reads a dataset of any format with all its splits, as [`open_lenient`], and joins those of several COCO files as well.
///
/// Classes are matched by name. Ids of classes, images and annotations that an earlier split has are replaced by the next free
/// ones. Image paths are relative to the folder of all splits. Left out, and among the losses: images of splits without
/// objects, and entries of files that an earlier split lists with the same objects.
///
/// # Errors
/// As [`open_lenient`]; [`DataError::BadArgument`] for splits of several formats, for classes without name in different class
/// lists, and for fields of the files that would be confused.
pub fn open_joined(path: impl AsRef<Path>) -> Result<Joined, DataError> {
    let path = path.as_ref();
    match open_lenient(path, None) {
        Err(DataError::SplitNeeded { .. }) => join(path),
        loaded => {
            let (mut loaded, mut splits) = (loaded?, splits(path)?);
            if splits.len() < 2 {
                splits.clear();
            }
            let losses = remove_unlabelled(path, &mut loaded.dataset, &mut splits)?;
            Ok(Joined { loaded, splits, losses })
        }
    }
}

/// Removes the images of splits without objects, which are no background images.
fn remove_unlabelled(
    path: &Path,
    dataset: &mut Dataset,
    splits: &mut Vec<String>,
) -> Result<Vec<Loss>, DataError> {
    let mut unlabelled: HashSet<PathBuf> = HashSet::new();
    let mut names: Vec<String> = Vec::new();
    for name in splits.iter().filter(|name| must_have_objects(name)) {
        let part = open_split(path, Some(name))?.dataset;
        if part.object_count() == 0 {
            unlabelled.extend(real_images(&part));
            names.push(name.clone());
        }
    }
    if unlabelled.is_empty() || dataset.object_count() == 0 {
        return Ok(Vec::new());
    }
    let before = dataset.images.len();
    let mut files = real_images(dataset).into_iter();
    dataset.images.retain(|image| {
        let is_unlabelled = files.next().is_some_and(|file| unlabelled.contains(&file));
        !(is_unlabelled && image.objects.is_empty())
    });
    let removed = before - dataset.images.len();
    if removed == 0 {
        return Ok(Vec::new());
    }
    splits.retain(|name| !names.contains(name));
    Ok(vec![Loss { what: UNLABELLED.to_string(), count: removed }])
}

fn join(path: &Path) -> Result<Joined, DataError> {
    let mut findings = Findings::default();
    let mut loaded = Vec::new();
    for name in splits_without_unions(path)? {
        let mut part = open_split(path, Some(&name))?;
        part.dataset.split = Some(name);
        loaded.push(part);
    }
    let complete = loaded.iter().all(|part| part.complete);
    let mut datasets: Vec<Dataset> = Vec::new();
    for part in without_contained(loaded, &mut findings) {
        findings.extend(part.findings);
        datasets.push(part.dataset);
    }
    findings.deduplicate();
    findings.extend(find_unread(path, &datasets.iter().collect::<Vec<_>>()).into_findings());
    refuse_confusion(path, &datasets)?;

    let mut losses = Vec::new();
    let mut lose = |what: &str, count: usize| {
        if count > 0 {
            losses.push(Loss { what: what.to_string(), count });
        }
    };
    let has_objects = |dataset: &Dataset| dataset.object_count() > 0;
    if datasets.iter().any(has_objects) {
        let without = |dataset: &Dataset| !has_objects(dataset) && must_have_objects(dataset.split_name());
        let unlabelled = datasets.iter().filter(|dataset| without(dataset));
        lose(UNLABELLED, unlabelled.map(|dataset| dataset.images.len()).sum());
        datasets.retain(|dataset| !without(dataset));
    }
    let parts: Vec<Part<'_>> =
        datasets.iter().map(|dataset| Part { name: dataset.split_name(), dataset }).collect();
    let datasets = unified(&parts).unwrap_or_else(|| datasets.clone());
    let splits: Vec<String> = datasets.iter().map(|dataset| dataset.split_name().to_string()).collect();
    let files: Vec<PathBuf> = datasets.iter().filter_map(|dataset| dataset.annotations.clone()).collect();
    let (dataset, repeated) = joined(datasets);
    lose("entries of images that an earlier split lists with the same objects", repeated);
    losses.extend(handler_of(dataset.format).losses_of_join(&files)?);
    Ok(Joined { loaded: Loaded { dataset, findings, complete }, splits, losses })
}

/// Refuses splits that cannot be joined without confusion.
fn refuse_confusion(path: &Path, datasets: &[Dataset]) -> Result<(), DataError> {
    let bad = |what: String| Err(DataError::BadArgument { what });
    let Some(first) = datasets.first() else { return Ok(()) };
    if let Some(other) = datasets.iter().find(|other| other.format != first.format) {
        return bad(format!(
            "{}: the split `{}` is {} and `{}` is {}, and splits of different formats are not joined; \
             `picodet data convert` writes them in one",
            path.display(),
            first.split_name(),
            first.format,
            other.split_name(),
            other.format
        ));
    }
    let list = |dataset: &Dataset| {
        dataset.classes.iter().map(|class| (class.id, class.name.clone())).collect::<Vec<_>>()
    };
    let differ = datasets.iter().any(|dataset| list(dataset) != list(first));
    let mut classes =
        datasets.iter().flat_map(|dataset| dataset.classes.iter().map(move |class| (dataset, class)));
    if differ && let Some((dataset, class)) = classes.find(|(_, class)| class.name.is_empty()) {
        let file = dataset.annotations.as_ref().unwrap_or(&dataset.root);
        return bad(format!(
            "{}: the category with id {} has no name, and the splits are joined by the names of their classes; \
             give it a name in each split",
            file.display(),
            class.id
        ));
    }
    Ok(())
}

/// Joins datasets with equal class lists; also returns the number of entries that an earlier one has with the same objects.
fn joined(datasets: Vec<Dataset>) -> (Dataset, usize) {
    let folders = datasets.iter().flat_map(|dataset| {
        let file = dataset.annotations.as_deref().and_then(Path::parent);
        [Some(dataset.root.as_path()), file].into_iter().flatten()
    });
    let root = common_folder(&folders.collect::<Vec<_>>());
    let (format, classes) = (datasets[0].format, datasets[0].classes.clone());
    let mut whole = Dataset { format, root, annotations: None, split: None, classes, images: Vec::new() };
    let mut image_ids = Ids::of(datasets.iter().flat_map(|dataset| &dataset.images).map(|image| image.id));
    let objects = datasets.iter().flat_map(|dataset| &dataset.images).flat_map(|image| &image.objects);
    let mut object_ids = Ids::of(objects.filter_map(|object| object.id));
    let mut listed: HashMap<PathBuf, Vec<usize>> = HashMap::new();
    let mut repeated = 0;
    for dataset in datasets {
        let files = real_images(&dataset);
        let inside = |path: &Path| below(&whole.root, path);
        let folder = inside(&dataset.root);
        let label = dataset.annotations.as_deref().map(inside);
        let first = whole.images.len();
        for (mut image, file) in dataset.images.into_iter().zip(files) {
            let entries = listed.entry(file).or_default();
            let is_known = |&index: &usize| index < first && same_objects(&whole.images[index], &image);
            if entries.iter().any(is_known) {
                repeated += 1;
                continue;
            }
            entries.push(whole.images.len());
            if Path::new(&image.file).is_absolute() {
                image.file = inside(Path::new(&image.file));
            } else if !folder.is_empty() {
                image.file = format!("{folder}/{}", image.file);
            }
            image.id = image_ids.free(image.id);
            for object in &mut image.objects {
                object.id = object.id.map(|id| object_ids.free(id));
            }
            image.label.clone_from(&label);
            whole.images.push(image);
        }
    }
    (whole, repeated)
}

/// Whether two entries have the same classes, boxes and flags.
fn same_objects(a: &ImageRecord, b: &ImageRecord) -> bool {
    let key = |image: &ImageRecord| {
        let mut objects: Vec<(usize, [u64; 4], bool)> = (image.objects.iter())
            .map(|object| (object.class, object.bbox.map(f64::to_bits), object.crowd))
            .collect();
        objects.sort_unstable();
        objects
    };
    a.objects.len() == b.objects.len() && key(a) == key(b)
}

/// Ids that are given once.
struct Ids {
    given: HashSet<i64>,
    largest: i64,
}

impl Ids {
    /// Begins above the largest of all ids.
    fn of(all: impl Iterator<Item = i64>) -> Self {
        Self { given: HashSet::new(), largest: all.fold(0, i64::max) }
    }

    /// Returns the id, or the next free one if it was given before.
    fn free(&mut self, id: i64) -> i64 {
        if self.given.insert(id) {
            return id;
        }
        self.largest = self.largest.saturating_add(1);
        self.given.insert(self.largest);
        self.largest
    }
}

/// Returns the folder that contains all folders, as written if the paths have a common beginning.
fn common_folder(folders: &[&Path]) -> PathBuf {
    let common = |folders: &[PathBuf]| {
        let first = folders.first().cloned().unwrap_or_default();
        let is_above = |folder: &Path| folders.iter().all(|other| other.starts_with(folder));
        first.ancestors().find(|folder| is_above(folder)).map(Path::to_path_buf).unwrap_or_default()
    };
    let written = common(&folders.iter().map(|folder| folder.to_path_buf()).collect::<Vec<_>>());
    if !written.as_os_str().is_empty() && !folders.iter().any(|folder| has_parent(folder)) {
        return written;
    }
    common(&folders.iter().map(|folder| absolute(folder)).collect::<Vec<_>>())
}

/// Whether a path has a component `..`.
fn has_parent(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

/// Returns a path without `.` and `..` that begins at the root. Links stay: the images can be on another disk.
fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let begun = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let plain = plain(&begun);
    // A folder above a link is not that above its target.
    if real(&plain) == real(path) { plain } else { real(path) }
}

/// Returns a path relative to the folder that contains it, with `/`; unchanged if the folder does not.
fn below(root: &Path, path: &Path) -> String {
    let inside = |path: &Path| path.strip_prefix(root).ok().map(Path::to_path_buf);
    match inside(path).filter(|found| !has_parent(found)).or_else(|| inside(&absolute(path))) {
        Some(found) => {
            let parts = found.components().map(|part| part.as_os_str().to_string_lossy());
            parts.collect::<Vec<_>>().join("/")
        }
        None => path.to_string_lossy().into_owned(),
    }
}
