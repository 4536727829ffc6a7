//! Converts published weights (`.pdparams`, `.safetensors`, ncnn, ONNX, Paddle inference models) to models.

mod activations;
mod error;
mod exported;
mod layers;
mod native;
mod network;
mod options;
mod paddle;
mod reference;
mod source;

use std::path::Path;

use picodet_graph::Graph;
use picodet_zoo::{HeadMap, Variant};

use crate::check::check_weights;
use crate::{Model, metadata};

use self::network::{Network, Source};

pub use error::{ConvertError, WeightsError};
pub use options::ConvertOptions;

/// Reads the weights of `variant` from a file.
///
/// The contents select the format, or the extension where they leave it open: `.pdparams`, `.safetensors` with the names of the reference
/// implementation, `.param` with its `.bin`, `.onnx` with its external data, or a Paddle inference model
/// (`.json` or `.pdmodel` with its `.pdiparams`, or their folder), or a native model, whose metadata is kept. Batch norms of exported networks are
/// folded into the convolutions.
///
/// # Errors
/// See [`ConvertError`]; missing, unexpected, mis-shaped and damaged tensors are named.
pub fn convert(source: &Path, variant: &Variant, options: &ConvertOptions) -> Result<Model, ConvertError> {
    convert_with_notes(source, variant, options).map(|(model, _)| model)
}

/// Reads weights as [`convert`]; returns also one line for each choice between several networks in the file.
///
/// # Errors
/// As [`convert`].
pub fn convert_with_notes(
    source: &Path,
    variant: &Variant,
    options: &ConvertOptions,
) -> Result<(Model, Vec<String>), ConvertError> {
    let Source { variant, network, classes, path, native } = source::read(source, variant, options)?;
    let Network { graph, weights, folded, names, notes } = network;
    check_weights(&graph, &weights).map_err(|(parameter, what)| {
        let name = names.get(&parameter).cloned().unwrap_or_else(|| parameter.clone());
        ConvertError::Damaged { path, name, parameter, what }
    })?;
    let classes = class_names(&variant, class_count(&graph), options, classes)?;
    let file_name = source.file_name().unwrap_or_default().to_string_lossy();
    let metadata = match native {
        Some(metadata) => native::with_options(*metadata, classes, options),
        None => metadata::for_conversion(&variant, classes, folded, options, &file_name),
    };
    Ok((Model { variant, graph, weights, metadata, quantisation: None }, notes))
}

/// Returns the number of classes of a graph's head.
fn class_count(graph: &Graph) -> usize {
    graph.output(&HeadMap::ClassLogit.name(0)).map_or(0, |node| graph.node(node).shape.channels)
}

/// Returns the names of `count` classes: those of the options, of a description next to the weights, or of the
/// variant.
fn class_names(
    variant: &Variant,
    count: usize,
    options: &ConvertOptions,
    stored: Option<Vec<String>>,
) -> Result<Vec<String>, ConvertError> {
    let stored = stored.filter(|names| names.len() == count);
    match &options.classes {
        Some(names) if names.len() != count => {
            Err(ConvertError::Classes { found: count, given: names.len() })
        }
        Some(names) => Ok(names.clone()),
        None if stored.is_some() => Ok(stored.unwrap_or_default()),
        None if count == variant.classes.len() => {
            Ok(variant.classes.iter().map(ToString::to_string).collect())
        }
        None => Ok((0..count).map(|class| format!("class_{class}")).collect()),
    }
}
