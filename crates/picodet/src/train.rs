//! Training from a dataset to a model: new and resumed runs, and the evaluation during a run.

mod quantised;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use picodet_data::Dataset;
use picodet_detect::{Model, Options};
use picodet_eval::Parameters;
use picodet_format::write_atomically;
use picodet_graph::Graph;
use picodet_image::Limits;
use picodet_train::group::{ProcessGroup, SingleProcess};
use picodet_train::loader::{Batch, Batches, data_digest};
use picodet_train::memory::{self, Choice, ChoiceError};
use picodet_train::quantised::QuantisedLearner;
use picodet_train::run::run_learner;
use picodet_train::sampler::Sampler;
use picodet_train::state::{CheckpointError, Progress, State};
use picodet_train::transfer::{Transfer, TransferError, initial_weights, known_classes, transfer};
use picodet_train::{
    BackendError, CpuNetwork, Ending, EvaluatorError, Event, Experiment, ExperimentError, HeadGradients,
    Learner, ModelMetrics, RunError, RunFolder, RunOptions, SingleNetwork, TrainingBackend,
};
use serde::{Deserialize, Serialize};

pub use self::quantised::{QuantisedRequest, quantised_experiment};
use crate::evaluate::{EvaluateError, GroundTruths, detect_together, match_classes};

/// Images on which the statistics of folded batch norms are measured.
const MEASURED_IMAGES: usize = 16;
/// Seed of the choice of validation images, so that runs with different seeds are comparable.
const VALIDATION_SEED: u64 = 0;
/// File name of the dataset paths in the folder of a run.
const DATA_FILE: &str = "data.json";

/// Paths of the datasets of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetPaths {
    /// The training dataset, in any format.
    pub data: PathBuf,
    /// Its split.
    pub split: Option<String>,
    /// The validation dataset; `None` for the training dataset.
    pub validation: Option<PathBuf>,
    /// Its split.
    pub validation_split: Option<String>,
    /// The share of the training images that is set aside for validation, instead of a validation dataset.
    #[serde(default)]
    pub validation_share: Option<f64>,
    /// Whether crowd regions are read as ordinary objects.
    #[serde(default)]
    pub crowds_as_objects: bool,
    /// Maximum number of pixels of a decoded image; `None` for the default of [`Limits`].
    #[serde(default)]
    pub max_pixels: Option<u64>,
}

impl DatasetPaths {
    /// Returns the limits on the images of the datasets.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.max_pixels.map_or_else(Limits::default, Limits::new)
    }

    /// Whether an evaluation would be of the training images.
    #[must_use]
    pub fn evaluates_training_images(&self) -> bool {
        let same_data = self.validation.as_ref().is_none_or(|path| *path == self.data);
        // Without a split, all of them are read.
        let all = self.split.is_none() || self.validation_split.is_none();
        let same_split = all || self.split == self.validation_split;
        self.validation_share.is_none() && same_data && same_split
    }
}

/// Settings of a new run.
#[derive(Clone, Debug)]
pub struct Request {
    /// The network and its recipe.
    pub experiment: Experiment,
    /// The datasets.
    pub paths: DatasetPaths,
    /// A model with the initial weights; `None` for random weights.
    pub weights: Option<Model>,
    /// Images per batch.
    pub batch: usize,
    /// Random seed.
    pub seed: u64,
    /// Name prefixes of parameters that are not trained.
    pub frozen: Vec<String>,
    /// Threads that compute gradients.
    pub threads: usize,
}

/// An error that keeps a run from starting, or ends it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The experiment is invalid.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// A dataset cannot be read.
    #[error(transparent)]
    Data(#[from] picodet_data::DataError),
    /// The dataset has changed since the start of the run.
    #[error(
        "{} is not the data that this run started with; start a new run with --weights {}",
        data.display(),
        model.display()
    )]
    OtherData {
        /// The dataset.
        data: PathBuf,
        /// The last model of the run.
        model: PathBuf,
    },
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The initial weights cannot be transferred.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// The quantised model that training starts from does not belong to the float model.
    #[error("the quantised model does not belong to the float model: {0}")]
    Quantised(picodet_graph::CheckError),
    /// No batch size can be chosen.
    #[error(transparent)]
    Batch(#[from] ChoiceError),
    /// The network cannot be trained on the device.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The run ended early.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The underlying I/O error.
        source: std::io::Error,
    },
}

