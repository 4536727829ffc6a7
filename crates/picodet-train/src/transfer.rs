//! Initial weights of a run: random, or transferred from another model.

use std::collections::BTreeSet;

use picodet_engine::{Engine, PlanError, ReferenceEngine, RunError};
use picodet_graph::{BATCH_NORM_EPSILON, Graph, Initialiser, Op, Output, Role, Tensor, Tensor4, Weights};
use picodet_model::Model;
use picodet_zoo::{HeadMap, REG_CHANNELS};

use crate::loader::Batch;
use crate::random::{Purpose, Stream};

/// Draws the parameters of a graph from their initialisers.
pub fn initial_weights(graph: &Graph, seed: u64) -> Weights {
    let draw = |(index, param): (usize, &picodet_graph::Param)| {
        let mut stream = Stream::new(seed, Purpose::Initialisation, index as u64, 0);
        let mut value = || match param.initialiser {
            Initialiser::Constant(value) => value,
            Initialiser::Normal { std } => (stream.normal() * f64::from(std)) as f32,
            Initialiser::Uniform { limit } => stream.uniform(-f64::from(limit), f64::from(limit)) as f32,
        };
        let data = (0..param.len()).map(|_| value()).collect();
        (param.name.clone(), Tensor { shape: param.shape.clone(), data })
    };
    graph.params.iter().enumerate().map(draw).collect()
}

/// An error in transferring the weights of another model.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The network cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The network cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// The result of a transfer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Number of tensors that were copied.
    pub taken: usize,
    /// Classes whose predictions were copied, if the classes differ.
    pub classes: Vec<String>,
    /// Tensors of the predictions of which some rows were copied, if the classes differ.
    pub resized: Vec<String>,
    /// Tensors that stay random.
    pub fresh: Vec<String>,
    /// Number of folded batch norms whose statistics were measured.
    pub unfolded: usize,
}

/// Copies the weights of another model that match: tensors of the same name and shape; of the predictions, the rows of the
/// boxes and of classes with the same name.
///
/// Batch norms that are folded into their convolutions are restored: the network runs on `batch`, and each batch norm gets
/// the mean and variance of its input there, with the scale and shift that cancel them. The result of inference does not
/// change.
///
/// # Errors
/// If the network cannot be run.
pub fn transfer(
    graph: &Graph,
    weights: &mut Weights,
    classes: &[String],
    from: &Model,
    batch: &Batch,
) -> Result<Transfer, TransferError> {
    let mut report = Transfer::default();
    let (source, unfolded) = match from.metadata.folded {
        true => unfold(graph, &from.weights),
        false => (from.weights.clone(), Vec::new()),
    };
    let rows = class_rows(classes, from);
    let same_classes =
        from.metadata.classes.len() == classes.len() && rows.iter().copied().eq((0..rows.len()).map(Some));
    let predictions = prediction_params(graph);
    for param in &graph.params {
        let (Some(theirs), Some(ours)) = (source.get(&param.name), weights.get_mut(&param.name)) else {
            report.fresh.push(param.name.clone());
            continue;
        };
        if theirs.shape == param.shape && (same_classes || !predictions.contains(&param.name)) {
            ours.data.clone_from(&theirs.data);
            report.taken += 1;
        } else if predictions.contains(&param.name) && theirs.shape.get(1..) == param.shape.get(1..) {
            take_rows(ours, theirs, &rows, from.metadata.classes.len());
            report.resized.push(param.name.clone());
        } else {
            report.fresh.push(param.name.clone());
        }
    }
    if !same_classes {
        let known = classes.iter().zip(&rows).filter(|(_, row)| row.is_some());
        report.classes = known.map(|(class, _)| class.clone()).collect();
    }
    report.unfolded = unfolded.len();
    if !unfolded.is_empty() {
        measure_batch_norms(graph, weights, &unfolded, batch)?;
    }
    Ok(report)
}

/// Returns, for each class, its row in the predictions of another model, which goes by the name.
fn class_rows(classes: &[String], from: &Model) -> Vec<Option<usize>> {
    let plain = |name: &String| name.trim().to_lowercase();
    let theirs: Vec<String> = from.metadata.classes.iter().map(plain).collect();
    classes.iter().map(|class| theirs.iter().position(|other| *other == plain(class))).collect()
}

/// Returns the number of classes that another model was trained on, by their names.
#[must_use]
pub fn known_classes(classes: &[String], from: &Model) -> usize {
    class_rows(classes, from).iter().flatten().count()
}

