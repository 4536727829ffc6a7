//! Assigns the entries of a results file to the images and categories of a dataset.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use picodet_format::coco::{Id, ImageNames, ResultRecord, ResultRecords};

use crate::error::EvaluationError;
use crate::types::{Category, Detection};

/// Number of ids that a message lists.
const LISTED: usize = 10;

/// The images and categories that results can refer to.
#[derive(Debug, Default)]
pub struct ResultTargets {
    /// Ids of the images.
    pub image_ids: HashSet<i64>,
    /// File names of the images.
    pub names: ImageNames,
    /// Numbers of the image ids that are texts in the dataset.
    pub text_ids: HashMap<String, i64>,
    /// The categories.
    pub categories: Vec<Category>,
}

/// Entries of a results file that were left out, and inverted boxes among the others.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ResultNotes {
    /// Number of entries in the file.
    pub total: usize,
    /// Number of entries without a usable value, with index and problem of the first.
    pub malformed: usize,
    /// Index and problem of the first malformed entry.
    pub first_malformed: Option<(usize, String)>,
    /// Number of entries of images that the dataset does not have.
    pub unknown_images: usize,
    /// Index and image id of the first of them.
    pub first_unknown_image: Option<(usize, Id)>,
    /// Number of entries of categories that the dataset does not have.
    pub unknown_categories: usize,
    /// Their category ids.
    pub category_ids: BTreeSet<String>,
    /// The category ids of the dataset.
    pub known_category_ids: BTreeSet<i64>,
    /// The entries of numeric categories that the dataset does not have, for [`crate::reading_note`].
    pub of_unknown_categories: Vec<Detection>,
    /// Number of boxes with a negative width or height, which are evaluated unchanged.
    pub inverted: usize,
    /// Index of the first of them.
    pub first_inverted: Option<usize>,
}

impl ResultNotes {
    /// Checks that at least one entry is of the dataset, unless the file has none.
    ///
    /// # Errors
    /// [`EvaluationError::UnknownImage`], [`EvaluationError::UnknownImageName`],
    /// [`EvaluationError::UnknownCategories`] or [`EvaluationError::UnreadableResults`] for the reason.
    pub fn check(&self) -> Result<(), EvaluationError> {
        let total = self.total;
        if self.malformed + self.unknown_images + self.unknown_categories < total || total == 0 {
            return Ok(());
        }
        if let (Some((index, problem)), true) = (&self.first_malformed, self.malformed == total) {
            return Err(EvaluationError::UnreadableResults {
                index: *index,
                problem: problem.clone(),
                total,
            });
        }
        if self.unknown_categories > 0 {
            let problem = UnknownCategories(self).to_string();
            return Err(EvaluationError::UnknownCategories { problem });
        }
        match &self.first_unknown_image {
            Some((index, Id::Number(image_id))) => Err(EvaluationError::UnknownImage {
                index: *index,
                image_id: *image_id,
                count: self.unknown_images,
                total,
            }),
            Some((index, name)) => {
                Err(EvaluationError::UnknownImageName { index: *index, name: name.to_string(), total })
            }
            None => Ok(()),
        }
    }

    /// One line for each reason for which entries were left out, and for inverted boxes.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let Self { total, malformed, unknown_images, unknown_categories, .. } = self;
        let mut lines = Vec::new();
        if let Some(first) = self.first_inverted {
            lines.push(format!(
                "{} of {total} boxes have a negative width or height, the first in detection {first}; \
                 a box is [left, top, width, height] in pixels of the image",
                self.inverted
            ));
        }
        if *total == 0 {
            lines.push("the file has no detections".to_owned());
        }
        if let Some((index, problem)) = &self.first_malformed {
            lines.push(format!(
                "{malformed} of {total} detections cannot be read; left out; the first: detection {index}: {problem}"
            ));
        }
        if let Some((index, id)) = &self.first_unknown_image {
            lines.push(format!(
                "{unknown_images} of {total} detections belong to images that the dataset does not have; left out; \
                 the first: detection {index} has image_id {id}"
            ));
        }
        if *unknown_categories > 0 {
            lines.push(format!("{}; left out", UnknownCategories(self)));
        }
        lines
    }
}

