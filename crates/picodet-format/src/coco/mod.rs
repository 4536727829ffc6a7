//! COCO JSON: annotation files and detection results.
//!
//! Annotation files are streamed: [`read_annotations`] passes each entry to an [`AnnotationSink`], which
//! decides what is required and what is kept. Numbers are converted exactly, so that metrics equal those of
//! pycocotools. Values of other types than COCO's are converted where their meaning is clear (`"7"`, `7.0`,
//! `"true"`), and otherwise listed in the entry.

mod entries;
mod error;
mod fields;
mod foreign_form;
mod grouped;
mod list;
mod names;
mod read;
mod record;
mod results;
mod segmentation;
mod value;

pub use error::{FieldError, JsonError};
pub use fields::{Attributes, BoxValues};
pub use names::{AmbiguousName, ImageNames, file_stem};
pub use read::{AnnotationSink, Sections, read_annotations, read_images};
pub use record::{Annotation, Category, Image};
pub use results::{
    DEFAULT_LIMIT, DetectionRecord, ResultRecord, ResultRecords, read_all, read_result_records, read_results,
    write_results,
};
pub use segmentation::read_segmentation_boxes;
pub use value::{Id, OddValue};
