//! Arguments of `picodet info` and `picodet bench`.

use std::path::PathBuf;

use clap::Args;

use super::shared::size;
use super::{Computing, ModelArguments, ReportFormat};

#[derive(Args)]
pub(crate) struct Info {
    /// Model: a file, an https URL, an embedded model, or the name of any network
    #[arg(default_value = picodet::DEFAULT_MODEL)]
    pub(crate) model: String,
    /// Network input size for which multiply-accumulates are counted [default: the model's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// Depth of the layer tree
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    pub(crate) depth: usize,
    /// Show every operation in order instead of the tree
    #[arg(long)]
    pub(crate) nodes: bool,
    /// Show the engine's schedule on this CPU instead of the tree; needs a model with weights
    #[arg(long, conflicts_with = "nodes")]
    pub(crate) plan: bool,
    /// Print a summary in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Image to run the detection on [default: random noise, 640 x 480]
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
    /// Network input size [default: the model's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// Number of threads per inference
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub(crate) threads: usize,
    #[command(flatten)]
    pub(crate) computing: Computing,
    /// Measure the network with all scores and distances written out, as other engines do
    #[arg(long)]
    pub(crate) all_outputs: bool,
    /// Also measure every step of the network on one thread and compare it with the FMA limit of the core
    #[arg(long)]
    pub(crate) profile: bool,
    /// Number of timed runs
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub(crate) runs: usize,
    /// Number of untimed runs before them
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    pub(crate) warmup: usize,
    /// Output format of the times
    #[arg(long, short, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}
