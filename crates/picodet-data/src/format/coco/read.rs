//! Reads COCO annotation files.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use picodet_format::coco::{
    Annotation, AnnotationSink, Category, FieldError, Image, JsonError, read_annotations,
};
use picodet_format::json::NonFiniteToNull;

use crate::dataset::{Class, Dataset, Format, ImageRecord, Object, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::input::open_regular;

/// Reads a COCO JSON file; image paths are relative to `root`.
///
/// Annotations of unlisted images or categories become findings of severity error and are left out; all
/// others are kept, including implausible boxes. Classes are in the order of `categories`.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Syntax`] with the line at which the JSON is malformed.
pub fn read(path: &Path, root: &Path) -> Result<(Dataset, Findings), DataError> {
    let file = display(path);
    let parsed = match parse(open_regular(path)?, &file) {
        Ok(parsed) => parsed,
        Err(error) => {
            // Python writes NaN. Read the file again with null instead, and report it.
            let reader = NonFiniteToNull::new(BufReader::new(open_regular(path)?));
            let replaced = reader.replaced();
            match parse(reader, &file) {
                Ok((dataset, mut findings)) if replaced.get() > 0 => {
                    let message = format!("{} times NaN or Infinity ({error})", replaced.get());
                    findings.push(FindingKind::JsonNan, Location::file(&file), message);
                    (dataset, findings)
                }
                _ => return Err(DataError::json(path, &error)),
            }
        }
    };
    let (mut dataset, findings) = parsed;
    dataset.root = root.to_path_buf();
    dataset.annotations = Some(path.to_path_buf());
    Ok((dataset, findings))
}

/// Parses COCO JSON with bounded depth and token length; `file` is the name in findings.
///
/// # Errors
/// [`JsonError`] with entry, line and column.
pub fn parse(reader: impl Read, file: &str) -> Result<(Dataset, Findings), JsonError> {
    let mut builder = Builder { file, ..Builder::default() };
    read_annotations(reader, &mut builder)?;
    Ok(builder.finish())
}

/// Collects the entries of a file.
#[derive(Default)]
struct Builder<'a> {
    /// Name of the file in findings.
    file: &'a str,
    classes: Vec<Class>,
    /// Index into `classes` by category id.
    class_of: HashMap<i64, usize>,
    images: Vec<ImageRecord>,
    /// Image id, category id and object of each annotation.
    annotations: Vec<(i64, i64, Object)>,
    findings: Findings,
}

impl Builder<'_> {
    fn missing(&mut self, list: &str, index: usize, message: &str) {
        let location = Location::pointer(self.file, format!("/{list}/{index}"));
        self.findings.push(FindingKind::MissingField, location, message.to_string());
    }

    fn flag(&mut self, value: Option<i64>, name: &str, index: usize) -> bool {
        if let Some(other) = value.filter(|value| !matches!(value, 0 | 1)) {
            let location = Location::pointer(self.file, format!("/annotations/{index}"));
            self.findings.push(FindingKind::BadFlag, location, format!("`{name}` is {other}; read as 1"));
        }
        value.is_some_and(|value| value != 0)
    }

    /// Assigns the annotations to their images.
    fn finish(mut self) -> (Dataset, Findings) {
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
            let Some(&class) = self.class_of.get(&category) else {
                let message = format!("category_id {category} is not in `categories`; left out");
                self.findings.push(FindingKind::UnknownCategory, location(), message);
                continue;
            };
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
        (dataset, self.findings)
    }
}

impl AnnotationSink for Builder<'_> {
    fn image(&mut self, index: usize, image: Image) -> Result<(), FieldError> {
        let (Some(id), Some(file)) = (image.id, image.file_name) else {
            self.missing("images", index, "an image without `id` or `file_name`; left out");
            return Ok(());
        };
        let [width, height] = [image.width, image.height].map(|extent| {
            let extent = extent.unwrap_or(0.0);
            // Impossible sizes are treated as missing.
            if extent.fract() == 0.0 && (1.0..=1e9).contains(&extent) { extent as u32 } else { 0 }
        });
        let source = position(index);
        self.images.push(ImageRecord { id, file, width, height, objects: Vec::new(), label: None, source });
        Ok(())
    }

    fn category(&mut self, index: usize, category: Category) -> Result<(), FieldError> {
        let Some(id) = category.id else {
            self.missing("categories", index, "a category without `id`; left out");
            return Ok(());
        };
        let name = category.name.unwrap_or_default();
        if self.class_of.contains_key(&id) {
            let location = Location::pointer(self.file, format!("/categories/{index}"));
            let message = format!("category id {id} is used again by `{name}`; left out");
            self.findings.push(FindingKind::DuplicateCategoryId, location, message);
            return Ok(());
        }
        self.class_of.insert(id, self.classes.len());
        self.classes.push(Class { id, name, supercategory: category.supercategory });
        Ok(())
    }

    fn annotation(&mut self, index: usize, annotation: Annotation) -> Result<(), FieldError> {
        let (Some(image), Some(category), Some(bbox)) =
            (annotation.image_id, annotation.category_id, annotation.bbox)
        else {
            let message = "an annotation without `image_id`, `category_id` or `bbox`; left out";
            self.missing("annotations", index, message);
            return Ok(());
        };
        if bbox.count != 4 {
            let message = format!("`bbox` has {} values instead of 4; left out", bbox.count);
            self.missing("annotations", index, &message);
            return Ok(());
        }
        let [x, y, width, height] = bbox.values;
        let object = Object {
            class: 0,
            bbox: [x, y, x + width, y + height],
            crowd: self.flag(annotation.iscrowd, "iscrowd", index),
            difficult: self.flag(annotation.difficult, "difficult", index),
            truncated: self.flag(annotation.truncated, "truncated", index),
            stated_area: annotation.area,
            id: annotation.id,
            source: position(index),
        };
        self.annotations.push((image, category, object));
        Ok(())
    }
}

fn position(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
