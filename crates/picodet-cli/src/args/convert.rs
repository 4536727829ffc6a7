//! Arguments of `picodet convert` and `picodet forward`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::shared::{INTERPOLATIONS, size};

#[derive(Args)]
pub(crate) struct Convert {
    /// Weights: .pdparams, .safetensors with reference names, .param (ncnn), .onnx, or a Paddle inference model
    /// (inference.json or .pdmodel with .pdiparams, or their folder or .tar), or a native model, to change its storage
    pub(crate) source: PathBuf,
    /// Network that the weights belong to (see `picodet models`), or the recipe of a searched one
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) variant: String,
    /// Native model file to write
    #[arg(long, short, value_name = "FILE.safetensors")]
    pub(crate) output: PathBuf,
    /// Network input size [default: the variant's]
    #[arg(long, value_parser = size, value_name = "HxW")]
    pub(crate) input_size: Option<(usize, usize)>,
    /// Weights of an ncnn .param or a Paddle program [default: the .bin or .pdiparams next to it]
    #[arg(long, value_name = "FILE")]
    pub(crate) bin: Option<PathBuf>,
    /// Text file with one class name per line [default: the variant's classes]
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// Interpolation that the model was trained with [default: cubic, or that of a native model]
    #[arg(long, value_name = INTERPOLATIONS)]
    pub(crate) resize: Option<picodet::Interpolation>,
    /// Origin of the weights, stored in the file
    #[arg(long, value_name = "TEXT")]
    pub(crate) origin: Option<String>,
    /// Licence of the weights, stored in the file
    #[arg(long, value_name = "TEXT")]
    pub(crate) licence: Option<String>,
    /// Element type of the stored weights: f16 is half the size of f32, int8-rows (8-bit integers with a scale per output
    /// channel) about a quarter; every model is computed in f32
    #[arg(long, value_enum, default_value_t = StoredAs::F32)]
    pub(crate) storage: StoredAs,
    /// The same as --storage f16
    #[arg(long, conflicts_with = "storage")]
    pub(crate) f16: bool,
}

/// Element type of stored weights.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoredAs {
    F32,
    F16,
    Int8Rows,
}

impl From<StoredAs> for picodet::Storage {
    fn from(stored: StoredAs) -> Self {
        match stored {
            StoredAs::F32 => Self::F32,
            StoredAs::F16 => Self::F16,
            StoredAs::Int8Rows => Self::Int8Rows,
        }
    }
}

#[derive(Args)]
pub(crate) struct Forward {
    /// Native model file
    #[arg(long, value_name = "FILE")]
    pub(crate) model: String,
    /// Safetensors file with the normalised `image` [n, 3, h, w] and optionally `scale_factor` [n, 2]
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Safetensors file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Element type of the computation
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub(crate) dtype: Dtype,
}

/// Element type of the reference engine.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dtype {
    /// 32-bit floats
    F32,
    /// 64-bit floats
    F64,
}
