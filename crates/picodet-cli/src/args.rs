//! The arguments of every command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The ultra-light object detector.
#[derive(Parser)]
#[command(name = "picodet", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Find objects in images, list them, and draw them into copies
    Detect(Detect),
    /// Show a model's layers, parameters, multiply-accumulates, classes, origin and licence
    Info(Info),
    /// Make a native model file from .pdparams, .safetensors, ncnn or ONNX weights
    Convert(Convert),
    /// Run a tensor through a network and write every named tensor (to compare with another implementation)
    Forward(Forward),
    /// List all networks
    Models,
    /// Write a model for another program: ONNX
    Export(Export),
    /// Time each stage of detecting on this machine
    Bench(Bench),
    /// Train a network on your data, or go on with a run
    Train(Train),
    /// Measure a model, or anyone's detections, on a dataset by COCO's rules
    Eval(Eval),
    /// Compare two models, or a model and a file of detections, box by box
    Verify(Verify),
    /// Look for everything in a dataset that makes training silently bad
    Check(Check),
    /// Convert and split datasets
    #[command(subcommand)]
    Data(Data),
}

/// Which model to use.
#[derive(Args)]
pub(crate) struct ModelArguments {
    /// Model: a file, an https URL, or the name of the embedded model
    #[arg(long, short, value_name = "FILE|NAME|URL", default_value = picodet::DEFAULT_MODEL)]
    pub(crate) model: String,
    /// Never use the network for a model given by URL
    #[arg(long)]
    pub(crate) offline: bool,
    /// The sha256 that a model given by URL must have
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<String>,
}

#[derive(Args)]
pub(crate) struct Detect {
    /// Images, folders of images, globs, or - for an image on standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Only objects with at least this probability
    #[arg(long, default_value_t = 0.4, value_name = "0..1")]
    pub(crate) score: f32,
    /// Drop an object that overlaps a better one of its class by more than this
    #[arg(long, default_value_t = 0.6, value_name = "0..1")]
    pub(crate) nms_iou: f32,
    /// Keep at most this many objects an image
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub(crate) max_detections: usize,
    /// Interpolation of the resize to the network input [default: the model's]
    #[arg(long, value_name = "nearest|linear|cubic|area|lanczos4")]
    pub(crate) resize: Option<picodet::Interpolation>,
    /// Size of the network input [default: the model's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// Threads in each inference
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub(crate) threads: usize,
    /// Numbers that convolutions multiply: bf16 is faster where the processor has instructions for it
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// Write copies of the images with the objects drawn in, into this folder
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    /// How to list the objects
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// COCO annotations whose file names give the image ids of --format coco [default: numeric file names]
    #[arg(long, value_name = "FILE")]
    pub(crate) annotations: Option<PathBuf>,
}

/// The numbers of products.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// 32-bit floats
    F32,
    /// 16-bit floats with 8-bit mantissa, summed in 32-bit ones
    Bf16,
}

impl From<Precision> for picodet::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

/// How to list objects.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line an object
    Text,
    /// A JSON document an image, one a line
    Json,
    /// A row an object
    Csv,
    /// COCO results: one JSON array
    Coco,
}

#[derive(Args)]
pub(crate) struct Info {
    /// Model: a file, an https URL, the embedded model, or the name of any network
    #[arg(default_value = picodet::DEFAULT_MODEL)]
    pub(crate) model: String,
    /// Size of the network input that multiply-accumulates are counted for [default: the model's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// Steps of the layer tree to show
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    pub(crate) depth: usize,
    /// Show every operation in order instead of the tree
    #[arg(long)]
    pub(crate) nodes: bool,
    /// Show the engine's schedule on this processor instead of the tree; needs a model with weights
    #[arg(long, conflicts_with = "nodes")]
    pub(crate) plan: bool,
    /// Machine-readable summary
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Convert {
    /// A .pdparams, .safetensors (reference names), .param (ncnn) or .onnx file
    pub(crate) source: PathBuf,
    /// The network that the weights belong to; `picodet models` lists all
    #[arg(long, value_name = "NAME")]
    pub(crate) variant: String,
    /// The native model file to write
    #[arg(long, short, value_name = "FILE.safetensors")]
    pub(crate) output: PathBuf,
    /// Size of the network input [default: the variant's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// The weights of an ncnn .param [default: the .bin beside it]
    #[arg(long, value_name = "FILE")]
    pub(crate) bin: Option<PathBuf>,
    /// A text file with one class name a line [default: the variant's classes]
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// The resize that the model was trained with
    #[arg(long, default_value_t = picodet::Interpolation::Cubic, value_name = "nearest|linear|cubic|area|lanczos4")]
    pub(crate) resize: picodet::Interpolation,
    /// Where the weights come from, kept in the file
    #[arg(long, value_name = "TEXT")]
    pub(crate) origin: Option<String>,
    /// The licence of the weights, kept in the file
    #[arg(long, value_name = "TEXT")]
    pub(crate) licence: Option<String>,
    /// Store 16-bit floats: half the size, about three digits
    #[arg(long)]
    pub(crate) f16: bool,
}

#[derive(Args)]
pub(crate) struct Forward {
    /// A native model file
    #[arg(long, value_name = "FILE")]
    pub(crate) model: String,
    /// A safetensors file with the tensor `image` [n, 3, h, w], normalised, and optionally `scale_factor` [n, 2]
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The safetensors file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// The numbers to compute with
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub(crate) dtype: Dtype,
}

/// The numbers that the reference engine computes with.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dtype {
    /// 32-bit floats
    F32,
    /// 64-bit floats
    F64,
}

