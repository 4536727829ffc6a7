//! What comes out of a run: the averaged model, and what is known about a value that is no number.

use std::path::Path;

use picodet_data::Dataset;
use picodet_format::write_atomically;
use picodet_graph::{Graph, Tensor, Weights, pass};
use picodet_model::{Model, graph_of};
use picodet_weights::{Metadata, Storage, write_tensors};
use picodet_zoo::Variant;

use crate::group::Group;
use crate::loader::{Batch, Batches};
use crate::run::{Network, RunError};
use crate::state::State;
use crate::totals::Totals;

/// The averaged weights as a model that detects.
pub fn model_of(state: &State, variant: &'static Variant, weights: Weights, epochs: usize) -> Model {
    let progress = &state.progress;
    let graph = graph_of(&variant.architecture, progress.classes.len(), false);
    let published = progress.classes.iter().map(String::as_str).eq(variant.classes.iter().copied());
    let sizes = &progress.experiment.batch.sizes;
    let middle = sizes.get(sizes.len() / 2).map_or(variant.input_size, |size| size.pair());
    let metadata = Metadata {
        variant: variant.name.to_owned(),
        classes: progress.classes.clone(),
        category_ids: match published {
            true => variant.category_ids(),
            false => (1..=progress.classes.len() as u32).collect(),
        },
        input_size: middle,
        mean: variant.mean,
        std: variant.std,
        resize: "cubic".to_owned(),
        strides: variant.architecture.strides(),
        folded: false,
        origin: format!("trained by picodet for {epochs} epochs from {}", progress.origin),
        licence: progress.licence.clone(),
        ..Metadata::default()
    };
    let weights = pass::keep_weights(&graph, &weights);
    Model { variant, graph, weights, metadata }
}

pub(crate) fn write_model(path: &Path, model: &Model) -> Result<(), RunError> {
    write_atomically(path, &model.to_bytes(Storage::F32))
        .map_err(|source| RunError::File { path: path.to_path_buf(), source })
}

/// Where a value that is no number is found first, on the way of the computation, by any member of the group.
/// `totals` and `gradients` are those of the whole batch.
pub(crate) fn first_non_finite(
    graph: &Graph,
    network: &mut dyn Network,
    totals: &Totals,
    gradients: &Weights,
    group: &dyn Group,
) -> String {
    let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    let is_broken =
        |name: &str, network: &mut dyn Network| network.output(name).is_some_and(|map| !finite(&map.data));
    let mut broken_maps: Vec<f64> =
        graph.outputs.iter().map(|output| f64::from(u8::from(is_broken(&output.name, network)))).collect();
    group.sum(&mut broken_maps);
    if let Some(place) = broken_maps.iter().position(|&members| members > 0.0) {
        return format!("the map `{}`", graph.outputs[place].name);
    }
    let terms = [
        ("the class loss", totals.cls),
        ("the box loss", totals.bbox),
        ("the distribution loss", totals.dfl),
    ];
    if let Some((name, _)) = terms.into_iter().find(|(_, value)| !value.is_finite()) {
        return name.to_owned();
    }
    // Backward goes from the head down: the last parameter of the graph is met first.
    let params = graph.params.iter().rev();
    let broken = params
        .map(|param| &param.name)
        .find(|name| gradients.get(*name).is_some_and(|gradient| !finite(&gradient.data)));
    broken.map_or_else(|| "the norm of all gradients".to_owned(), |name| format!("the gradient of `{name}`"))
}

/// Saves a batch that gave a value that is no number, and says all that is known about it. The first member saves the
/// whole batch; when this returns, that is done.
pub(crate) fn save_non_finite(
    folder: &Path,
    dataset: &Dataset,
    batches: &Batches,
    batch: &Batch,
    place: String,
    group: &dyn Group,
) -> Result<RunError, RunError> {
    let step = batch.step;
    let path = folder.join(format!("non_finite_step_{step}.safetensors"));
    let whole = batches.sampler().batch_of(step);
    let names: Vec<&str> = whole.iter().map(|&image| dataset.images[image].file.as_str()).collect();
    let images = names.join(", ");
    if group.is_first() {
        let made = if group.size() > 1 { Some(batches.clone().share(0, 1).make(step)?) } else { None };
        let batch = made.as_ref().unwrap_or(batch);
        let tensor = Tensor { shape: batch.shape.to_vec(), data: batch.pixels.clone() };
        let truths = serde_json::json!(
            batch.truths.iter().map(|truth| (&truth.boxes, &truth.classes)).collect::<Vec<_>>()
        );
        let entries = [
            ("images".to_owned(), images.clone()),
            ("place".to_owned(), place.clone()),
            ("truths".to_owned(), truths.to_string()),
        ];
        let bytes =
            write_tensors(&Weights::from([("image".to_owned(), tensor)]), &entries.into_iter().collect());
        write_atomically(&path, &bytes).map_err(|source| RunError::File { path: path.clone(), source })?;
    }
    group.barrier();
    Ok(RunError::NonFinite { step, place, images, saved: path.display().to_string() })
}
