//! COCO metrics, curves, confusion and error kinds.

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
mod parallel;
mod parameters;
mod picture;
mod plot;
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
pub use picture::{LabelledBox, Mark, Picture};
pub use report::{Report, render_html};
pub use table::{class_table, error_table, summary_table, text_table};
pub use types::{Category, Detection, GroundTruth, intersection_over_union};
pub use verdict::Verdict;
