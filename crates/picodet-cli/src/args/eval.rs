//! Arguments of `picodet eval` and `picodet verify`.

use std::path::PathBuf;

use clap::Args;

use super::shared::INTERPOLATIONS;
use super::{Computing, Detection, ImageLimits, ReportFormat};

#[derive(Args)]
pub(crate) struct Eval {
    /// Model (a file, an https URL, or an embedded one) and dataset; with --detections only the dataset
    #[arg(required = true, num_args = 1..=2, value_names = ["MODEL", "DATASET"])]
    pub(crate) inputs: Vec<String>,
    /// Split of the dataset to evaluate on
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Folder of the images [default: the dataset's]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) images: Option<PathBuf>,
    /// Evaluate these COCO results instead of a model
    #[arg(long, value_name = "FILE")]
    pub(crate) detections: Option<PathBuf>,
    /// Read crowd regions (COCO `iscrowd`) as ordinary objects
    #[arg(long)]
    pub(crate) crowds_as_objects: bool,
    /// Minimum score of a detection
    #[arg(long, default_value_t = 0.025, value_name = "0..1")]
    pub(crate) score: f32,
    #[command(flatten)]
    pub(crate) detection: Detection,
    #[command(flatten)]
    pub(crate) limits: ImageLimits,
    /// Number of threads [default: one per core]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub(crate) threads: usize,
    /// Output format of the metrics
    #[arg(long, short, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// Write the detections as COCO results
    #[arg(long, short, value_name = "FILE.json")]
    pub(crate) output: Option<PathBuf>,
    /// Write a self-contained HTML report: curves, confusion matrix, calibration, error types, worst images
    #[arg(long, value_name = "FILE.html")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// Model: a file, an https URL, or an embedded model
    pub(crate) first: String,
    /// Another model, or a JSON file of COCO results
    pub(crate) second: String,
    /// Images, folders of images, or glob patterns to compare on
    #[arg(long, required = true, num_args = 1.., value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Minimum score of the detections that need a counterpart
    #[arg(long, default_value_t = 0.3, value_name = "0..1")]
    pub(crate) score: f32,
    /// Minimum IoU of counterparts
    #[arg(long, default_value_t = 0.99, value_name = "0..1")]
    pub(crate) iou: f32,
    /// Maximum difference between the scores of counterparts
    #[arg(long, default_value_t = 0.01, value_name = "0..1")]
    pub(crate) score_tolerance: f32,
    /// Interpolation of the resize to the network input [default: each model's]
    #[arg(long, value_name = INTERPOLATIONS)]
    pub(crate) resize: Option<picodet::Interpolation>,
    #[command(flatten)]
    pub(crate) computing: Computing,
    /// Clip all boxes to the image before the comparison, as some engines do
    #[arg(long)]
    pub(crate) clip: bool,
    #[command(flatten)]
    pub(crate) limits: ImageLimits,
    /// COCO annotations that map file names to the image ids of the results [default: numeric file names]
    #[arg(long, value_name = "FILE")]
    pub(crate) annotations: Option<PathBuf>,
}
