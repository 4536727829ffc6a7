//! The training backend on the CPU, on our own forward and backward kernels.

use std::sync::Arc;

use picodet_gradient::{GradientError, Tape};
use picodet_graph::{Graph, TensorView, Weights};

use crate::backend::{BackendError, TrainingBackend};
use crate::group::ProcessGroup;
use crate::statistics::is_frozen;

/// A graph in training on the CPU.
#[derive(Debug)]
pub struct CpuNetwork {
    tape: Tape,
    frozen: Vec<String>,
    steps: u64,
    seed: u64,
}

impl CpuNetwork {
    /// Prepares a graph for `threads` threads. Parameters whose name begins with one of `frozen` get no gradients.
    /// Dropout depends on `seed` and on the step, which starts at `first_step`.
    ///
    /// # Errors
    /// If the graph cannot be differentiated.
    pub fn new(
        graph: &Graph,
        threads: usize,
        frozen: &[String],
        seed: u64,
        first_step: usize,
    ) -> Result<Self, GradientError> {
        let tape = Tape::new(graph, threads)?;
        let mut network = Self { tape, frozen: frozen.to_vec(), steps: first_step as u64, seed };
        network.freeze(graph)?;
        Ok(network)
    }

    /// Continues with another graph, such as a candidate of a search, in the same memory, on the same threads and in the
    /// same process group. The next call must be a forward.
    ///
    /// # Errors
    /// If the graph cannot be differentiated.
    pub fn select(&mut self, graph: &Graph) -> Result<(), GradientError> {
        self.tape.set_graph(graph)?;
        self.freeze(graph)
    }

    fn freeze(&mut self, graph: &Graph) -> Result<(), GradientError> {
        let learned = graph.params.iter().filter(|param| param.role.is_learned());
        let names = learned.map(|param| param.name.as_str());
        let frozen: Vec<&str> = names.filter(|name| is_frozen(&self.frozen, name)).collect();
        if frozen.is_empty() { Ok(()) } else { self.tape.freeze(frozen) }
    }

    /// Joins a process group: from now on, batches are this process's shards of batches of `batch` images. The gradients
    /// of all processes add up to those of the whole batch.
    pub fn join(&mut self, group: Arc<dyn ProcessGroup>, batch: usize) {
        if group.size() > 1 {
            let first = group.shard(batch).start;
            self.tape.set_shard(first, Arc::new(move |values| group.all_reduce(values)));
        }
    }

    /// Returns the memory of a step on images `[n, 3, h, w]` in bytes, without the parameters.
    ///
    /// # Errors
    /// If the network does not take the size.
    pub fn memory(&self, shape: [usize; 4]) -> Result<usize, GradientError> {
        self.tape.memory(shape)
    }
}

impl TrainingBackend for CpuNetwork {
    fn forward(&mut self, weights: &Weights, images: TensorView<'_>) -> Result<(), BackendError> {
        self.tape.seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.steps));
        self.steps += 1;
        Ok(self.tape.forward_view(weights, images)?)
    }

    fn output(&self, name: &str) -> Option<TensorView<'_>> {
        self.tape.output(name)
    }

    fn backward(&mut self, gradients: &[(String, TensorView<'_>)]) -> Result<Weights, BackendError> {
        Ok(self.tape.backward(gradients)?)
    }

    fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        self.tape.statistics().map(|(name, values)| (name.to_owned(), values.to_vec())).collect()
    }
}
