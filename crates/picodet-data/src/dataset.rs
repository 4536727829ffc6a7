//! The in-memory dataset that all formats are read into and written from.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::DataError;
use crate::finding::Place;

/// A label format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// COCO detection JSON.
    Coco,
    /// Pascal VOC XML, one file an image.
    Voc,
    /// YOLO text rows with a `data.yaml`.
    Yolo,
    /// LabelMe JSON, one file an image.
    LabelMe,
}

impl Format {
    /// The name used on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Voc => "voc",
            Self::Yolo => "yolo",
            Self::LabelMe => "labelme",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        [Self::Coco, Self::Voc, Self::Yolo, Self::LabelMe]
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| DataError::BadArgument {
                what: format!("unknown format `{text}`; one of coco, voc, yolo, labelme"),
            })
    }
}

/// A class of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// The category id in the data: COCO's own `id`, YOLO's index, otherwise 1, 2, …
    pub id: i64,
    /// The name in the data.
    pub name: String,
    /// COCO's `supercategory`, where given.
    pub supercategory: Option<String>,
}

/// One labelled object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Index into [`Dataset::classes`].
    pub class: usize,
    /// `[x1, y1, x2, y2]` in pixels of the upright original image, as the label says (unclipped).
    /// VOC's corners are taken as they stand, without a one-pixel shift.
    pub bbox: [f64; 4],
    /// A crowd region (COCO `iscrowd`): neither wanted nor punished at evaluation.
    pub crowd: bool,
    /// Marked difficult (VOC).
    pub difficult: bool,
    /// Marked truncated (VOC).
    pub truncated: bool,
    /// Area in square pixels as the label states it (COCO: of the segmentation); `None` where the
    /// format has none, then [`Object::area`] is the box's.
    pub stated_area: Option<f64>,
    /// The annotation's id (COCO).
    pub id: Option<i64>,
    /// Where it is in its label file: COCO: index into `annotations`; VOC and YOLO: 1-based line;
    /// LabelMe: index into `shapes`.
    pub source: u32,
}

impl Object {
    /// An object with this class and box (`[x1, y1, x2, y2]`, pixels) and nothing else.
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

    /// Width and height of the box in pixels (negative when inverted).
    pub fn size(&self) -> (f64, f64) {
        (self.bbox[2] - self.bbox[0], self.bbox[3] - self.bbox[1])
    }

    /// The stated area, or else the box's, in square pixels.
    pub fn area(&self) -> f64 {
        self.stated_area.unwrap_or_else(|| {
            let [_, _, width, height] = self.xywh();
            width * height
        })
    }

    /// `[x, y, width, height]` as COCO has it. Width and height are the shortest decimals that
    /// give back exactly the corners, so a file's `12.34` comes back as `12.34` and not as
    /// `12.340000000000003`.
    pub fn xywh(&self) -> [f64; 4] {
        let [x1, y1, x2, y2] = self.bbox;
        [x1, y1, shortest_extent(x1, x2), shortest_extent(y1, y2)]
    }

    /// All four coordinates are finite.
    pub fn is_finite(&self) -> bool {
        self.bbox.iter().all(|value| value.is_finite())
    }
}

/// The decimal with the fewest digits after the point for which `start + extent == end`.
fn shortest_extent(start: f64, end: f64) -> f64 {
    let extent = end - start;
    if !extent.is_finite() || start + extent.round() == end {
        return if extent.is_finite() { extent.round() } else { extent };
    }
    // Up to 12 decimals a multiple of 1e-12 is exact enough for pixel coordinates; beyond that
    // the plain difference is as good as any.
    let mut scale = 1.0;
    for _ in 1..=12 {
        scale *= 10.0;
        // A quotient of two exact integers is the correctly rounded decimal.
        let candidate = (extent * scale).round() / scale;
        if start + candidate == end {
            return candidate;
        }
    }
    extent
}

/// One image and its objects.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecord {
    /// COCO's image id, otherwise 1, 2, … in order.
    pub id: i64,
    /// Path relative to [`Dataset::root`], `/`-separated, as the label states it (it may be
    /// absolute or contain `..` in a faulty dataset: `check` says so).
    pub file: String,
    /// Width in pixels of the upright image; 0 when neither the label nor the image tells.
    pub width: u32,
    /// Height in pixels of the upright image; 0 when unknown.
    pub height: u32,
    /// Objects in the order of the label file; empty for a background image.
    pub objects: Vec<Object>,
    /// The image's own label file relative to [`Dataset::root`] (VOC, YOLO, LabelMe), if it has one.
    pub label: Option<String>,
    /// COCO: index into `images`.
    pub source: u32,
}

