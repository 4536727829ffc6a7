//! Networks of a space with random weights, ready to be measured.

use std::ops::ControlFlow;

use picodet_engine::{CpuEngine, CpuPlan, Precision, StepTime};
use picodet_graph::{Graph, Quantisation, Tensor, Tensor4, Weights, pass};
use picodet_model::graph_of;
use picodet_quantise::{self as quantise, Method, Sample};
use picodet_train::transfer::initial_weights;
use picodet_zoo::Head;

use super::{LatencyError, LatencyOptions};
use crate::{Candidate, Genome, Space};

/// A candidate prepared for measurements.
pub(super) struct Prepared {
    pub(super) candidate: Candidate,
    pub(super) plan: CpuPlan,
    pub(super) image: Tensor4,
    /// The fastest burst of each step.
    pub(super) steps: Vec<StepTime>,
    /// Milliseconds of whole inferences.
    pub(super) whole: Vec<f64>,
}

impl Prepared {
    /// Milliseconds of all steps.
    pub(super) fn sum_of_steps(&self) -> f64 {
        1e3 * self.steps.iter().map(|step| step.seconds).sum::<f64>()
    }
}

/// Prepares candidates.
pub(super) fn prepare_all(
    space: &Space,
    genomes: &[Genome],
    options: &LatencyOptions,
) -> Result<Vec<Prepared>, LatencyError> {
    let engine = options.engine()?;
    let candidates = genomes.iter().filter_map(|genome| space.candidate(genome));
    candidates.map(|candidate| prepare(candidate, &engine, options)).collect()
}

fn prepare(
    candidate: Candidate,
    engine: &CpuEngine,
    options: &LatencyOptions,
) -> Result<Prepared, LatencyError> {
    let graph = graph_of(&candidate.architecture, options.classes, false);
    let graph = pass::keep_outputs(&graph, Head::is_detection_output);
    let weights = initial_weights(&graph, 0);
    let size = candidate.input_size;
    let plan = match options.precision {
        Precision::U8 => {
            let (graph, mut weights) = pass::fold_batch_norm(&graph, &weights);
            weights.values_mut().for_each(balance);
            engine.prepare_quantised(&graph, &weights, &quantisation(&graph, &weights)?, size)?
        }
        _ => engine.prepare(&graph, &weights, size)?,
    };
    Ok(Prepared { candidate, plan, image: image(size), steps: Vec::new(), whole: Vec::new() })
}

/// A network input with values from -2 to 2.
fn image((height, width): (usize, usize)) -> Tensor4 {
    let data = (0..3 * height * width).map(|i| ((i * 37 % 255) as f32 / 255.0 - 0.5) * 4.0).collect();
    Tensor4 { shape: [1, 3, height, width], data }
}

/// Scales the rows of a weight so that maps neither vanish nor overflow behind many layers, as they do without training.
fn balance(weight: &mut Tensor) {
    let per_row: usize = weight.shape.iter().skip(1).product();
    for row in weight.data.chunks_mut(per_row.max(1)) {
        let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|value| *value *= std::f32::consts::SQRT_2 / norm);
        }
    }
}

/// Quantises a network by the ranges of one small image. The time of an inference does not depend on the scales.
fn quantisation(graph: &Graph, weights: &Weights) -> Result<Quantisation, LatencyError> {
    let image = image((64, 64));
    let samples = [Sample { image: &image, scores: None }];
    let options = quantise::Options::default().with_method(Method::MinMax);
    let go_on = &mut |_, _| ControlFlow::Continue(());
    let (quantisation, _) =
        quantise::quantise(graph, weights, ([0.0; 3], [1.0; 3]), &samples, &options, go_on)?;
    Ok(quantisation)
}
