//! Finds labels below the folder of a dataset that none of its splits contains.

mod formats;
mod masks;
mod real;
mod second;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::dataset::{Class, Dataset, Format, ImageRecord, display};
use crate::finding::{FindingKind, Findings, Location};
use crate::format::coco::{is_other_task, read_with_images};
use crate::format::other_labels::{
    LabelBox, LabelFile, boxes_in, format_of_label, label_file, label_of_other_format,
};
use crate::format::yolo::is_data_yaml;
use crate::input::same_bytes;
use crate::layout::foreign::of_file;
use crate::paths::{FileIndex, Lookup, Stated, plain, turned};
use crate::sniff::{JsonKind, files_with_extension, json_kind};
use crate::text::read_text;
use crate::walk::{self, file_name, has_extension, without_extension};
use formats::OtherFormats;
use masks::Masks;
use real::{Outputs, real_paths};
use second::{Difference, boxes_of, difference};

/// Largest file of a format that is not read, in bytes.
const MAX_FOREIGN: u64 = 256 << 20;

/// Labels that are not read.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// One finding per image.
    pub(crate) findings: Findings,
    /// The images.
    pub(crate) images: HashSet<PathBuf>,
    /// Images without label that are in no split, and how they are shown.
    pub(crate) unused: Vec<(PathBuf, Location)>,
    /// Labels of other formats, of images that are read with objects.
    pub(crate) formats: OtherFormats,
}

/// A label that is not read, of an image without objects otherwise, or with other ones.
struct Lost {
    kind: FindingKind,
    location: Location,
    message: String,
    image: PathBuf,
}

/// Finds the labels below `path` that `datasets`, all splits of the dataset there, do not contain: label files of images
/// that have no objects in any split, and those of the same format whose objects differ from the ones that are read.
pub(crate) fn find_unread(path: &Path, datasets: &[&Dataset]) -> Unread {
    let mut unread = Unread::default();
    let Some(shown) = folder_of(path, datasets) else { return unread };
    let (Some(first), Ok(top)) = (datasets.first(), shown.canonicalize()) else { return unread };
    let read = label_files(datasets);
    let extensions = ["xml", "json", "txt", "csv"];
    let mut others = walk::files(&top, &extensions, &mut Findings::default()).unwrap_or_default();
    let real = real_paths(&top, &others);
    others = others
        .into_iter()
        .zip(real)
        .filter(|(_, real)| !read.contains(real))
        .map(|(label, _)| label)
        .collect();
    let mut files = walk::images(&top, &mut Findings::default()).unwrap_or_default();
    let images = Images::of(datasets);
    let outputs = Outputs::of(&top, &images);
    others = outputs.without(others);
    files = outputs.without(files);
    let real: HashMap<String, PathBuf> = files.iter().cloned().zip(real_paths(&top, &files)).collect();
    let files = FileIndex::new(files);
    let labels: Vec<String> =
        others.iter().filter(|label| !has_extension(label, &["csv"])).cloned().collect();
    let beside = folders_of_annotations(datasets);
    let sweep = Sweep { top, shown, format: first.format, images, files, real, beside };
    let lost = picodet_parallel::map(0..labels.len(), 0, |index| sweep.lost(&labels[index]));
    for lost in lost.into_iter().flatten() {
        unread.add(lost);
    }
    for json in labels.iter().filter(|label| has_extension(label, &["json"])) {
        let lost = sweep.lost_of_coco(json, &mut unread.formats);
        lost.into_iter().for_each(|lost| unread.add(lost));
    }
    sweep.compare_labels(&labels, &mut unread.formats);
    sweep.lost_of_foreign(&others, &unread.images).into_iter().for_each(|lost| unread.add(lost));
    unread.unused = sweep.unused(&unread.images);
    unread
}

impl Unread {
    /// Returns the findings, with one for each unused image.
    pub(crate) fn into_findings(mut self) -> Findings {
        self.report_unused(&|_| true);
        self.findings
    }

    /// Adds a finding for each unused image that `accept` admits.
    pub(crate) fn report_unused(&mut self, accept: &dyn Fn(&Path) -> bool) {
        for (_, location) in self.unused.drain(..).filter(|(image, _)| accept(image)) {
            let message = "no label or split refers to it".to_string();
            self.findings.push(FindingKind::ImageUnused, location, message);
        }
    }

    /// Adds a label, if it is the first one of its image.
    fn add(&mut self, lost: Lost) {
        if self.images.insert(lost.image) {
            self.findings.push(lost.kind, lost.location, lost.message);
        }
    }
}