/// A detection dataset, or one split of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The format it was read from.
    pub format: Format,
    /// The folder that image paths are relative to.
    pub root: PathBuf,
    /// The label file of the whole dataset (COCO's JSON, YOLO's `data.yaml`), if there is one.
    pub annotations: Option<PathBuf>,
    /// The split's name (`train`, `val`, …), if it has one.
    pub split: Option<String>,
    /// Classes in the order of the data. Never empty unless the dataset is.
    pub classes: Vec<Class>,
    /// Images in the order of the data, images without objects included.
    pub images: Vec<ImageRecord>,
}

impl Dataset {
    /// Reads a dataset of any format, and refuses one whose labels cannot all be represented.
    ///
    /// `path` is a COCO `.json`, a YOLO `.yaml`, or a folder of any of the four formats. Without
    /// `split`, VOC and YOLO give all images, COCO and LabelMe ask for one when there are several.
    ///
    /// # Errors
    /// [`DataError`]; in particular [`DataError::Faulty`] when the reader had to leave something
    /// out. Boxes that are merely strange (empty, outside) are kept.
    pub fn open(path: impl AsRef<Path>, split: Option<&str>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let loaded = crate::open::open_lenient(path, split)?;
        match loaded.findings.first_error() {
            None => Ok(loaded.dataset),
            Some(first) => Err(DataError::Faulty {
                path: path.to_path_buf(),
                count: loaded.findings.errors(),
                first: Box::new(first.clone()),
            }),
        }
    }

    /// Path of the `index`-th image on disk; `None` when there is no such image. A name with
    /// backslashes that does not exist as it stands is taken as a Windows path.
    pub fn image_path(&self, index: usize) -> Option<PathBuf> {
        let file = &self.images.get(index)?.file;
        let path = self.root.join(file);
        if file.contains('\\') && !path.exists() {
            return Some(self.root.join(file.replace('\\', "/")));
        }
        Some(path)
    }

    /// Number of objects over all images.
    pub fn object_count(&self) -> usize {
        self.images.iter().map(|image| image.objects.len()).sum()
    }

    /// Objects per class, in the order of [`Dataset::classes`].
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
    pub fn images_without_objects(&self) -> usize {
        self.images.iter().filter(|image| image.objects.is_empty()).count()
    }

    /// Index of the class with this name.
    pub fn class_index(&self, name: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.name == name)
    }

    /// From image id to index into [`Dataset::images`] (the first of duplicates).
    pub fn image_index(&self) -> HashMap<i64, usize> {
        let mut index = HashMap::with_capacity(self.images.len());
        for (position, image) in self.images.iter().enumerate() {
            index.entry(image.id).or_insert(position);
        }
        index
    }

    /// Where the labels say what they say about this image.
    pub fn image_place(&self, image: usize) -> Place {
        let Some(record) = self.images.get(image) else {
            return Place::default();
        };
        match (self.format, &self.annotations, &record.label) {
            (Format::Coco, Some(annotations), _) => {
                Place::pointer(display(annotations), format!("/images/{}", record.source))
            }
            (_, _, Some(label)) => Place::file(display(&self.root.join(label))),
            _ => Place::file(display(&self.root.join(&record.file))),
        }
    }

    /// Where the labels say what they say about this object.
    pub fn object_place(&self, image: usize, object: usize) -> Place {
        let place = self.image_place(image);
        let Some(object) = self.images.get(image).and_then(|image| image.objects.get(object)) else {
            return place;
        };
        match self.format {
            Format::Coco => Place { pointer: Some(format!("/annotations/{}", object.source)), ..place },
            Format::LabelMe => Place { pointer: Some(format!("/shapes/{}", object.source)), ..place },
            Format::Voc | Format::Yolo => Place { line: Some(u64::from(object.source)), ..place },
        }
    }

    /// The split's name, or `all`.
    pub fn split_name(&self) -> &str {
        self.split.as_deref().unwrap_or("all")
    }
}

pub(crate) fn display(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_and_height_come_back_as_they_were_written() {
        let cases = [
            (97.68, 12.34),
            (0.1, 0.2),
            (71.57, 144.02),
            (260.0, 231.0),
            (0.0, 0.015),
            (599.99, 0.01),
            (-3.3, 7.7),
            (1e-3, 639.999),
        ];
        let wrong: Vec<_> = cases
            .into_iter()
            .filter(|&(x, w)| Object::new(0, [x, x, x + w, x + w]).xywh() != [x, x, w, w])
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
