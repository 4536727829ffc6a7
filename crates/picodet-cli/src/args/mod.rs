//! Command-line arguments: one module per command, and the types that several commands share.

mod convert;
mod data;
mod detect;
mod eval;
mod export;
mod inspect;
mod quantise;
mod search;
mod shared;
mod train;

use clap::{Parser, Subcommand};

pub(crate) use self::convert::{Convert, Dtype, Forward};
pub(crate) use self::data::{Check, Data, DataConvert, DataSplit};
pub(crate) use self::detect::{Detect, Format};
pub(crate) use self::eval::{Eval, Verify};
pub(crate) use self::export::{Export, ExportFormat, ExportHead};
pub(crate) use self::inspect::{Bench, Info};
pub(crate) use self::quantise::{MapScales, MixedBudget, Quantise, QuantiseMethod};
pub(crate) use self::search::{FindOptions, Latency, Limit, Search, SearchCommand};
pub(crate) use self::shared::{Computing, Detection, ImageLimits, ModelArguments, ReportFormat};
pub(crate) use self::train::{Batch, OnNan, Train};

/// PP-PicoDet object detection: detect, train, evaluate and export ultra-light detectors on the CPU
#[derive(Parser)]
#[command(
    name = "picodet",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 success, 1 some inputs failed (each is reported), 2 failure,\n\
                  3 a quantised model that misses a limit.\n\
                  Run `picodet COMMAND --help` for the options of a command."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Detect objects in images, list them, and draw them into copies
    Detect(Detect),
    /// Show layers, parameters, multiply-accumulates, classes, origin and licence of a model
    Info(Info),
    /// Convert weights of Paddle, ncnn, ONNX or safetensors to a native model file
    Convert(Convert),
    /// Run a network on a tensor and write every named tensor, to compare implementations
    Forward(Forward),
    /// List all networks and the published models
    Models,
    /// Write a model in 8 bits, computed from a float model and some images, and judge it
    Quantise(Quantise),
    /// Export a model to ONNX
    Export(Export),
    /// Measure the time of each stage of a detection on this machine
    Bench(Bench),
    /// Train a network on your data, or resume a run
    Train(Box<Train>),
    /// Search the architecture with the best accuracy for a latency on this CPU
    Search(Box<Search>),
    /// Evaluate a model or a file of detections on a dataset with the COCO metrics
    Eval(Eval),
    /// Compare the detections of two models, or of a model and a results file, box by box
    Verify(Verify),
    /// Check a dataset for problems that silently degrade training
    Check(Check),
    /// Convert and split datasets
    #[command(subcommand)]
    Data(Data),
}
