//! The tape: forward, backward and the outputs between them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use picodet_graph::{Graph, MapQuantisation, Op, TensorView, Weights};
use picodet_kernel::training::{Arena, Executor, Scratch, ThreadPool, copy_tensor};
use picodet_simd::Isa;

use crate::backward;
use crate::context::Context;
use crate::error::GradientError;
use crate::forward::{self, Statistics};
use crate::gradients::{State, Written};
use crate::layout::Layout;
use crate::parameters::Parameters;
use crate::program::{Kind, Program, Step};
use crate::shard::{AllReduce, Shard};

/// Time spent in one step of the last forward and backward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepTime {
    /// The kind of step, such as `pointwise`.
    pub kind: &'static str,
    /// Time in the last forward pass.
    pub forward: Duration,
    /// Time in the last backward pass.
    pub backward: Duration,
}

/// The last pass that has finished, with images, height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Empty,
    Forward([usize; 3]),
    Backward([usize; 3]),
}

impl Stage {
    fn size(self) -> Option<[usize; 3]> {
        match self {
            Self::Empty => None,
            Self::Forward(size) | Self::Backward(size) => Some(size),
        }
    }
}

/// Runs a graph in training mode and differentiates it; reuses its memory in the next step.
///
/// Batch norms use the mean and the biased variance of the batch (SPEC §0), frozen or not. Running statistics are not
/// read; the caller updates them by [`Tape::statistics`].
pub struct Tape {
    graph: Graph,
    program: Program,
    executor: Executor,
    parameters: Parameters,
    /// Whether the gradient of each parameter is computed.
    learns: Vec<bool>,
    layouts: HashMap<[usize; 3], Layout>,
    arena: Arena,
    statistics: Vec<Statistics>,
    scratch: Scratch,
    seed: u64,
    shard: Option<Shard>,
    stage: Stage,
    times: Vec<StepTime>,
}

impl std::fmt::Debug for Tape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tape").field("steps", &self.program.steps.len()).field("stage", &self.stage).finish()
    }
}

impl Tape {
    /// Returns a tape of `graph` on `threads` threads (at least one; fewer if the system cannot start them).
    ///
    /// # Errors
    /// [`GradientError::Graph`].
    pub fn new(graph: &Graph, threads: usize) -> Result<Self, GradientError> {
        Self::with_isa(graph, threads, Isa::best())
    }

    /// Like [`Tape::new`], with the kernels of one instruction set.
    ///
    /// # Errors
    /// [`GradientError::Graph`].
    pub fn with_isa(graph: &Graph, threads: usize, isa: Isa) -> Result<Self, GradientError> {
        graph.check().map_err(GradientError::Graph)?;
        let learns: Vec<bool> = graph.params.iter().map(|param| param.role.is_learned()).collect();
        let mut tape = Self {
            graph: graph.clone(),
            program: Program::new(graph, &learns, |_| false),
            executor: Executor { pool: ThreadPool::new(threads), isa },
            parameters: Parameters::new(graph),
            learns: Vec::new(),
            layouts: HashMap::new(),
            arena: Arena::default(),
            statistics: Vec::new(),
            scratch: Scratch::default(),
            seed: 0,
            shard: None,
            stage: Stage::Empty,
            times: Vec::new(),
        };
        tape.adopt(learns);
        Ok(tape)
    }

    /// Lowers the graph for the parameters whose gradients are computed.
    fn adopt(&mut self, learns: Vec<bool>) {
        self.program = Program::new(&self.graph, &learns, |node| self.parameters.is_rounded(node));
        self.learns = learns;
        self.layouts.clear();
        self.stage = Stage::Empty;
        let time = |step: &Step| StepTime { kind: step.kind.name(), ..StepTime::default() };
        self.times = self.program.steps.iter().map(time).collect();
        self.statistics = vec![Statistics::default(); self.program.steps.len()];
    }

    /// Continues with another graph, such as a candidate of a search, in the same memory and on the same threads. No
    /// parameter of it is frozen. The next call must be a forward, or [`Tape::freeze`].
    ///
    /// # Errors
    /// [`GradientError::Graph`]; the tape keeps its graph.
    pub fn set_graph(&mut self, graph: &Graph) -> Result<(), GradientError> {
        graph.check().map_err(GradientError::Graph)?;
        self.graph = graph.clone();
        self.parameters = Parameters::new(graph);
        self.adopt(graph.params.iter().map(|param| param.role.is_learned()).collect());
        Ok(())
    }

