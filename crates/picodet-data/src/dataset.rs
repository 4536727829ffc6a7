//! The in-memory dataset that all formats are read into and written from.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::finding::Findings;
use crate::geometry::shortest_extent;

/// A dataset format, as in [`Format::COCO`]; [`Format::all`] lists them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format(&'static str);

impl Format {
    /// Declares a format by its name on the command line and in reports.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A class of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The category id: `id` in COCO, the index in YOLO, otherwise 1, 2, …
    pub id: i64,
    /// The name in the data.
    pub name: String,
    /// `supercategory` (COCO).
    pub supercategory: Option<String>,
}

/// A labelled object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Index into [`Dataset::classes`].
    pub class: usize,
    /// `[x1, y1, x2, y2]` in pixels of the upright original image, unclipped. VOC corners are not shifted by
    /// one pixel.
    pub bbox: [f64; 4],
    /// A crowd region (COCO `iscrowd`), which an evaluation ignores.
    pub crowd: bool,
    /// Marked difficult (VOC).
    pub difficult: bool,
    /// Marked truncated (VOC).
    pub truncated: bool,
    /// Area of the label in square pixels (COCO: of the segmentation); if `None`, [`Object::area`] is that of
    /// the box.
    pub stated_area: Option<f64>,
    /// Annotation id (COCO).
    pub id: Option<i64>,
    /// Position in its label file: index into `annotations` (COCO) or `shapes` (LabelMe), 1-based line (VOC,
    /// YOLO).
    pub source: u32,
}

impl Object {
    /// Creates an object with this class and box (`[x1, y1, x2, y2]`, pixels) and default values otherwise.
    #[must_use]
    pub fn new(class: usize, bbox: [f64; 4]) -> Self {
        Self {
            class,
            bbox,
            crowd: false,
            difficult: false,
            truncated: false,
            stated_area: None,
            id: None,
            source: 0,
        }
    }

    /// Width and height of the box in pixels (negative if inverted).
    #[must_use]
    pub fn size(&self) -> (f64, f64) {
        (self.bbox[2] - self.bbox[0], self.bbox[3] - self.bbox[1])
    }

    /// The area of the label, or else of the box, in square pixels.
    #[must_use]
    pub fn area(&self) -> f64 {
        self.stated_area.unwrap_or_else(|| {
            let [_, _, width, height] = self.xywh();
            width * height
        })
    }

    /// `[x, y, width, height]` as in COCO. Width and height are the shortest decimals that reproduce the
    /// corners exactly: `12.34` in a file is written as `12.34` again and not as `12.340000000000003`.
    #[must_use]
    pub fn xywh(&self) -> [f64; 4] {
        let [x1, y1, x2, y2] = self.bbox;
        [x1, y1, shortest_extent(x1, x2), shortest_extent(y1, y2)]
    }

    /// Whether all four coordinates are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.bbox.iter().all(|value| value.is_finite())
    }
}

/// An image and its objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecord {
    /// Image id (COCO), otherwise 1, 2, … in order.
    pub id: i64,
    /// Path relative to [`Dataset::root`], `/`-separated, as in the label (in a faulty dataset it can be
    /// absolute or contain `..`, which `check` reports).
    pub file: String,
    /// Width in pixels of the upright image; 0 if unknown.
    pub width: u32,
    /// Height in pixels of the upright image; 0 if unknown.
    pub height: u32,
    /// Objects in the order of the label file; empty for a background image.
    pub objects: Vec<Object>,
    /// The label file of the image relative to [`Dataset::root`] (VOC, YOLO, LabelMe; COCO if several files are joined).
    pub label: Option<String>,
    /// Index into `images` (COCO).
    pub source: u32,
}

/// A detection dataset, or one split of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The format of the source.
    pub format: Format,
    /// The folder that image paths are relative to.
    pub root: PathBuf,
    /// The label file of the whole dataset (COCO: the JSON, YOLO: `data.yaml`).
    pub annotations: Option<PathBuf>,
    /// Name of the split (`train`, `val`, …).
    pub split: Option<String>,
    /// Classes in the order of the source.
    pub classes: Vec<Class>,
    /// Images in the order of the source, including those without objects.
    pub images: Vec<ImageRecord>,
}

impl Dataset {
    /// Path of the `index`-th image; `None` out of range. A name with backslashes that does not exist is
    /// converted from a Windows path.
    #[must_use]
    pub fn image_path(&self, index: usize) -> Option<PathBuf> {
        let file = &self.images.get(index)?.file;
        let path = self.root.join(file);
        if file.contains('\\') && !path.exists() {
            return Some(self.root.join(file.replace('\\', "/")));
        }
        Some(path)
    }

    /// Makes ordinary objects of all crowd regions.
    pub fn crowds_as_objects(&mut self) {
        self.images.iter_mut().flat_map(|image| &mut image.objects).for_each(|object| object.crowd = false);
    }

    /// Number of objects in all images.
    #[must_use]
    pub fn object_count(&self) -> usize {
        self.images.iter().map(|image| image.objects.len()).sum()
    }

    /// Number of objects per class, in the order of [`Dataset::classes`].
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for object in self.images.iter().flat_map(|image| &image.objects) {
            if let Some(count) = counts.get_mut(object.class) {
                *count += 1;
            }
        }
        counts
    }

    /// Number of images without objects.
    #[must_use]
    pub fn images_without_objects(&self) -> usize {
        self.images.iter().filter(|image| image.objects.is_empty()).count()
    }

    /// Index of the class with this name.
    #[must_use]
    pub fn class_index(&self, name: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.name == name)
    }

    /// Maps image ids to indices into [`Dataset::images`] (the first of duplicates).
    #[must_use]
    pub fn image_index(&self) -> HashMap<i64, usize> {
        let mut index = HashMap::with_capacity(self.images.len());
        for (position, image) in self.images.iter().enumerate() {
            index.entry(image.id).or_insert(position);
        }
        index
    }

    /// Name of the split, or `all`.
    #[must_use]
    pub fn split_name(&self) -> &str {
        self.split.as_deref().unwrap_or("all")
    }
}

/// Path as text for findings and reports, without folders `.` inside.
pub(crate) fn display(path: &Path) -> String {
    path.components().collect::<PathBuf>().to_string_lossy().into_owned()
}

/// A dataset with the findings of its reader.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The entries that could be read.
    pub dataset: Dataset,
    /// Faults found while reading. Errors among them are lost labels.
    pub findings: Findings,
    /// All label files of the image folder were read, so an image without label is not used at all.
    pub complete: bool,
}

/// A split to write.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Name of the split (`train`, `val`, …), used as file or folder name.
    pub name: &'a str,
    /// Its data.
    pub dataset: &'a Dataset,
}
