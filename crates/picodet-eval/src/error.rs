//! Errors in the input of an evaluation.

use thiserror::Error;

/// Why an input cannot be evaluated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// A detection belongs to an image that is not evaluated.
    #[error(
        "{count} of {total} detections belong to images that are not in the ground truth, first: detection \
         {index} has image_id {image_id}; evaluate on the dataset that the detections belong to, \
         and write the image ids of the dataset into the results"
    )]
    UnknownImage {
        /// 0-based index of the first such detection.
        index: usize,
        /// Its image id.
        image_id: i64,
        /// How many detections are affected.
        count: usize,
        /// How many detections there are.
        total: usize,
    },
    /// No detection belongs to an image of the dataset, and the first has a name that no image has.
    #[error(
        "{total} of {total} detections belong to images that are not in the dataset, first: detection {index} has \
         image_id {name}; evaluate on the dataset that the detections belong to"
    )]
    UnknownImageName {
        /// 0-based index of the first such detection.
        index: usize,
        /// Its image id.
        name: String,
        /// How many detections there are.
        total: usize,
    },
    /// No entry of a results file can be read.
    #[error("none of {total} detections can be read, first: detection {index}: {problem}")]
    UnreadableResults {
        /// 0-based index of the first entry.
        index: usize,
        /// Its problem.
        problem: String,
        /// How many entries there are.
        total: usize,
    },
    /// A file name in the results matches two images.
    #[error("detection {index}: {source}")]
    AmbiguousImage {
        /// 0-based index of the detection.
        index: usize,
        /// The name and two of its images.
        source: picodet_format::coco::AmbiguousName,
    },
    /// No detection has a category of the dataset.
    #[error("{problem}; write the category ids of the dataset into the results")]
    UnknownCategories {
        /// The number of detections, their category ids and those of the dataset.
        problem: String,
    },
    /// A value is NaN or infinite.
    #[error("{what} {index}: {field} is {value}; every coordinate, area and score must be finite")]
    NotFinite {
        /// `detection` or `annotation`.
        what: &'static str,
        /// 0-based index.
        index: usize,
        /// The field's name.
        field: &'static str,
        /// The value.
        value: f64,
    },
    /// Two annotations have the same id.
    #[error(
        "annotations {first} and {second} have the same id {id}; ids must be unique over the dataset \
         (pycocotools would count the last of them twice): renumber from 1"
    )]
    DuplicateAnnotation {
        /// The id.
        id: i64,
        /// 0-based index of the first.
        first: usize,
        /// 0-based index of the second.
        second: usize,
    },
    /// A parameter is out of range.
    #[error("parameter {name}: {problem}")]
    Parameter {
        /// The field of [`crate::Parameters`].
        name: &'static str,
        /// The problem and the allowed values.
        problem: String,
    },
}
