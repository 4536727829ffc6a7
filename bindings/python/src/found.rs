//! Detections as Python keeps them: the bytes of arrays; and their drawing and serialisation.

use std::borrow::Cow;
use std::path::PathBuf;

use numpy::PyArray3;
use picodet::results::{ImageResult, coco, json};
use picodet::{Detection, Detections, Drawing, ImageBox, Limits, ScoredBox, StageTimes};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::errors::{ImageError, exception};
use crate::input::{Source, to_array};

/// The detections of one image: boxes `[n, 4]` of f32, scores `[n]` of f32 and classes `[n]` of i64 as bytes, height and width of
/// the image, and the seconds of decoding, preprocessing, network and postprocessing.
pub(crate) type Found<'py> =
    (Bound<'py, PyByteArray>, Bound<'py, PyByteArray>, Bound<'py, PyByteArray>, (usize, usize), [f64; 4]);

/// Returns the detections of one image with `size` = (width, height).
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    detections: &Detections,
    size: (usize, usize),
    decode: f64,
    times: StageTimes,
) -> Found<'py> {
    let boxes: Vec<u8> =
        detections.iter().flat_map(|found| found.bbox.xyxy()).flat_map(f32::to_ne_bytes).collect();
    let scores: Vec<u8> = detections.iter().flat_map(|found| found.score.to_ne_bytes()).collect();
    let classes: Vec<u8> = detections.iter().flat_map(|found| (found.class as i64).to_ne_bytes()).collect();
    let seconds = [times.preprocess, times.network, times.postprocess].map(|time| time.as_secs_f64());
    let [preprocess, network, postprocess] = seconds;
    let bytes = |bytes: &[u8]| PyByteArray::new(py, bytes);
    let size = (size.1, size.0);
    (bytes(&boxes), bytes(&scores), bytes(&classes), size, [decode, preprocess, network, postprocess])
}

/// The columns of the detections of one image, from Python.
#[derive(FromPyObject)]
pub struct Columns {
    #[pyo3(item(0))]
    boxes: Vec<[f32; 4]>,
    #[pyo3(item(1))]
    scores: Vec<f32>,
    #[pyo3(item(2))]
    classes: Vec<usize>,
    #[pyo3(item(3))]
    names: Vec<String>,
}

impl Columns {
    fn detections(self) -> PyResult<Detections> {
        let rows = self.boxes.into_iter().zip(self.scores).zip(self.classes);
        let detection = |((bbox, score), class): (([f32; 4], f32), usize)| {
            let name = self.names.get(class);
            let name = name.ok_or_else(|| PyValueError::new_err(format!("there is no class {class}")))?;
            Ok(Detection::new(name.as_str(), ScoredBox { class, score, bbox: ImageBox(bbox) }))
        };
        rows.map(detection).collect()
    }
}

/// Returns the detections as JSON, as `picodet detect --format json` writes them for `file`.
#[pyfunction]
pub fn to_json(columns: Columns, file: String, size: (usize, usize)) -> PyResult<String> {
    let (height, width) = size;
    let detections = columns.detections()?;
    Ok(json(&ImageResult { file, size: (width, height), image_id: None, detections }).to_string())
}

/// Returns the detections as a JSON array of COCO results.
#[pyfunction]
pub fn to_coco(columns: Columns, image_id: u64, category_ids: Vec<u32>) -> PyResult<String> {
    if category_ids.len() < columns.names.len() {
        return Err(PyValueError::new_err("every class needs a category id"));
    }
    let detections = columns.detections()?;
    let result = ImageResult { file: String::new(), size: (0, 0), image_id: Some(image_id), detections };
    Ok(serde_json::Value::from(coco(&result, &category_ids)).to_string())
}

/// Returns a copy of an image with the detections drawn in. `shape` is the height and width of the image that they were found in.
#[pyfunction]
#[pyo3(signature = (columns, source, *, bgr = false, max_pixels = None, shape = None))]
pub fn draw<'py>(
    py: Python<'py>,
    columns: Columns,
    source: &Bound<'py, PyAny>,
    bgr: bool,
    max_pixels: Option<u64>,
    shape: Option<(usize, usize)>,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let drawing = drawing(py, columns, source, bgr, max_pixels, shape)?;
    to_array(py, drawing.into_image(), bgr)
}

/// Writes a copy of an image with the detections drawn in; `.jpg` and `.jpeg` are JPEG, everything else is PNG.
#[pyfunction]
#[pyo3(signature = (columns, source, path, *, bgr = false, max_pixels = None, shape = None))]
pub fn save_drawing(
    py: Python<'_>,
    columns: Columns,
    source: &Bound<'_, PyAny>,
    path: PathBuf,
    bgr: bool,
    max_pixels: Option<u64>,
    shape: Option<(usize, usize)>,
) -> PyResult<()> {
    let drawing = drawing(py, columns, source, bgr, max_pixels, shape)?;
    py.detach(|| drawing.save(path)).map_err(exception)
}

fn drawing(
    py: Python<'_>,
    columns: Columns,
    source: &Bound<'_, PyAny>,
    bgr: bool,
    max_pixels: Option<u64>,
    shape: Option<(usize, usize)>,
) -> PyResult<Drawing> {
    let detections = columns.detections()?;
    let source = Source::new(source, bgr)?;
    let input = source.input()?;
    let limits = max_pixels.map_or_else(Limits::default, Limits::new);
    let image = py.detach(|| input.read_within(&limits).map(Cow::into_owned)).map_err(exception)?;
    let (width, height) = image.source_size();
    match shape {
        Some(expected) if expected != (height, width) => Err(ImageError::new_err(format!(
            "the file is an image of {width}x{height} pixels now, not of {}x{} as when objects were detected in it; \
             pass the image",
            expected.1, expected.0
        ))),
        _ => Ok(py.detach(|| detections.draw(&image))),
    }
}