/// A run that can be started or resumed.
#[derive(Debug)]
pub struct Trainer {
    /// The state.
    pub state: State,
    /// The training dataset.
    pub dataset: Arc<Dataset>,
    /// The validation dataset.
    pub validation: Dataset,
    /// The weights that were transferred from another model.
    pub transfer: Option<Transfer>,
    /// The paths of the datasets.
    pub paths: DatasetPaths,
}

impl Trainer {
    /// Prepares a new run.
    ///
    /// # Errors
    /// If a dataset or the initial weights cannot be used.
    pub fn new(request: Request) -> Result<Self, TrainError> {
        let Request { experiment, paths, weights: from, batch, seed, frozen, threads } = request;
        experiment.check()?;
        let (dataset, validation) = open_datasets(&paths)?;
        let classes: Vec<String> = dataset.classes.iter().map(|class| class.name.clone()).collect();
        let variant = experiment.variant()?;
        let progress = Progress {
            seed,
            batch,
            images: dataset.images.len(),
            data: data_digest(&dataset),
            classes: classes.clone(),
            frozen,
            origin: match &from {
                Some(model) => format!("{} ({})", model.metadata.variant, model.metadata.origin),
                None => "random weights".to_owned(),
            },
            licence: from.as_ref().map_or("unknown", |model| &model.metadata.licence).to_owned(),
            threads,
            evaluates_training_images: paths.evaluates_training_images(),
            evaluates_start: from.as_ref().is_some_and(|from| known_classes(&classes, from) == classes.len()),
            ..Progress::new(experiment)
        };
        let graph = picodet_model::graph_of(&variant.architecture, classes.len(), false);
        let mut state = State::new(progress, initial_weights(&graph, seed));
        let mut transferred = None;
        if let Some(model) = &from {
            let batch = plain_batch(&state, &dataset, model.metadata.input_size, paths.limits())?;
            transferred = Some(transfer(&graph, &mut state.weights, &classes, model, &batch)?);
        }
        Ok(Self { state, dataset: Arc::new(dataset), validation, transfer: transferred, paths })
    }

    /// Reads a run from the last checkpoint in its folder.
    ///
    /// # Errors
    /// If the checkpoint or a dataset cannot be read, or the training dataset has changed.
    pub fn resume(folder: &Path) -> Result<Self, TrainError> {
        let files = RunFolder::new(folder);
        let state = State::read(&files.checkpoint())?;
        let path = folder.join(DATA_FILE);
        let text = std::fs::read(&path).map_err(|source| TrainError::File { path: path.clone(), source })?;
        let paths: DatasetPaths = serde_json::from_slice(&text)
            .map_err(|source| TrainError::File { path: path.clone(), source: source.into() })?;
        let (dataset, validation) = open_datasets(&paths)?;
        if data_digest(&dataset) != state.progress.data {
            return Err(TrainError::OtherData { data: paths.data, model: files.last_model() });
        }
        Ok(Self { state, dataset: Arc::new(dataset), validation, transfer: None, paths })
    }

