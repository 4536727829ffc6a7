//! Errors of a conversion.

use std::path::PathBuf;

use picodet_graph::CheckError;
use picodet_weights::{AlignError, ChannelError, HeadError, ReadError};

use crate::ArchitectureError;

/// An error in converting a weight file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A file cannot be read from disk.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The underlying I/O error.
        source: std::io::Error,
    },
    /// The extension is unknown.
    #[error(
        "{}: unknown format; .pdparams, .safetensors, .param (ncnn), .onnx, and Paddle's inference.json or \
         .pdmodel can be converted",
        .0.display()
    )]
    Format(PathBuf),
    /// A folder or archive holds no Paddle inference model.
    #[error(
        "{}: it holds no Paddle inference model (inference.json or .pdmodel with .pdiparams)",
        .0.display()
    )]
    Folder(PathBuf),
    /// An archive cannot be read.
    #[error("{}: {source}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// The damage.
        source: picodet_format::tar::TarError,
    },
    /// The network of an ncnn model without its weights.
    #[error("{}: its weights, `{}`, are missing; give their file with `--bin FILE`", path.display(), expected.display())]
    NoWeights {
        /// The network.
        path: PathBuf,
        /// The file of the weights that belongs to it by its name.
        expected: PathBuf,
    },
    /// Parameters of a Paddle inference model without its program.
    #[error("{}: no program (.json or .pdmodel) of the same name is next to these parameters", .0.display())]
    NoProgram(PathBuf),
    /// The file cannot be parsed.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        source: ReadError,
    },
    /// A native file of another network.
    #[error("{}: a native model of {found}, not of {variant}", path.display())]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// The network of the file.
        found: &'static str,
        /// The network that was expected.
        variant: &'static str,
    },
    /// A native file of a quantised model.
    #[error("{}: a quantised model, whose storage is fixed; convert the model before quantisation", .0.display())]
    Quantised(PathBuf),
    /// A parameter has values that no training gives.
    #[error("{}: `{name}`{} contains a value that is {what}; copy or download the file again", path.display(), own(.parameter, .name))]
    Damaged {
        /// The file of the weights.
        path: PathBuf,
        /// The name in the file.
        name: String,
        /// The name of the parameter.
        parameter: String,
        /// The kind of the value.
        what: &'static str,
    },
    /// A folder or an archive holds several models.
    #[error("{}: it holds several models: {}; give the path of one of them", path.display(), list(names))]
    Several {
        /// The folder or archive.
        path: PathBuf,
        /// The programs of the models.
        names: Vec<String>,
    },
    /// The architecture in the metadata of the file is not possible.
    #[error("{}: the architecture: {source}", path.display())]
    Architecture {
        /// The file.
        path: PathBuf,
        /// The error.
        source: ArchitectureError,
    },
    /// The tensors are not those of the variant.
    #[error("{} does not hold the weights of {variant}: {source}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// The requested variant.
        variant: &'static str,
        /// The difference.
        source: WeightsError,
    },
    /// The number of class names differs from that of the weights.
    #[error("the weights have {found} classes, but {given} names were given")]
    Classes {
        /// Classes of the weights.
        found: usize,
        /// Given names.
        given: usize,
    },
}

/// A difference between the weights of a file and the network of a variant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// Tensors are missing, unexpected or mis-shaped.
    #[error(transparent)]
    Tensors(#[from] CheckError),
    /// The shape of the class prediction gives an impossible number of classes.
    #[error("`{tensor}` has {rows} rows, which leaves {classes} classes")]
    ClassCount {
        /// The tensor.
        tensor: &'static str,
        /// Its output channels.
        rows: usize,
        /// The number of classes that follows.
        classes: usize,
    },
    /// The file holds several networks.
    #[error("it holds several networks, with the names {}; store one of them", list(prefixes))]
    Several {
        /// The prefixes of their names.
        prefixes: Vec<String>,
    },
    /// No convolution of an exported network has the shape of a prediction.
    #[error("it holds no convolution that could be the prediction of the head")]
    NoPrediction,
    /// The activations of an exported network are of another kind.
    #[error(
        "its activations are {found}, those of the network {expected}; choose the variant that it was trained as"
    )]
    Activations {
        /// The kind in the file.
        found: &'static str,
        /// The kind in the network.
        expected: &'static str,
    },
    /// An exported network has other numbers of activations.
    #[error(
        "its activations are {found}, those of the network {expected}; choose the variant that it was trained as"
    )]
    ActivationCounts {
        /// The kinds in the file with their numbers.
        found: String,
        /// The kinds in the network with their numbers.
        expected: String,
    },
    /// An activation of an exported network has other constants.
    #[error("the activation `{name}` is {found}, which the network does not have")]
    Activation {
        /// Name of the operation.
        name: String,
        /// The activation with its constants.
        found: String,
    },
    /// An exported network has a layer whose effect is unknown.
    #[error(
        "its layer `{name}` is of the type {kind}, which no PicoDet has, so that the result would differ; give the file \
         of the network without it"
    )]
    Layer {
        /// The layer.
        name: String,
        /// Its type in the file.
        kind: String,
    },
    /// An exported network has a pooling that the network does not have.
    #[error(
        "its pooling `{name}` is {found}, which the network does not have; choose the variant that it was trained as"
    )]
    Pooling {
        /// The layer.
        name: String,
        /// Its window.
        found: String,
    },
    /// An exported network has another number of poolings.
    #[error("it has {found} poolings, the network {expected}; choose the variant that it was trained as")]
    Poolings {
        /// Number in the file.
        found: usize,
        /// Number in the network.
        expected: usize,
    },
    /// A convolution of an exported network reads other channels.
    #[error(transparent)]
    Channels(#[from] ChannelError),
    /// An exported network computes its outputs in another way.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The structure of an exported network differs.
    #[error(transparent)]
    Structure(#[from] AlignError),
}

/// Returns our name of a parameter, if the file has another.
fn own(parameter: &str, name: &str) -> String {
    if parameter == name { String::new() } else { format!(" (`{parameter}`)") }
}

fn list(prefixes: &[String]) -> String {
    let quoted: Vec<String> = prefixes.iter().map(|prefix| format!("`{prefix}`")).collect();
    quoted.join(" and ")
}
