//! Quantises models to 8 bits after training, and judges the result by the detections of the float model.
//!
//! [`quantise`] turns a float model and some images into a quantised model; [`Judge`] compares the detections of two models,
//! [`Latencies`] their speed, and a [`Gate`] has limits for both.

mod gate;
mod judge;
mod latency;
mod mixed;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use picodet_engine::{CpuEngine, CpuPlan, Plan};
use picodet_graph::quantised::is_quantisable;
use picodet_graph::{NodeId, Op, Tensor4, Weights, pass};
use picodet_image::{Image, Interpolation};
use picodet_model::{Model, ModelError};
use picodet_weights::{Metadata, ModelFile, QuantisationRecord, ReadError, Storage};

pub use self::gate::{Gate, MIN_GAIN, Miss};
pub use self::judge::{FIDELITY_SCORE, Judge, JudgeError, Verdict};
pub use self::latency::Latencies;
pub use self::mixed::{MixedError, Sensitivity, mixed, sensitivity, with_floats};
use picodet_quantise::Sample;
pub use picodet_quantise::{Method, Options, Scales, StepReport};

/// Fewest images for which scales are trusted.
pub const FEW_IMAGES: usize = 16;
/// Most images up to which mirror images are added.
const MOST_WITH_MIRRORED: usize = 128;

/// Why a model cannot be quantised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// The model is quantised.
    #[error("the model is quantised already; give the float model that it was made from")]
    AlreadyQuantised,
    /// The network cannot be quantised with these images.
    #[error(transparent)]
    Network(#[from] picodet_quantise::QuantiseError),
    /// The weights that stay floats cannot be stored in 8 bits.
    #[error(transparent)]
    Weights(#[from] ReadError),
    /// The float network cannot be run.
    #[error(transparent)]
    Plan(#[from] picodet_engine::PlanError),
    /// The quantised model cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Returns the name of a method in arguments and files.
#[must_use]
pub fn method_name(method: Method) -> &'static str {
    match method {
        Method::MinMax => "minmax",
        _ => "closed-form",
    }
}

/// Returns the network input of an image for a model.
#[must_use]
pub fn network_input(model: &Model, image: &Image) -> Tensor4 {
    let Metadata { input_size: (height, width), mean, std, resize, .. } = &model.metadata;
    let resize = resize.parse().unwrap_or(Interpolation::Cubic);
    let data = picodet_image::to_tensor(image, (*height, *width), resize, *mean, *std);
    Tensor4 { shape: [1, 3, *height, *width], data }
}

/// Quantises a float model with network inputs of [`network_input`]; in closed form fewer than 128 images are completed by
/// their mirror images. `progress` is called with the number of operations that
/// are done and of all. The result is what [`Model::to_bytes`] and [`Model::from_bytes`] make of it.
///
/// # Errors
/// [`QuantiseError`] when the model is quantised, there is no image, a weight is not finite, or an operation has no
/// quantised form.
pub fn quantise(
    model: &Model,
    inputs: &[Tensor4],
    options: &Options,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<(Model, Vec<StepReport>), QuantiseError> {
    if model.quantisation.is_some() {
        return Err(QuantiseError::AlreadyQuantised);
    }
    let (graph, mut weights) = pass::fold_batch_norm(&model.graph, &model.weights);
    weights.extend(rounded_floats(&graph, &weights)?);
    let heads = pass::keep_outputs(&graph, |name| name.starts_with("score."));
    let head_weights = pass::keep_weights(&heads, &weights);
    let plan = CpuEngine::new().prepare(&heads, &head_weights, model.metadata.input_size)?;
    let normalisation = (model.metadata.mean, model.metadata.std);
    let mirrored = match options.method {
        Method::ClosedForm => MOST_WITH_MIRRORED.saturating_sub(inputs.len()),
        _ => 0,
    };
    let mirrored: Vec<Tensor4> = inputs.iter().take(mirrored).map(mirror).collect();
    let mut scores = picodet_parallel::map(inputs, options.threads, |image| scores(&plan, image));
    let mirrored_scores: Vec<_> = scores.iter().map(|scores| scores.as_ref().map(mirror)).collect();
    scores.extend(mirrored_scores);
    let images = inputs.iter().chain(&mirrored).zip(&scores);
    let samples: Vec<Sample<'_>> =
        images.map(|(image, scores)| Sample { image, scores: scores.as_ref() }).collect();
    let (quantisation, report) =
        picodet_quantise::quantise(&graph, &weights, normalisation, &samples, options, progress)?;
    let record = QuantisationRecord::new(method_name(options.method), inputs.len());
    let metadata = Metadata { folded: true, quantisation: Some(record), ..model.metadata.clone() };
    let quantised =
        Model { variant: model.variant, graph, weights, metadata, quantisation: Some(quantisation) };
    Ok((Model::from_bytes(&quantised.to_bytes(Storage::F32))?, report))
}

/// Returns the mirror image, left and right exchanged.
fn mirror(image: &Tensor4) -> Tensor4 {
    let mut image = image.clone();
    image.data.chunks_exact_mut(image.shape[3].max(1)).for_each(<[f32]>::reverse);
    image
}

/// Returns the largest score of each place of an image, over all classes and levels, at the resolution of the finest level.
fn scores(plan: &CpuPlan, image: &Tensor4) -> Option<Tensor4> {
    let levels = plan.run(image).ok()?;
    let (_, finest) = levels.iter().max_by_key(|(_, level)| level.plane())?;
    let [_, _, height, width] = finest.shape;
    let mut largest: Tensor4 = Tensor4::zeros([1, 1, height, width]);
    for (_, level) in &levels {
        let [_, _, rows, columns] = level.shape;
        for (index, largest) in largest.data.iter_mut().enumerate() {
            let (y, x) = (index / width * rows / height, index % width * columns / width);
            for scores in level.data.chunks_exact(rows * columns) {
                *largest = largest.max(scores[y * columns + x]);
            }
        }
    }
    Some(largest)
}

/// Returns the weights of convolutions that stay floats as their 8-bit rows in the file give them.
fn rounded_floats(graph: &picodet_graph::Graph, weights: &Weights) -> Result<Weights, ReadError> {
    let floats = graph.nodes.iter().enumerate().filter(|(index, node)| {
        matches!(node.op, Op::Convolution(_)) && !is_quantisable(graph, NodeId(*index))
    });
    let params = floats.filter_map(|(_, node)| Some(&graph.params[node.params.first()?.0].name));
    let floats: BTreeMap<_, _> =
        params.filter_map(|name| Some((name.clone(), weights.get(name)?.clone()))).collect();
    let file = ModelFile { weights: floats, ..ModelFile::default() };
    Ok(picodet_weights::read_tensors(&picodet_weights::write(&file, Storage::Int8Rows))?.0)
}

/// Returns the SHA-256 of the bytes of a file in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    crate::digest::sha256(bytes)
}
