//! The detector: a prepared model that any number of threads may use.

use std::time::Instant;

use picodet::{Detections, Error, Input, Limits, Model, Nms, Options, Precision, StageTimes};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{ModelError, exception};
use crate::fork::Running;
use crate::found::{Found, to_python};
use crate::input::Source;

/// A model prepared for detection.
#[pyclass(frozen, module = "picodet._picodet")]
#[derive(Debug)]
pub struct Detector {
    detector: picodet::Detector,
    limits: Limits,
    metadata: picodet::Metadata,
}

#[pymethods]
impl Detector {
    /// Opens a model: the bytes of a model file, or a file, a name or a URL as the command takes it.
    #[new]
    #[pyo3(signature = (
        model, *, score, iou, max_detections, threads, precision, input_size = None, resize = None, max_pixels = None
    ))]
    fn new(
        py: Python<'_>,
        model: &Bound<'_, PyAny>,
        score: f32,
        iou: f32,
        max_detections: usize,
        threads: usize,
        precision: &str,
        input_size: Option<(usize, usize)>,
        resize: Option<&str>,
        max_pixels: Option<u64>,
    ) -> PyResult<Self> {
        let options = Options::new();
        let options = match precision {
            // The model's own, which is int8 for a quantised one.
            "f32" => options,
            "bf16" => options.with_precision(Precision::Bf16),
            "f16" => options.with_precision(Precision::F16),
            "auto" => options.with_fastest_precision(),
            other => {
                let problem = format!("unknown precision `{other}`; expected one of: auto, f32, bf16, f16");
                return Err(PyValueError::new_err(problem));
            }
        };
        let resize = resize.map(str::parse).transpose();
        let resize = resize
            .map_err(|error: picodet::UnknownInterpolation| PyValueError::new_err(error.to_string()))?;
        let limits = max_pixels.map_or_else(Limits::default, Limits::new);
        let nms = Nms { score_threshold: score, iou_threshold: iou, max_detections, ..Nms::default() };
        let options = options
            .with_nms(nms)
            .with_input_size(input_size)
            .with_resize(resize)
            .with_threads(threads)
            .with_limits(limits);
        let prepare = |model: Model| {
            let detector = picodet::Detector::new(&model, &options).map_err(exception)?;
            Ok(Self { detector, limits, metadata: model.metadata })
        };
        if let Ok(bytes) = model.cast::<PyBytes>() {
            let bytes = bytes.as_bytes();
            return py.detach(|| {
                prepare(Model::integers_from_bytes(bytes).map_err(|error| exception(error.into()))?)
            });
        }
        let name: String = model.extract()?;
        py.detach(|| {
            prepare(picodet_cli::open_model(&name).map_err(|error| ModelError::new_err(error.message))?)
        })
    }

    /// Detects the objects in an image.
    #[pyo3(signature = (source, *, bgr = false))]
    fn detect<'py>(&self, py: Python<'py>, source: &Bound<'py, PyAny>, bgr: bool) -> PyResult<Found<'py>> {
        let source = Source::new(source, bgr)?;
        let input = source.input()?;
        let found = py.detach(|| {
            let _running = Running::begin();
            self.run(input)
        });
        let Timed { detections, size, decode, times } = found.map_err(exception)?;
        Ok(to_python(py, &detections, size, decode, times))
    }

    /// Detects the objects in several images, `workers` of them at a time.
    #[pyo3(signature = (sources, *, workers, bgr = false))]
    fn detect_batch<'py>(
        &self,
        py: Python<'py>,
        sources: Vec<Bound<'py, PyAny>>,
        workers: usize,
        bgr: bool,
    ) -> PyResult<Vec<Found<'py>>> {
        let sources: PyResult<Vec<_>> = sources.iter().map(|source| Source::new(source, bgr)).collect();
        let sources = sources?;
        let inputs: PyResult<Vec<_>> = sources.iter().map(Source::input).collect();
        let inputs = inputs?;
        let found: Result<Vec<_>, Error> = py.detach(|| {
            let _running = Running::begin();
            let found = picodet_parallel::map(inputs, workers.max(1), |input| self.run(input));
            found.into_iter().collect()
        });
        let to_python =
            |found: Timed| to_python(py, &found.detections, found.size, found.decode, found.times);
        Ok(found.map_err(exception)?.into_iter().map(to_python).collect())
    }

    /// The names of the classes.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.metadata.classes.clone()
    }

    /// The COCO category id of each class.
    #[getter]
    fn category_ids(&self) -> Vec<u32> {
        self.metadata.category_ids.clone()
    }

    /// Height and width of the network input.
    #[getter]
    fn input_size(&self) -> (usize, usize) {
        self.detector.input_size()
    }

    /// The network, origin and licence of the model.
    #[getter]
    fn origin(&self) -> (String, String, String) {
        let picodet::Metadata { variant, origin, licence, .. } = &self.metadata;
        (variant.clone(), origin.clone(), licence.clone())
    }
}

/// The detections of one image.
struct Timed {
    detections: Detections,
    /// Width and height of the image.
    size: (usize, usize),
    /// Seconds of reading and decoding.
    decode: f64,
    times: StageTimes,
}

impl Detector {
    fn run(&self, input: Input<'_>) -> Result<Timed, Error> {
        if let Input::Pixels(pixels) = input {
            let (detections, times) = self.detector.detect_timed(pixels)?;
            return Ok(Timed { detections, size: pixels.source_size(), decode: 0.0, times });
        }
        let start = Instant::now();
        let image = input.read_within(&self.limits)?;
        let decode = start.elapsed().as_secs_f64();
        let (detections, times) = self.detector.detect_timed(&*image)?;
        Ok(Timed { detections, size: image.source_size(), decode, times })
    }
}
