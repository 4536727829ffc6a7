//! Arguments of `picodet search`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ReportFormat;
use super::shared::{LatencyPrecision, at_least_one, size};
use super::train::share;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Search {
    #[command(subcommand)]
    pub(crate) command: Option<SearchCommand>,
    /// Space: a TOML file, or the name of a network of the paper, whose channel ratios are searched
    #[arg(value_name = "SPACE", required_unless_present = "resume")]
    pub(crate) space: Option<String>,
    /// Dataset in any format: a COCO .json, a YOLO .yaml, or a folder
    #[arg(long, short, value_name = "PATH", required_unless_present = "resume")]
    pub(crate) data: Option<PathBuf>,
    /// Split to train on [default: train, if there is one]
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Split on whose images candidates are compared, instead of a share of the training images
    #[arg(long, value_name = "NAME")]
    pub(crate) search_split: Option<String>,
    /// Set aside this share of the training images to compare candidates on, stratified by class
    #[arg(long, value_name = "0..1", value_parser = share, default_value_t = 0.2, conflicts_with = "search_split")]
    pub(crate) search_share: f64,
    /// Model to start from: a file, an https URL or an embedded model [default: random initialisation]
    #[arg(long, short, value_name = "FILE|NAME|URL")]
    pub(crate) weights: Option<String>,
    /// Folder for the supernet, the networks of the front and the report
    #[arg(long, short, value_name = "FOLDER", default_value = "search", conflicts_with = "resume")]
    pub(crate) output: PathBuf,
    /// Resume the search in this folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = [
        "space", "data", "split", "search_split", "weights", "epochs", "batch", "sizes", "warm", "distillation",
    ])]
    pub(crate) resume: Option<PathBuf>,
    /// Number of epochs of the supernet [default: 1.5 times those of one network, 2 times from random weights]
    #[arg(long, value_name = "COUNT", value_parser = at_least_one)]
    pub(crate) epochs: Option<usize>,
    /// Images per batch [default: 16, and 8 in fine-tuning]
    #[arg(long, value_name = "COUNT", value_parser = at_least_one)]
    pub(crate) batch: Option<usize>,
    /// Network input sizes in training [default: those of the recipe and of the space]
    #[arg(long, value_parser = size, value_name = "HxW", value_delimiter = ',')]
    pub(crate) sizes: Vec<(usize, usize)>,
    /// Number of epochs, of those of the supernet, that train the largest network only at the beginning
    #[arg(long, value_name = "EPOCHS", default_value_t = 0)]
    pub(crate) warm: usize,
    /// Share of the loss of smaller networks that compares them with the largest one instead of with the labels
    #[arg(long, value_name = "0..1", value_parser = share_or_none, default_value_t = 0.0)]
    pub(crate) distillation: f64,
    /// Time of training and search together; the supernet gets two thirds of it
    #[arg(long, value_name = "MINUTES")]
    pub(crate) time_limit: Option<f64>,
    #[command(flatten)]
    pub(crate) find: FindOptions,
}

/// Parses a share that may be 0 or 1.
fn share_or_none(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a fraction from 0 to 1, such as 0.5".to_owned()),
    }
}

#[derive(Subcommand)]
pub(crate) enum SearchCommand {
    /// Search again among the networks of a trained supernet, under another constraint
    Find(Find),
    /// Measure the latency table of a space on this machine
    Latency(Latency),
}

#[derive(Args)]
pub(crate) struct Find {
    /// Folder of the search
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Time of the search
    #[arg(long, value_name = "MINUTES")]
    pub(crate) time_limit: Option<f64>,
    #[command(flatten)]
    pub(crate) find: FindOptions,
}

/// How networks are compared and chosen.
#[derive(Args)]
pub(crate) struct FindOptions {
    /// Maximum latency of an inference: milliseconds, or a fraction of that of the published network [default: none, the
    /// whole front is searched]
    #[arg(long, value_name = "3.2ms|0.75x", value_parser = limit)]
    pub(crate) latency: Option<Limit>,
    /// Latency table of the machine that will run the network [default: this machine is measured]
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) latency_table: Option<PathBuf>,
    /// Threads of an inference, for the latency
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// Element type of convolution products, for latency and accuracy (int8 for the latency only)
    #[arg(long, value_enum, default_value_t = LatencyPrecision::F32)]
    pub(crate) precision: LatencyPrecision,
    /// Number of networks to judge
    #[arg(long, default_value_t = 500, value_name = "COUNT", value_parser = at_least_one)]
    pub(crate) evaluations: usize,
    /// Choose the networks to judge at random, as a baseline
    #[arg(long)]
    pub(crate) random: bool,
    /// Random seed
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Output format of the result
    #[arg(long, short, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}

#[derive(Args)]
pub(crate) struct Latency {
    /// Space: a TOML file, or the name of a network of the paper
    #[arg(long, value_name = "SPACE")]
    pub(crate) space: String,
    /// Table to write
    #[arg(long, short, value_name = "FILE.toml")]
    pub(crate) output: PathBuf,
    /// Number of classes of the networks
    #[arg(long, default_value_t = 80, value_name = "COUNT", value_parser = at_least_one)]
    pub(crate) classes: usize,
    /// Threads of an inference
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// Element type of convolution products
    #[arg(long, value_enum, default_value_t = LatencyPrecision::F32)]
    pub(crate) precision: LatencyPrecision,
    /// Also measure this number of random networks, and report the errors of their predictions
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) check: usize,
}

/// A maximum latency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// Milliseconds.
    Milliseconds(f64),
    /// A fraction of the latency of the published network.
    Ratio(f64),
}

fn limit(text: &str) -> Result<Limit, String> {
    let number =
        |text: &str| text.trim().parse().ok().filter(|value: &f64| *value > 0.0 && value.is_finite());
    let found = match (text.strip_suffix("ms"), text.strip_suffix('x')) {
        (Some(time), _) => number(time).map(Limit::Milliseconds),
        (_, Some(ratio)) => number(ratio).map(Limit::Ratio),
        _ => None,
    };
    found.ok_or_else(|| "expected a time such as 3.2ms, or a fraction such as 0.75x".to_owned())
}
