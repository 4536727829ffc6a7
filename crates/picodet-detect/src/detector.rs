//! The detection pipeline: preprocess → backbone → neck → head → decode → suppress → scale to the image.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use picodet_engine::{BufferPool, Engine, Plan};
use picodet_graph::Tensor4;
use picodet_image::{Interpolation, Limits, Pixels};

use crate::decode::{HeadLevel, box_of, candidates, head_levels, head_levels_in_place};
use crate::prepare::{network, prepare};
use crate::{Detection, Detections, Error, Input, InputBox, Model, Nms, Options, ScaleFactor, ScoredBox};

/// A model prepared for detection.
///
/// A detector may be used by any number of threads at the same time. Clones share the model, whose weights are packed
/// once.
#[derive(Clone, Debug)]
pub struct Detector {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plan: Arc<dyn Plan>,
    classes: Vec<Arc<str>>,
    category_ids: Vec<u32>,
    strides: Vec<usize>,
    mean: [f32; 3],
    std: [f32; 3],
    resize: Interpolation,
    nms: Nms,
    threads: usize,
    limits: Limits,
    /// Network inputs, reused from image to image.
    inputs: BufferPool<Tensor4>,
}

impl Detector {
    /// Loads a native model file and prepares it with the default options.
    ///
    /// # Errors
    /// When the file cannot be read or is not a valid model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let read = |source| Error::Read { path: path.display().to_string(), source };
        let bytes = std::fs::read(path).map_err(read)?;
        let model = Model::integers_from_bytes(&bytes)?;
        drop(bytes);
        Self::new(&model, &Options::default())
    }

    /// Prepares a model; a quantised one is computed in bytes unless the options choose another precision.
    ///
    /// # Errors
    /// When an option is invalid or the engine refuses the model.
    pub fn new(model: &Model, options: &Options) -> Result<Self, Error> {
        Self::with_plan(model, options, &|| Ok(Arc::new(prepare(model, options)?)))
    }

    /// Prepares a model in floats on the given engine, whose own settings replace `threads`, `precision` and `instructions` of
    /// `options`.
    ///
    /// # Errors
    /// As [`Detector::new`].
    pub fn with_engine(model: &Model, options: &Options, engine: &dyn Engine) -> Result<Self, Error> {
        Self::with_plan(model, options, &|| {
            let (graph, weights) = network(model);
            Ok(engine.plan(&graph, &weights, options.input_size.unwrap_or(model.metadata.input_size))?)
        })
    }

    fn with_plan(
        model: &Model,
        options: &Options,
        plan: &dyn Fn() -> Result<Arc<dyn Plan>, Error>,
    ) -> Result<Self, Error> {
        let metadata = &model.metadata;
        let resize = match options.resize {
            Some(resize) => resize,
            None => metadata
                .resize
                .parse()
                .map_err(|_| Error::Metadata(format!("the unknown interpolation `{}`", metadata.resize)))?,
        };
        options.check()?;
        let shared = Shared {
            plan: plan()?,
            classes: metadata.classes.iter().map(|class| class.as_str().into()).collect(),
            category_ids: metadata.category_ids.clone(),
            strides: model.variant.architecture.strides(),
            mean: metadata.mean,
            std: metadata.std,
            resize,
            nms: options.nms,
            threads: options.threads.max(1),
            limits: options.limits,
            inputs: BufferPool::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns the names of the classes, by [`Detection::class`].
    pub fn classes(&self) -> &[Arc<str>] {
        &self.shared.classes
    }

    /// Returns the COCO category id of each class.
    pub fn category_ids(&self) -> &[u32] {
        &self.shared.category_ids
    }

    /// Returns height and width of the network input in pixels.
    pub fn input_size(&self) -> (usize, usize) {
        self.shared.plan.input_size()
    }

    /// Detects the objects in an image: a path, the bytes of an image file, an [`Image`](picodet_image::Image), or
    /// [`Pixels`]. Boxes are in pixels of [`Pixels::source_size`]; the order is by class, then by falling score.
    ///
    /// # Errors
    /// When the image cannot be read or decoded.
    pub fn detect<'a>(&self, input: impl Into<Input<'a>>) -> Result<Detections, Error> {
        Ok(match input.into() {
            Input::Pixels(pixels) => self.detect_timed(pixels)?.0,
            input => self.detect_timed(&*input.read_within(&self.shared.limits)?)?.0,
        })
    }

    /// Detects the objects in several images, in their order, one image per thread of the options at a time.
    ///
    /// # Errors
    /// The first image that cannot be read or decoded.
    pub fn detect_batch<'a, I>(&self, inputs: impl IntoIterator<Item = I>) -> Result<Vec<Detections>, Error>
    where
        I: Into<Input<'a>>,
    {
        let inputs: Vec<Input<'a>> = inputs.into_iter().map(Into::into).collect();
        picodet_parallel::map(inputs, self.shared.threads, |input| self.detect(input)).into_iter().collect()
    }

    /// Detects the objects in a decoded image or in borrowed [`Pixels`], as [`Detector::detect`] does, and measures the time
    /// of each stage.
    ///
    /// # Errors
    /// When the engine refuses the input, which it does not for a detector that was created.
    pub fn detect_timed<'a>(&self, image: impl Into<Pixels<'a>>) -> Result<(Detections, StageTimes), Error> {
        self.detect_pixels(image.into())
    }

    fn detect_pixels(&self, image: Pixels<'_>) -> Result<(Detections, StageTimes), Error> {
        let start = now();
        let Shared { plan, strides, nms, .. } = &*self.shared;
        let mut input = self.shared.inputs.lease(1, Tensor4::default);
        let (input, scale) = self.preprocess(image, &mut input[0]);
        let preprocessed = now();

        // Usually the engine exposes its maps in place; otherwise they are copied.
        let outputs = plan.run_in_place(input)?;
        let mut computed = now();
        let views = outputs.as_ref().map(|outputs| outputs.views());
        let copied;
        let levels = match views.and_then(|views| head_levels_in_place(&views, strides)) {
            Some(levels) => levels,
            None => {
                copied = plan.run(input)?;
                computed = now();
                head_levels(&copied, strides)
            }
        };
        let found = suppress(&levels, nms, scale);
        let label = |found: ScoredBox| Detection::new(Arc::clone(&self.shared.classes[found.class]), found);
        let detections = found.into_iter().map(label).collect();
        let times = StageTimes {
            preprocess: between(start, preprocessed),
            network: between(preprocessed, computed),
            postprocess: between(computed, now()),
        };
        Ok((detections, times))
    }

    /// Resizes and normalises an image into the network input.
    fn preprocess<'a>(&self, image: Pixels<'_>, input: &'a mut Tensor4) -> (&'a Tensor4, ScaleFactor) {
        let Shared { resize, mean, std, .. } = *self.shared;
        let (height, width) = self.input_size();
        input.shape = [1, 3, height, width];
        picodet_image::to_tensor_in(&mut input.data, image, (height, width), resize, mean, std);
        let (source_width, source_height) = image.source_size();
        let scale =
            ScaleFactor { y: height as f32 / source_height as f32, x: width as f32 / source_width as f32 };
        (input, scale)
    }
}

/// Decodes the candidates of one image and suppresses overlapping boxes.
fn suppress(levels: &[HeadLevel<'_>], nms: &Nms, scale: ScaleFactor) -> Vec<ScoredBox> {
    let candidates = candidates(levels, 0, nms.score_threshold);
    let to_image = |anchor| InputBox(box_of(levels, 0, anchor).unwrap_or_default()).to_image(scale);
    nms.run_candidates(&candidates, to_image)
}

/// Returns the time; `None` on WebAssembly without a system, where reading a clock aborts.
fn now() -> Option<Instant> {
    (!cfg!(all(target_family = "wasm", target_os = "unknown"))).then(Instant::now)
}

fn between(start: Option<Instant>, end: Option<Instant>) -> Duration {
    start.zip(end).map_or(Duration::ZERO, |(start, end)| end - start)
}

/// The times of the stages of one detection; zeros in a browser, which has no clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageTimes {
    /// Resize and normalise.
    pub preprocess: Duration,
    /// Backbone, neck and head.
    pub network: Duration,
    /// Decode and suppress.
    pub postprocess: Duration,
}
