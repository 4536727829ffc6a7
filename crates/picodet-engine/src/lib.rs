//! Inference: a graph is planned once for an input size, and the plan runs any number of images on any thread.
//!
//! [`Engine::plan`] and [`Plan::run`] separate the users of a network from the code that computes it. [`CpuEngine`] is
//! the engine to use. [`ReferenceEngine`] computes each operation by its definition, in f32 or f64; the CPU engine is
//! tested against it.
#![forbid(unsafe_code)]

mod buffer_pool;
mod cpu;
mod real;
mod reference;

use std::fmt::Debug;
use std::sync::Arc;

use picodet_graph::{CheckError, Graph, INPUT_MULTIPLE, Tensor4, Weights};

pub use buffer_pool::{BufferPool, Lease};
pub use cpu::{
    CpuEngine, CpuPlan, Int8Isa, Int8Kind, Isa, IsaKind, OutputView, Outputs, Precision, StepTime,
    fastest_precision, help_inferences, precision_name,
};
pub use real::{Real, convert};
pub use reference::{QuantisedReference, QuantisedValue, ReferenceEngine, ReferencePlan};

/// Prepares networks for inference.
pub trait Engine {
    /// Prepares `graph` with `weights` for images of `input_size` = (height, width) pixels.
    ///
    /// # Errors
    /// [`PlanError`] when the graph is invalid, the weights do not match it, or the size does not fit.
    fn plan(
        &self,
        graph: &Graph,
        weights: &Weights,
        input_size: (usize, usize),
    ) -> Result<Arc<dyn Plan>, PlanError>;
}

/// A network prepared for one input size. Any number of threads may run it at the same time.
pub trait Plan: Debug + Send + Sync {
    /// Returns height and width in pixels of the images that [`Plan::run`] takes.
    fn input_size(&self) -> (usize, usize);

    /// Runs `image`, `[n, 3, h, w]` normalised, and returns the named outputs of the graph in its order.
    ///
    /// # Errors
    /// [`RunError`] when `image` has another shape.
    fn run(&self, image: &Tensor4) -> Result<Vec<(String, Tensor4)>, RunError>;

    /// Runs one image and returns its outputs in the engine's memory, which saves copying them; `None` where the engine
    /// cannot give views of its memory, or for a batch of several images.
    ///
    /// # Errors
    /// As [`Plan::run`].
    fn run_in_place(&self, _image: &Tensor4) -> Result<Option<Outputs<'_>>, RunError> {
        Ok(None)
    }
}

/// The reason why a network cannot be planned.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The graph is invalid.
    #[error("invalid graph: {0}")]
    Graph(CheckError),
    /// The weights do not match the graph.
    #[error("the weights do not match this network: {0}")]
    Weights(CheckError),
    /// The 8-bit weights or the scales do not match the graph.
    #[error("the quantisation does not match this network: {0}")]
    Quantisation(CheckError),
    /// The input size does not fit the feature pyramid.
    #[error("input size {0}x{1} (height x width): both must be positive multiples of {INPUT_MULTIPLE}")]
    InputSize(usize, usize),
    /// A node of a quantised network has scales, but no kernel computes its bytes.
    #[error("{scope}: has 8-bit values, but no kernel computes them; leave it in f32")]
    NotQuantisable {
        /// Scope of the node.
        scope: String,
    },
    /// The schedule is inconsistent.
    #[error(transparent)]
    Program(#[from] picodet_kernel::program::ProgramError),
}

/// The reason why a plan refuses an image.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The image has another shape than the plan's.
    #[error("the image has shape {found:?}, but the plan takes [n, 3, {height}, {width}]", height = size.0, width = size.1)]
    Shape {
        /// The shape of the image.
        found: [usize; 4],
        /// Height and width of the plan's input.
        size: (usize, usize),
    },
}

/// Checks the arguments of [`Engine::plan`].
///
/// # Errors
/// The first error of [`PlanError`] that applies.
pub fn check_plan(graph: &Graph, weights: &Weights, input_size: (usize, usize)) -> Result<(), PlanError> {
    check_graph(graph, input_size)?;
    graph.check_weights(weights).map_err(PlanError::Weights)
}

/// Checks what [`check_plan`] does but the weights.
fn check_graph(graph: &Graph, input_size: (usize, usize)) -> Result<(), PlanError> {
    let fits = |extent: usize| extent > 0 && extent.is_multiple_of(INPUT_MULTIPLE);
    if !fits(input_size.0) || !fits(input_size.1) {
        return Err(PlanError::InputSize(input_size.0, input_size.1));
    }
    graph.check().map_err(PlanError::Graph)
}