/// Returns the folder of the whole dataset at a path. A data file of YOLO describes its folder, unless there are several;
/// another file is read on its own.
fn folder_of(path: &Path, datasets: &[&Dataset]) -> Option<PathBuf> {
    let first = datasets.first()?;
    if path.is_dir() {
        let (real, root) = (path.canonicalize().ok()?, first.root.canonicalize().ok()?);
        let inside = real != root && real.starts_with(&root);
        return Some(if inside { first.root.clone() } else { path.to_path_buf() });
    }
    let beside = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut data_files = files_with_extension(beside, &["yaml", "yml", "data"]);
    data_files
        .retain(|file| file.extension().is_some_and(|extension| extension == "data") || is_data_yaml(file));
    (first.format == Format::YOLO && data_files.len() == 1).then(|| first.root.clone())
}

/// The label files that the datasets contain, without links.
fn label_files(datasets: &[&Dataset]) -> HashSet<PathBuf> {
    let mut read = HashSet::new();
    for dataset in datasets {
        let root = dataset.root.canonicalize().unwrap_or_else(|_| dataset.root.clone());
        let labels: Vec<String> = dataset.images.iter().filter_map(|image| image.label.clone()).collect();
        read.extend(real_paths(&root, &labels));
        read.extend(dataset.annotations.iter().filter_map(|file| file.canonicalize().ok()));
    }
    read
}

/// The annotation files that are read, each in its folder without links, and as the file that a link leads to.
fn folders_of_annotations(datasets: &[&Dataset]) -> Vec<PathBuf> {
    let files = datasets.iter().filter_map(|dataset| dataset.annotations.as_deref());
    files.flat_map(places).collect()
}

/// A file in its folder without links, and the file that a link leads to.
fn places(file: &Path) -> Vec<PathBuf> {
    let home = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = home.canonicalize().ok().zip(file.file_name()).map(|(home, name)| home.join(name));
    beside.into_iter().chain(file.canonicalize().ok()).collect()
}

/// The images of datasets.
struct Images<'a> {
    datasets: &'a [&'a Dataset],
    /// The dataset and the position in it of the first entry of an image with objects, or of any entry, by the path without
    /// links.
    by_path: HashMap<PathBuf, (usize, usize)>,
}

impl<'a> Images<'a> {
    fn of(datasets: &'a [&'a Dataset]) -> Self {
        let mut images = Self { datasets, by_path: HashMap::new() };
        for (part, dataset) in datasets.iter().enumerate() {
            let root = dataset.root.canonicalize().unwrap_or_else(|_| dataset.root.clone());
            let files: Vec<String> = dataset.images.iter().map(|image| turned(&image.file)).collect();
            let real = real_paths(&root, &files);
            for (index, (image, path)) in dataset.images.iter().zip(real).enumerate() {
                let (of, at) = *images.by_path.entry(path.clone()).or_insert((part, index));
                if datasets[of].images[at].objects.is_empty() && !image.objects.is_empty() {
                    images.by_path.insert(path, (part, index));
                }
            }
        }
        images
    }

    /// The dataset and entry of an image.
    fn get(&self, path: &Path) -> Option<(&'a Dataset, &'a ImageRecord)> {
        let &(part, index) = self.by_path.get(path)?;
        let dataset: &'a Dataset = self.datasets[part];
        Some((dataset, &dataset.images[index]))
    }

    fn has_objects(&self, path: &Path) -> bool {
        self.get(path).is_some_and(|(_, image)| !image.objects.is_empty())
    }
}

/// The parts of a text that can be names of files.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '\'', '<', '>', ',', ';', '\t', '\r', '\n', '/', '\\']).map(str::trim)
}

struct Sweep<'a> {
    top: PathBuf,
    /// The folder as the user writes it.
    shown: PathBuf,
    format: Format,
    images: Images<'a>,
    files: FileIndex,
    /// The paths of the images below the folder without links.
    real: HashMap<String, PathBuf>,
    /// The annotation files that are read.
    beside: Vec<PathBuf>,
}

