//! Native models as a source: for another storage of the weights, or other metadata.

use std::collections::BTreeMap;
use std::path::Path;

use picodet_weights::{Metadata, ReadError};
use picodet_zoo::Variant;

use super::error::ConvertError;
use super::network::{Network, Source};
use super::options::ConvertOptions;
use crate::{Model, ModelError};

/// Returns the network and the metadata of a native model; `None` for other bytes.
pub(super) fn read(path: &Path, bytes: &[u8], variant: &Variant) -> Result<Option<Source>, ConvertError> {
    let Model { variant: own, graph, weights, metadata, quantisation } = match Model::from_bytes(bytes) {
        Ok(model) => model,
        Err(ModelError::File(source @ ReadError::Version { .. })) => {
            return Err(ConvertError::Parse { path: path.to_path_buf(), source });
        }
        Err(_) => return Ok(None),
    };
    if own.name != variant.name {
        let path = path.to_path_buf();
        return Err(ConvertError::OtherNetwork { path, found: own.name, variant: variant.name });
    }
    if quantisation.is_some() {
        return Err(ConvertError::Quantised(path.to_path_buf()));
    }
    let (names, notes) = (BTreeMap::new(), Vec::new());
    Ok(Some(Source {
        variant: own,
        network: Network { graph, weights, folded: metadata.folded, names, notes },
        classes: Some(metadata.classes.clone()),
        path: path.to_path_buf(),
        native: Some(Box::new(metadata)),
    }))
}

/// Returns the metadata of a native model with the values that `options` gives.
pub(super) fn with_options(metadata: Metadata, classes: Vec<String>, options: &ConvertOptions) -> Metadata {
    Metadata {
        classes,
        input_size: options.input_size.unwrap_or(metadata.input_size),
        resize: options.resize.clone().unwrap_or(metadata.resize),
        origin: options.origin.clone().unwrap_or(metadata.origin),
        licence: options.licence.clone().unwrap_or(metadata.licence),
        ..metadata
    }
}