/// Describes the entries of unknown categories.
struct UnknownCategories<'a>(&'a ResultNotes);

impl fmt::Display for UnknownCategories<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResultNotes { total, unknown_categories, category_ids, known_category_ids, .. } = self.0;
        write!(
            f,
            "{unknown_categories} of {total} detections have category ids that the dataset does not have ({}); \
             its ids are {}",
            listed(category_ids.iter()),
            listed(known_category_ids.iter())
        )
    }
}

fn listed<T: fmt::Display>(ids: impl ExactSizeIterator<Item = T>) -> String {
    let more = if ids.len() > LISTED { ", …" } else { "" };
    let ids: Vec<String> = ids.take(LISTED).map(|id| id.to_string()).collect();
    format!("{}{more}", ids.join(", "))
}

/// Returns the detections of the images and categories of a dataset, and counts the others. Image ids are
/// numbers, texts that are ids in the dataset, file names or their stems; category ids are numbers or names.
///
/// # Errors
/// [`EvaluationError::AmbiguousImage`] for a file name that two images have.
pub fn resolve_results(
    results: ResultRecords,
    targets: &ResultTargets,
) -> Result<(Vec<Detection>, ResultNotes), EvaluationError> {
    let ResultRecords { records, left_out, first_problem, .. } = results;
    let by_name: HashMap<&str, i64> =
        targets.categories.iter().rev().map(|category| (category.name.as_str(), category.id)).collect();
    let known: BTreeSet<i64> = targets.categories.iter().map(|category| category.id).collect();
    let mut notes = ResultNotes {
        total: records.len() + left_out,
        malformed: left_out,
        first_malformed: first_problem,
        known_category_ids: known,
        ..ResultNotes::default()
    };
    let mut detections = Vec::with_capacity(records.len());
    for record in records {
        let image = image_of(&record, targets)?;
        let category = match &record.category {
            Id::Number(id) => Some(*id).filter(|id| notes.known_category_ids.contains(id)),
            Id::Text(name) => by_name.get(&**name).copied(),
        };
        let Some(image_id) = image else {
            notes.unknown_images += 1;
            if notes.first_unknown_image.is_none() {
                notes.first_unknown_image = Some((record.index, record.image));
            }
            continue;
        };
        let Some(category_id) = category else {
            notes.unknown_categories += 1;
            if notes.category_ids.len() <= LISTED {
                notes.category_ids.insert(record.category.to_string());
            }
            if let Id::Number(category_id) = record.category {
                let ResultRecord { bbox, score, .. } = record;
                notes.of_unknown_categories.push(Detection { image_id, category_id, bbox, score });
            }
            continue;
        };
        if record.bbox[2] < 0.0 || record.bbox[3] < 0.0 {
            notes.inverted += 1;
            notes.first_inverted.get_or_insert(record.index);
        }
        detections.push(Detection { image_id, category_id, bbox: record.bbox, score: record.score });
    }
    Ok((detections, notes))
}

