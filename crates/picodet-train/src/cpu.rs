//! The network in training on the processor: our own forward and backward.

use std::sync::Arc;

use picodet_gradient::{GradientError, Tape};
use picodet_graph::{Graph, Weights};

use crate::group::Group;
use crate::run::Network;
use crate::{Map, MapData};

/// A graph with the memory of its steps.
#[derive(Debug)]
pub struct CpuNetwork {
    tape: Tape,
    steps: u64,
    seed: u64,
}

impl CpuNetwork {
    /// A network on so many threads. Parameters whose name begins with one of `frozen` get no gradients; what dropout leaves
    /// out follows from `seed` and the number of the step, `first_step` at first.
    ///
    /// # Errors
    /// When the graph cannot be differentiated.
    pub fn new(
        graph: &Graph,
        threads: usize,
        frozen: &[String],
        seed: u64,
        first_step: usize,
    ) -> Result<Self, GradientError> {
        let mut tape = Tape::new(graph, threads)?;
        let is_frozen = |name: &str| frozen.iter().any(|prefix| name.starts_with(prefix.as_str()));
        let learned = graph.params.iter().filter(|param| param.role.is_learned());
        tape.freeze(learned.map(|param| param.name.as_str()).filter(|name| is_frozen(name)))?;
        Ok(Self { tape, steps: first_step as u64, seed })
    }

    /// From now on the batches are this member's shares of batches of `batch` images on which a group works together.
    /// The gradients of all members add up to those of the whole batch.
    pub fn join(&mut self, group: Arc<dyn Group>, batch: usize) {
        if group.size() > 1 {
            let first = group.part(batch).start;
            self.tape.set_shard(first, Arc::new(move |values| group.sum(values)));
        }
    }

    /// Bytes of the maps, gradients and what else a step of `[n, 3, h, w]` keeps, without the parameters.
    ///
    /// # Errors
    /// When the network cannot take the size.
    pub fn memory(&self, shape: [usize; 4]) -> Result<usize, GradientError> {
        self.tape.memory(shape)
    }
}

impl Network for CpuNetwork {
    fn forward(&mut self, weights: &Weights, images: Map<'_>) -> Result<(), String> {
        self.tape.seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.steps));
        self.steps += 1;
        self.tape.forward(weights, images.shape, images.data).map_err(|error| error.to_string())
    }

    fn output(&mut self, name: &str) -> Option<MapData> {
        let (shape, data) = self.tape.output(name)?;
        Some(MapData { shape, data })
    }

    fn backward(&mut self, gradients: &[(String, Vec<f32>)]) -> Result<Weights, String> {
        self.tape.backward(gradients).map_err(|error| error.to_string())
    }

    fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        self.tape.statistics().map(|(name, values)| (name.to_owned(), values.to_vec())).collect()
    }
}
