//! COCO metrics, curves, confusion and error kinds, and the page that shows them.
//!
//! The numbers are pycocotools' numbers, to the last bit where its input is well formed
//! (`bench/pycocotools/run.sh` compares). Boxes are `[x, y, width, height]` in pixels of the original image.
//! Nothing here depends on how the detections were made.
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

mod accumulate;
mod confusion;
mod diagnostics;
mod error;
mod error_kinds;
mod evaluation;
mod index;
mod json;
mod matching;
mod numpy;
mod parameters;
mod report;
mod table;
mod types;
mod verdict;

pub use confusion::Confusion;
pub use diagnostics::{
    Calibration, CalibrationBin, DiagnosticOptions, Diagnostics, ImageErrors, OperatingPoint,
};
pub use error::{EvaluationError, JsonError};
pub use error_kinds::{ErrorCost, ErrorCosts, ErrorKind};
pub use evaluation::{ClassResult, Evaluation, Evaluator, Notes, Summary, evaluate};
pub use json::{AnnotatedImage, Annotations, DEFAULT_LIMIT, read_annotations, read_results, write_results};
pub use parameters::{AreaRange, Parameters, ZeroId};
pub use report::{LabelledBox, Mark, Picture, Report, render_html};
pub use table::{class_table, error_table, summary_table, text_table};
pub use types::{Category, Detection, GroundTruth, intersection_over_union};
pub use verdict::Verdict;
