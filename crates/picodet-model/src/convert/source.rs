//! Reads the network of a file, in the format of its extension.

use std::path::Path;

use picodet_weights::{ForeignNetwork, ReadError, ncnn, onnx, pdparams, read_tensors};
use picodet_zoo::Variant;

use super::error::{ConvertError, WeightsError};
use super::network::Network;
use super::options::ConvertOptions;
use super::paddle::{self, read_file};
use super::{exported, reference};
use crate::ArchitectureError;
use crate::model::with_architecture;

/// The contents of a file of weights.
pub(super) struct Source {
    /// The network; its architecture is the one that the file gives, if it does.
    pub(super) variant: Variant,
    pub(super) network: Network,
    /// Class names of a description next to the weights.
    pub(super) classes: Option<Vec<String>>,
}

/// Reads the network of `variant` from a file or a folder.
pub(super) fn read(
    source: &Path,
    variant: &Variant,
    options: &ConvertOptions,
) -> Result<Source, ConvertError> {
    let parse = |error: ReadError| ConvertError::Parse { path: source.to_path_buf(), source: error };
    let mismatch = |error: WeightsError| ConvertError::Weights {
        path: source.to_path_buf(),
        variant: variant.name,
        source: error,
    };
    let mut known = *variant;
    let extension = source.extension().filter(|_| !source.is_dir());
    let extension = extension.and_then(|extension| extension.to_str()).unwrap_or_default();
    let mut classes = None;
    let network = match extension.to_ascii_lowercase().as_str() {
        "pdparams" | "pdema" | "pkl" => {
            let tensors = pdparams::read(&read_file(source)?).map_err(parse)?;
            reference::network(variant, tensors)
        }
        "safetensors" => {
            let (tensors, _) = read_tensors(&read_file(source)?).map_err(parse)?;
            reference::network(variant, tensors)
        }
        "param" => {
            let bin = options.bin.clone().unwrap_or_else(|| source.with_extension("bin"));
            let network = ncnn::read(&read_file(source)?, &read_file(&bin)?).map_err(parse)?;
            exported::network(variant, &network)
        }
        "onnx" => {
            let folder = source.parent().unwrap_or(Path::new(""));
            let network = onnx::read_with_external_data(&read_file(source)?, folder).map_err(parse)?;
            known = with_own_architecture(variant, &network)
                .map_err(|error| ConvertError::Architecture { path: source.to_path_buf(), source: error })?;
            exported::network(&known, &network)
        }
        "json" | "pdmodel" | "pdiparams" | "tar" | "" => {
            let files = paddle::Files::read(source, options.bin.as_deref())?;
            let network = picodet_weights::paddle::read(&files.program, &files.parameters).map_err(parse)?;
            classes = files.class_names();
            exported::network(variant, &network)
        }
        _ => {
            let recognised = read_file(source).ok().and_then(|bytes| ReadError::of_unknown(&bytes));
            return Err(recognised.map_or_else(|| ConvertError::Format(source.to_path_buf()), parse));
        }
    };
    Ok(Source { variant: known, network: network.map_err(mismatch)?, classes })
}

/// Returns the network with the architecture in the metadata of its export, which picodet writes.
fn with_own_architecture(variant: &Variant, network: &ForeignNetwork) -> Result<Variant, ArchitectureError> {
    let is_of = network.metadata.get("variant").is_some_and(|name| name == variant.name);
    let architecture = network.metadata.get("architecture").filter(|_| is_of);
    with_architecture(variant, architecture.map(String::as_str))
}
