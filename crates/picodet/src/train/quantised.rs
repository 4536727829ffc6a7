//! Training with quantisation: from a float model and its quantisation after training, on images with or without labels.

use std::sync::Arc;

use picodet_data::Dataset;
use picodet_graph::{CheckError, Op, Weights, pass};
use picodet_model::Model;
use picodet_train::Experiment;
use picodet_train::loader::data_digest;
use picodet_train::quantised::{QuantisedNetwork, QuantisedTraining};
use picodet_train::recipes::recipe;
use picodet_train::state::{Progress, State};

use super::{DatasetPaths, TrainError, Trainer};

/// Weight of the loss against the labels, where there are any.
const LABELS: f64 = 0.3;

/// Settings of a new run with quantisation.
#[derive(Clone, Debug)]
pub struct QuantisedRequest<'a> {
    /// The float model, whose detections are the aim.
    pub float: &'a Model,
    /// Its quantisation after training, from which the run starts.
    pub start: &'a Model,
    /// The recipe; see [`quantised_experiment`].
    pub experiment: Experiment,
    /// The settings; `None` for labels where the classes of the dataset are those of the model.
    pub settings: Option<QuantisedTraining>,
    /// The training images.
    pub dataset: Dataset,
    /// The images that the model is evaluated on; without objects, there is no mAP.
    pub validation: Dataset,
    /// The paths of these, for [`Trainer::resume`].
    pub paths: DatasetPaths,
    /// Images per batch.
    pub batch: usize,
    /// Random seed.
    pub seed: u64,
    /// Threads that compute gradients.
    pub threads: usize,
}

/// Returns the recipe of training with quantisation for a model and a number of images.
///
/// # Errors
/// If the network of the model has no recipe.
pub fn quantised_experiment(model: &Model, images: usize) -> Result<Experiment, TrainError> {
    let mut experiment = recipe(model.variant.name)?;
    experiment.architecture = model.variant.overrides();
    experiment.quantise(images, model.metadata.input_size, &model.metadata.resize);
    Ok(experiment)
}

impl Trainer {
    /// Prepares a new run with quantisation.
    ///
    /// # Errors
    /// [`TrainError::Quantised`] if `start` is no quantisation of `float`.
    pub fn quantised(request: QuantisedRequest<'_>) -> Result<Self, TrainError> {
        let QuantisedRequest { float, start, experiment, settings, dataset, validation, paths, .. } = request;
        experiment.check()?;
        let network = training_network(float, start).map_err(TrainError::Quantised)?;
        let classes = float.metadata.classes.clone();
        let has_labels =
            dataset.object_count() > 0 && dataset.classes.iter().map(|class| &class.name).eq(&classes);
        let settings = settings.unwrap_or_else(|| {
            QuantisedTraining::default().with_labels(if has_labels { LABELS } else { 0.0 })
        });
        let progress = Progress {
            seed: request.seed,
            batch: request.batch,
            images: dataset.images.len(),
            data: data_digest(&dataset),
            classes,
            origin: format!("{} ({})", float.metadata.variant, float.metadata.origin),
            licence: float.metadata.licence.clone(),
            threads: request.threads,
            evaluates_training_images: paths.evaluates_training_images(),
            evaluates_start: validation.object_count() > 0,
            ..Progress::new(experiment)
        };
        let state = State::with_quantisation(progress, network, settings);
        Ok(Self { state, dataset: Arc::new(dataset), validation, transfer: None, paths })
    }
}

/// Returns the network of which `float` and `start` are the float and the quantised form. Convolutions that are not quantised have
/// the weights of `start`, which are rounded as in its file.
fn training_network(float: &Model, start: &Model) -> Result<QuantisedNetwork, CheckError> {
    let (graph, mut weights) = pass::fold_batch_norm(&float.graph, &float.weights);
    let Some(quantisation) = &start.quantisation else {
        return Err(CheckError { problems: vec!["the model is not quantised".to_owned()] });
    };
    let convolutions = graph.nodes.iter().filter(|node| matches!(node.op, Op::Convolution(_)));
    let kept = convolutions.filter(|node| !quantisation.convolutions.contains_key(&node.scope));
    let kept: Weights = kept
        .flat_map(|node| graph.params_of(node))
        .filter_map(|param| Some((param.name.clone(), start.weights.get(&param.name)?.clone())))
        .collect();
    weights.extend(kept);
    QuantisedNetwork::new(&graph, &weights, quantisation)
}
