//! Training from data to a model: what a run starts from, new or from a checkpoint, and how it is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use picodet_data::Dataset;
use picodet_detect::{Model, Options};
use picodet_eval::{Evaluator, Parameters};
use picodet_format::write_atomically;
use picodet_graph::Graph;
use picodet_train::group::{Alone, Group};
use picodet_train::loader::{Batches, data_digest};
use picodet_train::memory::{self, Choice, ChoiceError};
use picodet_train::run::{self, Ending, Event, Network, RunOptions, files, training_graph};
use picodet_train::sampler::Sampler;
use picodet_train::state::{CheckpointError, Progress, State};
use picodet_train::transfer::{Transfer, TransferError, initial_weights, transfer};
use picodet_train::{CpuNetwork, Experiment, ExperimentError};
use serde::{Deserialize, Serialize};

use crate::evaluate::{Truth, detect_together};

/// Images on which batch norms that came folded are measured anew.
const MEASURED_IMAGES: usize = 16;
/// The file of a run's folder that names its data.
const DATA_FILE: &str = "data.json";

/// Where the data of a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataPlaces {
    /// The dataset, of any format.
    pub data: PathBuf,
    /// The split to learn from.
    pub split: Option<String>,
    /// The dataset to measure on; `None` for the same.
    pub validation: Option<PathBuf>,
    /// The split to measure on.
    pub validation_split: Option<String>,
}

/// What a new run is to be.
#[derive(Clone, Debug)]
pub struct Request {
    /// Network, recipe.
    pub experiment: Experiment,
    /// Where its data is.
    pub places: DataPlaces,
    /// A model to start from.
    pub weights: Option<Model>,
    /// Images a batch.
    pub batch: usize,
    /// What everything random is drawn from.
    pub seed: u64,
    /// Parameters to leave as they are begin with one of these.
    pub frozen: Vec<String>,
    /// Threads.
    pub threads: usize,
}

