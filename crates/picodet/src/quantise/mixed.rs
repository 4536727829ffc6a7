//! Mixed precision: which convolutions of a quantised model are computed in f32.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use picodet_detect::{Model, Options, prepare};
use picodet_graph::pass::{self, fuse};
use picodet_graph::{Graph, NodeId, Op, Weights};

use super::{Judge, JudgeError};
use crate::bench::noise;

/// Runs of a network from whose medians the time of its steps is taken.
const RUNS: usize = 12;
/// Smallest loss of fidelity that counts as one.
const LEAST_DAMAGE: f64 = 0.02;
/// Shortest time of a step in f32; shorter ones are noise.
const LEAST_MILLISECONDS: f64 = 1e-3;

/// Why the sensitivity cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MixedError {
    /// The model is a float model.
    #[error("the model is not quantised")]
    NotQuantised,
    /// A network cannot be prepared or run.
    #[error(transparent)]
    Detect(#[from] picodet_detect::Error),
    /// The detections cannot be judged.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// The progress callback asked to stop.
    #[error("stopped")]
    Cancelled,
}

impl From<picodet_engine::RunError> for MixedError {
    fn from(error: picodet_engine::RunError) -> Self {
        Self::Detect(error.into())
    }
}

/// The fidelity that the bytes of a step cost, and the time that f32 would cost.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sensitivity {
    /// The convolutions of the step: one, or a depthwise one and the pointwise one that alone reads it.
    pub convolutions: Vec<String>,
    /// The fidelity that is lost when only this step is computed in bytes.
    pub damage: f64,
    /// Milliseconds per image on one thread that the network takes longer when only this step is computed in f32.
    pub milliseconds: f64,
}

/// Returns the quantised model with some convolutions, by their scopes, and the maps between them in f32. Their weights are those of
/// `float`, from which the model was quantised.
///
/// # Errors
/// [`MixedError::NotQuantised`] for a float model.
pub fn with_floats(
    float: &Model,
    quantised: &Model,
    convolutions: &BTreeSet<String>,
) -> Result<Model, MixedError> {
    with_weights(&folded(float), quantised, convolutions)
}

/// The weights of a float model whose batch norms are folded.
fn folded(float: &Model) -> Weights {
    pass::fold_batch_norm(&float.graph, &float.weights).1
}

/// As [`with_floats`], with the folded weights of the float model.
fn with_weights(
    weights: &Weights,
    quantised: &Model,
    convolutions: &BTreeSet<String>,
) -> Result<Model, MixedError> {
    let mut mixed = quantised.clone();
    let Some(quantisation) = &mut mixed.quantisation else { return Err(MixedError::NotQuantised) };
    let is_bytes = |scope: &&String| !convolutions.contains(*scope);
    let bytes: BTreeSet<String> = quantisation.convolutions.keys().filter(is_bytes).cloned().collect();
    *quantisation = quantisation.restricted(&quantised.graph, &bytes);
    let nodes = quantised.graph.nodes.iter().filter(|node| convolutions.contains(&node.scope));
    for param in nodes.flat_map(|node| quantised.graph.params_of(node)) {
        if let Some(tensor) = weights.get(&param.name) {
            mixed.weights.insert(param.name.clone(), tensor.clone());
        }
    }
    if let Some(record) = &mut mixed.metadata.quantisation {
        record.floats = convolutions.clone();
    }
    Ok(mixed)
}

/// Measures every step of a quantised model. `judge` has the detections of `float`, from which it was quantised; `progress` is called
/// with the number of steps that are done and of all.
///
/// # Errors
/// [`MixedError`] when `quantised` is a float model, cannot be run, or `progress` asks to stop.
pub fn sensitivity(
    judge: &Judge<'_>,
    float: &Model,
    quantised: &Model,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Vec<Sensitivity>, MixedError> {
    let quantisation = quantised.quantisation.as_ref().ok_or(MixedError::NotQuantised)?;
    let all: BTreeSet<String> = quantisation.convolutions.keys().cloned().collect();
    let steps = steps(&quantised.graph, &all);
    let all_bytes = milliseconds(quantised)?;
    let weights = folded(float);
    let mut measured = Vec::with_capacity(steps.len());
    for (index, convolutions) in steps.iter().enumerate() {
        if progress(index, steps.len()).is_break() {
            return Err(MixedError::Cancelled);
        }
        let step: BTreeSet<String> = convolutions.iter().cloned().collect();
        let others: BTreeSet<String> = all.difference(&step).cloned().collect();
        let alone = judge.verdict(&with_weights(&weights, quantised, &others)?)?;
        measured.push(Sensitivity {
            convolutions: convolutions.clone(),
            damage: 100.0 - alone.fidelity,
            milliseconds: milliseconds(&with_weights(&weights, quantised, &step)?)? - all_bytes,
        });
    }
    Ok(measured)
}

/// Returns the model with those steps in f32 that save the most fidelity for their time and together take at most `budget` longer
/// per image on one thread.
///
/// # Errors
/// As [`sensitivity`].
pub fn mixed(
    float: &Model,
    quantised: &Model,
    steps: &[Sensitivity],
    budget: Duration,
) -> Result<Model, MixedError> {
    let limit = milliseconds(quantised)? + 1e3 * budget.as_secs_f64();
    let weights = folded(float);
    let value = |step: &Sensitivity| step.damage / step.milliseconds.max(LEAST_MILLISECONDS);
    let mut order: Vec<&Sensitivity> = steps.iter().filter(|step| step.damage > LEAST_DAMAGE).collect();
    order.sort_by(|a, b| value(b).total_cmp(&value(a)));
    let mut chosen = BTreeSet::new();
    let mut best = quantised.clone();
    for step in order {
        let mut more = chosen.clone();
        more.extend(step.convolutions.iter().cloned());
        let candidate = with_weights(&weights, quantised, &more)?;
        // Steps beside each other cost less than the sum of their times, so the whole network is measured.
        if milliseconds(&candidate)? <= limit {
            (chosen, best) = (more, candidate);
        }
    }
    Ok(best)
}

/// The median time of all steps of a model on one thread.
fn milliseconds(model: &Model) -> Result<f64, MixedError> {
    let plan = prepare(model, &Options::new())?;
    let times = plan.profile(&noise(model.metadata.input_size), RUNS)?;
    Ok(1e3 * times.iter().map(|step| step.seconds).sum::<f64>())
}

/// The convolutions in bytes, in the order of the graph, a depthwise one with the pointwise one that alone reads it.
fn steps(graph: &Graph, convolutions: &BTreeSet<String>) -> Vec<Vec<String>> {
    let fusion = fuse(graph);
    let readers =
        |id: NodeId| graph.nodes.iter().enumerate().filter(move |(_, node)| node.inputs.contains(&id));
    let mut steps: Vec<Vec<String>> = Vec::new();
    let mut joined = BTreeSet::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let Op::Convolution(op) = node.op else { continue };
        if !convolutions.contains(&node.scope) || joined.contains(&index) {
            continue;
        }
        let mut step = vec![node.scope.clone()];
        let last = fusion.block(NodeId(index)).map_or(NodeId(index), |block| block.last);
        let mut after = readers(last);
        if let (true, Some((reader, next)), None) = (op.groups > 1, after.next(), after.next())
            && matches!(next.op, Op::Convolution(op) if op.is_pointwise())
            && convolutions.contains(&next.scope)
        {
            step.push(next.scope.clone());
            joined.insert(reader);
        }
        steps.push(step);
    }
    steps
}
