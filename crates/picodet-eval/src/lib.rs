//! COCO metrics, precision-recall curves, confusion matrix, error analysis and the report page.
//!
//! For well-formed input the metrics are bitwise equal to those of pycocotools (`bench/pycocotools/run.sh`
//! compares). Boxes are `[x, y, width, height]` in pixels of the original image. The detections may come from
//! any detector.
//!
//! ```
//! use picodet_eval::{Category, Detection, DiagnosticOptions, Evaluator, GroundTruth, Parameters};
//!
//! let bbox = [10.0, 20.0, 50.0, 40.0];
//! let categories = [Category { id: 1, name: "cat".to_owned() }];
//! let truths = [GroundTruth {
//!     id: 1, image_id: 7, category_id: 1, bbox, area: 2000.0, crowd: false, ignore: false,
//! }];
//! let detections = [Detection { image_id: 7, category_id: 1, bbox, score: 0.9 }];
//!
//! let evaluator = Evaluator::new(&[7], &categories, &truths, &detections, Parameters::default())?;
//! let evaluation = evaluator.evaluate();
//! assert!(evaluation.summary().ap > 0.999);
//! let diagnostics = evaluator.diagnose(&DiagnosticOptions::default())?;
//! assert_eq!(diagnostics.images[0].total(), 0);
//! # Ok::<(), picodet_eval::EvaluationError>(())
//! ```

#![forbid(unsafe_code)]

mod accumulate;
mod confusion;
mod diagnostics;
mod error;
mod error_types;
mod evaluation;
mod index;
mod json;
mod labels;
mod matching;
mod numpy;
mod parameters;
mod readings;
mod report;
mod resolve;
mod table;
mod types;

pub use confusion::Confusion;
pub use diagnostics::{
    Calibration, CalibrationBin, DiagnosticOptions, Diagnostics, ImageErrors, OperatingPoint,
};
pub use error::EvaluationError;
pub use error_types::{ErrorCost, ErrorCosts, ErrorType};
pub use evaluation::{ClassResult, Evaluation, Evaluator, Summary, evaluate};
pub use json::{AnnotatedImage, Annotations, read_annotations, read_results, write_results};
pub use labels::DetectionLabel;
pub use parameters::{AreaRange, Parameters, ZeroId};
pub use picodet_format::coco::{
    DEFAULT_LIMIT, Id, ImageNames, JsonError, ResultRecords, read_result_records,
};
pub use readings::reading_note;
pub use report::{LabelledBox, Mark, Picture, Report, render_html};
pub use resolve::{ResultNotes, ResultTargets, resolve_results};
pub use table::{class_table, error_table, summary_table, text_table};
pub use types::{Category, Detection, GroundTruth, ImageSize, Notes, intersection_over_union};
