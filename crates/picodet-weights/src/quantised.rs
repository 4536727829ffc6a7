//! The tensors of a quantised model file.
//!
//! A quantised convolution is stored as 8-bit rows, whose columns contain the scales of its input; a map `M` as the scales
//! `M.map.scale` and the zero points `M.map.zero`. The metadata entry `picodet.quantisation` marks such a file.

use std::collections::{BTreeMap, BTreeSet};

use picodet_graph::{MapQuantisation, Tensor};
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::ReadError;
use crate::bytes::{Views, floats};
use crate::int8_rows::dequantise;

/// Suffix of the scales of a map.
pub(crate) const MAP_SCALE_SUFFIX: &str = ".map.scale";
/// Suffix of the zero points of a map.
pub(crate) const MAP_ZERO_SUFFIX: &str = ".map.zero";
/// Version of the tensors of quantised files.
const VERSION: u32 = 1;

/// How a quantised model was produced and how near it is to the float model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct QuantisationRecord {
    /// Version of the stored tensors.
    pub version: u32,
    /// The method: `minmax`, `closed-form` or `train`.
    pub method: String,
    /// Number of images that the scales come from.
    pub images: usize,
    /// SHA-256 of the file of the float model, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source_sha256: String,
    /// AP of the detections, in percent, where those of the float model are the truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<f64>,
    /// COCO AP of the float model in percent, where labels were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ap_float: Option<f64>,
    /// COCO AP of the quantised model in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ap_quantised: Option<f64>,
    /// Scopes of the convolutions that are computed in f32.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub floats: BTreeSet<String>,
    /// Milliseconds of the network for one image on one thread, by the name of the precision; `int8` is this file's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub milliseconds: BTreeMap<String, f64>,
    /// Name of the processor on which they were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
}

impl QuantisationRecord {
    /// Returns the record of a model that has not been judged yet.
    #[must_use]
    pub fn new(method: &str, images: usize) -> Self {
        Self {
            version: VERSION,
            method: method.to_owned(),
            images,
            source_sha256: String::new(),
            fidelity: None,
            ap_float: None,
            ap_quantised: None,
            floats: BTreeSet::new(),
            milliseconds: BTreeMap::new(),
            processor: None,
        }
    }

    /// Reads the metadata entry.
    pub(crate) fn parse(key: &str, text: &str) -> Result<Self, ReadError> {
        let broken = |problem: String| ReadError::Metadata { key: key.to_owned(), problem };
        let record: Self = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
        if record.version == VERSION {
            Ok(record)
        } else {
            Err(broken(format!(
                "is of version {}; this version reads {VERSION}, update picodet",
                record.version
            )))
        }
    }
}

/// A tensor of 8-bit integers with one scale per row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IntegerRows {
    /// The shape of the tensor.
    pub shape: Vec<usize>,
    /// The integers in the order of the tensor.
    pub integers: Vec<i8>,
    /// One scale per row.
    pub scales: Vec<f32>,
}

impl IntegerRows {
    /// Returns the integers times the scales of their rows; `None` unless there is one positive scale per row.
    #[must_use]
    pub fn dequantise(&self) -> Option<Tensor> {
        let data = dequantise(&self.integers, &self.scales, &self.shape)?;
        Some(Tensor { shape: self.shape.clone(), data })
    }
}

/// The integers and scales of a quantised model file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredQuantisation {
    /// The tensors of 8-bit rows by name, which the float weights of the file do not contain.
    pub rows: BTreeMap<String, IntegerRows>,
    /// The maps by node.
    pub maps: BTreeMap<String, MapQuantisation>,
}

/// Reads the scales and zero points of the maps.
///
/// # Errors
/// [`ReadError::Tensor`] for scales or zero points of another type, or without the other of the two.
pub(crate) fn read_maps(tensors: &Views<'_>) -> Result<BTreeMap<String, MapQuantisation>, ReadError> {
    let mut maps = BTreeMap::new();
    for (name, view) in tensors.iter().filter(|(_, view)| view.dtype() != Dtype::I8) {
        let find = |name: &str| tensors.get(name);
        if let Some(node) = name.strip_suffix(MAP_SCALE_SUFFIX) {
            let zero = find(&format!("{node}{MAP_ZERO_SUFFIX}"));
            let map = map(view, zero);
            let map = map.map_err(|problem| ReadError::Tensor { name: name.clone(), problem })?;
            maps.insert(node.to_owned(), map);
        } else if let Some(node) = name.strip_suffix(MAP_ZERO_SUFFIX)
            && find(&format!("{node}{MAP_SCALE_SUFFIX}")).is_none()
        {
            let problem = format!("zero points need a tensor `{node}{MAP_SCALE_SUFFIX}`");
            return Err(ReadError::Tensor { name: name.clone(), problem });
        }
    }
    Ok(maps)
}

fn map(scale: &TensorView<'_>, zero: Option<&TensorView<'_>>) -> Result<MapQuantisation, String> {
    let zero = zero.ok_or_else(|| format!("scales need a tensor with `{MAP_ZERO_SUFFIX}`"))?;
    if scale.dtype() != Dtype::F32 || zero.dtype() != Dtype::U8 || scale.shape() != zero.shape() {
        return Err(format!(
            "scales are F32 and zero points U8 of one shape, found {:?} {:?} and {:?} {:?}",
            scale.dtype(),
            scale.shape(),
            zero.dtype(),
            zero.shape()
        ));
    }
    Ok(MapQuantisation { scale: floats(scale.data()), zero: zero.data().to_vec() })
}
