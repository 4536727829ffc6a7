//! The state of a run: weights, optimiser, moving average and counters, and its checkpoint file.
//!
//! A run that is resumed from a checkpoint continues bitwise as if it had not been stopped; random numbers depend only on
//! the step.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use picodet_format::write_atomically;
use picodet_graph::{CheckError, Graph, Tensor, Weights, pass};
use picodet_model::{Model, graph_of, metadata};
use picodet_weights::{QuantisationRecord, ReadError, read_tensors, write_tensors};
use picodet_zoo::Variant;
use serde::{Deserialize, Serialize};

use crate::evaluation::Evaluation;
use crate::loader::BatchRecipe;
use crate::plan::TimePlan;
use crate::quantised::{QuantisedNetwork, QuantisedTraining};
use crate::sampler::Sampler;
use crate::statistics::is_frozen;
use crate::{Experiment, ExperimentError, Momentum, MovingAverage, Objective, Schedule};

/// Version of the checkpoint format.
const FORMAT: u32 = 3;
/// Prefixes of the names of tensors.
const WEIGHT: &str = "weight/";
const AVERAGE: &str = "average/";
const VELOCITY: &str = "velocity/";
const SQUARE: &str = "square/";
/// The method of quantisation in the files of trained models.
const QUANTISED_METHOD: &str = "train";
/// Metadata key of the progress.
const KEY: &str = "picodet.checkpoint";
/// Metadata key of the counters of the moving average.
const AVERAGE_KEY: &str = "picodet.average";

/// The part of the state that is not in tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Version of the format.
    pub format: u32,
    /// Number of finished steps, which is the index of the next batch.
    pub step: usize,
    /// Random seed.
    pub seed: u64,
    /// Images per batch, all processes together.
    pub batch: usize,
    /// Images of the dataset.
    pub images: usize,
    /// Digest of the dataset's files and objects.
    pub data: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Name prefixes of the parameters that are not trained.
    pub frozen: Vec<String>,
    /// The experiment.
    pub experiment: Experiment,
    /// Whether the initial weights are evaluated, since they know all classes.
    #[serde(default)]
    pub evaluates_start: bool,
    /// The best evaluation so far.
    pub best: Option<Evaluation>,
    /// The last evaluation.
    pub last: Option<Evaluation>,
    /// The time limit in seconds into which the length of the run is fitted.
    pub time_limit: Option<f64>,
    /// The length that was fitted into the time limit, once it is measured.
    pub plan: Option<TimePlan>,
    /// Whether the evaluations are of training images, since there is no validation split.
    #[serde(default)]
    pub evaluates_training_images: bool,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Origin of the initial weights.
    pub origin: String,
    /// Licence of the initial weights.
    pub licence: String,
    /// Threads that compute the gradients; another number may round differently.
    pub threads: usize,
    /// Settings of training with quantisation; `None` for float training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantised: Option<QuantisedTraining>,
}

impl Progress {
    /// Returns the progress before the first step, without data and weights.
    #[must_use]
    pub fn new(experiment: Experiment) -> Self {
        Self {
            format: FORMAT,
            step: 0,
            seed: 0,
            batch: experiment.batch.images,
            images: 0,
            data: String::new(),
            classes: Vec::new(),
            frozen: Vec::new(),
            experiment,
            evaluates_start: false,
            best: None,
            last: None,
            time_limit: None,
            plan: None,
            evaluates_training_images: false,
            seconds: 0.0,
            origin: String::new(),
            licence: String::new(),
            threads: 1,
            quantised: None,
        }
    }
}

/// The state of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The part that is not in tensors.
    pub progress: Progress,
    /// Parameters and running statistics of the network; with quantisation, the parameters of [`State::quantised`].
    pub weights: Weights,
    /// The optimiser with its velocities.
    pub momentum: Momentum,
    /// The moving average of the weights.
    pub average: MovingAverage,
    /// The network that is trained with quantisation; `None` for float training.
    pub quantised: Option<QuantisedNetwork>,
}

