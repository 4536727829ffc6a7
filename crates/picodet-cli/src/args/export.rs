//! Arguments of `picodet export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ModelArguments;
use super::shared::{at_least_one, size};

#[derive(Args)]
#[command(
    after_help = "A quantised model (picodet quantise) is written with QuantizeLinear and DequantizeLinear, opset 13 or later, \
                  for engines with 8-bit convolutions. Hard-swish and scaling run as floats there: measure whether it is \
                  faster than the float model."
)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// File to write
    #[arg(long, short, value_name = "FILE.onnx")]
    pub(crate) output: PathBuf,
    /// Format to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Onnx)]
    pub(crate) format: ExportFormat,
    /// Outputs of the exported model
    #[arg(long, value_enum, default_value_t = ExportHead::Decoded)]
    pub(crate) head: ExportHead,
    /// Batch size of the exported model
    #[arg(long, default_value = "1", value_name = "COUNT|dynamic")]
    pub(crate) batch: String,
    /// ONNX opset version, 11 to 17; from 14 on hard-swish is a single operator
    #[arg(long, default_value_t = 14, value_name = "VERSION")]
    pub(crate) opset: i64,
    /// Network input size [default: the model's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// With --head nms: minimum score of a detection [default: 0.025]
    #[arg(long, value_name = "0..1")]
    pub(crate) score: Option<f32>,
    /// With --head nms: IoU above which the lower-scoring of two boxes of a class is dropped [default: 0.6]
    #[arg(long, value_name = "0..1")]
    pub(crate) nms_iou: Option<f32>,
    /// With --head nms: maximum number of detections per image [default: 100]
    #[arg(long, value_name = "COUNT", value_parser = at_least_one)]
    pub(crate) max_detections: Option<usize>,
}

/// File formats of other programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// ONNX
    Onnx,
}

/// Outputs of an exported model.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportHead {
    /// score.L and reg.L of each level
    Raw,
    /// Scores and decoded boxes of all positions
    Decoded,
    /// Detections after NMS
    Nms,
}