/// Why a run does not start.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The experiment does not make sense.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] picodet_data::DataError),
    /// The data is not what the run began with.
    #[error("{0}")]
    OtherData(String),
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model to start from does not fit.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// No batch can be chosen.
    #[error(transparent)]
    Batch(#[from] ChoiceError),
    /// The network cannot be differentiated.
    #[error("{0}")]
    Network(String),
    /// The run ended early.
    #[error(transparent)]
    Run(#[from] run::RunError),
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A run that is ready to go on.
#[derive(Debug)]
pub struct Trainer {
    /// Where it stands.
    pub state: State,
    /// What it learns from.
    pub dataset: Arc<Dataset>,
    /// What it is measured on.
    pub validation: Dataset,
    /// What was taken over from another model.
    pub transfer: Option<Transfer>,
    /// Where the data is.
    pub places: DataPlaces,
}

impl Trainer {
    /// A new run.
    ///
    /// # Errors
    /// When the data or the model to start from cannot be used.
    pub fn new(request: Request) -> Result<Self, TrainError> {
        let Request { experiment, places, weights: from, batch, seed, frozen, threads } = request;
        experiment.check()?;
        let (dataset, validation) = open(&places)?;
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
            ..Progress::new(experiment)
        };
        let graph = picodet_model::graph_of(&variant.architecture, classes.len(), false);
        let mut state = State::new(progress, initial_weights(&graph, seed));
        let mut taken = None;
        if let Some(model) = &from {
            let batch = measuring_batch(&state, &dataset, model.metadata.input_size)?;
            taken = Some(transfer(&graph, &mut state.weights, &classes, model, &batch)?);
        }
        Ok(Self { state, dataset: Arc::new(dataset), validation, transfer: taken, places })
    }

    /// The run of a folder, from its last checkpoint.
    ///
    /// # Errors
    /// When the checkpoint or the data cannot be read, or the data is not what the run began with.
    pub fn resume(folder: &Path) -> Result<Self, TrainError> {
        let state = State::read(&folder.join(files::CHECKPOINT))?;
        let path = folder.join(DATA_FILE);
        let text = std::fs::read(&path).map_err(|source| TrainError::File { path: path.clone(), source })?;
        let places: DataPlaces = serde_json::from_slice(&text)
            .map_err(|source| TrainError::File { path: path.clone(), source: source.into() })?;
        let (dataset, validation) = open(&places)?;
        if data_digest(&dataset) != state.progress.data {
            return Err(TrainError::OtherData(format!(
                "{} is not the data that this run began with; start a new run with --weights {}",
                places.data.display(),
                folder.join(files::LAST).display()
            )));
        }
        Ok(Self { state, dataset: Arc::new(dataset), validation, transfer: None, places })
    }

    /// Makes the run's folder and notes where its data is.
    ///
    /// # Errors
    /// What the system says.
    pub fn make_folder(&self, folder: &Path) -> Result<(), TrainError> {
        let refuse = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TrainError::File { path, source }
        };
        std::fs::create_dir_all(folder).map_err(refuse(folder))?;
        let path = folder.join(DATA_FILE);
        let text = serde_json::to_string_pretty(&self.places).unwrap_or_default();
        write_atomically(&path, text.as_bytes()).map_err(refuse(&path))
    }

    /// Trains until the end, a limit, or a signal; the folder of `options` must be there. `device` is `cpu`, or one of burn's
    /// that this program was built with.
    ///
    /// # Errors
    /// When the run cannot go on; what was learned until the last checkpoint is safe.
    pub fn run(
        &mut self,
        options: &RunOptions,
        device: &str,
        listen: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Ending, TrainError> {
        let progress = &self.state.progress;
        let variant = progress.experiment.variant()?;
        let graph = training_graph(&self.state, variant);
        let mut network =
            network(&self.state, &graph, device, &options.group).map_err(TrainError::Network)?;
        let threads = progress.threads;
        let validation = &self.validation;
        let mut evaluate = |model: &Model| measure_together(model, validation, threads, &*options.group);
        let dataset = Arc::clone(&self.dataset);
        Ok(run::run(&mut self.state, dataset, network.as_mut(), options, &mut evaluate, listen)?)
    }
}

/// The largest batch of an experiment on the dataset of `places` that half of the free memory holds, training on the
/// processor; `cache` is the bytes of decoded images that the run keeps.
///
/// # Errors
/// When the data cannot be read, the system does not tell its memory, or there is too little.
pub fn automatic_batch(
    experiment: &Experiment,
    places: &DataPlaces,
    frozen: &[String],
    cache: usize,
) -> Result<Choice, TrainError> {
    let dataset = Dataset::open(&places.data, places.split.as_deref())?;
    let cost = memory::cost(experiment, dataset.classes.len(), frozen, cache)?;
    let free = memory::free().ok_or(ChoiceError::Unknown)?;
    Ok(memory::choose(cost, free, experiment.batch.images, dataset.images.len())?)
}

/// The network on a device.
fn network(
    state: &State,
    graph: &Graph,
    device: &str,
    group: &Arc<dyn Group>,
) -> Result<Box<dyn Network>, String> {
    let progress = &state.progress;
    if device == "cpu" {
        let network =
            CpuNetwork::new(graph, progress.threads, &progress.frozen, progress.seed, progress.step);
        let mut network = network.map_err(|error| error.to_string())?;
        network.join(Arc::clone(group), progress.batch);
        return Ok(Box::new(network));
    }
    if group.size() > 1 {
        return Err(format!("several processes train on cpu only, not on `{device}`"));
    }
    #[cfg(feature = "burn")]
    if device == "flex" {
        let network = picodet_train::fused::FusedBurnNetwork::new(graph, progress.threads);
        return Ok(Box::new(network.map_err(|error| error.to_string())?));
    }
    #[cfg(feature = "burn")]
    {
        use picodet_train::network::{BurnNetwork, device as burn_device};
        Ok(Box::new(BurnNetwork::new(graph, burn_device(device)?)))
    }
    #[cfg(not(feature = "burn"))]
    Err(format!(
        "`{device}` is no device of this program; build it with the cargo feature of that name, or use cpu"
    ))
}

/// The mAP of a model on a dataset, over IoU 0.5 to 0.95 and at 0.5.
///
/// # Errors
/// When the model cannot be run or an image cannot be read.
pub fn measure(model: &Model, dataset: &Dataset, threads: usize) -> Result<(f64, f64), String> {
    measure_together(model, dataset, threads, &Alone)
}

/// As [`measure`], each member of a group looking at its part of the images.
fn measure_together(
    model: &Model,
    dataset: &Dataset,
    threads: usize,
    group: &dyn Group,
) -> Result<(f64, f64), String> {
    let detections = detect_together(model, &Options::default(), dataset, threads, group)?;
    let truth = Truth::of(dataset);
    let evaluator = Evaluator::new(
        &truth.image_ids,
        &truth.categories,
        &truth.truths,
        &detections,
        Parameters { threads, ..Parameters::default() },
    );
    let summary = evaluator.map_err(|error| error.to_string())?.evaluate().summary();
    Ok((summary.ap, summary.ap50))
}

fn open(places: &DataPlaces) -> Result<(Dataset, Dataset), TrainError> {
    let dataset = Dataset::open(&places.data, places.split.as_deref())?;
    let path = places.validation.as_ref().unwrap_or(&places.data);
    let validation = Dataset::open(path, places.validation_split.as_deref())?;
    Ok((dataset, validation))
}

/// Images without augmentation, to measure batch norms on.
fn measuring_batch(
    state: &State,
    dataset: &Dataset,
    size: (usize, usize),
) -> Result<picodet_train::loader::Batch, TrainError> {
    let variant = state.progress.experiment.variant()?;
    let mut recipe = run::recipe_of(state, variant);
    recipe.augmentation.clear();
    recipe.sizes = vec![size];
    recipe.interpolations = vec![picodet_image::Interpolation::Cubic];
    let batch = MEASURED_IMAGES.min(dataset.images.len());
    let sampler = Sampler { images: dataset.images.len(), batch, seed: state.progress.seed };
    if batch == 0 {
        return Err(run::RunError::NoImages.into());
    }
    let batches = Batches::new(Arc::new(dataset.clone()), sampler, recipe, 0);
    Ok(batches.make(0).map_err(run::RunError::Image)?)
}

/// Learns one batch, without augmentation, by heart for a while; the run's own state stays as it is. The losses at first and
/// at last.
///
/// # Errors
/// When the batch cannot be read or the network cannot be differentiated.
pub fn overfit(trainer: &Trainer, time: Duration) -> Result<[f64; 2], TrainError> {
    const STEPS: usize = 150;
    let mut state = trainer.state.clone();
    let experiment = state.progress.experiment.clone();
    let variant = experiment.variant()?;
    let size = run::recipe_of(&state, variant).sizes[0];
    let batch = measuring_batch(&state, &trainer.dataset, size)?;
    let graph = training_graph(&state, variant);
    let progress = &state.progress;
    let mut network = CpuNetwork::new(&graph, progress.threads, &progress.frozen, progress.seed, 0)
        .map_err(|error| TrainError::Network(error.to_string()))?;
    let start = Instant::now();
    let mut losses = Vec::new();
    while losses.len() < STEPS && (losses.len() < 2 || start.elapsed() < time) {
        network.forward(&state.weights, batch.map()).map_err(TrainError::Network)?;
        let strides = variant.architecture.strides();
        let judged = experiment.objective().judge(
            |name| network.output(name),
            &strides,
            &batch.truths,
            usize::MAX,
            &Alone,
            progress.threads,
        );
        losses.push(judged.loss.total());
        let gradients = network.backward(&judged.gradients).map_err(TrainError::Network)?;
        state.momentum.step(&graph, &mut state.weights, &gradients, 0.01);
    }
    Ok([losses[0], losses[losses.len() - 1]])
}
