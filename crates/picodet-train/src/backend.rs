//! The interface between the training loop and the network on a device.

use picodet_gradient::GradientError;
use picodet_graph::pass::NotASlice;
use picodet_graph::{TensorView, Weights};

/// A network that computes outputs and gradients on some device.
pub trait TrainingBackend {
    /// Runs a batch `[n, 3, h, w]`. Batch norms use the statistics of the batch; in a process group, those of the
    /// batch of all processes.
    ///
    /// # Errors
    /// If the graph does not take the batch, or the device fails.
    fn forward(&mut self, weights: &Weights, images: TensorView<'_>) -> Result<(), BackendError>;

    /// Returns a named output of the last batch, `[n, c, h, w]`, in the memory layout of the device.
    fn output(&self, name: &str) -> Option<TensorView<'_>>;

    /// Returns the gradients of the learned parameters for the given gradients of named outputs.
    ///
    /// # Errors
    /// If no batch was run, a gradient has the wrong shape, or the device fails.
    fn backward(&mut self, gradients: &[(String, TensorView<'_>)]) -> Result<Weights, BackendError>;

    /// Returns mean and biased variance of the last batch at each batch norm, by the names of the running statistics.
    fn statistics(&self) -> Vec<(String, Vec<f32>)>;
}

/// An error of a training backend.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The graph cannot be differentiated, or does not take the batch.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// A network is no part of the network whose parameters are trained.
    #[error(transparent)]
    Slice(#[from] NotASlice),
    /// [`TrainingBackend::backward`] was called before a successful [`TrainingBackend::forward`].
    #[error("backward was called before forward")]
    NoForward,
    /// The device failed while it computed.
    #[error("the device failed: {0}")]
    Device(String),
    /// The program was built without the device.
    #[error(
        "unknown device `{0}`; use cpu, or build the program with the cargo feature of that name (burn for flex)"
    )]
    UnknownDevice(String),
    /// The machine does not have the device.
    #[error("this machine has no {0} device, or no driver for it")]
    MissingDevice(String),
    /// The device cannot train in a process group.
    #[error("several processes train on cpu only, not on `{0}`")]
    SingleProcessOnly(String),
}