    /// Freezes parameters: their gradients are not computed. Replaces the set of the last call. Backward stops below the
    /// first parameter that is not frozen. The next call must be a forward.
    ///
    /// # Errors
    /// [`GradientError::Parameter`] for a name that the graph does not have.
    pub fn freeze<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<(), GradientError> {
        let frozen: BTreeSet<&str> = names.into_iter().collect();
        let unknown = frozen.iter().find(|name| !self.graph.params.iter().any(|param| param.name == **name));
        if let Some(name) = unknown {
            return Err(GradientError::Parameter((*name).to_owned()));
        }
        let learns =
            |param: &picodet_graph::Param| param.role.is_learned() && !frozen.contains(param.name.as_str());
        self.adopt(self.graph.params.iter().map(learns).collect());
        Ok(())
    }

    /// Rounds maps to bytes and back, by the scopes of the nodes that compute them, with the scales and zero points of
    /// `maps`; replaces those of the last call. The next call must be a forward.
    ///
    /// The gradients of the scales are those of [`Tape::scale_gradients`]. Fold batch norms first.
    ///
    /// # Errors
    /// [`GradientError::Map`] for a scope that no operation of the graph has, or one that only moves channels, and for
    /// another number of channels.
    pub fn set_maps(&mut self, maps: &BTreeMap<String, MapQuantisation>) -> Result<(), GradientError> {
        let mut found = Vec::with_capacity(maps.len());
        for (scope, map) in maps {
            let fits = |node: &picodet_graph::Node| {
                let moves = matches!(
                    node.op,
                    Op::Input | Op::BatchNorm | Op::Slice { .. } | Op::Concat | Op::ChannelShuffle
                );
                node.scope == *scope && !moves && node.shape.channels == map.channels()
            };
            let node = self.graph.nodes.iter().position(fits);
            found.push((node.ok_or_else(|| GradientError::Map(scope.clone()))?, scope, map));
        }
        let before: Vec<bool> = (0..self.graph.nodes.len()).map(|n| self.parameters.is_rounded(n)).collect();
        self.parameters.set_roundings(found.into_iter());
        self.stage = Stage::Empty;
        if before.iter().enumerate().any(|(node, &before)| self.parameters.is_rounded(node) != before) {
            let learns = std::mem::take(&mut self.learns);
            self.adopt(learns);
        }
        Ok(())
    }

    /// Returns the gradient by the logarithm of each scale of [`Tape::set_maps`] from the last backward, by the scope of the
    /// node. Maps that no given output depends on have no entry.
    pub fn scale_gradients(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.parameters.roundings().map(|rounding| (rounding.scope.as_str(), rounding.gradient.as_slice()))
    }

    /// Seeds dropout: the same seed drops the same elements. Each forward adds one to the seed.
    pub fn seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Makes each later batch one shard of a larger batch, whose other shards are processed by tapes of other threads or
    /// processes at the same time: batch norms use the statistics of the whole batch, by `all_reduce`, and dropout drops
    /// the same elements as in the whole batch. `first_image` is the index of the shard's first image in the batch.
    ///
    /// All tapes of the group must run the same graph with the same weights, frozen parameters and image size, and
    /// get gradients of the same outputs. Gradients of parameters are those of the shard's images; their sums over the
    /// group are those of the whole batch. `all_reduce` is called by one thread at a time, not always the same one.
    pub fn set_shard(&mut self, first_image: usize, all_reduce: AllReduce) {
        self.shard = Some(Shard { first_image, all_reduce });
    }

    /// Runs `image` (`shape` = `[n, 3, h, w]`, row-major, normalised) through the graph with `weights`.
    ///
    /// # Errors
    /// [`GradientError::Weights`], [`GradientError::Image`], [`GradientError::Size`], [`GradientError::Memory`].
    pub fn forward(
        &mut self,
        weights: &Weights,
        shape: [usize; 4],
        image: &[f32],
    ) -> Result<(), GradientError> {
        let len = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        let view = TensorView::channels_first(image, shape).filter(|_| len == Some(image.len()));
        self.forward_view(weights, view.ok_or(GradientError::Image { shape, len: image.len() })?)
    }

