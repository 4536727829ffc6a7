//! Architecture search on a dataset: training of the supernet, the search among its networks, and the files of the result.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use picodet_detect::Model;
use picodet_eval::EvaluationError;
use picodet_format::write_atomically;
use picodet_search::{Sandwich, SearchError, Space, Supernet, weights_of};
use picodet_train::group::{ProcessGroup, SingleProcess};
use picodet_train::recipes::recipe;
use picodet_train::state::CheckpointError;
use picodet_train::{Ending, Event, Experiment, InputSize, RunFolder, RunOptions};
use picodet_zoo::Variant;
use serde::{Deserialize, Serialize};

use crate::evaluate::EvaluateError;
use crate::train::{DatasetPaths, Request, TrainError, Trainer, plain_batch};

mod find;
mod images;

pub use find::{Find, Finding, FrontEntry};
pub use images::SearchImages;

/// Maximum norm of the gradients of a step.
const CLIP: f64 = 35.0;
/// Epochs of a supernet relative to those of one network, from a model and from random weights.
const LENGTHS: [f64; 2] = [1.5, 2.0];
/// Images on which the batch norms of a candidate are measured.
const CALIBRATION: usize = 64;

/// An error that keeps a search from starting, or ends it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchRunError {
    /// The space, a candidate or the file of judged candidates cannot be used.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The supernet cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The images of the search cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A file is no model.
    #[error("{}: {source}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// The error in it.
        source: picodet_model::ModelError,
    },
    /// The largest network alone has no valid share of the steps, or all of them.
    #[error(
        "the largest network alone has a share of {share} of the steps; expected from 0 to less than 1, in fewer epochs than those of the run"
    )]
    LargestFirst {
        /// The share.
        share: f64,
    },
    /// The folder has no trained supernet.
    #[error("{} has no trained supernet yet; `picodet search --resume {}` trains it to the end", .0.display(), .0.display())]
    NotTrained(PathBuf),
}

impl From<EvaluationError> for SearchRunError {
    fn from(error: EvaluationError) -> Self {
        EvaluateError::from(error).into()
    }
}

impl From<CheckpointError> for SearchRunError {
    fn from(error: CheckpointError) -> Self {
        TrainError::from(error).into()
    }
}

/// Settings of a new search.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SearchRequest {
    /// The networks.
    pub space: Space,
    /// The training dataset; its validation images are those on which candidates are compared.
    pub paths: DatasetPaths,
    /// A model with the initial weights; `None` for random weights.
    pub weights: Option<Model>,
    /// Epochs of the supernet; `None` for those of one network and a half, or two from random weights.
    pub epochs: Option<usize>,
    /// Height and width of the network inputs in training; `None` for those of the recipe and of the space.
    pub sizes: Option<Vec<(usize, usize)>>,
    /// Images per batch; `None` for those of the recipe, 16 at most.
    pub batch: Option<usize>,
    /// Random seed.
    pub seed: u64,
    /// Threads.
    pub threads: usize,
    /// The networks of each training step.
    pub sandwich: Sandwich,
    /// Number of epochs at the beginning that train the largest network only; `None` for the share of `sandwich`.
    pub warm_up: Option<usize>,
    /// The processes that train the supernet together, the same as in the options of the run. Rank 0 writes the folder.
    pub group: Arc<dyn ProcessGroup>,
}

impl SearchRequest {
    /// Returns the default settings for a space and its data: random weights, one thread.
    #[must_use]
    pub fn new(space: Space, paths: DatasetPaths) -> Self {
        let (weights, epochs, sizes, batch, sandwich) = (None, None, None, None, Sandwich::default());
        let group = Arc::new(SingleProcess);
        let (seed, threads, warm_up) = (0, 1, None);
        Self { space, paths, weights, epochs, sizes, batch, seed, threads, sandwich, warm_up, group }
    }
}

/// The settings that a search keeps besides the run of its supernet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    sandwich: Sandwich,
    calibration: usize,
}

/// Paths of the files of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchFolder(PathBuf);

impl SearchFolder {
    /// Names a folder; does not create it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Returns the folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the space file.
    #[must_use]
    pub fn space(&self) -> PathBuf {
        self.0.join("space.toml")
    }

    /// Returns the file of the other settings.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.0.join("search.toml")
    }

    /// Returns the folder of the run that trains the supernet.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.0.join("supernet")
    }

    /// Returns the trained supernet, which exists once it is trained.
    #[must_use]
    pub fn supernet(&self) -> PathBuf {
        self.0.join("supernet.safetensors")
    }

    /// Returns the file of judged candidates.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.0.join("search.jsonl")
    }

    /// Returns the latency table.
    #[must_use]
    pub fn latency(&self) -> PathBuf {
        self.0.join("latency.toml")
    }

    /// Returns the folder of the networks of the front.
    #[must_use]
    pub fn front(&self) -> PathBuf {
        self.0.join("front")
    }
}

/// A search that can be started or resumed.
#[derive(Debug)]
pub struct Searcher {
    /// The networks.
    pub space: Space,
    /// The run that trains the supernet.
    pub trainer: Trainer,
    folder: SearchFolder,
    settings: Settings,
}

