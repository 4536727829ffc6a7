//! Everything that a run would lose: weights, momentum, average, counters. A run that goes on from a checkpoint continues
//! bit for bit as if it had never stopped; what is drawn at random depends on the step alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use picodet_format::write_atomically;
use picodet_graph::{Graph, Tensor, Weights};
use picodet_weights::{read_tensors, write_tensors};
use serde::{Deserialize, Serialize};

use crate::{Experiment, Momentum, MovingAverage};

/// The version of checkpoints that is written and read.
const FORMAT: u32 = 2;
/// Before the names of each kind of tensor.
const WEIGHT: &str = "weight/";
const AVERAGE: &str = "average/";
const VELOCITY: &str = "velocity/";
/// The metadata key of the progress.
const KEY: &str = "picodet.checkpoint";
/// The metadata key of the moving average's counters.
const AVERAGE_KEY: &str = "picodet.average";

/// What is known beside the tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Version of the format.
    pub format: u32,
    /// Steps taken; the next batch is that of this step.
    pub step: usize,
    /// What the random streams are drawn from.
    pub seed: u64,
    /// Images of a batch, all processes together.
    pub batch: usize,
    /// Images of the dataset.
    pub images: usize,
    /// A digest of the dataset's files and objects.
    pub data: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Parameters that training leaves as they are begin with one of these.
    pub frozen: Vec<String>,
    /// The experiment.
    pub experiment: Experiment,
    /// Best mAP of an evaluation so far, and the epoch, counted from 1, after which it was measured.
    pub best: Option<(f64, usize)>,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Where the first weights came from.
    pub origin: String,
    /// The licence of those.
    pub licence: String,
    /// Threads that computed the gradients; another number may round differently.
    pub threads: usize,
}

impl Progress {
    /// Before the first step of an experiment, with nothing known about data and weights.
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
            best: None,
            seconds: 0.0,
            origin: String::new(),
            licence: String::new(),
            threads: 1,
        }
    }
}

/// The state of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// What is known beside the tensors.
    pub progress: Progress,
    /// The network's numbers.
    pub weights: Weights,
    /// The optimiser with its velocities.
    pub momentum: Momentum,
    /// The moving average.
    pub average: MovingAverage,
}

/// Why a checkpoint cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refuses.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is none.
    #[error("{path} is not a checkpoint of this version: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl State {
    /// A run before its first step.
    pub fn new(progress: Progress, weights: Weights) -> Self {
        let (momentum, average) = (progress.experiment.momentum(), progress.experiment.moving_average());
        Self { progress, weights, momentum, average }
    }

    /// The bytes of a checkpoint: safetensors.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut tensors = Weights::new();
        let mut add = |prefix: &str, name: &str, data: &[f32]| {
            let tensor = Tensor { shape: vec![data.len()], data: data.to_vec() };
            tensors.insert(format!("{prefix}{name}"), tensor);
        };
        self.weights.iter().for_each(|(name, tensor)| add(WEIGHT, name, &tensor.data));
        self.average.values.iter().for_each(|(name, data)| add(AVERAGE, name, data));
        self.momentum.velocity.iter().for_each(|(name, data)| add(VELOCITY, name, data));
        let progress = serde_json::to_string(&self.progress).unwrap_or_default();
        let average = serde_json::to_string(&self.average.counters).unwrap_or_default();
        write_tensors(
            &tensors,
            &BTreeMap::from([(KEY.to_owned(), progress), (AVERAGE_KEY.to_owned(), average)]),
        )
    }

    /// Writes a checkpoint: the file is either the old or the new one, whatever happens.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        write_atomically(path, &self.to_bytes())
            .map_err(|source| CheckpointError::File { path: path.to_path_buf(), source })
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// When the file cannot be read, or its tensors are not those of the network that it names.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let bytes = std::fs::read(path)
            .map_err(|source| CheckpointError::File { path: path.to_path_buf(), source })?;
        Self::from_bytes(&bytes)
            .map_err(|problem| CheckpointError::Format { path: path.to_path_buf(), problem })
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (tensors, entries) = read_tensors(bytes).map_err(|error| error.to_string())?;
        let text = entries.get(KEY).ok_or("it is a file of weights; start from it with --weights")?;
        let progress: Progress = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if progress.format != FORMAT {
            return Err(format!("version {}, where {FORMAT} is read", progress.format));
        }
        progress.experiment.check().map_err(|error| error.to_string())?;
        let variant = progress.experiment.variant().map_err(|error| error.to_string())?;
        let graph: Graph = variant.architecture.graph(progress.classes.len());
        let mut momentum = progress.experiment.momentum();
        let mut average = progress.experiment.moving_average();
        let counters = entries.get(AVERAGE_KEY).ok_or("the counters of the moving average are missing")?;
        average.counters = serde_json::from_str(counters).map_err(|error| error.to_string())?;
        let mut weights = Weights::new();
        for (name, tensor) in tensors {
            if let Some(name) = name.strip_prefix(AVERAGE) {
                average.values.insert(name.to_owned(), tensor.data);
            } else if let Some(name) = name.strip_prefix(VELOCITY) {
                momentum.velocity.insert(name.to_owned(), tensor.data);
            } else if let Some(name) = name.strip_prefix(WEIGHT) {
                let param = graph.params.iter().find(|param| param.name == name);
                let shape = param.map_or_else(|| tensor.shape.clone(), |param| param.shape.clone());
                weights.insert(name.to_owned(), Tensor { shape, data: tensor.data });
            }
        }
        graph.check_weights(&weights).map_err(|problem| problem.to_string())?;
        let fits = |name: &String, data: &Vec<f32>| {
            weights.get(name).is_some_and(|weight| weight.data.len() == data.len())
        };
        let mut states = average.values.iter().chain(&momentum.velocity);
        if let Some((name, _)) = states.find(|(name, data)| !fits(name, data)) {
            return Err(format!("the state of `{name}` does not fit its weight"));
        }
        if average.counters.steps > 0 && average.values.len() != weights.len() {
            return Err("the moving average is not complete".to_owned());
        }
        Ok(Self { progress, weights, momentum, average })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::initial_weights;

    #[test]
    fn a_checkpoint_reads_back_to_the_bit_and_broken_ones_are_refused() {
        let text = include_str!("../recipes/legacy_s_320.toml");
        let experiment = Experiment::from_toml(text).expect("a sound experiment");
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
        let read = State::from_bytes(&bytes).expect("what was written");
        assert_eq!(read.to_bytes(), bytes);
        assert_eq!(read.weights, state.weights);
        assert_eq!(read.average, state.average);
        assert_eq!(read.momentum, state.momentum);
        for length in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
            assert!(State::from_bytes(&bytes[..length]).is_err(), "cut at {length}");
        }
    }
}
