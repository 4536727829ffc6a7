//! Safetensors files: named tensors in several element types, and metadata.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use picodet_graph::{Tensor, Weights};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::ReadError;
use crate::bytes::{Views, floats, not_safetensors, refused};
use crate::error::integers;
use crate::int8_rows::{SCALE_SUFFIX, are_scales, quantise};
use crate::quantised::{IntegerRows, MAP_SCALE_SUFFIX, MAP_ZERO_SUFFIX, StoredQuantisation};

/// Element type of stored tensors. The values are converted to `f32` when the file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// 32-bit floats.
    F32,
    /// 16-bit floats for tensors whose values all fit their range, 32-bit floats for the others.
    F16,
    /// 8-bit integers with one 32-bit float scale per row (output channel) for the weights of convolutions and linear
    /// layers, and as [`Storage::F16`] for the others. This is a storage format: inference is in `f32`, not in int8.
    Int8Rows,
}

/// Number and size of the tensors of one element type in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredType {
    /// The element type by its name in safetensors: `F32`, `F16`, `I8`, ….
    pub name: String,
    /// Number of tensors.
    pub tensors: usize,
    /// Size of their values in bytes.
    pub bytes: usize,
}

/// The metadata entry that holds all others as a JSON object.
pub(crate) const PACKED: &str = "picodet";

/// Reads the tensors of any safetensors file, converted to `f32`, and its metadata.
///
/// # Errors
/// [`ReadError`] when the bytes are not safetensors, a tensor has an unsupported element type, or 8-bit rows have
/// missing or invalid scales.
pub fn read_tensors(bytes: &[u8]) -> Result<(Weights, BTreeMap<String, String>), ReadError> {
    let (views, entries) = open(bytes)?;
    Ok((values(&views, None)?, entries))
}

/// Reads the weights of any safetensors file as [`read_tensors`], but refuses integers that have no scales.
///
/// # Errors
/// As [`read_tensors`], and for integers other than counters of one element.
pub fn read_weights(bytes: &[u8]) -> Result<Weights, ReadError> {
    let (views, _) = open(bytes)?;
    refuse_integers(&views)?;
    values(&views, None)
}

/// Checks that no tensor has integers, which other programs write for quantised weights and which have no meaning without their
/// scales. Counters such as `num_batches_tracked`, and the rows and zero points of native files, are accepted.
pub(crate) fn refuse_integers(views: &Views<'_>) -> Result<(), ReadError> {
    for (name, view) in views {
        let is_float = matches!(view.dtype(), Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16);
        let is_row = view.dtype() == Dtype::I8 && views.contains_key(&format!("{name}{SCALE_SUFFIX}"));
        let is_counter = view.shape().iter().product::<usize>() == 1 && view.dtype() != Dtype::I8;
        if !is_float && !is_row && !is_counter && !name.ends_with(MAP_ZERO_SUFFIX) {
            let problem = integers(&format!("{:?}", view.dtype()));
            return Err(ReadError::Tensor { name: name.clone(), problem });
        }
    }
    Ok(())
}

/// Returns the tensors and the metadata of a safetensors file.
pub(crate) fn open(bytes: &[u8]) -> Result<(Views<'_>, BTreeMap<String, String>), ReadError> {
    let (length, header) = SafeTensors::read_metadata(bytes).map_err(|error| refused(bytes, error))?;
    let mut entries: BTreeMap<String, String> =
        header.metadata().clone().unwrap_or_default().into_iter().collect();
    // Native files pack all entries into one; a damaged one is kept and refused by `Metadata::from_entries`.
    let packed = entries.get(PACKED).map(|all| serde_json::from_str::<BTreeMap<String, String>>(all));
    if let Some(Ok(ours)) = packed {
        entries.remove(PACKED);
        entries.extend(ours);
    }
    let data = &bytes[8 + length..];
    let views = header
        .tensors()
        .into_iter()
        .map(|(name, info)| {
            let (start, end) = info.data_offsets;
            let view = TensorView::new(info.dtype, info.shape.clone(), &data[start..end]);
            Ok((name, view.map_err(not_safetensors)?))
        })
        .collect::<Result<BTreeMap<_, _>, ReadError>>()?;
    Ok((views, entries))
}