/// The id of the image of a result, if the dataset has it.
fn image_of(record: &ResultRecord, targets: &ResultTargets) -> Result<Option<i64>, EvaluationError> {
    let find = |name: &str| {
        targets
            .names
            .find(name)
            .map_err(|source| EvaluationError::AmbiguousImage { index: record.index, source })
    };
    // Ultralytics writes a numeric stem as number next to the file name, which need not be the id.
    if let Some(name) = &record.file_name
        && let Ok(Some(id)) = targets.names.find(name)
    {
        return Ok(Some(id));
    }
    match &record.image {
        Id::Number(id) if targets.image_ids.contains(id) => Ok(Some(*id)),
        Id::Number(id) => find(&id.to_string()),
        Id::Text(text) => match targets.text_ids.get(&**text) {
            Some(id) => Ok(Some(*id)),
            None => find(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use picodet_format::coco::{DEFAULT_LIMIT, read_result_records};

    use super::*;

    fn targets() -> ResultTargets {
        let files = [(1, "cam1/a.png".to_owned()), (2, "cam2/a.png".to_owned()), (7, "17.jpg".to_owned())];
        ResultTargets {
            image_ids: files.iter().map(|(id, _)| *id).collect(),
            names: ImageNames::new(files),
            text_ids: [("img-7".to_owned(), 7)].into(),
            categories: vec![
                Category { id: 1, name: "cat".to_owned() },
                Category { id: 2, name: "dog".to_owned() },
            ],
        }
    }

    fn resolved(entries: &[(&str, &str)]) -> Result<(Vec<(i64, i64)>, ResultNotes), String> {
        let entries: Vec<String> = entries
            .iter()
            .map(|(image, category)| {
                format!(r#"{{"image_id": {image}, "category_id": {category}, "bbox": [1, 2, 3, 4], "score": 0.5}}"#)
            })
            .collect();
        let text = format!("[{}]", entries.join(","));
        let records = read_result_records(text.as_bytes(), DEFAULT_LIMIT).expect("results");
        let (detections, notes) = resolve_results(records, &targets()).map_err(|error| error.to_string())?;
        notes.check().map_err(|error| error.to_string())?;
        let ids = detections.iter().map(|detection| (detection.image_id, detection.category_id)).collect();
        Ok((ids, notes))
    }

    #[test]
    fn images_and_categories_are_found_by_id_and_name() {
        let entries = [
            ("1", "1"),
            ("\"2\"", "\"2\""),
            ("7.0", "\"dog\""),
            ("\"img-7\"", "1"),
            ("\"cam2/a\"", "1"),
            ("\"17\"", "1"),
            ("17", "2"),
            ("\"d\\\\cam1\\\\a.png\"", "1"),
        ];
        let (ids, notes) = resolved(&entries).expect("resolved");
        assert_eq!(ids, [(1, 1), (2, 2), (7, 2), (7, 1), (2, 1), (7, 1), (7, 2), (1, 1)]);
        assert_eq!(notes.lines(), Vec::<String>::new());
        let error = resolved(&[("\"a\"", "1")]).err().unwrap_or_default();
        assert!(error.contains("cam1/a.png") && error.contains("cam2/a.png"), "{error}");
    }

    #[test]
    fn inverted_boxes_and_empty_files_are_said() {
        let lines = |boxes: &[&str]| {
            let entry =
                |b: &&str| format!(r#"{{"image_id": 1, "category_id": 1, "bbox": [{b}], "score": 0.5}}"#);
            let text = format!("[{}]", boxes.iter().map(entry).collect::<Vec<_>>().join(","));
            let records = read_result_records(text.as_bytes(), DEFAULT_LIMIT).expect("results");
            let (detections, notes) = resolve_results(records, &targets()).expect("resolved");
            assert_eq!(detections.len(), boxes.len());
            notes.lines().join("\n")
        };
        assert_eq!(lines(&["90, 40, 12, 12", "0, 0, 0, 0", "0.2, 0.1, 0.5, 0.5"]), "");
        assert_eq!(lines(&[]), "the file has no detections");
        let inverted = lines(&["1, 1, 5, 5", "30, 30, -20, 5"]);
        assert!(
            inverted.starts_with("1 of 2 boxes have a negative width or height, the first in detection 1;")
        );
    }

    #[test]
    fn detections_of_others_are_counted() {
        let (ids, notes) =
            resolved(&[("1", "1"), ("99", "1"), ("1", "0"), ("1", "\"cow\"")]).expect("resolved");
        assert_eq!((ids.len(), notes.unknown_images, notes.unknown_categories), (1, 1, 2));
        let lines = notes.lines().join("\n");
        assert!(
            lines.contains("1 of 4 detections belong to images") && lines.contains("image_id 99"),
            "{lines}"
        );
        assert!(lines.contains("2 of 4 detections have category ids"), "{lines}");
        let error = resolved(&[("1", "0"), ("2", "0")]).err().unwrap_or_default();
        let expected =
            "2 of 2 detections have category ids that the dataset does not have (0); its ids are 1, 2";
        assert!(error.starts_with(expected), "{error}");
        assert!(resolved(&[("99", "1")]).is_err_and(|error| error.contains("image_id 99")));
        assert!(resolved(&[("\"x\"", "1")]).is_err_and(|error| error.contains("`x`")));
    }
}
