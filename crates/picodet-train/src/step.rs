//! Forward, assignment, loss and backward of a batch.

use std::ops::Range;
use std::time::Duration;

use picodet_graph::{TensorView, Weights};

use crate::backend::{BackendError, TrainingBackend};
use crate::clock::Clock;
use crate::distillation::distil;
use crate::group::ProcessGroup;
use crate::loader::Batch;
use crate::objective::level_maps;
use crate::{HeadGradients, LossOutput, Objective, Predictions};

/// The inputs that the loss and the gradients of a step depend on.
#[derive(Clone, Copy, Debug)]
pub struct StepInput<'a> {
    /// The step, counted from 0.
    pub number: usize,
    /// The steps of the run.
    pub of_steps: usize,
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// The images and objects of this process.
    pub batch: &'a Batch,
    /// Label assignment and loss.
    pub objective: &'a Objective,
    /// Strides of the pyramid levels in pixels of the network input.
    pub strides: &'a [usize],
    /// The processes that compute the batch together.
    pub group: &'a dyn ProcessGroup,
    /// Threads that compute the loss.
    pub threads: usize,
    /// The clock of the run.
    pub clock: &'a dyn Clock,
}

/// The loss of a batch and the gradients of the parameters.
#[derive(Clone, Debug)]
pub struct StepOutput {
    /// The loss of this process's images.
    pub loss: LossOutput,
    /// Time of assignment and loss.
    pub loss_time: Duration,
    /// The gradients of the learned parameters for this process's images.
    pub gradients: Weights,
}

/// Computes loss and gradients of a batch: of one network, or of several that share their parameters.
pub trait Learner {
    /// Computes the loss of a batch and the gradients of `weights`.
    ///
    /// # Errors
    /// If the network does not take the batch, or the device fails.
    fn learn(&mut self, weights: &Weights, step: &StepInput<'_>) -> Result<StepOutput, BackendError>;

    /// Returns a named output of the last network that was computed, `[n, c, h, w]`.
    fn output(&self, name: &str) -> Option<TensorView<'_>>;

    /// Returns mean and biased variance of the last batch at each batch norm, by the names of the running statistics.
    fn statistics(&self) -> Vec<(String, Vec<f32>)>;

    /// Returns the number of passes through networks that some steps of a run of `of_steps` steps take.
    fn passes(&self, steps: Range<usize>, of_steps: usize) -> usize {
        let _ = of_steps;
        steps.len()
    }
}

/// Computes loss and gradients of one network. `head` keeps its memory from step to step.
///
/// # Errors
/// If the network does not take the batch, or the device fails.
pub fn learn(
    backend: &mut dyn TrainingBackend,
    weights: &Weights,
    step: &StepInput<'_>,
    head: &mut HeadGradients,
) -> Result<StepOutput, BackendError> {
    learn_from(backend, weights, step, None, head)
}

/// The predictions of another network for a batch, which a network learns besides the labels.
#[derive(Debug)]
pub struct Teacher<'a> {
    /// The predictions.
    pub predictions: &'a Predictions<'a>,
    /// Their share of the loss, 0 to 1; the rest is that of the labels.
    pub share: f64,
    /// Keeps its memory from step to step.
    pub gradients: &'a mut HeadGradients,
}

/// As [`learn`]; part of the loss is the difference to the predictions of a teacher, see [`distil`].
///
/// # Errors
/// If the network does not take the batch, or the device fails.
pub fn learn_from(
    backend: &mut dyn TrainingBackend,
    weights: &Weights,
    step: &StepInput<'_>,
    teacher: Option<Teacher<'_>>,
    head: &mut HeadGradients,
) -> Result<StepOutput, BackendError> {
    backend.forward(weights, step.batch.view())?;
    let start = step.clock.now();
    let by = (step.group, step.threads);
    let output = |name: &str| backend.output(name);
    let mut loss =
        step.objective.compute_loss(output, step.strides, &step.batch.truths, step.epoch, by, head);
    if let Some(Teacher { predictions, share, gradients }) = teacher {
        let own = Predictions::new(&level_maps(output, step.strides));
        let distance = distil(&own, predictions, by, gradients);
        head.blend(gradients, share as f32);
        loss.loss = loss.loss.blended(distance, share);
    }
    let loss_time = step.clock.now() - start;
    let gradients = backend.backward(&head.outputs())?;
    Ok(StepOutput { loss, loss_time, gradients })
}

/// One network in training.
pub struct SingleNetwork<'a> {
    backend: &'a mut dyn TrainingBackend,
    head: HeadGradients,
}

impl<'a> SingleNetwork<'a> {
    /// Wraps the network on a device.
    pub fn new(backend: &'a mut dyn TrainingBackend) -> Self {
        Self { backend, head: HeadGradients::default() }
    }
}

impl std::fmt::Debug for SingleNetwork<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SingleNetwork").finish_non_exhaustive()
    }
}

impl Learner for SingleNetwork<'_> {
    fn learn(&mut self, weights: &Weights, step: &StepInput<'_>) -> Result<StepOutput, BackendError> {
        learn(self.backend, weights, step, &mut self.head)
    }

    fn output(&self, name: &str) -> Option<TensorView<'_>> {
        self.backend.output(name)
    }

    fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        self.backend.statistics()
    }
}
