//! Native model files: safetensors with metadata that describes the network.

use std::collections::{BTreeMap, BTreeSet};

use picodet_graph::Weights;

use crate::ReadError;
use crate::quantised::{
    MAP_SCALE_SUFFIX, MAP_ZERO_SUFFIX, QuantisationRecord, StoredQuantisation, read_maps,
};
use crate::tensors::{PACKED, Storage, open, refuse_integers, values, write_stored};

/// Version of the metadata.
const FORMAT: &str = "1";
/// Prefix of every metadata key.
const PREFIX: &str = "picodet.";
/// Key of the architecture, which only unnamed networks have.
const ARCHITECTURE: &str = "picodet.architecture";
/// Metadata key of quantised models.
const QUANTISATION: &str = "picodet.quantisation";

/// Description of the network in a model file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Name of the network, as in `legacy_s_320`.
    pub variant: String,
    /// The values in which the network differs from the published one of that name, as a JSON object; `None` if it does not.
    pub architecture: Option<String>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// COCO category id of each class.
    pub category_ids: Vec<u32>,
    /// Height and width of the network input in pixels.
    pub input_size: (usize, usize),
    /// Mean of each channel (R, G, B), for pixel values from 0 to 1.
    pub mean: [f32; 3],
    /// Standard deviation of each channel.
    pub std: [f32; 3],
    /// Interpolation of the resize to the input size: `cubic`, `linear`, ….
    pub resize: String,
    /// Stride of each pyramid level in input pixels.
    pub strides: Vec<usize>,
    /// Whether batch norms have been folded into the convolutions.
    pub folded: bool,
    /// Where the weights come from.
    pub origin: String,
    /// The licence of the weights.
    pub licence: String,
    /// How a quantised model was produced; `None` for float models.
    pub quantisation: Option<QuantisationRecord>,
    /// Other metadata of the file, with its own keys.
    pub extra: BTreeMap<String, String>,
}

/// The contents of a native model file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFile {
    /// The tensors by parameter name; of a quantised model those that are not in `quantisation`.
    pub weights: Weights,
    /// Description of the network.
    pub metadata: Metadata,
    /// The integers and scales of a quantised model.
    pub quantisation: Option<StoredQuantisation>,
}

/// Reads a native file.
///
/// # Errors
/// [`ReadError`] when the bytes are not safetensors, a tensor has an unsupported element type, or metadata is
/// missing.
pub fn read(bytes: &[u8]) -> Result<ModelFile, ReadError> {
    let (tensors, mut entries) = open(bytes)?;
    refuse_integers(&tensors)?;
    let mut rows = BTreeMap::new();
    let mut weights = values(&tensors, entries.contains_key(QUANTISATION).then_some(&mut rows))?;
    let metadata = Metadata::from_entries(&mut entries)?;
    let mut quantisation = None;
    if metadata.quantisation.is_some() {
        weights.retain(|name, _| !name.ends_with(MAP_SCALE_SUFFIX) && !name.ends_with(MAP_ZERO_SUFFIX));
        quantisation = Some(StoredQuantisation { rows, maps: read_maps(&tensors)? });
    }
    Ok(ModelFile { weights, metadata, quantisation })
}

/// Returns the bytes of a native file; equal models give equal bytes.
///
/// # Panics
/// When the shape of a tensor does not match its number of values, which `Tensor::new` rules out.
#[must_use]
pub fn write(model: &ModelFile, storage: Storage) -> Vec<u8> {
    write_keeping(model, storage, &BTreeSet::new())
}

/// Returns the bytes of a native file as [`write()`], but with the tensors of the names in `kept` not as 8-bit rows.
///
/// # Panics
/// As [`write()`].
#[must_use]
pub fn write_keeping(model: &ModelFile, storage: Storage, kept: &BTreeSet<String>) -> Vec<u8> {
    let entries = model.metadata.to_entries();
    write_stored(&model.weights, &entries, storage, kept, model.quantisation.as_ref())
}

impl Metadata {
    fn to_entries(&self) -> BTreeMap<String, String> {
        let json = |value: serde_json::Value| value.to_string();
        let mut entries = self.extra.clone();
        let ours = [
            ("format", FORMAT.to_owned()),
            ("variant", self.variant.clone()),
            ("classes", json(self.classes.clone().into())),
            ("category_ids", json(self.category_ids.clone().into())),
            ("input_size", json(vec![self.input_size.0, self.input_size.1].into())),
            ("mean", json(self.mean.to_vec().into())),
            ("std", json(self.std.to_vec().into())),
            ("resize", self.resize.clone()),
            ("strides", json(self.strides.clone().into())),
            ("folded", self.folded.to_string()),
            ("origin", self.origin.clone()),
            ("licence", self.licence.clone()),
        ];
        entries.extend(ours.map(|(key, value)| (format!("{PREFIX}{key}"), value)));
        entries.extend(self.architecture.clone().map(|json| (ARCHITECTURE.to_owned(), json)));
        if let Some(Ok(record)) = self.quantisation.as_ref().map(serde_json::to_string) {
            entries.insert(QUANTISATION.to_owned(), record);
        }
        entries
    }

