//! Collects the entries of an annotation file and assigns the annotations to their images.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use picodet_format::coco::{Annotation, AnnotationSink, Attributes, Category, FieldError, Image, OddValue};

use super::ids::IdNumbers;
use crate::dataset::{Class, Dataset, Format, ImageRecord, Object};
use crate::finding::{FindingKind, Findings, Location};
use crate::geometry::rotated;
use crate::text::clip;

/// Collects the entries of a file.
#[derive(Default)]
pub(super) struct Builder<'a> {
    /// Name of the file in findings.
    file: &'a str,
    classes: Vec<Class>,
    /// Index into `classes` by category id.
    class_of: HashMap<i64, usize>,
    images: Vec<ImageRecord>,
    /// Image id, category id and object of each annotation.
    annotations: Vec<(i64, i64, Object)>,
    /// Indices into `annotations` of boxes that are missing, empty or have NaN values.
    without_box: Vec<usize>,
    /// Positions in the file of annotations without box.
    missing_boxes: HashSet<u32>,
    image_ids: IdNumbers,
    category_ids: IdNumbers,
    annotation_ids: IdNumbers,
    /// The lists whose first entry was received.
    begun: Vec<&'static str>,
    findings: Findings,
}

/// The contents of a file, and the numbers of the images whose ids are texts.
pub(super) struct Built {
    pub(super) dataset: Dataset,
    pub(super) findings: Findings,
    pub(super) text_ids: HashMap<String, i64>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, ..Self::default() }
    }

    /// Indices of the annotations without box or with an empty one.
    pub(super) fn without_box(&self) -> HashSet<usize> {
        self.without_box.iter().map(|&index| self.annotations[index].2.source as usize).collect()
    }

    /// Sets the boxes of these annotations to those of their segmentations.
    pub(super) fn derive_boxes(&mut self, boxes: &HashMap<usize, [f64; 4]>) {
        for &index in &self.without_box {
            let object = &mut self.annotations[index].2;
            let source = object.source as usize;
            let Some(&bbox) = boxes.get(&source) else { continue };
            let what = match self.missing_boxes.remove(&object.source) {
                true => "missing",
                false if object.is_finite() => "empty",
                false => "not finite",
            };
            object.bbox = bbox;
            let location = Location::pointer(self.file, format!("/annotations/{source}/bbox"));
            let message = format!("the box is {what}; derived from the segmentation");
            self.findings.push(FindingKind::BoxDerived, location, message);
        }
    }

    fn pointer(&self, pointer: String) -> Location {
        Location::pointer(self.file, pointer)
    }

    /// Reports a list that occurs again, by its first entry.
    fn begin(&mut self, list: &'static str, index: usize) {
        if index != 0 {
            return;
        }
        if self.begun.contains(&list) {
            let location = self.pointer(format!("/{list}"));
            let message = format!("the key `{list}` occurs more than once; the entries of all are read");
            self.findings.push(FindingKind::DuplicateKey, location, message);
        }
        self.begun.push(list);
    }

    /// Reports an entry that is left out because a required field is missing or cannot be used.
    fn left_out(&mut self, list: &str, index: usize, what: &str, required: &[&str], odd: &[OddValue]) {
        let of_required = odd.iter().find(|odd| odd.field.is_empty() || required.contains(&odd.field));
        let (pointer, message) = match of_required {
            Some(OddValue { field: "", found }) => {
                (format!("/{list}/{index}"), format!("{what} is {found} instead of an object; left out"))
            }
            Some(OddValue { field, found }) => {
                (format!("/{list}/{index}/{field}"), format!("`{field}` is {}; {what} left out", clip(found)))
            }
            None => {
                let fields: Vec<String> = required.iter().map(|field| format!("`{field}`")).collect();
                let fields = match &fields[..] {
                    [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
                    _ => fields.join(""),
                };
                (format!("/{list}/{index}"), format!("{what} without {fields}; left out"))
            }
        };
        let location = self.pointer(pointer);
        self.findings.push(FindingKind::MissingField, location, message);
    }

    /// Reports values that cannot be used and are treated as missing.
    fn odd_values(&mut self, list: &str, index: usize, odd: &[OddValue]) {
        for OddValue { field, found } in odd {
            let location = self.pointer(format!("/{list}/{index}/{field}"));
            self.findings.push(FindingKind::OddValue, location, format!("`{field}` is {found}; ignored"));
        }
    }

    fn flag(&mut self, value: Option<i64>, name: &str, index: usize) -> bool {
        if let Some(other) = value.filter(|value| !matches!(value, 0 | 1)) {
            let location = self.pointer(format!("/annotations/{index}"));
            self.findings.push(FindingKind::BadFlag, location, format!("`{name}` is {other}; read as 1"));
        }
        value.is_some_and(|value| value != 0)
    }

    /// Assigns the annotations to their images.
    pub(super) fn finish(mut self) -> Built {
        self.number_ids();
        self.name_categories();
        self.drop_root();
        let file = self.file;
        let mut index: HashMap<i64, usize> = HashMap::with_capacity(self.images.len());
        let mut images: Vec<ImageRecord> = Vec::with_capacity(self.images.len());
        for image in self.images {
            if index.contains_key(&image.id) {
                let location = Location::pointer(file, format!("/images/{}", image.source));
                let message = format!("image id {} is used again by {}", image.id, image.file);
                self.findings.push(FindingKind::DuplicateImageId, location, message);
                continue;
            }
            index.insert(image.id, images.len());
            images.push(image);
        }
        // Counting first allows to allocate each list once, with its final size.
        let mut counts = vec![0u32; images.len()];
        for (image, _, _) in &self.annotations {
            if let Some(&position) = index.get(image) {
                counts[position] += 1;
            }
        }
        for (image, &count) in images.iter_mut().zip(&counts) {
            image.objects.reserve_exact(count as usize);
        }
        for (image, category, mut object) in self.annotations {
            let location = || Location::pointer(file, format!("/annotations/{}", object.source));
            let Some(&position) = index.get(&image) else {
                let message = format!("image_id {image} is not in `images`; left out");
                self.findings.push(FindingKind::UnknownImageId, location(), message);
                continue;
            };
            let Some(&class) = self.class_of.get(&category) else { continue };
            if self.missing_boxes.contains(&object.source) {
                let message =
                    "an annotation without `bbox` or a segmentation that can be read; left out".to_string();
                self.findings.push(FindingKind::MissingField, location(), message);
                continue;
            }
            object.class = class;
            images[position].objects.push(object);
        }
        let dataset = Dataset {
            format: Format::COCO,
            root: PathBuf::new(),
            annotations: None,
            split: None,
            classes: self.classes,
            images,
        };
        Built { dataset, findings: self.findings, text_ids: self.image_ids.into_texts() }
    }

    /// Replaces the provisional numbers of text ids by the final ones.
    fn number_ids(&mut self) {
        let lists = [
            ("images", &self.image_ids),
            ("categories", &self.category_ids),
            ("annotations", &self.annotation_ids),
        ];
        for (list, _) in lists.into_iter().filter(|(_, ids)| ids.has_texts()) {
            let location = Location::pointer(self.file, format!("/{list}"));
            let message = format!("ids of {list} are texts; numbered in the order of the file");
            self.findings.push(FindingKind::TextId, location, message);
        }
        if self.image_ids.has_texts() {
            self.images.iter_mut().for_each(|image| image.id = self.image_ids.number_of(image.id));
            self.annotations.iter_mut().for_each(|entry| entry.0 = self.image_ids.number_of(entry.0));
        }
        if self.category_ids.has_texts() {
            self.classes.iter_mut().for_each(|class| class.id = self.category_ids.number_of(class.id));
            self.annotations.iter_mut().for_each(|entry| entry.1 = self.category_ids.number_of(entry.1));
            self.class_of = self.classes.iter().enumerate().map(|(index, class)| (class.id, index)).collect();
        }
        if self.annotation_ids.has_texts() {
            for (_, _, object) in &mut self.annotations {
                object.id = object.id.map(|id| self.annotation_ids.number_of(id));
            }
        }
    }

    /// Adds the categories that annotations have but the file does not list, named by their ids.
    fn name_categories(&mut self) {
        let listed = !self.classes.is_empty();
        let mut unknown: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (_, category, object) in &self.annotations {
            if !self.class_of.contains_key(category) {
                unknown.entry(*category).or_default().push(object.source);
            }
        }
        if !listed && !unknown.is_empty() {
            let message =
                format!("`categories` is missing; {} classes are named by their ids", unknown.len());
            self.findings.push(FindingKind::CategoriesMissing, Location::file(self.file), message);
        }
        for (id, annotations) in unknown {
            let name = format!("category {id}");
            for index in annotations.into_iter().filter(|_| listed) {
                let location = self.pointer(format!("/annotations/{index}"));
                let message = format!("category_id {id} is not in `categories`; kept as `{name}`");
                self.findings.push(FindingKind::UnknownCategory, location, message);
            }
            self.class_of.insert(id, self.classes.len());
            self.classes.push(Class { id, name, supercategory: None });
        }
    }

    /// Drops a category that only groups the others: Roboflow writes one as the first category.
    fn drop_root(&mut self) {
        let used: HashSet<i64> = self.annotations.iter().map(|(_, category, _)| *category).collect();
        let is_root = |class: &Class| {
            let own = class.supercategory.as_deref().unwrap_or_default();
            let top = own.is_empty() || own.eq_ignore_ascii_case("none");
            let groups = |other: &&Class| other.supercategory.as_deref() == Some(class.name.as_str());
            top && !class.name.is_empty()
                && !used.contains(&class.id)
                && self.classes.iter().filter(|other| other.id != class.id).any(|other| groups(&other))
        };
        let Some(position) = self.classes.iter().position(is_root) else { return };
        let root = self.classes.remove(position);
        let message = format!(
            "category `{}` (id {}) has no annotations and is the supercategory of others; left out",
            root.name, root.id
        );
        let location = self.pointer(format!("/categories/{position}"));
        self.findings.push(FindingKind::CategoryRoot, location, message);
        self.class_of = self.classes.iter().enumerate().map(|(index, class)| (class.id, index)).collect();
    }
}