/// Returns the tensors as `f32`. With `rows`, those of 8-bit rows are added to it as they are instead.
pub(crate) fn values(
    views: &Views<'_>,
    mut rows: Option<&mut BTreeMap<String, IntegerRows>>,
) -> Result<Weights, ReadError> {
    let scales: BTreeSet<String> = views
        .iter()
        .filter(|(_, view)| view.dtype() == Dtype::I8)
        .map(|(name, _)| format!("{name}{SCALE_SUFFIX}"))
        .collect();
    let mut weights = Weights::new();
    for (name, view) in views {
        let wrong = |problem: String| ReadError::Tensor { name: name.clone(), problem };
        if scales.contains(name) && view.dtype() != Dtype::I8 {
            continue;
        }
        if view.dtype() == Dtype::I8 {
            let integers = integer_rows(view, views.get(&format!("{name}{SCALE_SUFFIX}"))).map_err(wrong)?;
            match &mut rows {
                Some(rows) => drop(rows.insert(name.clone(), integers)),
                None => weights.extend(integers.dequantise().map(|tensor| (name.clone(), tensor))),
            }
            continue;
        }
        let data =
            widen(view).ok_or_else(|| wrong(format!("element type {:?} is not supported", view.dtype())))?;
        let tensor = Tensor::new(view.shape().to_vec(), data).map_err(|error| wrong(error.to_string()))?;
        weights.insert(name.clone(), tensor);
    }
    Ok(weights)
}

/// Returns the element types of a safetensors file, those of the most bytes first.
///
/// # Errors
/// [`ReadError`] when the bytes are not safetensors.
pub fn stored_types(bytes: &[u8]) -> Result<Vec<StoredType>, ReadError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_safetensors)?;
    let mut types: BTreeMap<String, StoredType> = BTreeMap::new();
    for info in header.tensors().values() {
        let name = format!("{:?}", info.dtype);
        let stored = StoredType { name: name.clone(), tensors: 0, bytes: 0 };
        let stored = types.entry(name).or_insert(stored);
        stored.tensors += 1;
        stored.bytes += info.data_offsets.1 - info.data_offsets.0;
    }
    let mut types: Vec<StoredType> = types.into_values().collect();
    types.sort_by_key(|stored| std::cmp::Reverse(stored.bytes));
    Ok(types)
}

/// Returns the bytes of a safetensors file of 32-bit floats with metadata.
///
/// # Panics
/// As [`write()`](crate::write()).
#[must_use]
pub fn write_tensors(weights: &Weights, entries: &BTreeMap<String, String>) -> Vec<u8> {
    write_stored(weights, entries, Storage::F32, &BTreeSet::new(), None)
}

/// Returns a tensor of 8-bit rows, with valid scales.
fn integer_rows(view: &TensorView<'_>, scale: Option<&TensorView<'_>>) -> Result<IntegerRows, String> {
    let Some(scale) = scale else {
        return Err(format!("8-bit rows need a tensor of the same name with `{SCALE_SUFFIX}` appended"));
    };
    let rows = view.shape().first().copied();
    if scale.dtype() != Dtype::F32 || scale.shape().len() != 1 || scale.shape().first().copied() != rows {
        return Err(format!(
            "8-bit rows of shape {:?} need one F32 scale per row, found {:?} {:?}",
            view.shape(),
            scale.dtype(),
            scale.shape()
        ));
    }
    let scales: Vec<f32> = floats(scale.data());
    if !are_scales(&scales, scales.len()) {
        return Err("a scale of 8-bit rows is not positive, NaN, or too large".to_owned());
    }
    let integers = view.data().iter().map(|byte| byte.cast_signed()).collect();
    Ok(IntegerRows { shape: view.shape().to_vec(), integers, scales })
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
        Dtype::F32 => floats(bytes),
        Dtype::F16 => halves(bytes, f16::from_le_bytes, |from, to| from.convert_to_f32_slice(to)),
        Dtype::BF16 => halves(bytes, bf16::from_le_bytes, |from, to| from.convert_to_f32_slice(to)),
        Dtype::F64 => each(bytes, |chunk| f64::from_le_bytes(chunk) as f32),
        Dtype::I64 => each(bytes, |chunk| i64::from_le_bytes(chunk) as f32),
        Dtype::I32 => each(bytes, |chunk| i32::from_le_bytes(chunk) as f32),
        Dtype::U8 => each(bytes, |[byte]: [u8; 1]| f32::from(byte)),
        _ => return None,
    })
}