    /// Creates the folder of the run with the dataset paths.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn make_folder(&self, folder: &Path) -> Result<(), TrainError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TrainError::File { path, source }
        };
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
        let path = folder.join(DATA_FILE);
        let text = serde_json::to_string_pretty(&self.paths).unwrap_or_default();
        write_atomically(&path, text.as_bytes()).map_err(failed(&path))
    }

    /// Trains until all epochs are done, a limit is reached, or a signal is received. The folder of `options` must exist.
    /// `device` is `cpu`, or a device of burn that the program was built with.
    ///
    /// # Errors
    /// See [`RunError`]; the last checkpoint stays valid.
    pub fn run(
        &mut self,
        options: &RunOptions,
        device: &str,
        listen: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Ending, TrainError> {
        if let (Some(network), Some(settings)) = (&self.state.quantised, self.state.progress.quantised) {
            let learner = QuantisedLearner::new(network, settings, self.state.progress.threads);
            return self.run_learner(&mut learner.map_err(BackendError::from)?, options, listen);
        }
        let graph = self.state.training_graph(&self.state.progress.experiment.variant()?);
        let mut backend = backend(&self.state, &graph, device, &options.group)?;
        self.run_learner(&mut SingleNetwork::new(backend.as_mut()), options, listen)
    }

    /// As [`Trainer::run`], for several networks that share the parameters of the state.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub fn run_learner(
        &mut self,
        learner: &mut dyn Learner,
        options: &RunOptions,
        listen: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Ending, TrainError> {
        let threads = self.state.progress.threads;
        let validation = &self.validation;
        let detection = Options::default().with_limits(options.limits);
        let is_quantised = self.state.quantised.is_some();
        let mut evaluate = |model: &Model| {
            // A network that learns from another one may see images of other classes, or without labels.
            if is_quantised && match_classes(model, validation).is_err() {
                return Ok(ModelMetrics { map: -1.0, map50: -1.0 });
            }
            measure_together(model, validation, &detection, threads, &*options.group)
                .map_err(EvaluatorError::new)
        };
        let dataset = Arc::clone(&self.dataset);
        Ok(run_learner(&mut self.state, dataset, learner, options, &mut evaluate, listen)?)
    }
}

/// Chooses the largest batch for the training dataset of `paths` that fits into half of the free memory, on the CPU;
/// `cache` is the size of the cache of decoded images in bytes.
///
/// # Errors
/// If the dataset cannot be read, or the free memory is unknown or too small.
pub fn automatic_batch(
    experiment: &Experiment,
    paths: &DatasetPaths,
    frozen: &[String],
    cache: usize,
) -> Result<Choice, TrainError> {
    let dataset = Dataset::open(&paths.data, paths.split.as_deref())?;
    let cost = memory::cost(experiment, dataset.classes.len(), frozen, cache)?;
    let free = memory::free().ok_or(ChoiceError::Unknown)?;
    Ok(memory::choose(cost, free, experiment.batch.images, dataset.images.len())?)
}

/// Adapts a recipe to fine-tuning `model` on the training dataset of `paths`, see [`Experiment::fine_tune`].
///
/// Returns the images, the classes, and the number of classes that the model knows; `None` if the dataset is large and the
/// recipe unchanged.
///
/// # Errors
/// If a dataset cannot be read.
pub fn fine_tune(
    experiment: &mut Experiment,
    paths: &DatasetPaths,
    model: &Model,
) -> Result<Option<[usize; 3]>, TrainError> {
    let (dataset, _) = open_datasets(paths)?;
    let classes: Vec<String> = dataset.classes.iter().map(|class| class.name.clone()).collect();
    let known = known_classes(&classes, model);
    let images = dataset.images.len();
    let is_adapted = experiment.fine_tune(images, known == classes.len());
    Ok(is_adapted.then_some([images, classes.len(), known]))
}

/// Creates the backend of a device.
fn backend(
    state: &State,
    graph: &Graph,
    device: &str,
    group: &Arc<dyn ProcessGroup>,
) -> Result<Box<dyn TrainingBackend>, BackendError> {
    let progress = &state.progress;
    if device == "cpu" {
        let mut network =
            CpuNetwork::new(graph, progress.threads, &progress.frozen, progress.seed, progress.step)?;
        network.join(Arc::clone(group), progress.batch);
        return Ok(Box::new(network));
    }
    if group.size() > 1 {
        return Err(BackendError::SingleProcessOnly(device.to_owned()));
    }
    #[cfg(feature = "burn")]
    if device == "flex" {
        return Ok(Box::new(picodet_train::fused::FusedBurnNetwork::new(graph, progress.threads)?));
    }
    #[cfg(feature = "burn")]
    {
        use picodet_train::network::{BurnNetwork, device as burn_device};
        Ok(Box::new(BurnNetwork::new(graph, burn_device(device)?)))
    }
    #[cfg(not(feature = "burn"))]
    Err(BackendError::UnknownDevice(device.to_owned()))
}

/// Evaluates a model on a dataset.
///
/// # Errors
/// If the model cannot be run or an image cannot be read.
pub fn measure(model: &Model, dataset: &Dataset, threads: usize) -> Result<ModelMetrics, EvaluateError> {
    measure_together(model, dataset, &Options::default(), threads, &SingleProcess)
}

