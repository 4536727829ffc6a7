//! Arguments of `picodet train`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::MapScales;
use super::shared::size;

#[derive(Args)]
pub(crate) struct Train {
    /// Recipe: a TOML file, or the name of a published one (see `picodet models`)
    #[arg(value_name = "RECIPE", required_unless_present = "resume")]
    pub(crate) recipe: Option<String>,
    /// Dataset in any format: a COCO .json, a YOLO .yaml, or a folder
    #[arg(long, short, value_name = "PATH", required_unless_present = "resume")]
    pub(crate) data: Option<PathBuf>,
    /// Split to train on [default: train, if there is one]
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Dataset to evaluate on [default: the training dataset]
    #[arg(long, value_name = "PATH")]
    pub(crate) validation: Option<PathBuf>,
    /// Split to evaluate on [default: the first of val, valid, validation and test, if there is one]
    #[arg(long, value_name = "NAME")]
    pub(crate) validation_split: Option<String>,
    /// Set aside this share of the training images for evaluation, stratified by class
    #[arg(long, value_name = "0..1", value_parser = share, conflicts_with_all = ["validation", "validation_split"])]
    pub(crate) validation_share: Option<f64>,
    /// Read crowd regions (COCO `iscrowd`) as ordinary objects
    #[arg(long)]
    pub(crate) crowds_as_objects: bool,
    /// Model to start from: a file, an https URL or an embedded model; tensors that fit are copied [default: random
    /// initialisation]
    #[arg(long, short, value_name = "FILE|NAME|URL")]
    pub(crate) weights: Option<String>,
    /// With --weights: keep the published schedule. By default a published recipe is adapted to fine-tuning if the dataset has
    /// at most 5000 images
    #[arg(long, requires = "weights")]
    pub(crate) as_published: bool,
    /// Train the network in 8 bits: from the closed form of --weights, against the predictions of --weights and the labels. The
    /// models are those of `picodet quantise`
    #[arg(long, requires = "weights", conflicts_with_all = [
        "as_published", "sizes", "augment", "freeze_backbone", "overfit_first",
    ])]
    pub(crate) quantise: bool,
    /// With --quantise: how many scales a map has
    #[arg(long, value_enum, requires = "quantise", default_value_t = MapScales::Channel)]
    pub(crate) scales: MapScales,
    /// Folder for checkpoints, models, metrics and the report
    #[arg(long, short, value_name = "FOLDER", default_value = "run", conflicts_with = "resume")]
    pub(crate) output: PathBuf,
    /// Resume the run in this folder; the result is bitwise identical to an uninterrupted run
    #[arg(long, value_name = "FOLDER", conflicts_with_all = [
        "recipe", "data", "split", "validation", "validation_split", "weights", "batch", "rate", "epochs", "sizes", "seed",
        "as_published", "quantise", "scales", "freeze_backbone", "threads", "augment", "validation_share", "crowds_as_objects",
    ])]
    pub(crate) resume: Option<PathBuf>,
    /// Images per batch, summed over all processes; `auto` uses half of the free memory, at most the recipe's batch. The
    /// learning rate scales with the batch [default: 16, and 8 in fine-tuning]
    #[arg(long, value_parser = batch, value_name = "COUNT|auto")]
    pub(crate) batch: Option<Batch>,
    /// Learning rate for this batch size [default: the recipe's, scaled with the batch]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) rate: Option<f64>,
    /// Number of epochs, also of the learning rate schedule [default: the recipe's]
    #[arg(long, value_name = "COUNT")]
    pub(crate) epochs: Option<usize>,
    /// Network input sizes, one of which is drawn for each batch [default: the recipe's]
    #[arg(long, value_parser = size, value_name = "HxW", value_delimiter = ',')]
    pub(crate) sizes: Vec<(usize, usize)>,
    /// Augmentation steps in place of the recipe's: crop, flip P, distort, mosaic P, hsv
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub(crate) augment: Option<Vec<String>>,
    /// Random seed
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Do not train the backbone
    #[arg(long)]
    pub(crate) freeze_backbone: bool,
    /// Device: cpu, or flex, cuda, rocm, vulkan, metal or wgpu if the program was built with that feature
    #[arg(long, default_value = "cpu", value_name = "NAME")]
    pub(crate) device: String,
    /// Number of threads [default: one per core]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub(crate) threads: usize,
    /// Number of threads that prepare batches
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub(crate) workers: usize,
    /// Size of the cache of decoded images
    #[arg(long, default_value_t = 512, value_name = "MEGABYTES")]
    pub(crate) cache: usize,
    /// Epochs between evaluations
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    pub(crate) evaluate_every: usize,
    /// Maximum time between checkpoints; one is also written after every epoch
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) checkpoint_every: u64,
    /// Stop after this many evaluations without improvement (early stopping)
    #[arg(long, value_name = "COUNT")]
    pub(crate) patience: Option<usize>,
    /// Train for at most this time: the first steps are measured, and the run is shortened so that its schedule ends in time.
    /// With --resume: stop after this time and write a checkpoint
    #[arg(long, value_name = "MINUTES")]
    pub(crate) time_limit: Option<f64>,
    /// Reaction to a NaN or infinite loss or gradient
    #[arg(long, value_enum, default_value_t = OnNan::Stop)]
    pub(crate) on_nan: OnNan,
    /// Overfit one batch first: a check of data and network that takes less than a minute
    #[arg(long)]
    pub(crate) overfit_first: bool,
    /// Train even if the dataset check finds errors, except images that are missing, unknown or too large
    #[arg(long)]
    pub(crate) unchecked: bool,
    /// Maximum number of pixels of an image; larger JPEG pictures are decoded at 1/2, 1/4 or 1/8 of their sides, other
    /// pictures are errors [default: 100000000, with --resume the run's]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "COUNT")]
    pub(crate) max_pixels: Option<u64>,
}

/// Images per batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// A fixed number.
    Images(usize),
    /// The number that fits into memory.
    Auto,
}

fn batch(text: &str) -> Result<Batch, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Batch::Auto),
        Ok(images) if images > 0 => Ok(Batch::Images(images)),
        _ => Err("expected a number of at least 1, or auto".to_owned()),
    }
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("expected a fraction between 0 and 1, such as 0.2".to_owned()),
    }
}

/// Reaction to a non-finite loss or gradient.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnNan {
    /// Stop and save the batch
    Stop,
    /// Skip the batch
    Skip,
}