    /// As [`Tape::forward`], for images `[n, 3, h, w]` in any memory layout.
    ///
    /// # Errors
    /// As [`Tape::forward`].
    pub fn forward_view(&mut self, weights: &Weights, images: TensorView<'_>) -> Result<(), GradientError> {
        let shape = images.shape();
        let [n, c, h, w] = shape;
        if c != 3 || images.is_empty() {
            return Err(GradientError::Image { shape, len: images.len() });
        }
        self.graph.check_weights(weights).map_err(GradientError::Weights)?;
        let size = [n, h, w];
        if !self.layouts.contains_key(&size) {
            self.layouts.insert(size, Layout::new(&self.graph, &self.program, size)?);
        }
        self.stage = Stage::Empty;
        self.arena.reserve(self.layouts[&size].len).ok_or(GradientError::Memory(shape))?;
        self.parameters.read(weights);
        self.seed = self.seed.wrapping_add(1);
        let Self { program, parameters, arena, statistics, scratch, times, .. } = self;
        let ctx = Context {
            program,
            layout: &self.layouts[&size],
            executor: &self.executor,
            seed: self.seed,
            shard: self.shard.as_ref(),
        };
        self.executor.pool.install(|| {
            for (index, step) in ctx.program.steps.iter().enumerate() {
                let start = now();
                if step.kind == Kind::Import {
                    let ([], [map]) = arena.claim([], [ctx.value(step.output)]);
                    copy_tensor(ctx.executor, images, map, false);
                }
                forward::run(&ctx, arena, index, step, parameters, &mut statistics[index], scratch);
                times[index].forward = start.map_or(Duration::ZERO, |start| start.elapsed());
            }
        });
        self.stage = Stage::Forward(size);
        Ok(())
    }

    /// Returns a named output of the last forward, `[n, c, h, w]`, in place: channels last. `None` before a forward, or for
    /// a name that the graph does not have.
    pub fn output(&self, name: &str) -> Option<TensorView<'_>> {
        let size = self.stage.size()?;
        let slot = self.program.outputs.iter().find(|output| output.0 == name)?.1;
        let layout = self.layouts.get(&size)?;
        let stride = self.program.buffers[slot.buffer].shape.channels;
        let [n, h, w] = layout.sizes[slot.buffer];
        let elements = self.arena.elements().get(layout.values[slot.buffer] + slot.first..)?;
        TensorView::new(elements, [n, slot.channels, h, w], [h * w * stride, 1, w * stride, stride])
    }

    /// Returns the gradients of the learned parameters, given those of named outputs: each `[n, c, h, w]` like its output, in
    /// any memory layout (channels last is copied fastest); several of one name add up.
    ///
    /// Frozen parameters, and parameters that no given output depends on, have no entry.
    ///
    /// # Errors
    /// [`GradientError::NoForward`], [`GradientError::Output`], [`GradientError::GradientShape`].
    pub fn backward<'a, T>(&mut self, gradients: &'a [(String, T)]) -> Result<Weights, GradientError>
    where
        TensorView<'a>: From<&'a T>,
    {
        let Stage::Forward(size) = self.stage else { return Err(GradientError::NoForward) };
        let layout = &self.layouts[&size];
        let gradients: Vec<(&str, TensorView<'_>)> =
            gradients.iter().map(|(name, gradient)| (name.as_str(), gradient.into())).collect();
        for (name, values) in &gradients {
            let output = self.program.outputs.iter().find(|output| output.0 == *name);
            let Some((_, slot, _)) = output else { return Err(GradientError::Output((*name).to_owned())) };
            let [n, h, w] = layout.sizes[slot.buffer];
            let (found, expected) = (values.shape(), [n, slot.channels, h, w]);
            if found != expected {
                return Err(GradientError::GradientShape { name: (*name).to_owned(), found, expected });
            }
        }
        self.parameters.clear();
        let Self { program, parameters, arena, statistics, scratch, times, .. } = self;
        let ctx = Context {
            program,
            layout,
            executor: &self.executor,
            seed: self.seed,
            shard: self.shard.as_ref(),
        };
        let mut state = State { written: Written::new(ctx.program), arena, parameters, scratch };
        self.executor.pool.install(|| {
            for (name, values) in gradients {
                let output = ctx.program.outputs.iter().find(|output| output.0 == name);
                let Some((_, slot, true)) = output else { continue };
                let accumulate = state.written.claim(&ctx, state.arena, *slot);
                let ([], [map]) = state.arena.claim([], [ctx.gradient(*slot)]);
                copy_tensor(ctx.executor, values, map, accumulate);
            }
            for (index, step) in ctx.program.steps.iter().enumerate().rev() {
                let start = now();
                backward::run(&ctx, index, step, &statistics[index], &mut state);
                times[index].backward = start.map_or(Duration::ZERO, |start| start.elapsed());
            }
        });
        self.stage = Stage::Backward(size);
        Ok(self.parameters.gradients())
    }

    /// Returns mean and biased variance of the batch of the last forward, by the names of the running mean and variance
    /// that they update.
    pub fn statistics(&self) -> impl Iterator<Item = (&str, &[f32])> {
        let measured = self.stage != Stage::Empty;
        let steps = self.program.steps.iter().zip(&self.statistics);
        steps.filter(move |(step, _)| measured && matches!(step.kind, Kind::Norm(_))).flat_map(
            |(step, statistics)| {
                [
                    (self.parameters.name(step.params[2]), statistics.mean.as_slice()),
                    (self.parameters.name(step.params[3]), statistics.variance.as_slice()),
                ]
            },
        )
    }

    /// Returns the time of each step in the last forward and backward, in the order of the graph.
    #[must_use]
    pub fn times(&self) -> &[StepTime] {
        &self.times
    }

    /// Returns the bytes of the arena for a batch of `[n, 3, h, w]`: maps, gradients and saved values, without parameters.
    ///
    /// # Errors
    /// As [`Tape::forward`] for the size.
    pub fn memory(&self, [n, _, h, w]: [usize; 4]) -> Result<usize, GradientError> {
        Ok(4 * Layout::new(&self.graph, &self.program, [n, h, w])?.len)
    }
}

