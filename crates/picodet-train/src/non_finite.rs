//! Diagnosis of a step whose loss or gradient is NaN or infinite.

use picodet_data::Dataset;
use picodet_format::write_atomically;
use picodet_graph::{Graph, Tensor, Weights};
use picodet_weights::write_tensors;

use crate::error::RunError;
use crate::folder::RunFolder;
use crate::group::ProcessGroup;
use crate::loader::{Batch, Batches};
use crate::metrics::BatchMetrics;
use crate::step::Learner;

/// Returns the first place in the order of computation with a value that is NaN or infinite in any process: a map of
/// the head, a loss term, or the gradient of a parameter.
///
/// `metrics` and `gradients` are those of the batch of all processes.
pub(crate) fn first_non_finite(
    graph: &Graph,
    learner: &dyn Learner,
    metrics: &BatchMetrics,
    gradients: &Weights,
    group: &dyn ProcessGroup,
) -> String {
    let is_finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    let mut counts: Vec<f64> = Vec::with_capacity(graph.outputs.len());
    for output in &graph.outputs {
        let is_broken =
            learner.output(&output.name).is_some_and(|map| !map.iter().all(|value| value.is_finite()));
        counts.push(f64::from(u8::from(is_broken)));
    }
    group.all_reduce(&mut counts);
    if let Some(index) = counts.iter().position(|&processes| processes > 0.0) {
        return format!("the map `{}`", graph.outputs[index].name);
    }
    let terms = [
        ("the class loss", metrics.cls),
        ("the box loss", metrics.bbox),
        ("the distribution loss", metrics.dfl),
    ];
    if let Some((name, _)) = terms.into_iter().find(|(_, value)| !value.is_finite()) {
        return name.to_owned();
    }
    // The backward pass runs from the last parameter of the graph to the first.
    let names = graph.params.iter().rev().map(|param| &param.name);
    let mut broken =
        names.filter(|name| gradients.get(*name).is_some_and(|gradient| !is_finite(&gradient.data)));
    let first = broken.next();
    first.map_or_else(|| "the norm of all gradients".to_owned(), |name| format!("the gradient of `{name}`"))
}

/// Saves the batch of a step whose loss or gradient is not finite, and returns the error that describes it.
///
/// Rank 0 saves the batch of all processes; the function returns after that in every process.
///
/// # Errors
/// If the batch cannot be written.
pub(crate) fn save_non_finite(
    folder: &RunFolder,
    dataset: &Dataset,
    batches: &Batches,
    batch: &Batch,
    place: String,
    group: &dyn ProcessGroup,
) -> Result<RunError, RunError> {
    let step = batch.step;
    let path = folder.non_finite_batch(step);
    let whole = batches.sampler().batch_of(step);
    let names: Vec<&str> = whole.iter().map(|&image| dataset.images[image].file.as_str()).collect();
    let images = names.join(", ");
    if group.is_first() {
        let whole = if group.size() > 1 { Some(batches.clone().with_shard(0, 1).make(step)?) } else { None };
        let bytes = batch_bytes(whole.as_ref().unwrap_or(batch), &images, &place);
        write_atomically(&path, &bytes).map_err(|source| RunError::File { path: path.clone(), source })?;
    }
    group.barrier();
    Ok(RunError::NonFinite { step, place, images, saved: path })
}

/// Returns a safetensors file with the pixels of a batch, and its objects in the metadata.
fn batch_bytes(batch: &Batch, images: &str, place: &str) -> Vec<u8> {
    let tensor = Tensor { shape: batch.shape.to_vec(), data: batch.pixels.clone() };
    let objects: Vec<_> = batch.truths.iter().map(|truth| (&truth.boxes, &truth.classes)).collect();
    let entries = [
        ("images".to_owned(), images.to_owned()),
        ("place".to_owned(), place.to_owned()),
        ("truths".to_owned(), serde_json::json!(objects).to_string()),
    ];
    write_tensors(&Weights::from([("image".to_owned(), tensor)]), &entries.into_iter().collect())
}