/// `416`, `416x416` or `800x608`, height first.
fn size(text: &str) -> Result<(usize, usize), String> {
    let wrong = || format!("`{text}` is not a size like 416 or 800x608 (height x width)");
    let side = |part: &str| part.parse::<usize>().map_err(|_| wrong());
    let size = match text.split_once(['x', 'X']) {
        Some((height, width)) => (side(height)?, side(width)?),
        None => (side(text)?, side(text)?),
    };
    let fits = |side: usize| (32..=4096).contains(&side) && side.is_multiple_of(32);
    if fits(size.0) && fits(size.1) {
        Ok(size)
    } else {
        Err(format!("`{text}`: sides are multiples of 32, 32 to 4096"))
    }
}

#[derive(Args)]
pub(crate) struct Check {
    /// A COCO JSON file, or a folder of COCO, Pascal VOC, YOLO or LabelMe data
    pub(crate) dataset: PathBuf,
    /// Only this split [default: all, compared with each other]
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Size of the network input that boxes must survive
    #[arg(long, value_parser = size, default_value = "416", value_name = "HxW")]
    pub(crate) input_size: (usize, usize),
    /// How to list the findings
    #[arg(long, short, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// Also write one self-contained HTML report
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write a repaired copy into this new or empty folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) fix: Option<PathBuf>,
    /// Read only the headers of the images
    #[arg(long)]
    pub(crate) fast: bool,
}

/// How to list findings or metrics.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Data {
    /// Write a dataset in another format
    Convert(DataConvert),
    /// Deal a dataset out into parts, stratified, copies of an image kept together
    Split(DataSplit),
}

#[derive(Args)]
pub(crate) struct DataConvert {
    /// The dataset, in any of the four formats
    pub(crate) dataset: PathBuf,
    /// The format to write: coco, voc, yolo or labelme
    #[arg(long)]
    pub(crate) to: picodet::data::Format,
    /// The new or empty folder to write
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// Only this split [default: all]
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Write labels only and leave the images where they are
    #[arg(long)]
    pub(crate) labels_only: bool,
}

