//! The fast engine: the same results as [`crate::Reference`] up to rounding, from kernels of the processor's own
//! instruction set.
//!
//! [`Fast::prepare`] folds the batch norms, turns the graph into a schedule (`lower.rs`), packs the weights and lays
//! out one arena; [`FastPlan::run`] goes through the schedule image by image. Maps are channels last. With several
//! threads each takes a band of rows of every step, so that it mostly reads what it wrote itself (`share.rs`).

mod isa;
mod kernel;
mod lower;
mod run;
mod schedule;
mod share;

use std::time::Instant;

use picodet_graph::{Graph, Weights, pass};

use crate::{Engine, Feature, Plan, PlanError, RunError, check_plan};
pub use isa::Isa;
use run::{Memory, run_step};
use schedule::Schedule;
use share::Share;

/// The engine.
#[derive(Clone, Copy, Debug)]
pub struct Fast {
    isa: Isa,
    threads: usize,
}

impl Default for Fast {
    fn default() -> Self {
        Self::new()
    }
}

impl Fast {
    /// With the best instruction set of this processor and one thread.
    pub fn new() -> Self {
        Self { isa: Isa::best(), threads: 1 }
    }

    /// With a given instruction set, or `None` when this processor does not have it.
    pub fn with_isa(isa: Isa) -> Option<Self> {
        Isa::available().contains(&isa).then_some(Self { isa, threads: 1 })
    }

    /// The same engine with `threads` threads in each inference, from 1 to 256; WebAssembly has one.
    pub fn with_threads(self, threads: usize) -> Self {
        let most = if cfg!(target_family = "wasm") { 1 } else { 256 };
        Self { threads: threads.clamp(1, most), ..self }
    }

    /// The instruction set that plans of this engine run with.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// As [`Engine::plan`], but keeping the type.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub fn prepare(
        &self,
        graph: &Graph,
        weights: &Weights,
        input_size: (usize, usize),
    ) -> Result<FastPlan, PlanError> {
        check_plan(graph, weights, input_size)?;
        let (graph, weights) = pass::fold_batch_norm(graph, weights);
        let schedule = lower::lower(&graph, &weights, input_size, self.isa, self.threads);
        // A cache line more, so that the arena can begin on one.
        let arena = vec![0.0; schedule.arena + 16];
        Ok(FastPlan { schedule, arena, input_size })
    }
}

impl Engine for Fast {
    fn plan(
        &self,
        graph: &Graph,
        weights: &Weights,
        input_size: (usize, usize),
    ) -> Result<Box<dyn Plan>, PlanError> {
        Ok(Box::new(self.prepare(graph, weights, input_size)?))
    }
}

/// Time of one step, as [`FastPlan::profile`] measures it.
#[derive(Clone, Debug)]
pub struct StepTime {
    /// What the step does, as in `pointwise`.
    pub kind: String,
    /// Scope of the node that it stands for.
    pub scope: String,
    /// Height and width of its result in cells.
    pub out_size: (usize, usize),
    /// Multiply-accumulates.
    pub macs: u64,
    /// Median seconds.
    pub seconds: f64,
}

/// A network made ready by [`Fast`].
#[derive(Clone, Debug)]
pub struct FastPlan {
    schedule: Schedule,
    arena: Vec<f32>,
    input_size: (usize, usize),
}

impl Plan for FastPlan {
    fn input_size(&self) -> (usize, usize) {
        self.input_size
    }

    fn run(&mut self, image: &Feature) -> Result<Vec<(String, Feature)>, RunError> {
        let mut outputs = self.outputs(image)?;
        let arena = self.arena();
        let memories: Vec<Memory> =
            (0..image.shape[0]).map(|n| self.memory(arena, image, n, &mut outputs)).collect();
        let schedule = &self.schedule;
        let share = Share::new(schedule.workers, schedule.steps.len() * memories.len());
        let work = |worker: usize| {
            share.work(worker, |index, band| {
                let (image, step) = (index / schedule.steps.len(), index % schedule.steps.len());
                execute(schedule, &schedule.steps[step], &memories[image], band);
            });
        };
        std::thread::scope(|scope| {
            let work = &work;
            for worker in 1..schedule.workers {
                // A thread that cannot be had is no loss but of time: the others do its bands.
                let _ = std::thread::Builder::new().spawn_scoped(scope, move || work(worker));
            }
            work(0);
        });
        Ok(outputs)
    }
}