    fn from_entries(entries: &mut BTreeMap<String, String>) -> Result<Self, ReadError> {
        let broken = |key: &str, problem: String| ReadError::Metadata { key: key.to_owned(), problem };
        if entries.contains_key(PACKED) {
            return Err(broken(PACKED, "is not a JSON object of strings".to_owned()));
        }
        let architecture = entries.remove(ARCHITECTURE);
        let quantisation = entries.remove(QUANTISATION);
        let quantisation =
            quantisation.map(|text| QuantisationRecord::parse(QUANTISATION, &text)).transpose()?;
        let mut take = |key: &str| {
            let key = format!("{PREFIX}{key}");
            entries.remove(&key).ok_or_else(|| ReadError::Metadata {
                problem: "is missing, so this is not a native model file; `picodet convert` creates one"
                    .to_owned(),
                key,
            })
        };
        let format = take("format")?;
        if format != FORMAT {
            return Err(match format.parse() {
                Ok(found) if found > 0 => ReadError::Version { found, supported: FORMAT },
                _ => broken("picodet.format", format!("is `{format}`, expected {FORMAT}")),
            });
        }
        let mut parsed = |key: &str| -> Result<serde_json::Value, ReadError> {
            serde_json::from_str(&take(key)?).map_err(|error| broken(key, error.to_string()))
        };
        fn list<T: serde::de::DeserializeOwned>(key: &str, value: serde_json::Value) -> Result<T, ReadError> {
            serde_json::from_value(value).map_err(|error| ReadError::Metadata {
                key: format!("{PREFIX}{key}"),
                problem: error.to_string(),
            })
        }
        Ok(Self {
            classes: list("classes", parsed("classes")?)?,
            category_ids: list("category_ids", parsed("category_ids")?)?,
            input_size: list("input_size", parsed("input_size")?)?,
            mean: list("mean", parsed("mean")?)?,
            std: list("std", parsed("std")?)?,
            strides: list("strides", parsed("strides")?)?,
            folded: list("folded", parsed("folded")?)?,
            variant: take("variant")?,
            architecture,
            resize: take("resize")?,
            origin: take("origin")?,
            licence: take("licence")?,
            quantisation,
            extra: std::mem::take(entries),
        })
    }
}

#[cfg(test)]
mod tests {
    use picodet_graph::Tensor;

    use super::*;
    use crate::{stored_types, write_tensors};

    fn model() -> ModelFile {
        let mut weights = Weights::new();
        weights.insert("b".to_owned(), Tensor { shape: vec![2], data: vec![1.5, -2.0] });
        weights.insert("a".to_owned(), Tensor { shape: vec![1, 2], data: vec![0.25, 1e9] });
        let metadata = Metadata {
            variant: "legacy_s_320".to_owned(),
            architecture: Some("{\"neck_channels\":64}".to_owned()),
            classes: vec!["a \"quoted\" class".to_owned(), "类".to_owned()],
            category_ids: vec![3, 90],
            input_size: (320, 416),
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            resize: "cubic".to_owned(),
            strides: vec![8, 16],
            folded: true,
            origin: "somewhere".to_owned(),
            licence: "Apache-2.0".to_owned(),
            quantisation: None,
            extra: BTreeMap::from([("note".to_owned(), "kept".to_owned())]),
        };
        ModelFile { weights, metadata, quantisation: None }
    }

    #[test]
    fn a_model_round_trips_and_its_bytes_are_stable() {
        let bytes = write(&model(), Storage::F32);
        assert_eq!(read(&bytes).as_ref(), Ok(&model()));
        assert_eq!(bytes, write(&model(), Storage::F32));
    }

    #[test]
    fn f16_storage_keeps_tensors_outside_its_range() {
        let bytes = write(&model(), Storage::F16);
        assert!(bytes.len() < write(&model(), Storage::F32).len());
        assert_eq!(read(&bytes).as_ref(), Ok(&model()));
    }

    #[test]
    fn int8_rows_are_a_quarter_of_the_size_and_close_to_the_values() {
        let mut model = model();
        let data = (0..64 * 32).map(|n| (n as f32 * 0.37).sin()).collect();
        model.weights.insert("rows".to_owned(), Tensor { shape: vec![64, 32, 1, 1], data });
        let [floats, rows] = [Storage::F32, Storage::Int8Rows].map(|storage| write(&model, storage));
        assert!(floats.len() - rows.len() > 5000, "{} and {}", floats.len(), rows.len());
        assert_eq!(rows, write(&model, Storage::Int8Rows));
        let read = read(&rows).expect("a sound file");
        assert_eq!((&read.metadata, read.weights.len()), (&model.metadata, 3));
        let pairs = read.weights["rows"].data.iter().zip(&model.weights["rows"].data);
        assert!(pairs.into_iter().all(|(stored, value)| (stored - value).abs() < 0.5 / 127.0 + 1e-3));
        let kept = write_keeping(&model, Storage::Int8Rows, &BTreeSet::from(["rows".to_owned()]));
        assert_eq!(kept, write(&model, Storage::F16));
        // The name of the scales is taken.
        model.weights.insert("rows.scale".to_owned(), Tensor { shape: vec![1], data: vec![3.0] });
        let taken = write(&model, Storage::Int8Rows);
        assert_eq!(taken, write(&model, Storage::F16));
        let types = stored_types(&rows).expect("a sound file");
        let types: Vec<_> =
            types.iter().map(|stored| (stored.name.as_str(), stored.tensors, stored.bytes)).collect();
        assert_eq!(types, [("I8", 1, 2048), ("F32", 2, 264), ("F16", 1, 4)]);
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut entries = model().metadata.to_entries();
        let mut error = |version: &str| {
            entries.insert("picodet.format".to_owned(), version.to_owned());
            read(&write_tensors(&model().weights, &entries)).unwrap_err().to_string()
        };
        let newer =
            "a model of format version 2, which is newer than version 1 of this program; update picodet";
        assert_eq!(error("2"), newer);
        assert_eq!(error("x"), "metadata `picodet.format`: is `x`, expected 1");
    }

    #[test]
    fn the_error_for_missing_metadata_has_a_remedy() {
        let bytes = write_tensors(&model().weights, &BTreeMap::new());
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("picodet convert"), "{error}");
    }
}