/// As [`measure`], each process of a group on its shard of the images.
fn measure_together(
    model: &Model,
    dataset: &Dataset,
    options: &Options,
    threads: usize,
    group: &dyn ProcessGroup,
) -> Result<ModelMetrics, EvaluateError> {
    let detections = detect_together(model, options, dataset, threads, group)?;
    let truth = GroundTruths::of(dataset);
    let evaluator = picodet_eval::Evaluator::new(
        &truth.image_ids,
        &truth.categories,
        &truth.objects,
        &detections,
        Parameters { threads, ..Parameters::default() },
    )?;
    let summary = evaluator.evaluate().summary();
    Ok(ModelMetrics { map: summary.ap, map50: summary.ap50 })
}

/// Opens the training and the validation dataset.
///
/// # Errors
/// If a dataset cannot be read.
pub fn open_datasets(paths: &DatasetPaths) -> Result<(Dataset, Dataset), TrainError> {
    let mut dataset = Dataset::open(&paths.data, paths.split.as_deref())?;
    if paths.crowds_as_objects {
        dataset.crowds_as_objects();
    }
    if let Some(share) = paths.validation_share {
        let parts = [("train", 1.0 - share), ("val", share)];
        let mut parts = picodet_data::split(&dataset, &parts, VALIDATION_SEED)?.into_iter();
        if let (Some(train), Some(validation)) = (parts.next(), parts.next()) {
            return Ok((train, validation));
        }
    }
    let validation_path = paths.validation.as_ref().unwrap_or(&paths.data);
    let mut validation = Dataset::open(validation_path, paths.validation_split.as_deref())?;
    if paths.crowds_as_objects {
        validation.crowds_as_objects();
    }
    Ok((dataset, validation))
}

/// Prepares a batch of one input size without augmentation.
pub(crate) fn plain_batch(
    state: &State,
    dataset: &Dataset,
    size: (usize, usize),
    limits: Limits,
) -> Result<Batch, TrainError> {
    let mut recipe = state.batch_recipe(&state.progress.experiment.variant()?);
    recipe.augmentation.clear();
    recipe.sizes = vec![size];
    recipe.interpolations = vec![picodet_image::Interpolation::Cubic];
    let batch = MEASURED_IMAGES.min(dataset.images.len());
    if batch == 0 {
        return Err(RunError::NoImages.into());
    }
    let sampler = Sampler { batch, ..state.sampler(dataset.images.len()) };
    let batches = Batches::new(Arc::new(dataset.clone()), sampler, recipe, 0).with_limits(limits);
    Ok(batches.make(0).map_err(RunError::Image)?)
}

/// Overfits one batch without augmentation for at most `time`, to check that data and network match. The state of the
/// trainer does not change. Returns the first and the last loss.
///
/// # Errors
/// If the batch cannot be read or the network cannot be differentiated.
pub fn overfit(trainer: &Trainer, time: Duration) -> Result<[f64; 2], TrainError> {
    const STEPS: usize = 150;
    const LEARNING_RATE: f32 = 0.01;
    let mut state = trainer.state.clone();
    let experiment = state.progress.experiment.clone();
    let variant = &experiment.variant()?;
    let size = state.batch_recipe(variant).sizes[0];
    let batch = plain_batch(&state, &trainer.dataset, size, trainer.paths.limits())?;
    let graph = state.training_graph(variant);
    let strides = variant.architecture.strides();
    let progress = &state.progress;
    let mut network = CpuNetwork::new(&graph, progress.threads, &progress.frozen, progress.seed, 0)
        .map_err(BackendError::from)?;
    let start = Instant::now();
    let mut losses = Vec::new();
    let mut head = HeadGradients::default();
    while losses.len() < STEPS && (losses.len() < 2 || start.elapsed() < time) {
        network.forward(&state.weights, batch.view())?;
        let loss = experiment.objective().compute_loss(
            |name| network.output(name),
            &strides,
            &batch.truths,
            usize::MAX,
            (&SingleProcess, progress.threads),
            &mut head,
        );
        losses.push(loss.loss.total());
        let gradients = network.backward(&head.outputs())?;
        state.momentum.step(&graph, &mut state.weights, &gradients, LEARNING_RATE);
    }
    Ok([losses[0], losses[losses.len() - 1]])
}
