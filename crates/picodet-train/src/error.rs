//! Errors of a training run.

use std::error::Error;
use std::path::PathBuf;

use crate::ExperimentError;
use crate::backend::BackendError;
use crate::loader::ImageProblem;
use crate::state::CheckpointError;

/// An error that ends a training run. The last checkpoint stays valid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An image cannot be used.
    #[error(transparent)]
    Image(#[from] ImageProblem),
    /// A checkpoint cannot be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Another file cannot be written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The underlying I/O error.
        source: std::io::Error,
    },
    /// A loss or gradient is NaN or infinite.
    #[error(
        "step {step}: {place} is not finite; images {images}; the batch is saved in {}; try a smaller learning rate, \
         or --on-nan skip",
        saved.display()
    )]
    NonFinite {
        /// The step, counted from 0.
        step: usize,
        /// The first loss term, map, or parameter with such a value.
        place: String,
        /// The images of the batch.
        images: String,
        /// The file with the batch.
        saved: PathBuf,
    },
    /// The experiment is invalid.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The backend failed.
    #[error("step {step}: {source}")]
    Backend {
        /// The step, counted from 0.
        step: usize,
        /// The error of the backend.
        source: BackendError,
    },
    /// The evaluation failed.
    #[error("the evaluation after epoch {epoch} failed: {source}")]
    Evaluation {
        /// The epoch, counted from 1.
        epoch: usize,
        /// The error of the evaluator.
        source: EvaluatorError,
    },
    /// The dataset is empty.
    #[error("the dataset has no images")]
    NoImages,
    /// The threads that prepare batches ended early.
    #[error("step {step}: the threads that prepare batches have failed")]
    Batches {
        /// The step, counted from 0.
        step: usize,
    },
    /// A process of the group would have no image.
    #[error(
        "a batch of {batch} images is too small for {processes} processes; each process needs at least one image"
    )]
    TooManyProcesses {
        /// Images per batch.
        batch: usize,
        /// Processes.
        processes: usize,
    },
    /// The processes of the group do not start from the same state.
    #[error(
        "process {rank} starts from other data, weights or settings than process 0; every machine needs the same \
         program and the same files"
    )]
    Inconsistent {
        /// The first process that differs.
        rank: usize,
    },
}

/// An error of an [`Evaluator`](crate::evaluator::Evaluator), of any type.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct EvaluatorError(Box<dyn Error + Send + Sync>);

impl EvaluatorError {
    /// Wraps an error.
    pub fn new(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}
