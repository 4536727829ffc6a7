//! The CPU engine: the results of [`crate::ReferenceEngine`] up to rounding, from kernels for the processor's
//! instruction set.
//!
//! [`CpuEngine::prepare`] folds the batch norms, drops what no output needs, lowers the graph to a schedule (`lower`),
//! packs the weights and lays out one arena; [`CpuPlan`] runs the schedule image by image. Maps are channels last. With
//! several threads each takes a band of rows of every step, so that it mostly reads what it wrote itself (`threads`).

mod dtype;
mod lower;
mod outputs;
mod plan;
mod precision;
mod profile;
mod schedule;
mod separable;
mod threads;

use std::sync::Arc;

use picodet_graph::{Graph, Quantisation, Weights, pass};
use picodet_kernel::program::Program;

use crate::{Engine, Plan, PlanError, check_graph, check_plan};
pub use dtype::{fastest_precision, precision_name};
pub use outputs::{OutputView, Outputs};
pub use picodet_simd::{Int8Isa, Int8Kind, Isa, IsaKind};
pub use plan::CpuPlan;
pub use precision::Precision;
pub use profile::StepTime;
pub use threads::help_inferences;

/// Most threads of one inference.
const MAX_THREADS: usize =
    if cfg!(all(target_family = "wasm", not(target_feature = "atomics"))) { 1 } else { 256 };

/// The engine for processors.
#[derive(Clone, Copy, Debug)]
pub struct CpuEngine {
    isa: Isa,
    int8: Int8Isa,
    threads: usize,
    precision: Precision,
}

impl Default for CpuEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl CpuEngine {
    /// Returns an engine with the best instruction set of this processor, one thread and f32 products.
    pub fn new() -> Self {
        Self { isa: Isa::best(), int8: Isa::best().int8(), threads: 1, precision: Precision::F32 }
    }

    /// Returns an engine with a given instruction set; `None` when this processor does not have it.
    pub fn with_isa(isa: Isa) -> Option<Self> {
        let int8 = isa.int8();
        Isa::available().contains(&isa).then_some(Self { isa, int8, threads: 1, precision: Precision::F32 })
    }

    /// Sets the number of threads of each inference, 1 to 256; always 1 on WebAssembly.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: threads.clamp(1, MAX_THREADS), ..self }
    }

    /// Sets the precision of convolutions; `None` when this processor has no instructions for it.
    pub fn with_precision(self, precision: Precision) -> Option<Self> {
        dtype::is_supported(precision, self.isa).then_some(Self { precision, ..self })
    }

    /// Sets the instructions that multiply the bytes of quantised networks, and the instruction set that they belong to.
    #[must_use]
    pub fn with_int8(self, int8: Int8Isa) -> Self {
        Self { isa: int8.isa(), int8, ..self }
    }

    /// Returns the instructions that multiply bytes.
    pub fn int8(&self) -> Int8Isa {
        self.int8
    }

    /// Returns the instruction set of this engine's plans.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Prepares a network as [`Engine::plan`] does, and keeps the concrete type.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        input_size: (usize, usize),
    ) -> Result<CpuPlan, PlanError> {
        check_plan(graph, weights, input_size)?;
        let (graph, weights) = pass::fold_batch_norm(graph, weights);
        // Drops the nodes that no output needs.
        let graph = pass::keep_outputs(&graph, |_| true);
        let schedule = lower::lower(&graph, &weights, input_size, self.isa, self.threads, self.precision);
        Ok(CpuPlan::new(Program::new(schedule, input_size)?, input_size))
    }

    /// Prepares a quantised network: maps with scales are bytes, convolutions with 8-bit weights are computed in integers.
    ///
    /// `graph` has no batch norms, and `weights` has the weights of the other convolutions; those of quantised convolutions are
    /// not read and may be missing. The results are bitwise identical on all instruction sets up to the predictions.
    ///
    /// # Errors
    /// As [`Engine::plan`]; also if `quantisation` does not fit the graph, or quantises a node for which there is no kernel.
    pub fn prepare_quantised(
        &self,
        graph: &Graph,
        weights: &Weights,
        quantisation: &Quantisation,
        input_size: (usize, usize),
    ) -> Result<CpuPlan, PlanError> {
        check_graph(graph, input_size)?;
        quantisation.check(graph).map_err(PlanError::Quantisation)?;
        let quantised = graph.nodes.iter().filter(|node| quantisation.convolutions.contains_key(&node.scope));
        let weights_of = quantised.filter_map(|node| Some(&graph.params[node.params.first()?.0]));
        let quantised = weights_of.map(|param| (param.name.as_str(), param.shape.as_slice()));
        let floats = weights.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice()));
        graph.check_shapes(quantised.chain(floats)).map_err(PlanError::Weights)?;
        let graph = pass::keep_outputs(graph, |_| true);
        let Self { isa, int8, threads: workers, precision } = *self;
        let settings = lower::Settings { isa, int8, workers, precision };
        let schedule = lower::lower_quantised(&graph, weights, quantisation, input_size, settings)?;
        Ok(CpuPlan::new(Program::new(schedule, input_size)?, input_size))
    }
}

impl Engine for CpuEngine {
    fn plan(
        &self,
        graph: &Graph,
        weights: &Weights,
        input_size: (usize, usize),
    ) -> Result<Arc<dyn Plan>, PlanError> {
        Ok(Arc::new(self.prepare(graph, weights, input_size)?))
    }
}