#[derive(Args)]
pub(crate) struct DataSplit {
    /// The dataset, in any of the four formats
    pub(crate) dataset: PathBuf,
    /// Names and shares, which add up to 1
    #[arg(long, default_value = "train=0.8,val=0.2", value_name = "NAME=SHARE,…")]
    pub(crate) parts: String,
    /// The new or empty folder to write, in the dataset's own format
    #[arg(long, short, value_name = "FOLDER")]
    pub(crate) output: PathBuf,
    /// The same seed gives the same parts on every machine
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Write labels only and leave the images where they are
    #[arg(long)]
    pub(crate) labels_only: bool,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// A model: a file, a URL, or the embedded one
    pub(crate) first: String,
    /// Another model, or a JSON file of COCO results
    pub(crate) second: String,
    /// Images, folders of images, or globs to compare on
    #[arg(long, required = true, num_args = 1.., value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
    /// Only objects with at least this probability must have a counterpart
    #[arg(long, default_value_t = 0.3, value_name = "0..1")]
    pub(crate) score: f32,
    /// Counterparts overlap by at least this
    #[arg(long, default_value_t = 0.99, value_name = "0..1")]
    pub(crate) iou: f32,
    /// Scores of counterparts differ by at most this
    #[arg(long, default_value_t = 0.01, value_name = "0..1")]
    pub(crate) score_tolerance: f32,
    /// Interpolation of the resize to the network input [default: each model's]
    #[arg(long, value_name = "nearest|linear|cubic|area|lanczos4")]
    pub(crate) resize: Option<picodet::Interpolation>,
    /// Cut all boxes to the image first, as some engines do
    #[arg(long)]
    pub(crate) clip: bool,
    /// COCO annotations whose file names give the image ids of the results [default: numeric file names]
    #[arg(long, value_name = "FILE")]
    pub(crate) annotations: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// The file to write
    #[arg(long, short, value_name = "FILE.onnx")]
    pub(crate) output: PathBuf,
    /// The format to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Onnx)]
    pub(crate) format: ExportFormat,
    /// What the model gives out: each level's maps, decoded boxes, or suppressed detections
    #[arg(long, value_enum, default_value_t = ExportHead::Decoded)]
    pub(crate) head: ExportHead,
    /// Images that the model takes at once: a number, or `dynamic`
    #[arg(long, default_value = "1", value_name = "N|dynamic")]
    pub(crate) batch: String,
    /// Version of ONNX's operations, 11 to 17; from 14 on hard-swish is one operation
    #[arg(long, default_value_t = 14, value_name = "VERSION")]
    pub(crate) opset: i64,
    /// Size of the network input [default: the model's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// With --head nms: only scores above this
    #[arg(long, default_value_t = 0.025, value_name = "0..1")]
    pub(crate) score: f32,
    /// With --head nms: drop a box that overlaps a better one of its class by more than this
    #[arg(long, default_value_t = 0.6, value_name = "0..1")]
    pub(crate) nms_iou: f32,
}

/// Formats of other programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// ONNX
    Onnx,
}

/// What an exported model gives out.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportHead {
    /// score.L and reg.L of each level
    Raw,
    /// scores and boxes
    Decoded,
    /// detections
    Nms,
}

#[derive(Args)]
pub(crate) struct Eval {
    /// A model (a file, a URL, or the embedded one) and a dataset; with --detections only a dataset
    #[arg(required = true, num_args = 1..=2, value_names = ["MODEL", "DATASET"])]
    pub(crate) inputs: Vec<String>,
    /// The split of the dataset to measure on
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Folder of the images [default: what the dataset says]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) images: Option<PathBuf>,
    /// COCO results to measure instead of a model's
    #[arg(long, value_name = "FILE")]
    pub(crate) detections: Option<PathBuf>,
    /// Only objects with at least this probability count
    #[arg(long, default_value_t = 0.025, value_name = "0..1")]
    pub(crate) score: f32,
    /// Drop an object that overlaps a better one of its class by more than this
    #[arg(long, default_value_t = 0.6, value_name = "0..1")]
    pub(crate) nms_iou: f32,
    /// Keep at most this many objects an image
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub(crate) max_detections: usize,
    /// Interpolation of the resize to the network input [default: the model's]
    #[arg(long, value_name = "nearest|linear|cubic|area|lanczos4")]
    pub(crate) resize: Option<picodet::Interpolation>,
    /// Size of the network input [default: the model's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// Threads to use [default: all cores]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub(crate) threads: usize,
    /// Numbers that convolutions multiply: bf16 is faster where the processor has instructions for it
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// How to list the metrics
    #[arg(long, short, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// Write the detections as COCO results
    #[arg(long, short, value_name = "FILE.json")]
    pub(crate) output: Option<PathBuf>,
    /// Write one self-contained HTML report: curves, confusion, calibration, kinds of errors, the worst images
    #[arg(long, value_name = "FILE.html")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// The image to detect in [default: one of noise, 640 x 480]
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
    /// Size of the network input [default: the model's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// Threads in each inference
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub(crate) threads: usize,
    /// Numbers that convolutions multiply: bf16 is faster where the processor has instructions for it
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// Time the network with every score and distance copied out, as other engines give them
    #[arg(long)]
    pub(crate) all_outputs: bool,
    /// Also time every step of the network, on one thread, against the processor's own limit
    #[arg(long)]
    pub(crate) profile: bool,
    /// Timed detections
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub(crate) runs: usize,
    /// Detections before those, not timed
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    pub(crate) warmup: usize,
    /// How to list the times
    #[arg(long, short, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
}