/// An error in reading or writing a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The underlying I/O error.
        source: std::io::Error,
    },
    /// The file is not a checkpoint of this version.
    #[error("{} is not a checkpoint of this version: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The first error in it.
        source: FormatError,
    },
}

/// An error in the content of a checkpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file is not a safetensors file.
    #[error(transparent)]
    Tensors(#[from] ReadError),
    /// The file is a model.
    #[error("it is a file of weights; start from it with --weights")]
    NotACheckpoint,
    /// The progress or the counters of the moving average cannot be parsed.
    #[error("metadata: {0}")]
    Metadata(#[from] serde_json::Error),
    /// The counters of the moving average are missing.
    #[error("the counters of the moving average are missing")]
    NoAverage,
    /// The version of the format is unknown.
    #[error("it has version {0}; this program reads version {FORMAT}")]
    Version(u32),
    /// The experiment is invalid.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The weights are not those of the network.
    #[error(transparent)]
    Weights(#[from] CheckError),
    /// A velocity or averaged tensor has another length than its parameter.
    #[error("the state of `{0}` does not have the length of its parameter")]
    Length(String),
    /// Tensors of the moving average are missing.
    #[error("the moving average is incomplete")]
    IncompleteAverage,
}

impl State {
    /// Returns the state before the first step.
    #[must_use]
    pub fn new(progress: Progress, weights: Weights) -> Self {
        let (momentum, average) = (progress.experiment.momentum(), progress.experiment.moving_average());
        Self { progress, weights, momentum, average, quantised: None }
    }

    /// Returns the state before the first step of training with quantisation.
    #[must_use]
    pub fn with_quantisation(
        mut progress: Progress,
        network: QuantisedNetwork,
        settings: QuantisedTraining,
    ) -> Self {
        progress.quantised = Some(settings);
        let state = Self::new(progress, network.parameters());
        let momentum = settings.momentum(state.momentum);
        Self { momentum, quantised: Some(network), ..state }
    }

    /// Returns the graph of the network in training; with quantisation, only its parameters and outputs.
    #[must_use]
    pub fn training_graph(&self, variant: &Variant) -> Graph {
        if let Some(network) = &self.quantised {
            return network.parameter_graph();
        }
        Objective::graph(&graph_of(&variant.architecture, self.progress.classes.len(), false))
    }

    /// Returns the sampler of a dataset with this number of images.
    #[must_use]
    pub fn sampler(&self, images: usize) -> Sampler {
        Sampler { images, batch: self.progress.batch, seed: self.progress.seed }
    }

    /// Returns the steps of the run.
    #[must_use]
    pub fn steps(&self, steps_per_epoch: usize) -> usize {
        let whole = self.progress.experiment.epochs * steps_per_epoch;
        self.progress.plan.map_or(whole, |plan| plan.steps)
    }

    /// Returns the learning rate schedule.
    #[must_use]
    pub fn schedule(&self, steps_per_epoch: usize) -> Schedule {
        let experiment = &self.progress.experiment;
        let steps = match self.progress.plan {
            Some(plan) if plan.steps < plan.of_steps => plan.steps,
            _ => experiment.rate.epochs * steps_per_epoch,
        };
        experiment.schedule(self.progress.batch, steps, steps_per_epoch)
    }

    /// Prepares the parameters for the next step of `steps`; with quantisation, integers and scales are fixed towards the end.
    pub(crate) fn settle(&mut self, steps: usize) {
        if let (Some(settings), Some(network)) = (self.progress.quantised, &self.quantised) {
            settings.settle(network, &mut self.weights, &self.average, (self.progress.step, steps));
        }
    }

    /// Removes the gradients of parameters that do not change in the next step of `steps`; `graph` is that of training.
    pub(crate) fn select_gradients(&self, graph: &Graph, gradients: &mut Weights, steps: usize) {
        gradients.retain(|name, _| !is_frozen(&self.progress.frozen, name));
        if let Some(settings) = self.progress.quantised {
            settings.freeze(graph, gradients, (self.progress.step, steps));
        }
    }

    /// Shortens the run to the length of a plan.
    pub(crate) fn follow(&mut self, plan: TimePlan) {
        self.progress.experiment.scale_phases(plan.steps as f64 / plan.of_steps.max(1) as f64);
        self.progress.plan = Some(plan);
    }

    /// Returns the recipe of the batches.
    #[must_use]
    pub fn batch_recipe(&self, variant: &Variant) -> BatchRecipe {
        let experiment = &self.progress.experiment;
        let start = self.quantised.as_ref().map(|network| &network.start);
        let [mean, std] = start.map_or([variant.mean, variant.std], |start| [start.mean, start.std]);
        let epochs = self.progress.plan.map_or(experiment.epochs as f64, |plan| plan.epochs());
        BatchRecipe {
            augmentation: experiment.augmentation(epochs).unwrap_or_default(),
            mosaic_until: experiment.batch.mosaic_until,
            sizes: experiment.batch.sizes.iter().map(|size| size.pair()).collect(),
            interpolations: experiment.interpolations().unwrap_or_default(),
            mean,
            std,
        }
    }

    /// Returns a model with the given weights, such as the averaged ones after `epochs` epochs.
    ///
    /// Its input size is the middle one of the sizes in training.
    #[must_use]
    pub fn model(&self, variant: &Variant, weights: Weights, epochs: usize) -> Model {
        let Progress { classes, experiment, origin, licence, .. } = &self.progress;
        let graph = graph_of(&variant.architecture, classes.len(), self.quantised.is_some());
        let sizes = &experiment.batch.sizes;
        let input_size = sizes.get(sizes.len() / 2).map_or(variant.input_size, |size| size.pair());
        let mut metadata =
            metadata::for_training(variant, classes.clone(), input_size, epochs, origin, licence);
        if let Some(network) = &self.quantised {
            metadata.resize = experiment.batch.interpolations.first().cloned().unwrap_or(metadata.resize);
            (metadata.mean, metadata.std) = (network.start.mean, network.start.std);
            metadata.folded = true;
            metadata.quantisation = Some(QuantisationRecord::new(QUANTISED_METHOD, self.progress.images));
            let quantisation = Some(network.quantisation(&weights));
            let weights = network.float.clone();
            return Model { variant: *variant, graph, weights, metadata, quantisation };
        }
        let weights = pass::keep_weights(&graph, &weights);
        Model { variant: *variant, graph, weights, metadata, quantisation: None }
    }

    /// Returns the bytes of a checkpoint, a safetensors file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut tensors = Weights::new();
        let mut add = |prefix: &str, name: &str, data: &[f32]| {
            let tensor = Tensor { shape: vec![data.len()], data: data.to_vec() };
            tensors.insert(format!("{prefix}{name}"), tensor);
        };
        self.weights.iter().for_each(|(name, tensor)| add(WEIGHT, name, &tensor.data));
        self.average.values.iter().for_each(|(name, data)| add(AVERAGE, name, data));
        self.momentum.velocity.iter().for_each(|(name, data)| add(VELOCITY, name, data));
        self.momentum.squares.iter().for_each(|(name, data)| add(SQUARE, name, data));
        tensors.extend(self.quantised.iter().flat_map(QuantisedNetwork::to_tensors));
        let progress = serde_json::to_string(&self.progress).unwrap_or_default();
        let average = serde_json::to_string(&self.average.counters).unwrap_or_default();
        write_tensors(
            &tensors,
            &BTreeMap::from([(KEY.to_owned(), progress), (AVERAGE_KEY.to_owned(), average)]),
        )
    }

    /// Writes a checkpoint atomically: after a failure the file is the previous one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        write_atomically(path, &self.to_bytes())
            .map_err(|source| CheckpointError::File { path: path.to_path_buf(), source })
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// If the file cannot be read, or its tensors are not those of the network that it names.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let bytes = std::fs::read(path)
            .map_err(|source| CheckpointError::File { path: path.to_path_buf(), source })?;
        Self::from_bytes(&bytes)
            .map_err(|source| CheckpointError::Format { path: path.to_path_buf(), source })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let (mut tensors, entries) = read_tensors(bytes)?;
        let progress: Progress = serde_json::from_str(entries.get(KEY).ok_or(FormatError::NotACheckpoint)?)?;
        if progress.format != FORMAT {
            return Err(FormatError::Version(progress.format));
        }
        progress.experiment.check()?;
        let variant = progress.experiment.variant()?;
        let folded = graph_of(&variant.architecture, progress.classes.len(), true);
        let quantised = QuantisedNetwork::take(&folded, &mut tensors)?;
        let graph = match &quantised {
            Some(network) => network.parameter_graph(),
            None => variant.architecture.graph(progress.classes.len()),
        };
        let mut momentum = progress.experiment.momentum();
        if let Some(settings) = progress.quantised {
            momentum = settings.momentum(momentum);
        }
        let mut average = progress.experiment.moving_average();
        average.counters = serde_json::from_str(entries.get(AVERAGE_KEY).ok_or(FormatError::NoAverage)?)?;
        // Both count updates; an average that restarts belongs to plain steps.
        momentum.steps = momentum.square_decay.map_or(0, |_| average.counters.steps);
        let mut weights = Weights::new();
        for (name, tensor) in tensors {
            if let Some(name) = name.strip_prefix(AVERAGE) {
                average.values.insert(name.to_owned(), tensor.data);
            } else if let Some(name) = name.strip_prefix(VELOCITY) {
                momentum.velocity.insert(name.to_owned(), tensor.data);
            } else if let Some(name) = name.strip_prefix(SQUARE) {
                momentum.squares.insert(name.to_owned(), tensor.data);
            } else if let Some(name) = name.strip_prefix(WEIGHT) {
                let param = graph.params.iter().find(|param| param.name == name);
                let shape = param.map_or_else(|| tensor.shape.clone(), |param| param.shape.clone());
                weights.insert(name.to_owned(), Tensor { shape, data: tensor.data });
            }
        }
        graph.check_weights(&weights)?;
        let fits = |name: &String, data: &Vec<f32>| {
            weights.get(name).is_some_and(|weight| weight.data.len() == data.len())
        };
        let mut states = average.values.iter().chain(&momentum.velocity).chain(&momentum.squares);
        if let Some((name, _)) = states.find(|(name, data)| !fits(name, data)) {
            return Err(FormatError::Length(name.clone()));
        }
        if average.counters.steps > 0 && average.values.len() != weights.len() {
            return Err(FormatError::IncompleteAverage);
        }
        Ok(Self { progress, weights, momentum, average, quantised })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::initial_weights;

    #[test]
    fn a_checkpoint_reads_back_bitwise_and_broken_ones_are_refused() {
        let text = include_str!("../recipes/legacy_s_320.toml");
        let experiment = Experiment::from_toml(text).expect("a valid experiment");
        let graph = experiment.variant().expect("a variant").architecture.graph(2);
        let weights = initial_weights(&graph, 3);
        let progress = Progress {
            seed: 3,
            batch: 8,
            images: 20,
            data: "digest".to_owned(),
            classes: vec!["a".to_owned(), "b".to_owned()],
            frozen: Vec::new(),
            origin: "nowhere".to_owned(),
            licence: "none".to_owned(),
            threads: 2,
            ..Progress::new(experiment)
        };
        let mut state = State::new(progress, weights);
        let gradients: Weights =
            state.weights.iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        state.momentum.step(&graph, &mut state.weights, &gradients, 0.1);
        state.average.update(&state.weights);
        state.average.update(&state.weights);
        state.progress.step = 2;
        state.progress.seconds = 0.1 + 0.2;
        let bytes = state.to_bytes();
        let read = State::from_bytes(&bytes).expect("a checkpoint");
        assert_eq!(read.to_bytes(), bytes);
        assert_eq!(read.weights, state.weights);
        assert_eq!(read.average, state.average);
        assert_eq!(read.momentum, state.momentum);
        for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
            assert!(State::from_bytes(&bytes[..length]).is_err(), "cut at {length}");
        }
    }
}
