//! Converts published weights (`.pdparams`, `.safetensors`, ncnn, ONNX) to models.

mod error;
mod exported;
mod network;
mod options;
mod reference;

use std::path::Path;

use picodet_graph::Graph;
use picodet_weights::{ReadError, ncnn, onnx, pdparams, read_tensors};
use picodet_zoo::{HeadMap, Variant};

use crate::{Model, metadata};

use self::network::Network;

pub use error::{ConvertError, WeightsError};
pub use options::ConvertOptions;

/// Reads the weights of `variant` from a file.
///
/// The extension selects the format: `.pdparams`, `.safetensors` with the names of the reference implementation,
/// `.param` with its `.bin`, or `.onnx`. Batch norms of ncnn and ONNX files are already folded into the convolutions
/// and stay so.
///
/// # Errors
/// See [`ConvertError`]; missing, unexpected and mis-shaped tensors are named.
pub fn convert(
    source: &Path,
    variant: &'static Variant,
    options: &ConvertOptions,
) -> Result<Model, ConvertError> {
    let parse = |error: ReadError| ConvertError::Parse { path: source.to_path_buf(), source: error };
    let mismatch = |error: WeightsError| ConvertError::Weights {
        path: source.to_path_buf(),
        variant: variant.name,
        source: error,
    };
    let bytes = read(source)?;
    let Network { graph, weights, folded } = match source.extension().and_then(|extension| extension.to_str())
    {
        Some("pdparams") => {
            let tensors = pdparams::read(&bytes).map_err(parse)?;
            reference::network(variant, tensors).map_err(mismatch)?
        }
        Some("safetensors") => {
            let (tensors, _) = read_tensors(&bytes).map_err(parse)?;
            reference::network(variant, tensors).map_err(mismatch)?
        }
        Some("param") => {
            let bin = options.bin.clone().unwrap_or_else(|| source.with_extension("bin"));
            let network = ncnn::read(&bytes, &read(&bin)?).map_err(parse)?;
            exported::network(variant, &network).map_err(mismatch)?
        }
        Some("onnx") => {
            let folder = source.parent().unwrap_or(Path::new(""));
            let network = onnx::read_with_external_data(&bytes, folder).map_err(parse)?;
            exported::network(variant, &network).map_err(mismatch)?
        }
        _ => return Err(ConvertError::Format(source.to_path_buf())),
    };
    let classes = class_names(variant, class_count(&graph), options)?;
    let file_name = source.file_name().unwrap_or_default().to_string_lossy();
    let metadata = metadata::for_conversion(variant, classes, folded, options, &file_name);
    Ok(Model { variant, graph, weights, metadata })
}

fn read(path: &Path) -> Result<Vec<u8>, ConvertError> {
    std::fs::read(path).map_err(|source| ConvertError::Read { path: path.to_path_buf(), source })
}

/// Returns the number of classes of a graph's head.
fn class_count(graph: &Graph) -> usize {
    graph.output(&HeadMap::ClassLogit.name(0)).map_or(0, |node| graph.node(node).shape.channels)
}

/// Returns the names of `count` classes.
fn class_names(
    variant: &Variant,
    count: usize,
    options: &ConvertOptions,
) -> Result<Vec<String>, ConvertError> {
    match &options.classes {
        Some(names) if names.len() != count => {
            Err(ConvertError::Classes { found: count, given: names.len() })
        }
        Some(names) => Ok(names.clone()),
        None if count == variant.classes.len() => {
            Ok(variant.classes.iter().map(ToString::to_string).collect())
        }
        None => Ok((0..count).map(|class| format!("class_{class}")).collect()),
    }
}