impl AnnotationSink for Builder<'_> {
    fn image(&mut self, index: usize, image: Image) -> Result<(), FieldError> {
        self.begin("images", index);
        let Image { id, file_name, path, width, height, odd } = image;
        let (Some(id), Some(file)) = (id, file_name.or(path.filter(|path| !path.is_empty()))) else {
            self.left_out("images", index, "an image", &["id", "file_name"], &odd);
            return Ok(());
        };
        self.odd_values("images", index, &odd);
        let [width, height] = [width, height].map(|extent| {
            let extent = extent.unwrap_or(0.0);
            // Impossible sizes are treated as missing.
            if extent.fract() == 0.0 && (1.0..=1e9).contains(&extent) { extent as u32 } else { 0 }
        });
        let (id, source) = (self.image_ids.add(id), position(index));
        self.images.push(ImageRecord { id, file, width, height, objects: Vec::new(), label: None, source });
        Ok(())
    }

    fn category(&mut self, index: usize, category: Category) -> Result<(), FieldError> {
        self.begin("categories", index);
        let Category { id: Some(id), name, supercategory, odd } = category else {
            self.left_out("categories", index, "a category", &["id"], &category.odd);
            return Ok(());
        };
        self.odd_values("categories", index, &odd);
        let (id, name) = (self.category_ids.add(id), name.unwrap_or_default());
        if self.class_of.contains_key(&id) {
            let location = self.pointer(format!("/categories/{index}"));
            let message = format!("category id {id} is used again by `{name}`; left out");
            self.findings.push(FindingKind::DuplicateCategoryId, location, message);
            return Ok(());
        }
        self.class_of.insert(id, self.classes.len());
        self.classes.push(Class { id, name, supercategory });
        Ok(())
    }

    fn annotation(&mut self, index: usize, annotation: Annotation) -> Result<(), FieldError> {
        self.begin("annotations", index);
        let required = ["image_id", "category_id"];
        let Annotation { image_id: Some(image), category_id: Some(category), bbox, .. } = annotation else {
            self.left_out("annotations", index, "an annotation", &required, &annotation.odd);
            return Ok(());
        };
        // A missing or empty list of values can be derived from the segmentation.
        let bbox = bbox.filter(|bbox| bbox.count != 0);
        if let Some(bbox) = bbox
            && bbox.count != 4
        {
            let location = self.pointer(format!("/annotations/{index}"));
            let message = format!("`bbox` has {} values instead of 4; left out", bbox.count);
            self.findings.push(FindingKind::MissingField, location, message);
            return Ok(());
        }
        self.odd_values("annotations", index, &annotation.odd);
        let [x, y, width, height] = bbox.map_or([f64::NAN; 4], |bbox| bbox.values);
        if bbox.is_none() {
            self.missing_boxes.insert(position(index));
        }
        if width == 0.0 || height == 0.0 || [x, y, width, height].iter().any(|value| value.is_nan()) {
            self.without_box.push(self.annotations.len());
        }
        let object = Object {
            class: 0,
            bbox: placed_box([x, y, width, height], annotation.attributes.unwrap_or_default()),
            crowd: self.flag(annotation.iscrowd, "iscrowd", index),
            difficult: self.flag(annotation.difficult, "difficult", index),
            truncated: self.flag(annotation.truncated, "truncated", index),
            stated_area: annotation.area,
            id: annotation.id.map(|id| self.annotation_ids.add(id)),
            source: position(index),
        };
        let (image, category) = (self.image_ids.add(image), self.category_ids.add(category));
        self.annotations.push((image, category, object));
        Ok(())
    }
}

/// Returns the box `[x1, y1, x2, y2]` of the `bbox` of an annotation; CVAT rotates it around its centre.
pub(super) fn placed_box([x, y, width, height]: [f64; 4], attributes: Attributes) -> [f64; 4] {
    match attributes.rotation {
        Some(degrees) => rotated([x + width / 2.0, y + height / 2.0, width, height, degrees.to_radians()]),
        None => [x, y, x + width, y + height],
    }
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