impl FastPlan {
    /// The schedule as text, a step a line.
    pub fn describe(&self) -> String {
        self.schedule.to_string()
    }

    /// Bytes of the arena in which all maps lie.
    pub fn arena_bytes(&self) -> usize {
        self.arena.len() * size_of::<f32>()
    }

    /// Multiply-accumulates of one image.
    pub fn macs(&self) -> u64 {
        self.schedule.steps.iter().map(|step| step.macs).sum()
    }

    /// Runs one image `rounds` times on one thread and returns the median time of each step.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn profile(&mut self, image: &Feature, rounds: usize) -> Result<Vec<StepTime>, RunError> {
        let mut outputs = self.outputs(image)?;
        let arena = self.arena();
        let memory = self.memory(arena, image, 0, &mut outputs);
        let mut times = vec![Vec::with_capacity(rounds); self.schedule.steps.len()];
        for _ in 0..rounds.max(1) {
            for (step, times) in self.schedule.steps.iter().zip(&mut times) {
                let start = Instant::now();
                (0..self.schedule.workers).for_each(|worker| execute(&self.schedule, step, &memory, worker));
                times.push(start.elapsed().as_secs_f64());
            }
        }
        let steps = self.schedule.steps.iter().zip(times);
        let report = steps.map(|(step, mut times)| {
            times.sort_by(f64::total_cmp);
            StepTime {
                kind: step.operation.kind(),
                scope: step.scope.clone(),
                out_size: step.out_size,
                macs: step.macs,
                seconds: times[times.len() / 2],
            }
        });
        Ok(report.collect())
    }

    /// The outputs of a batch, zeros as yet.
    fn outputs(&self, image: &Feature) -> Result<Vec<(String, Feature)>, RunError> {
        let [batch, channels, height, width] = image.shape;
        let complete = image.data.len() == image.shape.iter().product::<usize>();
        if channels != 3 || (height, width) != self.input_size || !complete || batch == 0 {
            return Err(RunError::Shape { found: image.shape, size: self.input_size });
        }
        let outputs = self.schedule.outputs.iter();
        let zeros = |&[c, h, w]: &[usize; 3]| Feature::zeros([batch, c, h, w]);
        Ok(outputs.map(|(name, shape)| (name.clone(), zeros(shape))).collect())
    }

    /// The first number of the arena that begins a cache line.
    fn arena(&mut self) -> *mut f32 {
        let begin = self.arena.as_ptr().align_offset(64).min(16);
        self.arena[begin..].as_mut_ptr()
    }

    /// The memory of image `n` of a checked batch.
    fn memory(
        &self,
        arena: *mut f32,
        image: &Feature,
        n: usize,
        outputs: &mut [(String, Feature)],
    ) -> Memory {
        let len = 3 * self.input_size.0 * self.input_size.1;
        Memory {
            arena,
            image: image.data[n * len..(n + 1) * len].as_ptr(),
            outputs: outputs
                .iter_mut()
                .map(|(_, feature)| {
                    let len = feature.shape[1] * feature.plane();
                    feature.data[n * len..(n + 1) * len].as_mut_ptr()
                })
                .collect(),
        }
    }
}

/// Runs one band of rows of one step.
#[allow(unsafe_code)]
fn execute(schedule: &Schedule, step: &schedule::Step, memory: &Memory, band: usize) {
    // SAFETY: plans are made for instruction sets of this processor only; `FastPlan::memory` gives slices of the
    // lengths that the schedule says, borrowed mutably while it runs, and `Share` begins a step when the one before is done.
    unsafe { run_step(schedule, step, memory, band) }
}
