//! Reads the network of a file, in the format that its contents or its extension show.

use std::path::Path;

use picodet_weights::{ForeignNetwork, ReadError, WeightsFormat, ncnn, onnx, pdparams, read_weights};
use picodet_zoo::Variant;

use super::error::{ConvertError, WeightsError};
use super::network::{Network, Source};
use super::options::ConvertOptions;
use super::paddle::{self, read_file};
use super::{exported, native, reference};
use crate::ArchitectureError;
use crate::model::with_architecture;

/// The reader that a file needs.
enum Kind {
    Weights(WeightsFormat),
    /// A Paddle inference model.
    Paddle,
    Unknown,
}

impl Kind {
    /// Chooses by the contents, or by the extension where they leave it open.
    fn of(source: &Path, bytes: &[u8]) -> Self {
        if source.is_dir() {
            return Self::Paddle;
        }
        if let Some(format) = WeightsFormat::of(bytes) {
            return Self::Weights(format);
        }
        let extension = source.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "pdparams" | "pdema" | "pkl" => Self::Weights(WeightsFormat::Pickle),
            "safetensors" => Self::Weights(WeightsFormat::Safetensors),
            "param" => Self::Weights(WeightsFormat::Ncnn),
            "onnx" => Self::Weights(WeightsFormat::Onnx),
            "json" | "pdmodel" | "pdiparams" | "tar" | "" => Self::Paddle,
            _ => Self::Unknown,
        }
    }
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
    // A pair of files: the error has the path of the refused one.
    let parse_pair = |error: ReadError, second: &Path| match error {
        ReadError::Paired(error) => ConvertError::Parse { path: second.to_path_buf(), source: *error },
        error => parse(error),
    };
    let mut known = *variant;
    let mut classes = None;
    let mut path = source.to_path_buf();
    let bytes = if source.is_dir() { Vec::new() } else { read_file(source)? };
    let network = match Kind::of(source, &bytes) {
        Kind::Weights(WeightsFormat::Pickle) => {
            let (tensors, notes) = pdparams::read_with_notes(&bytes).map_err(parse)?;
            reference::network(variant, tensors)
                .map(|network| Network { notes: [notes, network.notes].concat(), ..network })
        }
        Kind::Weights(WeightsFormat::Safetensors) => {
            if let Some(native) = native::read(source, &bytes, variant)? {
                return Ok(native);
            }
            reference::network(variant, read_weights(&bytes).map_err(parse)?)
        }
        Kind::Weights(WeightsFormat::Ncnn) => {
            let bin = options.bin.clone().unwrap_or_else(|| source.with_extension("bin"));
            if options.bin.is_none() && !bin.exists() {
                return Err(ConvertError::NoWeights { path: source.to_path_buf(), expected: bin });
            }
            let network = ncnn::read(&bytes, &read_file(&bin)?).map_err(|error| parse_pair(error, &bin))?;
            path = bin;
            exported::network(variant, &network)
        }
        Kind::Weights(WeightsFormat::Onnx) => {
            let folder = source.parent().unwrap_or(Path::new(""));
            let network = onnx::read_with_external_data(&bytes, folder).map_err(parse)?;
            known = with_own_architecture(variant, &network)
                .map_err(|error| ConvertError::Architecture { path: source.to_path_buf(), source: error })?;
            exported::network(&known, &network)
        }
        Kind::Paddle => {
            let files = paddle::Files::read(source, bytes, options.bin.as_deref())?;
            let network = picodet_weights::paddle::read(&files.program, &files.parameters)
                .map_err(|error| parse_pair(error, &files.parameters_path))?;
            classes = files.class_names();
            path = files.parameters_path;
            exported::network(variant, &network)
        }
        _ => {
            let unknown = || ConvertError::Format(source.to_path_buf());
            return Err(ReadError::of_unknown(&bytes).map_or_else(unknown, parse));
        }
    };
    Ok(Source { variant: known, network: network.map_err(mismatch)?, classes, path, native: None })
}

/// Returns the network with the architecture in the metadata of its export, which picodet writes.
fn with_own_architecture(variant: &Variant, network: &ForeignNetwork) -> Result<Variant, ArchitectureError> {
    let is_of = network.metadata.get("variant").is_some_and(|name| name == variant.name);
    let architecture = network.metadata.get("architecture").filter(|_| is_of);
    with_architecture(variant, architecture.map(String::as_str))
}
