//! Native model files: safetensors with metadata that describes the network.

use std::collections::{BTreeMap, HashMap};

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use picodet_graph::{Tensor, Weights};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::ReadError;

/// Version of the metadata.
const FORMAT: &str = "1";
/// Prefix of every metadata key.
const PREFIX: &str = "picodet.";

/// Description of the network in a model file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Name of the network, as in `legacy_s_320`.
    pub variant: String,
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
    /// Other metadata of the file, with its own keys.
    pub extra: BTreeMap<String, String>,
}

/// The contents of a native model file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFile {
    /// The tensors by parameter name.
    pub weights: Weights,
    /// Description of the network.
    pub metadata: Metadata,
}

/// Element type of stored tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// 32-bit floats.
    F32,
    /// 16-bit floats for tensors whose values all fit their range, 32-bit floats for the others.
    F16,
}

/// Reads a native file.
///
/// # Errors
/// [`ReadError`] when the bytes are not safetensors, a tensor has an unsupported element type, or metadata is
/// missing.
pub fn read(bytes: &[u8]) -> Result<ModelFile, ReadError> {
    let (weights, mut entries) = read_tensors(bytes)?;
    let metadata = Metadata::from_entries(&mut entries)?;
    Ok(ModelFile { weights, metadata })
}

/// Returns the bytes of a native file; equal models give equal bytes.
///
/// # Panics
/// When the shape of a tensor does not match its number of values, which [`Tensor::new`] rules out.
#[must_use]
pub fn write(model: &ModelFile, storage: Storage) -> Vec<u8> {
    write_stored(&model.weights, &model.metadata.to_entries(), storage)
}

/// Reads the tensors of any safetensors file, converted to `f32`, and its metadata.
///
/// # Errors
/// [`ReadError`] when the bytes are not safetensors or a tensor has an unsupported element type.
pub fn read_tensors(bytes: &[u8]) -> Result<(Weights, BTreeMap<String, String>), ReadError> {
    let wrong = |error: safetensors::SafeTensorError| ReadError::Format {
        format: "a safetensors file",
        problem: error.to_string(),
    };
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let mut entries: BTreeMap<String, String> =
        header.metadata().clone().unwrap_or_default().into_iter().collect();
    // Native files pack all entries into one; a damaged one is kept and refused by `Metadata::from_entries`.
    let packed = entries.get(ALL).map(|all| serde_json::from_str::<BTreeMap<String, String>>(all));
    if let Some(Ok(ours)) = packed {
        entries.remove(ALL);
        entries.extend(ours);
    }
    let mut weights = Weights::new();
    for (name, view) in file.iter() {
        let data = widen(&view).ok_or_else(|| ReadError::Tensor {
            name: name.to_owned(),
            problem: format!("element type {:?} is not supported", view.dtype()),
        })?;
        let tensor = Tensor::new(view.shape().to_vec(), data)
            .map_err(|error| ReadError::Tensor { name: name.to_owned(), problem: error.to_string() })?;
        weights.insert(name.to_owned(), tensor);
    }
    Ok((weights, entries))
}

/// Returns the bytes of a safetensors file of 32-bit floats with metadata.
///
/// # Panics
/// As [`write()`].
#[must_use]
pub fn write_tensors(weights: &Weights, entries: &BTreeMap<String, String>) -> Vec<u8> {
    write_stored(weights, entries, Storage::F32)
}

fn widen(view: &TensorView<'_>) -> Option<Vec<f32>> {
    fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
    }
    // Whole slices are converted with vector instructions.
    fn halves<H: Copy>(
        bytes: &[u8],
        value: impl Fn([u8; 2]) -> H,
        widen: impl Fn(&[H], &mut [f32]),
    ) -> Vec<f32> {
        let halves: Vec<H> = bytes.as_chunks::<2>().0.iter().map(|chunk| value(*chunk)).collect();
        let mut values = vec![0.0; halves.len()];
        widen(&halves, &mut values);
        values
    }
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => halves(bytes, f16::from_le_bytes, |from, to| from.convert_to_f32_slice(to)),
        Dtype::BF16 => halves(bytes, bf16::from_le_bytes, |from, to| from.convert_to_f32_slice(to)),
        Dtype::F64 => each(bytes, |chunk| f64::from_le_bytes(chunk) as f32),
        Dtype::I64 => each(bytes, |chunk| i64::from_le_bytes(chunk) as f32),
        Dtype::I32 => each(bytes, |chunk| i32::from_le_bytes(chunk) as f32),
        Dtype::U8 => each(bytes, |[byte]: [u8; 1]| f32::from(byte)),
        _ => return None,
    })
}

fn write_stored(weights: &Weights, entries: &BTreeMap<String, String>, storage: Storage) -> Vec<u8> {
    let narrow = |tensor: &Tensor| {
        storage == Storage::F16 && tensor.data.iter().all(|value| f16::from_f32(*value).is_finite())
    };
    let stored: Vec<(&String, &Tensor, Dtype, Vec<u8>)> = weights
        .iter()
        .map(|(name, tensor)| match narrow(tensor) {
            true => {
                let bytes =
                    tensor.data.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
                (name, tensor, Dtype::F16, bytes)
            }
            false => {
                (name, tensor, Dtype::F32, tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
        })
        .collect();
    let views = stored.iter().map(|(name, tensor, dtype, bytes)| {
        let view = TensorView::new(*dtype, tensor.shape.clone(), bytes)
            .expect("the shape of a tensor matches its values");
        (name.as_str(), view)
    });
    // safetensors writes a map of metadata in random order; a single entry with all others sorted by key has
    // reproducible bytes.
    let mut metadata = HashMap::new();
    if !entries.is_empty() {
        metadata.insert(ALL.to_owned(), serde_json::Value::from_iter(entries.clone()).to_string());
    }
    serialize(views, (!metadata.is_empty()).then_some(metadata)).expect("tensors serialise to memory")
}

/// The metadata entry that holds all others as a JSON object.
const ALL: &str = "picodet";

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
        entries
    }

    fn from_entries(entries: &mut BTreeMap<String, String>) -> Result<Self, ReadError> {
        let broken = |key: &str, problem: String| ReadError::Metadata { key: key.to_owned(), problem };
        if entries.contains_key(ALL) {
            return Err(broken(ALL, "is not a JSON object of strings".to_owned()));
        }
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
            return Err(broken(
                "picodet.format",
                format!("is {format}; this version reads {FORMAT}, update picodet"),
            ));
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
            resize: take("resize")?,
            origin: take("origin")?,
            licence: take("licence")?,
            extra: std::mem::take(entries),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> ModelFile {
        let mut weights = Weights::new();
        weights.insert("b".to_owned(), Tensor { shape: vec![2], data: vec![1.5, -2.0] });
        weights.insert("a".to_owned(), Tensor { shape: vec![1, 2], data: vec![0.25, 1e9] });
        let metadata = Metadata {
            variant: "legacy_s_320".to_owned(),
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
            extra: BTreeMap::from([("note".to_owned(), "kept".to_owned())]),
        };
        ModelFile { weights, metadata }
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
    fn the_error_for_missing_metadata_has_a_remedy() {
        let bytes = write_tensors(&model().weights, &BTreeMap::new());
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("picodet convert"), "{error}");
    }
}
