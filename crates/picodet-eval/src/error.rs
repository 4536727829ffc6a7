//! What can be wrong with the input of an evaluation.

use thiserror::Error;

/// Why an evaluation cannot be done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// A detection is for an image that the ground truth does not have.
    #[error(
        "{count} of {total} detections are for images that are not in the ground truth, first: detection \
         {index} has image_id {image_id}; evaluate on the dataset that the detections were made on, \
         and write the dataset's own image ids into the results"
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
    /// A number that is NaN or infinite.
    #[error("{what} {index}: {field} is {value}; every coordinate, area and score must be a finite number")]
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
    /// A parameter that makes no sense.
    #[error("parameter {name}: {problem}")]
    Parameter {
        /// The field of [`crate::Parameters`].
        name: &'static str,
        /// What is wrong and what is allowed.
        problem: String,
    },
}

/// Why a JSON file of detections or annotations cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Reading or writing failed.
    #[error("cannot read or write: {0}")]
    Io(#[from] std::io::Error),
    /// Not the JSON that was expected.
    #[error("{element}line {line}, column {column}: {problem}")]
    Malformed {
        /// `detection 3: ` (0-based) or the like; empty outside of the lists.
        element: String,
        /// What is wrong.
        problem: String,
        /// 1-based line.
        line: usize,
        /// 1-based column in bytes.
        column: usize,
    },
    /// The input is larger than allowed.
    #[error("the input is larger than {limit} bytes; raise the limit if this is meant")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A NaN or infinite number that was to be written.
    #[error(
        "detection {index}: {field} is not a finite number, which JSON cannot hold; \
         NaN scores come from a model that has diverged or from damaged weights"
    )]
    NotFinite {
        /// 0-based index of the detection.
        index: usize,
        /// The field's name.
        field: &'static str,
    },
}
