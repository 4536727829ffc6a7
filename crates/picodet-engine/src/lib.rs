//! Runs a graph: plan once for an input size, then run as often as there are images.
//!
//! [`Engine::plan`] and [`Plan::run`] are the seam between whoever wants outputs and whatever computes them.
//! [`Reference`] is the engine that is written to be read and to be right, in f32 or f64; the others are compared
//! with it. [`Fast`] is the engine to use.

mod fast;
mod real;
mod reference;

use picodet_graph::{CheckError, Graph, INPUT_MULTIPLE, Tensor4, Weights};

pub use fast::{Fast, FastPlan, Isa, IsaKind, OutputView, Precision, StepTime};
pub use real::{Real, convert};
pub use reference::{Reference, ReferencePlan};

/// Makes plans.
pub trait Engine {
    /// Prepares `graph` with `weights` for images of `input_size` = (height, width) pixels.
    ///
    /// # Errors
    /// [`PlanError`] when the graph or the weights are not sound or the size does not fit.
    fn plan(
        &self,
        graph: &Graph,
        weights: &Weights,
        input_size: (usize, usize),
    ) -> Result<Box<dyn Plan>, PlanError>;
}

/// A network made ready for one input size.
pub trait Plan: Send {
    /// Height and width in pixels of the images that [`Plan::run`] takes.
    fn input_size(&self) -> (usize, usize);

    /// Runs `image`, `[n, 3, h, w]` normalised, and returns the named outputs of the graph in its order.
    ///
    /// # Errors
    /// [`RunError`] when `image` has another shape.
    fn run(&mut self, image: &Tensor4) -> Result<Vec<(String, Tensor4)>, RunError>;

    /// Runs one image and returns views of the outputs, in the graph's order, in the engine's memory, which saves
    /// copying them; `None` where the engine cannot give such views or there are several images.
    ///
    /// # Errors
    /// As [`Plan::run`].
    fn run_in_place(&mut self, _image: &Tensor4) -> Result<Option<Vec<OutputView<'_>>>, RunError> {
        Ok(None)
    }
}

/// Why a network cannot be planned.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlanError {
    /// The graph itself is broken.
    #[error("the graph is not sound: {0}")]
    Graph(CheckError),
    /// The weights are not those of the graph.
    #[error("the weights do not belong to this network: {0}")]
    Weights(CheckError),
    /// The input size does not fit the pyramid.
    #[error("input size {0}x{1} (height x width): both must be positive multiples of {INPUT_MULTIPLE}")]
    InputSize(usize, usize),
}

/// Why a plan does not run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RunError {
    /// The image is not what the plan was made for.
    #[error("the image has shape {found:?}, but the plan takes [n, 3, {height}, {width}]", height = size.0, width = size.1)]
    Shape {
        /// The shape that came.
        found: [usize; 4],
        /// Height and width that the plan was made for.
        size: (usize, usize),
    },
}

/// What every engine demands before it plans.
///
/// # Errors
/// The first of [`PlanError`]'s cases that applies.
pub fn check_plan(graph: &Graph, weights: &Weights, input_size: (usize, usize)) -> Result<(), PlanError> {
    let fits = |extent: usize| extent > 0 && extent.is_multiple_of(INPUT_MULTIPLE);
    if !fits(input_size.0) || !fits(input_size.1) {
        return Err(PlanError::InputSize(input_size.0, input_size.1));
    }
    graph.check().map_err(PlanError::Graph)?;
    graph.check_weights(weights).map_err(PlanError::Weights)
}