/// Returns the parameters of the class prediction.
fn prediction_params(graph: &Graph) -> BTreeSet<String> {
    let logits = graph
        .outputs
        .iter()
        .filter(|output| matches!(HeadMap::of(&output.name), Some((HeadMap::ClassLogit, _))));
    let nodes = logits.map(|output| {
        let node = graph.node(output.node);
        if matches!(node.op, Op::Slice { .. }) { graph.node(node.inputs[0]) } else { node }
    });
    nodes.flat_map(|node| graph.params_of(node)).map(|param| param.name.clone()).collect()
}

/// Copies the rows of known classes, and those of the boxes if they are in the same tensor.
fn take_rows(ours: &mut Tensor, theirs: &Tensor, rows: &[Option<usize>], their_classes: usize) {
    let row = ours.data.len() / ours.shape[0].max(1);
    let mut copy = |to: usize, of: usize| {
        if let (Some(to), Some(of)) =
            (ours.data.get_mut(to * row..(to + 1) * row), theirs.data.get(of * row..(of + 1) * row))
        {
            to.copy_from_slice(of);
        }
    };
    rows.iter().enumerate().filter_map(|(to, of)| Some((to, (*of)?))).for_each(|(to, of)| copy(to, of));
    if has_boxes(theirs, their_classes) {
        (0..REG_CHANNELS).for_each(|side| copy(rows.len() + side, their_classes + side));
    }
}

fn has_boxes(tensor: &Tensor, classes: usize) -> bool {
    tensor.shape.first() == Some(&(classes + REG_CHANNELS))
}

/// Returns the weights of a folded model for the graph with batch norms, each of which only adds the bias of its folded
/// convolution, and the nodes of these batch norms.
fn unfold(graph: &Graph, folded: &Weights) -> (Weights, Vec<usize>) {
    let mut weights = folded.clone();
    let mut unfolded = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.op == Op::BatchNorm) {
        let convolution = graph.node(node.inputs[0]);
        let Some(bias) = folded.get(&format!("{}.bias", convolution.scope)) else { continue };
        let has_own_bias = graph.params_of(convolution).any(|param| param.role == Role::Bias);
        for param in graph.params_of(node) {
            let data = match param.role {
                Role::Beta if !has_own_bias => bias.data.clone(),
                Role::Beta | Role::RunningMean => vec![0.0; param.len()],
                Role::RunningVariance => vec![(1.0 - BATCH_NORM_EPSILON) as f32; param.len()],
                _ => vec![1.0; param.len()],
            };
            weights.insert(param.name.clone(), Tensor { shape: param.shape.clone(), data });
        }
        unfolded.push(index);
    }
    (weights, unfolded)
}

/// Sets batch norms to the statistics of their input over a batch, with a scale and shift that keep their output.
fn measure_batch_norms(
    graph: &Graph,
    weights: &mut Weights,
    norms: &[usize],
    batch: &Batch,
) -> Result<(), TransferError> {
    let mut watched = graph.clone();
    let watch = |norm: &usize| Output { name: format!("input.{norm}"), node: graph.nodes[*norm].inputs[0] };
    watched.outputs = norms.iter().map(watch).collect();
    let [images, _, height, width] = batch.shape;
    let plan = ReferenceEngine::<f32>::new().plan(&watched, weights, (height, width))?;
    // Sum and sum of squares of each channel of the input of each batch norm.
    let mut sums: Vec<Vec<[f64; 2]>> = vec![Vec::new(); norms.len()];
    let mut counts = vec![0.0; norms.len()];
    for pixels in batch.pixels.chunks_exact((batch.pixels.len() / images.max(1)).max(1)) {
        let Ok(image) = Tensor4::new([1, 3, height, width], pixels.to_vec()) else { continue };
        for (place, (_, feature)) in plan.run(&image)?.iter().enumerate() {
            counts[place] += feature.plane() as f64;
            sums[place].resize(feature.shape[1], [0.0; 2]);
            for (sum, values) in sums[place].iter_mut().zip(feature.data.chunks_exact(feature.plane())) {
                for &value in values {
                    sum[0] += f64::from(value);
                    sum[1] += f64::from(value) * f64::from(value);
                }
            }
        }
    }
    for ((&norm, sums), count) in norms.iter().zip(&sums).zip(counts) {
        for param in graph.params_of(&graph.nodes[norm]) {
            let Some(tensor) = weights.get_mut(&param.name) else { continue };
            for (value, [sum, squares]) in tensor.data.iter_mut().zip(sums) {
                let mean = sum / count;
                let variance = (squares / count - mean * mean).max(0.0);
                *value = match param.role {
                    Role::Gamma => (variance + BATCH_NORM_EPSILON).sqrt() as f32,
                    Role::Beta => (f64::from(*value) + mean) as f32,
                    Role::RunningMean => mean as f32,
                    _ => variance as f32,
                };
            }
        }
    }
    Ok(())
}
