//! Describes the entries of a results file that were left out, and doubtful ones among the others.

use std::collections::BTreeSet;
use std::fmt;

use picodet_format::coco::Id;

use crate::error::EvaluationError;
use crate::types::Detection;

/// Number of ids that a message lists.
pub(super) const LISTED: usize = 10;

/// Entries with an image id and a file name of different images.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Conflict {
    count: usize,
    first: Option<(usize, i64, String)>,
}

impl Conflict {
    pub(super) fn add(&mut self, index: usize, image_id: i64, file_name: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| (index, image_id, file_name.to_owned()));
    }

    fn line(&self, total: usize, rule: &str) -> Option<String> {
        let (index, image_id, file_name) = self.first.as_ref()?;
        Some(format!(
            "{} of {total} detections have an `image_id` and a `file_name` of different images, the first: \
             detection {index} has {image_id} and `{file_name}`; {rule}",
            self.count
        ))
    }
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
    /// Number of entries with all boxes of an image.
    pub grouped: usize,
    /// Number of entries of images that the dataset does not have.
    pub unknown_images: usize,
    /// Index and image id of the first of them.
    pub first_unknown_image: Option<(usize, Id)>,
    /// Number of entries of categories that the dataset does not have.
    pub unknown_categories: usize,
    /// Their category ids.
    pub category_ids: BTreeSet<String>,
    /// The names of the dataset's categories, if a result has the name of none.
    pub known_names: Vec<String>,
    /// Number of entries with the name of a category in another spelling.
    pub respelled: usize,
    /// Name of the first of them.
    pub first_respelled: Option<String>,
    /// Number of entries whose image id is the number of a file name.
    pub by_number: usize,
    /// The category ids of the dataset.
    pub known_category_ids: BTreeSet<i64>,
    /// The entries with numeric ids whose image or category the dataset does not have, for [`crate::reading_note`].
    pub unresolved: Vec<Detection>,
    /// Entries whose image id is of another image than the file name, which counts.
    pub(super) other_ids: Conflict,
    /// Entries whose file name is not that of the image id, which counts.
    pub(super) other_names: Conflict,
    /// Number of boxes with a negative width or height, which are evaluated unchanged.
    pub inverted: usize,
    /// Index of the first of them.
    pub first_inverted: Option<usize>,
    /// Lines on scores and repeated detections.
    pub(super) remarks: Vec<String>,
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

    /// Whether most boxes have a negative width or height.
    #[must_use]
    pub fn are_inverted(&self) -> bool {
        2 * self.inverted > self.total
    }

    /// One line for each reason for which entries were left out, and for inverted boxes.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let Self { total, malformed, unknown_images, unknown_categories, .. } = self;
        let mut lines = Vec::new();
        let are_sizes = self.grouped > 0 && self.are_inverted();
        if let Some(first) = self.first_inverted.filter(|_| !are_sizes) {
            lines.push(format!(
                "{} of {total} boxes have a negative width or height, the first in detection {first}; \
                 a box is [left, top, width, height] in pixels of the image",
                self.inverted
            ));
        }
        if are_sizes {
            lines.push(format!(
                "{} entries have `boxes`, `labels` and `scores` of an image, where boxes are [left, top, right, bottom]; \
                 {} of {total} boxes end before they begin: they seem to be [left, top, width, height]",
                self.grouped, self.inverted
            ));
        } else if self.grouped > 0 {
            lines.push(format!(
                "{} entries have `boxes`, `labels` and `scores` of an image; read as torchvision's: boxes are \
                 [left, top, right, bottom], labels category ids",
                self.grouped
            ));
        }
        if self.by_number > 0 {
            lines.push(format!(
                "the image ids of {} of {total} detections are the numbers of the file names, not the dataset's ids; \
                 read as such",
                self.by_number
            ));
        }
        if let Some(name) = &self.first_respelled {
            lines.push(format!(
                "the class names of {} of {total} detections are spelled in another way than the dataset's, the first: \
                 `{name}`; read as the same classes",
                self.respelled
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
        lines.extend(self.other_ids.line(*total, "the file name counts"));
        lines.extend(self.other_names.line(*total, "the image id counts"));
        lines.extend_from_slice(&self.remarks);
        lines
    }
}

/// Describes the entries of unknown categories.
struct UnknownCategories<'a>(&'a ResultNotes);

impl fmt::Display for UnknownCategories<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResultNotes { total, unknown_categories, category_ids, known_category_ids, known_names, .. } =
            self.0;
        write!(
            f,
            "{unknown_categories} of {total} detections have category ids that the dataset does not have ({}); ",
            listed(category_ids.iter())
        )?;
        if known_names.is_empty() {
            write!(f, "its ids are {}", listed(known_category_ids.iter()))
        } else {
            write!(f, "its classes are {}", listed(known_names.iter().map(|name| format!("`{name}`"))))
        }
    }
}

fn listed<T: fmt::Display>(ids: impl ExactSizeIterator<Item = T>) -> String {
    let more = if ids.len() > LISTED { ", …" } else { "" };
    let ids: Vec<String> = ids.take(LISTED).map(|id| id.to_string()).collect();
    format!("{}{more}", ids.join(", "))
}
