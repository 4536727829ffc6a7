//! Arguments of `picodet quantise`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::ImageLimits;
use super::shared::at_least_one;

#[derive(Args)]
pub(crate) struct Quantise {
    /// Float model: a file, an https URL, or the name of an embedded or published model
    pub(crate) model: String,
    /// Images that the model is to work on: a dataset, a folder, or a glob pattern; labels are not needed
    #[arg(long, value_name = "PATH")]
    pub(crate) data: PathBuf,
    /// Split of the dataset
    #[arg(long, value_name = "NAME")]
    pub(crate) split: Option<String>,
    /// Number of images that the scales are computed from, evenly spread over the data
    #[arg(long, default_value_t = 128, value_name = "COUNT", value_parser = at_least_one)]
    pub(crate) images: usize,
    /// Images for judging the result: a dataset, with whose labels AP is measured too, a folder, or a glob pattern
    /// [default: other images of --data, as many as --images]
    #[arg(long, value_name = "PATH")]
    pub(crate) judge: Option<PathBuf>,
    /// How weights are rounded and scales are found
    #[arg(long, value_enum, default_value_t = QuantiseMethod::ClosedForm)]
    pub(crate) method: QuantiseMethod,
    /// How many scales a map has
    #[arg(long, value_enum, default_value_t = MapScales::Channel)]
    pub(crate) scales: MapScales,
    /// With --method train: train for at most this time. The run is in the folder that is named as the output, with the extension
    /// `run`; the same command goes on with a run that was stopped
    #[arg(long, value_name = "MINUTES")]
    pub(crate) time_limit: Option<f64>,
    /// Compute the steps that lose most in f32, for at most this many milliseconds more per image on one thread, or as many as keep
    /// the model 1.1 times as fast as the float model
    #[arg(long, value_name = "auto|MS")]
    pub(crate) mixed: Option<MixedBudget>,
    /// Largest loss of AP, in percent points, where there are labels
    #[arg(long, default_value_t = 0.5, value_name = "POINTS")]
    pub(crate) max_drop: f64,
    /// Smallest fidelity: AP of the detections, in percent, with those of the float model as the truth
    #[arg(long, default_value_t = 90.0, value_name = "0..100")]
    pub(crate) min_fidelity: f64,
    /// Accept a model that is slower than the float model in its fastest precision on this CPU; otherwise it has to be 1.1 times
    /// as fast
    #[arg(long)]
    pub(crate) any_speed: bool,
    /// Number of threads [default: one per core]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "COUNT")]
    pub(crate) threads: usize,
    #[command(flatten)]
    pub(crate) limits: ImageLimits,
    /// File to write
    #[arg(long, short, value_name = "FILE.safetensors")]
    pub(crate) output: PathBuf,
}

/// The time for steps in f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MixedBudget {
    /// As much as keeps the model faster than the float model.
    Auto,
    Milliseconds(f64),
}

impl FromStr for MixedBudget {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let time = text.parse().ok().filter(|time| (0.0..=1e4).contains(time));
        time.map(Self::Milliseconds).ok_or("expected auto or milliseconds such as 0.5")
    }
}

/// Methods of quantisation.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum QuantiseMethod {
    /// Ranges of the float network, weights rounded to the nearest integer
    Minmax,
    /// Least squares towards the float network, rounding with error feedback
    ClosedForm,
    /// Closed form, then training against the float network, with the labels if there are any: on all images of --data, or on
    /// those of the scales without --judge
    Train,
}

/// Scales of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MapScales {
    /// A scale and a zero point per channel
    Channel,
    /// One symmetric scale, as NPUs need it; this loses far more, which training is to win back
    Map,
}

impl From<MapScales> for picodet::quantise::Scales {
    fn from(scales: MapScales) -> Self {
        match scales {
            MapScales::Channel => Self::Channel,
            MapScales::Map => Self::Map,
        }
    }
}

impl From<QuantiseMethod> for picodet::quantise::Method {
    fn from(method: QuantiseMethod) -> Self {
        match method {
            QuantiseMethod::Minmax => Self::MinMax,
            QuantiseMethod::ClosedForm | QuantiseMethod::Train => Self::ClosedForm,
        }
    }
}
