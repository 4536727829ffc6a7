//! COCO JSON: annotation files and detection results.
//!
//! Annotation files are streamed: [`read_annotations`] passes each entry to an [`AnnotationSink`], which
//! decides what is required and what is kept. Numbers are converted exactly, so that metrics equal those of
//! pycocotools.

mod error;
mod fields;
mod list;
mod read;
mod record;
mod results;

pub use error::{FieldError, JsonError};
pub use read::{AnnotationSink, Sections, read_annotations, read_annotations_from_slice, read_images};
pub use record::{Annotation, BoxValues, Category, Image};
pub use results::{DEFAULT_LIMIT, DetectionRecord, read_all, read_results, write_results};
