//! Arguments and values that several commands share.

use clap::{Args, ValueEnum};

/// Placeholder of the interpolations in help texts.
pub(super) const INTERPOLATIONS: &str = "nearest|linear|cubic|area|lanczos4";

/// The model to use.
#[derive(Args)]
pub(crate) struct ModelArguments {
    /// Model: a file, an https URL, or the name of an embedded or published model (see `picodet models`)
    #[arg(long, short, value_name = "FILE|NAME|URL", default_value = picodet::DEFAULT_MODEL)]
    pub(crate) model: String,
    /// Do not access the network for a model given by URL or name; use the cached copy
    #[arg(long)]
    pub(crate) offline: bool,
    /// Expected SHA-256 of the file of a model given by URL or name
    #[arg(long, value_name = "HEX")]
    pub(crate) sha256: Option<String>,
}

impl ModelArguments {
    /// A model given by name, path or URL, without further options.
    pub(crate) fn named(model: &str) -> Self {
        Self { model: model.to_owned(), offline: false, sha256: None }
    }
}

/// Limits on the images that are decoded.
#[derive(Args)]
pub(crate) struct ImageLimits {
    /// Maximum number of pixels of an image; larger JPEG pictures are decoded at 1/2, 1/4 or 1/8 of their sides, other
    /// pictures are errors
    #[arg(
        long, default_value_t = picodet::Limits::DEFAULT_PIXELS, value_parser = clap::value_parser!(u64).range(1..),
        value_name = "COUNT"
    )]
    pub(crate) max_pixels: u64,
}

impl ImageLimits {
    /// Returns the limits of the decoder.
    pub(crate) fn limits(&self) -> picodet::Limits {
        picodet::Limits::new(self.max_pixels)
    }
}

/// How a network runs and which of its detections are kept, but for the score.
#[derive(Args)]
pub(crate) struct Detection {
    /// IoU above which NMS drops the lower-scoring of two boxes of a class
    #[arg(long, default_value_t = 0.6, value_name = "0..1")]
    pub(crate) nms_iou: f32,
    /// Maximum number of detections per image
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    pub(crate) max_detections: usize,
    /// Interpolation of the resize to the network input [default: the model's]
    #[arg(long, value_name = INTERPOLATIONS)]
    pub(crate) resize: Option<picodet::Interpolation>,
    /// Network input size [default: the model's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    #[command(flatten)]
    pub(crate) computing: Computing,
}

/// With which numbers and instructions a network is computed.
#[derive(Args)]
pub(crate) struct Computing {
    /// Element type of convolution products; bf16 and f16 are faster on CPUs that have them [default: int8 for a quantised model,
    /// else f32]
    #[arg(long, value_enum)]
    pub(crate) precision: Option<ModelPrecision>,
    /// Instruction set instead of this CPU's best, for comparisons: avx512, avx-vnni, avx2, neon-i8mm, neon-dotprod, neon, simd128 or
    /// portable; bytes of quantised models are multiplied with it too
    #[arg(long, value_name = "NAME")]
    pub(crate) isa: Option<picodet::Instructions>,
}

impl Computing {
    /// Sets the precision and the instructions of the options of a model.
    pub(crate) fn set(&self, options: picodet::Options) -> picodet::Options {
        let options = options.with_instructions(self.isa);
        match self.precision {
            None => options,
            Some(ModelPrecision::F32) => options.with_precision(picodet::Precision::F32),
            Some(ModelPrecision::Int8) => options.with_precision(picodet::Precision::U8),
            Some(ModelPrecision::Bf16) => options.with_precision(picodet::Precision::Bf16),
            Some(ModelPrecision::F16) => options.with_precision(picodet::Precision::F16),
            Some(ModelPrecision::Auto) => options.with_fastest_precision(),
        }
    }
}

impl Detection {
    /// The options of a detector with a score threshold.
    pub(crate) fn options(&self, score: f32) -> picodet::Options {
        let nms = picodet::Nms {
            score_threshold: score,
            iou_threshold: self.nms_iou,
            max_detections: self.max_detections,
            ..picodet::Nms::default()
        };
        let options =
            picodet::Options::new().with_nms(nms).with_input_size(self.input_size).with_resize(self.resize);
        self.computing.set(options)
    }
}

/// Precision of the convolutions of a model.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelPrecision {
    /// 32-bit floats; for a quantised model those that its integers stand for
    F32,
    /// 8-bit integers, of quantised models only
    Int8,
    /// bf16 products with f32 sums; needs a CPU with bf16 dot products
    Bf16,
    /// f16 products and sums; needs a 64-bit ARM CPU with FEAT_FP16
    F16,
    /// int8 for a quantised model, else the fastest of the others on this CPU
    Auto,
}

/// Precision of the convolutions of a network whose latency counts.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LatencyPrecision {
    /// 32-bit floats
    F32,
    /// 8-bit integers, for networks that will be quantised; accuracies are those in f32
    Int8,
    /// bf16 products with f32 sums; needs a CPU with bf16 dot products
    Bf16,
    /// f16 products and sums; needs a 64-bit ARM CPU with FEAT_FP16
    F16,
    /// the fastest floats of these on this CPU
    Auto,
}

impl LatencyPrecision {
    /// The precision in which accuracies are computed.
    pub(crate) fn of_accuracy(self) -> picodet::Precision {
        match self {
            Self::Int8 => picodet::Precision::F32,
            other => other.into(),
        }
    }
}

impl From<LatencyPrecision> for picodet::Precision {
    fn from(precision: LatencyPrecision) -> Self {
        match precision {
            LatencyPrecision::F32 => Self::F32,
            LatencyPrecision::Int8 => Self::U8,
            LatencyPrecision::Bf16 => Self::Bf16,
            LatencyPrecision::F16 => Self::F16,
            LatencyPrecision::Auto => picodet::crates::engine::fastest_precision(),
        }
    }
}

/// Output format of findings, metrics and times.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Text for reading
    Text,
    /// JSON for programs
    Json,
}

/// Parses `416`, `416x416` or `800x608`, height first.
pub(super) fn size(text: &str) -> Result<(usize, usize), String> {
    let invalid = || "expected a size such as 416 or 800x608 (height x width)".to_owned();
    let side = |part: &str| part.parse::<usize>().map_err(|_| invalid());
    let size = match text.split_once(['x', 'X']) {
        Some((height, width)) => (side(height)?, side(width)?),
        None => (side(text)?, side(text)?),
    };
    let fits = |side: usize| (32..=picodet::MAX_INPUT_SIDE).contains(&side) && side.is_multiple_of(32);
    if fits(size.0) && fits(size.1) {
        Ok(size)
    } else {
        Err(format!("sides must be multiples of 32 between 32 and {}", picodet::MAX_INPUT_SIDE))
    }
}

/// Parses a number of at least 1.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("expected a number of at least 1".to_owned()),
    }
}