impl Sweep<'_> {
    /// Returns what is lost with a label file of one image.
    fn lost(&self, label: &str) -> Option<Lost> {
        let path = self.top.join(label);
        let mut images = self.images_of(without_extension(label));
        let read = |images: &[&str]| images.iter().all(|image| !self.has_no_objects(image));
        if !images.is_empty() && read(&images) {
            return self.differing(label, &images);
        }
        let LabelFile { format, objects, image: stated } = label_file(&path)?;
        if images.is_empty() {
            let folder = label.rsplit_once('/').map_or("", |(folder, _)| folder);
            images = stated.map(|stated| self.images_of(&format!("{folder}/{stated}"))).unwrap_or_default();
            if !images.is_empty() && read(&images) {
                return self.differing(label, &images);
            }
        }
        let image = images.iter().rev().find(|image| self.has_no_objects(image)).filter(|_| objects > 0)?;
        // With two images of this name the label can belong to the other one.
        if let [_, _] = images[..]
            && !images.iter().all(|image| self.has_no_objects(image))
            && self.differing(label, &images).is_none()
        {
            return None;
        }
        let known = self.images.by_path.contains_key(&self.path_of(image));
        // The reader of YOLO has reported the images of its splits.
        if format != self.format
            && self.format == Format::YOLO
            && known
            && label_of_other_format(&self.top, image, self.format).is_some()
        {
            return None;
        }
        Some(self.loss(format, image, label, Location::file(display(&self.shown.join(label)))))
    }

    /// Returns the images that neither a split nor a label that is reported contains.
    fn unused(&self, reported: &HashSet<PathBuf>) -> Vec<(PathBuf, Location)> {
        let located = |file: &str| (self.path_of(file), Location::file(display(&self.shown.join(file))));
        let is_unused = |path: &PathBuf| !self.images.by_path.contains_key(path) && !reported.contains(path);
        let unused: Vec<(&str, PathBuf, Location)> = (self.files.iter().map(|file| (file, located(file))))
            .filter(|(_, (path, _))| is_unused(path))
            .map(|(file, (path, location))| (file, path, location))
            .collect();
        if unused.is_empty() {
            return Vec::new();
        }
        let masks = Masks::of(&self.images);
        let pictures = unused.into_iter().filter(|(file, path, _)| !masks.contain(file, path));
        pictures.map(|(_, path, location)| (path, location)).collect()
    }

    /// The path of an image below the folder, without links.
    fn path_of(&self, image: &str) -> PathBuf {
        self.real.get(image).cloned().unwrap_or_else(|| self.top.join(image))
    }

    /// Returns the image of this name, with or without extension, that has the most folders in common; two, if both have.
    fn images_of(&self, name: &str) -> Vec<&str> {
        match self.files.find(&Stated::with_spaces(name), &|_| true) {
            Lookup::Found(image) => vec![image],
            Lookup::Ambiguous(first, second) => vec![first, second],
            Lookup::Missing => Vec::new(),
        }
    }

    /// Returns what is lost with a second label of an image that is read with objects, or of one of two images; `None` if
    /// the objects of an image are equal, and for labels of another format.
    fn differing(&self, label: &str, images: &[&str]) -> Option<Lost> {
        if format_of_label(label) != Some(self.format) {
            return None;
        }
        let path = self.top.join(label);
        let mut lost = None;
        for image in images.iter().rev() {
            let file = self.path_of(image);
            let Some((dataset, record)) = self.images.get(&file) else { continue };
            let root = dataset.root.canonicalize().unwrap_or_else(|_| dataset.root.clone());
            let own = plain(&root.join(record.label.as_deref().unwrap_or_default()));
            if same_bytes(&own, &path) {
                return None;
            }
            let key = |class: &Class| match self.format {
                Format::YOLO => class.id.to_string(),
                _ => class.name.trim().to_string(),
            };
            let other = boxes_in(&path, (record.width, record.height));
            if other.is_empty() {
                return None;
            }
            let difference = difference(&boxes_of(dataset, record, key), &other)?;
            let location = Location::file(display(&self.shown.join(label)));
            lost = Some(second_label(file, image, &self.below(&own), &other, difference, location));
        }
        lost
    }

    /// Returns what is lost with files of formats that are not read: the images without objects that they name, except the
    /// `reported` ones.
    fn lost_of_foreign(&self, labels: &[String], reported: &HashSet<PathBuf>) -> Vec<Lost> {
        let is_open = |image: &&str| self.has_no_objects(image) && !reported.contains(&self.path_of(image));
        let open: Vec<&str> = self.files.iter().filter(is_open).collect();
        if open.is_empty() {
            return Vec::new();
        }
        let by_name: HashMap<&str, &str> = open.iter().map(|image| (file_name(image), *image)).collect();
        let by_stem: HashMap<&str, &str> =
            open.iter().map(|image| (without_extension(file_name(image)), *image)).collect();
        let of_label = |label: &String| -> Vec<Lost> {
            let path = self.top.join(label);
            let Some(foreign) = of_file(&path).filter(|_| !self.is_other_task(&path)) else {
                return Vec::new();
            };
            let stem = without_extension(file_name(label));
            let own = by_name.get(stem).or_else(|| by_stem.get(stem)).copied();
            let text =
                || read_text(&path, MAX_FOREIGN, "labels", &mut Findings::default()).unwrap_or_default();
            let images: BTreeSet<&str> = match own {
                Some(image) => [image].into(),
                None => words(&text()).filter_map(|word| by_name.get(word).copied()).collect(),
            };
            let lost = |image: &str| {
                let message = format!(
                    "{image} has no label of the format {}, but one in {label} ({}), which is not read; {}",
                    self.format, foreign.format, foreign.remedy
                );
                let location = Location::file(display(&self.shown.join(image)));
                Lost { kind: FindingKind::LabelOtherFormat, location, message, image: self.path_of(image) }
            };
            images.into_iter().map(lost).collect()
        };
        picodet_parallel::map(0..labels.len(), 0, |index| of_label(&labels[index]))
            .into_iter()
            .flatten()
            .collect()
    }

    /// A path relative to the folder of the dataset, with `/`.
    fn below(&self, path: &Path) -> String {
        display(path.strip_prefix(&self.top).unwrap_or(path)).replace('\\', "/")
    }

    fn has_no_objects(&self, image: &str) -> bool {
        !self.images.has_objects(&self.path_of(image))
    }

    fn loss(&self, format: Format, image: &str, label: &str, location: Location) -> Lost {
        let own = self.format;
        let known = self.images.by_path.contains_key(&self.path_of(image));
        let (kind, location, message) = if format != own {
            let location = Location::file(display(&self.shown.join(image)));
            let message = format!("{image} has no label of the format {own}, but {label}, which is not read");
            (FindingKind::LabelOtherFormat, location, message)
        } else if known {
            let message = format!("{image} has no objects in its split, but in {label}, which is not read");
            (FindingKind::LabelUnread, location, message)
        } else {
            let message = format!("{image}, labelled in {label}, is in no split");
            (FindingKind::LabelUnread, location, message)
        };
        Lost { kind, location, message, image: self.path_of(image) }
    }

    /// Whether a file has labels of another task for the images of an annotation file next to it, which is read.
    fn is_other_task(&self, path: &Path) -> bool {
        let beside = |file: &PathBuf| self.beside.iter().any(|read| read.parent() == file.parent());
        is_other_task(path) && places(path).iter().any(beside)
    }

    /// Returns what is lost with a COCO file: the images with objects that no split contains. An entry without an image is no
    /// loss.
    fn lost_of_coco(&self, label: &str, formats: &mut OtherFormats) -> Vec<Lost> {
        let path = self.top.join(label);
        if self.is_other_task(&path) || json_kind(&path) != JsonKind::Coco {
            return Vec::new();
        }
        let Some(dataset) = read_with_images(&path) else { return Vec::new() };
        let root = dataset.root.canonicalize().unwrap_or_else(|_| dataset.root.clone());
        let labelled = dataset.images.iter().filter(|image| !image.objects.is_empty());
        labelled
            .filter_map(|image| {
                let file = plain(&root.join(turned(&image.file)));
                let file = file.canonicalize().unwrap_or(file);
                let known = self.images.get(&file);
                let elsewhere = known.is_none() && !file.is_file();
                let has_objects = known.is_some_and(|(_, image)| !image.objects.is_empty());
                if elsewhere {
                    return None;
                }
                if let Some(known) = known.filter(|_| has_objects && self.format != Format::COCO) {
                    self.compare_coco(label, known, (&dataset, image), formats);
                    return None;
                }
                let shown = self.below(&file);
                let pointer = format!("/images/{}", image.source);
                let location = Location::pointer(display(&self.shown.join(label)), pointer);
                match known.filter(|_| has_objects) {
                    Some((own, record)) => {
                        let key = |class: &Class| class.name.trim().to_string();
                        let other = boxes_of(&dataset, image, key);
                        let difference = difference(&boxes_of(own, record, key), &other)?;
                        let file_of_own = own.annotations.as_deref().unwrap_or(&own.root);
                        let real = file_of_own.canonicalize().unwrap_or_else(|_| file_of_own.to_path_buf());
                        Some(second_label(file, &shown, &self.below(&real), &other, difference, location))
                    }
                    None => Some(self.loss(Format::COCO, &shown, label, location)),
                }
            })
            .collect()
    }
}

/// A second label of an image that is read with the objects of the label `own`.
fn second_label(
    path: PathBuf,
    image: &str,
    own: &str,
    other: &[LabelBox],
    difference: Difference,
    location: Location,
) -> Lost {
    let Difference { only_read, only_other } = difference;
    let differs = match only_other {
        0 => format!("lacks {only_read} of the objects there"),
        _ => format!("has {} objects, of which {only_other} are not there", other.len()),
    };
    let message = format!("{image} is read from {own}; this second label {differs}, and is not read");
    Lost { kind: FindingKind::LabelUnread, location, message, image: path }
}
