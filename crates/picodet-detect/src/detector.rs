//! The way of an image: preprocess → backbone → neck → head → decode → suppress → undo preprocess.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use picodet_engine::{Engine, Fast, Plan, Precision};
use picodet_graph::{Graph, Tensor4, Weights, pass};
use picodet_image::{Image, Interpolation};
use picodet_zoo::Head;

use crate::decode::{box_of, candidates, head_levels, head_levels_in_place};
use crate::{Detection, Error, InputBox, Model, Nms, ScaleFactor};

/// What a user may change about detecting.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Thresholds and limits of the suppression.
    pub nms: Nms,
    /// Height and width of the network input instead of the model's own.
    pub input_size: Option<(usize, usize)>,
    /// The interpolation of the resize instead of the model's own.
    pub resize: Option<Interpolation>,
    /// Threads in each inference; 0 counts as 1.
    pub threads: usize,
    /// The numbers that pointwise convolutions multiply.
    pub precision: Precision,
}

/// A model made ready to detect.
pub struct Detector {
    plan: Box<dyn Plan>,
    classes: Vec<String>,
    category_ids: Vec<u32>,
    strides: Vec<usize>,
    mean: [f32; 3],
    std: [f32; 3],
    resize: Interpolation,
    nms: Nms,
    /// The network's input, whose memory serves every image.
    input: Tensor4,
}

impl Detector {
    /// Loads a native model file and makes it ready with the model's own settings.
    ///
    /// # Errors
    /// When the file cannot be read or is not a sound model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let read = |source| Error::Read { path: path.display().to_string(), source };
        let bytes = std::fs::read(path).map_err(read)?;
        Self::new(&Model::from_bytes(&bytes)?, &Options::default())
    }

    /// Makes a model ready.
    ///
    /// # Errors
    /// When an option does not make sense or the engine refuses the model.
    pub fn new(model: &Model, options: &Options) -> Result<Self, Error> {
        Self::with_engine(model, options, &engine(options)?)
    }

    /// As [`Detector::new`], on a given engine.
    ///
    /// # Errors
    /// As [`Detector::new`].
    pub fn with_engine(model: &Model, options: &Options, engine: &dyn Engine) -> Result<Self, Error> {
        let metadata = &model.metadata;
        let resize = match options.resize {
            Some(resize) => resize,
            None => metadata
                .resize
                .parse()
                .map_err(|_| Error::Metadata(format!("the unknown resize `{}`", metadata.resize)))?,
        };
        let in_unit = |value: f32| (0.0..=1.0).contains(&value);
        if !in_unit(options.nms.score_threshold) || !in_unit(options.nms.iou_threshold) {
            return Err(Error::Option("score and overlap thresholds lie between 0 and 1".to_owned()));
        }
        let (graph, weights) = network(model);
        let plan = engine.plan(&graph, &weights, options.input_size.unwrap_or(metadata.input_size))?;
        Ok(Self {
            plan,
            classes: metadata.classes.clone(),
            category_ids: metadata.category_ids.clone(),
            strides: model.variant.architecture.strides(),
            mean: metadata.mean,
            std: metadata.std,
            resize,
            nms: options.nms,
            input: Tensor4::default(),
        })
    }

    /// The names of the classes, by [`Detection::class`].
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The COCO category id of each class.
    pub fn category_ids(&self) -> &[u32] {
        &self.category_ids
    }

    /// The objects in an image, by class, then by falling score; boxes in the image's pixels.
    ///
    /// # Errors
    /// When the engine refuses the input, which a detector that was made does not.
    pub fn detect(&mut self, image: &Image) -> Result<Vec<Detection>, Error> {
        Ok(self.detect_timed(image)?.0)
    }

    /// As [`Detector::detect`], and how long each stage took.
    ///
    /// # Errors
    /// As [`Detector::detect`].
    pub fn detect_timed(&mut self, image: &Image) -> Result<(Vec<Detection>, StageTimes), Error> {
        let start = now();
        let (height, width) = self.plan.input_size();
        self.input.shape = [1, 3, height, width];
        let (size, tensor) = ((height, width), &mut self.input.data);
        picodet_image::to_tensor_in(tensor, image, size, self.resize, self.mean, self.std);
        let scale =
            ScaleFactor { y: height as f32 / image.height() as f32, x: width as f32 / image.width() as f32 };
        let preprocessed = now();

        // Usually the engine exposes its maps in place; otherwise they are copied.
        let views = self.plan.run_in_place(&self.input)?;
        let mut computed = now();
        let copied;
        let levels = match views.and_then(|views| head_levels_in_place(&views, &self.strides)) {
            Some(levels) => levels,
            None => {
                copied = self.plan.run(&self.input)?;
                computed = now();
                head_levels(&copied, &self.strides)
            }
        };
        let candidates = candidates(&levels, 0, self.nms.score_threshold);
        let to_image = |anchor| InputBox(box_of(&levels, 0, anchor).unwrap_or_default()).to_image(scale);
        let detections = self.nms.run_candidates(&candidates, to_image);
        let times = StageTimes {
            preprocess: between(start, preprocessed),
            network: between(preprocessed, computed),
            postprocess: between(computed, now()),
        };
        Ok((detections, times))
    }
}

/// The engine that options ask for.
///
/// # Errors
/// When this processor has no instructions for the precision.
pub fn engine(options: &Options) -> Result<Fast, Error> {
    let engine = Fast::new().with_threads(options.threads);
    engine.with_precision(options.precision).ok_or_else(|| {
        Error::Option(format!(
            "this processor has no instructions for {} products; use f32",
            options.precision
        ))
    })
}

/// The part of a model that detecting needs.
pub fn network(model: &Model) -> (Graph, Cow<'_, Weights>) {
    let graph = pass::keep_outputs(&model.graph, Head::is_detection_output);
    // Mostly every weight is needed, and there are megabytes of them.
    let weights = if graph.params.len() == model.graph.params.len() {
        Cow::Borrowed(&model.weights)
    } else {
        Cow::Owned(pass::keep_weights(&graph, &model.weights))
    };
    (graph, weights)
}

/// The time, where there is a clock: WebAssembly without a system has none, and asking for it ends the program.
fn now() -> Option<Instant> {
    (!cfg!(all(target_family = "wasm", target_os = "unknown"))).then(Instant::now)
}

fn between(start: Option<Instant>, end: Option<Instant>) -> Duration {
    start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start)
}

/// How long the stages of one detection took; zeros in a browser, where there is no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Resize and normalise.
    pub preprocess: Duration,
    /// Backbone, neck and head.
    pub network: Duration,
    /// Decode and suppress.
    pub postprocess: Duration,
}