impl Searcher {
    /// Prepares a new search in a folder, which it creates.
    ///
    /// # Errors
    /// If a dataset, the space or the initial weights cannot be used, or a file cannot be written.
    pub fn new(request: SearchRequest, folder: SearchFolder) -> Result<Self, SearchRunError> {
        let SearchRequest {
            space,
            paths,
            weights,
            epochs,
            sizes,
            batch,
            seed,
            threads,
            mut sandwich,
            warm_up,
            group,
        } = request;
        let base = space.base();
        let mut experiment = recipe(base.name).map_err(TrainError::from)?;
        let supernet = Variant { architecture: space.supernet(), ..*base };
        experiment.architecture = supernet.overrides();
        let is_adapted = match &weights {
            Some(model) => crate::train::fine_tune(&mut experiment, &paths, model)?.is_some(),
            None => false,
        };
        let length = LENGTHS[usize::from(weights.is_none())];
        let epochs = epochs.unwrap_or((experiment.epochs as f64 * length).round() as usize);
        if let Some(alone) = warm_up {
            sandwich.largest_first = alone as f64 / epochs as f64;
        }
        let share = sandwich.largest_first;
        if !(0.0..1.0).contains(&share) {
            return Err(SearchRunError::LargestFirst { share });
        }
        experiment.scale_phases(epochs as f64 / experiment.epochs as f64);
        experiment.set_epochs(epochs);
        experiment.optimiser.clip = Some(CLIP);
        let sizes = sizes.unwrap_or_else(|| input_sizes(&experiment, &space));
        experiment.batch.sizes =
            sizes.into_iter().map(|(height, width)| InputSize::Rectangle(height, width)).collect();
        let most = if is_adapted { usize::MAX } else { 16 };
        let batch = batch.unwrap_or(experiment.batch.images.min(most));
        let request = Request { experiment, paths, weights: None, batch, seed, frozen: Vec::new(), threads };
        let mut trainer = Trainer::new(request)?;
        if let Some(model) = &weights {
            let progress = &trainer.state.progress;
            let limits = trainer.paths.limits();
            let batch = plain_batch(&trainer.state, &trainer.dataset, model.metadata.input_size, limits)?;
            let (start, transfer) = weights_of(&space, &progress.classes, seed, model, &batch)?;
            trainer.state.weights = start;
            trainer.transfer = Some(transfer);
            let progress = &mut trainer.state.progress;
            progress.origin = format!("{} ({})", model.metadata.variant, model.metadata.origin);
            progress.licence.clone_from(&model.metadata.licence);
        }
        let settings = Settings { sandwich, calibration: CALIBRATION };
        let searcher = Self { space, trainer, folder, settings };
        if group.is_first() {
            searcher.write_start()?;
        }
        Ok(searcher)
    }

    /// Reads a search from its folder.
    ///
    /// # Errors
    /// If a file or a dataset cannot be read, or the training dataset has changed.
    pub fn resume(folder: SearchFolder) -> Result<Self, SearchRunError> {
        let space = Space::parse(&read(&folder.space())?)?;
        let settings = toml::from_str(&read(&folder.settings())?).map_err(SearchError::from)?;
        let trainer = Trainer::resume(&folder.run())?;
        Ok(Self { space, trainer, folder, settings })
    }

    /// Writes what a search is resumed from, the checkpoint last.
    fn write_start(&self) -> Result<(), SearchRunError> {
        self.trainer.make_folder(&self.folder.run())?;
        write(&self.folder.space(), self.space.to_toml().as_bytes())?;
        let settings = toml::to_string(&self.settings).unwrap_or_default();
        write(&self.folder.settings(), settings.as_bytes())?;
        Ok(self.trainer.state.write(&RunFolder::new(self.folder.run()).checkpoint())?)
    }

    /// Returns the folder.
    #[must_use]
    pub fn folder(&self) -> &SearchFolder {
        &self.folder
    }

    /// Whether the supernet is trained.
    #[must_use]
    pub fn is_trained(&self) -> bool {
        self.folder.supernet().exists()
    }

    /// Trains the supernet until all epochs are done, a limit is reached, or a signal is received. The folder of `options`
    /// becomes that of the search. All processes of the group of `options` call it; rank 0 writes the files.
    ///
    /// # Errors
    /// See [`TrainError`]; the last checkpoint stays valid.
    pub fn train(
        &mut self,
        options: &RunOptions,
        listen: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Ending, SearchRunError> {
        if self.is_trained() {
            return Ok(Ending::Finished);
        }
        let run = RunFolder::new(self.folder.run());
        let options = RunOptions { folder: run.clone(), ..options.clone() };
        let progress = &self.trainer.state.progress;
        let sampler = self.trainer.state.sampler(self.trainer.dataset.images.len());
        let of_steps = self.trainer.state.steps(sampler.batches_per_epoch());
        let mut supernet = Supernet::new(self.space.clone(), self.settings.sandwich, progress, of_steps)?;
        supernet.join(Arc::clone(&options.group), progress.batch);
        let ending = self.trainer.run_learner(&mut supernet, &options, listen)?;
        if ending == Ending::Finished && options.group.is_first() {
            let path = run.last_model();
            let bytes = std::fs::read(&path).map_err(|source| TrainError::File { path, source })?;
            write(&self.folder.supernet(), &bytes)?;
        }
        Ok(ending)
    }
}

/// The input sizes of the recipe and of the space.
fn input_sizes(experiment: &Experiment, space: &Space) -> Vec<(usize, usize)> {
    let mut sizes: Vec<(usize, usize)> = experiment.batch.sizes.iter().map(|size| size.pair()).collect();
    sizes.extend(space.input_sizes());
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

fn read(path: &Path) -> Result<String, TrainError> {
    std::fs::read_to_string(path).map_err(|source| TrainError::File { path: path.to_path_buf(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    write_atomically(path, bytes).map_err(|source| TrainError::File { path: path.to_path_buf(), source })
}