/// Returns the bytes of a safetensors file; equal arguments give equal bytes. The tensors of the names in `kept` are not
/// stored as 8-bit rows; those of `quantisation` are stored as its integers, also if they are in `weights` as well.
///
/// # Panics
/// When the shape of a tensor does not match its number of values, which [`Tensor::new`] rules out.
pub(crate) fn write_stored(
    weights: &Weights,
    entries: &BTreeMap<String, String>,
    storage: Storage,
    kept: &BTreeSet<String>,
    quantisation: Option<&StoredQuantisation>,
) -> Vec<u8> {
    let mut stored = Vec::with_capacity(weights.len());
    for (name, map) in quantisation.iter().flat_map(|quantisation| &quantisation.maps) {
        let shape = vec![map.scale.len()];
        let scales = float_bytes(&map.scale);
        stored.push((format!("{name}{MAP_SCALE_SUFFIX}"), shape, Dtype::F32, scales));
        stored.push((format!("{name}{MAP_ZERO_SUFFIX}"), vec![map.zero.len()], Dtype::U8, map.zero.clone()));
    }
    for (name, rows) in quantisation.iter().flat_map(|quantisation| &quantisation.rows) {
        let integers = rows.integers.iter().map(|integer| integer.cast_unsigned()).collect();
        stored.push((name.clone(), rows.shape.clone(), Dtype::I8, integers));
        let scales = float_bytes(&rows.scales);
        stored.push((format!("{name}{SCALE_SUFFIX}"), vec![rows.scales.len()], Dtype::F32, scales));
    }
    let is_stored = |name: &String| quantisation.is_some_and(|given| given.rows.contains_key(name));
    for (name, tensor) in weights.iter().filter(|(name, _)| !is_stored(name)) {
        let scale_name = format!("{name}{SCALE_SUFFIX}");
        let is_free = !weights.contains_key(&scale_name);
        let as_rows = storage == Storage::Int8Rows && is_free && !kept.contains(name);
        let rows = if as_rows { quantise(tensor) } else { None };
        if let Some(rows) = rows {
            let integers = rows.integers.iter().map(|integer| integer.cast_unsigned()).collect();
            stored.push((name.clone(), tensor.shape.clone(), Dtype::I8, integers));
            let scales = float_bytes(&rows.scales);
            stored.push((scale_name, vec![rows.scales.len()], Dtype::F32, scales));
        } else if storage != Storage::F32 && quantisation.is_none() && fits_f16(tensor) {
            let halves = tensor.data.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
            stored.push((name.clone(), tensor.shape.clone(), Dtype::F16, halves));
        } else {
            stored.push((name.clone(), tensor.shape.clone(), Dtype::F32, float_bytes(&tensor.data)));
        }
    }
    let views = stored.iter().map(|(name, shape, dtype, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        (name.as_str(), view.expect("the shape of a tensor matches its values"))
    });
    // safetensors writes a map of metadata in random order; a single entry with all others sorted by key has
    // reproducible bytes.
    let mut metadata = HashMap::new();
    if !entries.is_empty() {
        metadata.insert(PACKED.to_owned(), serde_json::Value::from_iter(entries.clone()).to_string());
    }
    serialize(views, (!metadata.is_empty()).then_some(metadata)).expect("tensors serialise to memory")
}

fn fits_f16(tensor: &Tensor) -> bool {
    tensor.data.iter().all(|value| f16::from_f32(*value).is_finite())
}

fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
