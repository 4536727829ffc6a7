//! Options and events of a run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use picodet_image::Limits;

use crate::clock::{Clock, SystemClock};
use crate::folder::RunFolder;
use crate::group::{ProcessGroup, SingleProcess};
use crate::journal::{EpochRecord, StepRecord};
use crate::plan::TimePlan;

/// Reaction to a loss or gradient that is NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNonFinite {
    /// Stop the run and save the batch.
    #[default]
    Stop,
    /// Skip the step and save the batch; stop after several such steps in a row.
    Skip,
}

/// Options of a run that do not change the result of a step.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Output folder.
    pub folder: RunFolder,
    /// Threads that prepare batches.
    pub workers: usize,
    /// Size of the cache of decoded images in bytes.
    pub cache: usize,
    /// Epochs between evaluations.
    pub evaluate_every: usize,
    /// Maximum time between checkpoints.
    pub checkpoint_every: Duration,
    /// Number of evaluations without improvement after which the run ends (early stopping).
    pub patience: Option<usize>,
    /// Time after which the run ends, counted from this start. The length of a new run is fitted into it.
    pub time_limit: Option<Duration>,
    /// The clock of the run.
    pub clock: Arc<dyn Clock>,
    /// Reaction to a loss or gradient that is NaN or infinite.
    pub on_non_finite: OnNonFinite,
    /// Set to the number of a signal, it ends the run after the current step, with a checkpoint.
    pub stop: Arc<AtomicUsize>,
    /// Limits on the images that are decoded.
    pub limits: Limits,
    /// The processes that train together.
    pub group: Arc<dyn ProcessGroup>,
}

impl RunOptions {
    /// Returns the default options for an output folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: RunFolder::new(folder),
            workers: 1,
            cache: 512 << 20,
            evaluate_every: 5,
            checkpoint_every: Duration::from_secs(300),
            patience: None,
            time_limit: None,
            clock: Arc::new(SystemClock::default()),
            on_non_finite: OnNonFinite::Stop,
            stop: Arc::default(),
            limits: Limits::default(),
            group: Arc::new(SingleProcess),
        }
    }
}

/// The reason why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done, or the steps that fit into the time limit.
    Finished,
    /// No improvement in [`RunOptions::patience`] evaluations.
    Patience,
    /// The time limit was reached.
    TimeLimit,
    /// A signal with this number was received.
    Signal(usize),
}

/// A notification about the progress of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A step is done.
    Step(&'a StepRecord),
    /// An epoch is done, with or without an evaluation.
    Epoch(&'a EpochRecord),
    /// The length of the run was fitted into the time limit.
    Planned(&'a TimePlan),
    /// A checkpoint was written after this number of steps.
    Checkpoint(usize),
    /// A warning.
    Note(String),
}