#[derive(Args)]
pub(crate) struct Train {
    /// Recipe: a TOML file, or the name of a published one (`picodet models` lists them)
    #[arg(value_name = "RECIPE", required_unless_present = "resume")]
    pub(crate) recipe: Option<String>,
    /// Dataset of any format: a COCO .json, a YOLO .yaml, or a folder
    #[arg(long, short, value_name = "PATH", required_unless_present = "resume")]
    pub(crate) data: Option<PathBuf>,
    /// Split to learn from [default: train, where there is one]
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Dataset to measure on [default: the same]
    #[arg(long, value_name = "PATH")]
    pub(crate) validation: Option<PathBuf>,
    /// Split to measure on [default: val, valid or test, where there is one]
    #[arg(long, value_name = "NAME")]
    pub(crate) validation_split: Option<String>,
    /// Model to start from: a file, an https URL or the embedded model; what fits is taken [default: random numbers]
    #[arg(long, short, value_name = "FILE|NAME|URL")]
    pub(crate) weights: Option<String>,
    /// Folder for checkpoints, models, curves and the report
    #[arg(long, short, value_name = "FOLDER", default_value = "run", conflicts_with = "resume")]
    pub(crate) output: PathBuf,
    /// Go on with the run in this folder, bit for bit as if it had not stopped
    #[arg(long, value_name = "FOLDER", conflicts_with_all = [
        "recipe", "data", "split", "validation", "validation_split", "weights", "batch", "rate", "epochs", "sizes", "seed",
        "freeze_backbone", "threads", "augment",
    ])]
    pub(crate) resume: Option<PathBuf>,
    /// Images a batch, all processes together, or `auto`: as many as half of the free memory holds, at most the recipe's; the
    /// learning rate follows in proportion
    #[arg(long, default_value = "16", value_parser = batch, value_name = "COUNT|auto")]
    pub(crate) batch: Batch,
    /// Learning rate for the batch as it is [default: the recipe's, in proportion to the batch]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) rate: Option<f64>,
    /// Epochs, of training and of the schedule [default: the recipe's]
    #[arg(long, value_name = "COUNT")]
    pub(crate) epochs: Option<usize>,
    /// Sizes of the network input of which each batch takes one [default: the recipe's]
    #[arg(long, value_parser = size, value_name = "HxW", value_delimiter = ',')]
    pub(crate) sizes: Vec<(usize, usize)>,
    /// Steps of the augmentation instead of the recipe's: crop, flip P, distort, mosaic P, hsv
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    pub(crate) augment: Option<Vec<String>>,
    /// What everything random is drawn from
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Leave the backbone as it is
    #[arg(long)]
    pub(crate) freeze_backbone: bool,
    /// Where to compute: cpu, or flex, cuda, rocm, vulkan, metal, wgpu where the program was built with that feature
    #[arg(long, default_value = "cpu", value_name = "NAME")]
    pub(crate) device: String,
    /// Threads [default: one a core]
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) threads: usize,
    /// Threads that prepare batches
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub(crate) workers: usize,
    /// Megabytes of decoded images to keep in memory
    #[arg(long, default_value_t = 512, value_name = "MEGABYTES")]
    pub(crate) cache: usize,
    /// Epochs between evaluations
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    pub(crate) evaluate_every: usize,
    /// Seconds between checkpoints at most; there is one after every epoch
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) checkpoint_every: u64,
    /// End after so many evaluations without a better one
    #[arg(long, value_name = "COUNT")]
    pub(crate) patience: Option<usize>,
    /// End after so many minutes, with a checkpoint
    #[arg(long, value_name = "MINUTES")]
    pub(crate) time_limit: Option<f64>,
    /// What to do about a value that is no number
    #[arg(long, value_enum, default_value_t = OnNan::Stop)]
    pub(crate) on_nan: OnNan,
    /// First learn one batch by heart, which shows in under a minute whether data and network go together
    #[arg(long)]
    pub(crate) overfit_first: bool,
    /// Start although the dataset has errors
    #[arg(long)]
    pub(crate) unchecked: bool,
}

/// Images a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// So many.
    Images(usize),
    /// As many as fit.
    Auto,
}

fn batch(text: &str) -> Result<Batch, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Batch::Auto),
        Ok(images) if images > 0 => Ok(Batch::Images(images)),
        _ => Err("it must be at least 1, or auto".to_owned()),
    }
}

/// What to do about a value that is no number.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnNan {
    /// Stop, with the batch saved
    Stop,
    /// Leave the batch out
    Skip,
}
