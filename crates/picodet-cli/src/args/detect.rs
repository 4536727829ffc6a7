//! Arguments of `picodet detect`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Detection, ImageLimits, ModelArguments};

#[derive(Args)]
pub(crate) struct Detect {
    /// Images, folders of images, glob patterns, or - for an image on standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Minimum score of a detection
    #[arg(long, default_value_t = 0.4, value_name = "0..1")]
    pub(crate) score: f32,
    #[command(flatten)]
    pub(crate) detection: Detection,
    #[command(flatten)]
    pub(crate) limits: ImageLimits,
    /// Number of threads per inference
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub(crate) threads: usize,
    /// Folder for copies of the images with the detections drawn in
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    /// Font file for the class names in the drawings (.ttf, .otf, .ttc) [default: an embedded font, and a system
    /// font for Chinese, Japanese and Korean]
    #[arg(long, requires = "output", value_name = "FILE")]
    pub(crate) font: Option<PathBuf>,
    /// Output format of the detections
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// With --format coco: COCO annotations that map file names to image ids [default: numeric file names]
    #[arg(long, value_name = "FILE")]
    pub(crate) annotations: Option<PathBuf>,
}

/// Output format of detections.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One line per object
    Text,
    /// One JSON document per image and line
    Json,
    /// One row per object
    Csv,
    /// COCO results: one JSON array
    Coco,
}