/// Returns the time, or `None` in a browser, where WebAssembly has no clock.
fn now() -> Option<Instant> {
    (!cfg!(all(target_family = "wasm", target_os = "unknown"))).then(Instant::now)
}

#[cfg(test)]
mod tests {
    use picodet_graph::{Activation, Op, Role, Tensor, pass};

    use super::*;

    fn noise(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.5 - 1.0).collect()
    }

    /// A detector with smooth activations, so that no rounding moves an element across a kink.
    fn smooth(name: &str) -> Graph {
        let graph = picodet_zoo::variant(name).expect("a variant").architecture.graph(3);
        let mut graph =
            pass::keep_outputs(&graph, |name| name.starts_with("neck.") || name.starts_with("reg."));
        for node in &mut graph.nodes {
            if let Op::Activation(activation) = &mut node.op {
                *activation = Activation::Sigmoid;
            }
        }
        graph
    }

    #[test]
    fn every_instruction_set_computes_the_same() {
        for name in ["legacy_s_320", "v2_xs_320"] {
            let graph = smooth(name);
            let tensor = |(index, param): (usize, &picodet_graph::Param)| {
                let mut data = noise(param.len(), index + 1);
                let scale = if param.role == Role::Weight { 0.3 } else { 1.0 };
                let shift = if param.role == Role::Gamma { 1.5 } else { 0.0 };
                data.iter_mut().for_each(|value| *value = *value * scale + shift);
                (param.name.clone(), Tensor { shape: param.shape.clone(), data })
            };
            let weights: Weights = graph.params.iter().enumerate().map(tensor).collect();
            let shape = [4, 3, 64, 64];
            let image = noise(shape.iter().product(), 0);
            let run = |isa: Isa| {
                let mut tape = Tape::with_isa(&graph, 1, isa).expect("a tape");
                tape.forward(&weights, shape, &image).expect("runs");
                let gradients: Vec<_> = graph
                    .outputs
                    .iter()
                    .map(|output| {
                        (output.name.clone(), tape.output(&output.name).expect("an output").to_tensor())
                    })
                    .collect();
                (tape.backward(&gradients).expect("differentiates"), gradients)
            };
            let norm =
                |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v * v)).sum::<f64>().sqrt();
            // Deep batch norms of few pixels amplify the roundings in which the sets differ; a wrong kernel is off by
            // the whole.
            let (expected, expected_maps) = run(Isa::PORTABLE);
            let whole = norm(&mut expected.values().flat_map(|tensor| tensor.data.iter().copied()));
            for isa in Isa::available() {
                let (found, maps) = run(isa);
                for ((name, found), (_, expected)) in maps.iter().zip(&expected_maps) {
                    let off = norm(&mut found.data.iter().zip(&expected.data).map(|(a, b)| a - b));
                    assert!(off < 1e-3 * norm(&mut expected.data.iter().copied()), "{isa:?} {name}: {off}");
                }
                for (name, tensor) in &found {
                    let pairs = tensor.data.iter().zip(&expected[name].data);
                    let off = norm(&mut pairs.map(|(a, b)| a - b));
                    let size = norm(&mut expected[name].data.iter().copied());
                    assert!(off < 1e-2 * size.max(1e-4 * whole), "{isa:?} {name}: {off} of {size}");
                }
            }
        }
    }
}
