//! The fast engine: the same results as [`crate::Reference`] up to rounding, from kernels of the processor's own
//! instruction set.
//!
//! [`Fast::prepare`] folds the batch norms, drops what no output needs, turns the graph into a schedule (`lower`), packs the weights and lays
//! out one arena; [`FastPlan::run`] goes through the schedule image by image. Maps are channels last. With several
//! threads each takes a band of rows of every step, so that it mostly reads what it wrote itself (`share.rs`).

mod arena;
mod dtype;
mod lower;
mod outputs;
mod pool;
mod precision;
mod run;
mod schedule;
mod separable;
mod share;

use std::sync::Arc;
use std::time::Instant;

use picodet_graph::{Graph, Tensor4, Weights, pass};

use crate::{Engine, Plan, PlanError, RunError, check_plan};
use arena::Arena;
pub use outputs::OutputView;
use picodet_kernel::peak;
pub use picodet_simd::{Isa, IsaKind};
pub use precision::Precision;
use run::{Memory, run_step};
use schedule::Schedule;
use share::Share;

/// The engine.
#[derive(Clone, Copy, Debug)]
pub struct Fast {
    isa: Isa,
    threads: usize,
    precision: Precision,
}

impl Default for Fast {
    fn default() -> Self {
        Self::new()
    }
}

impl Fast {
    /// With the best instruction set of this processor and one thread.
    pub fn new() -> Self {
        Self { isa: Isa::best(), threads: 1, precision: Precision::F32 }
    }

    /// With a given instruction set, or `None` when this processor does not have it.
    pub fn with_isa(isa: Isa) -> Option<Self> {
        Isa::available().contains(&isa).then_some(Self { isa, threads: 1, precision: Precision::F32 })
    }

    /// The same engine with `threads` threads in each inference, from 1 to 256; WebAssembly has one.
    pub fn with_threads(self, threads: usize) -> Self {
        let most = if cfg!(target_family = "wasm") { 1 } else { 256 };
        Self { threads: threads.clamp(1, most), ..self }
    }

    /// The same engine with convolutions of a given precision, or `None` when this processor has no instructions for it.
    pub fn with_precision(self, precision: Precision) -> Option<Self> {
        dtype::is_supported(precision, self.isa).then_some(Self { precision, ..self })
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
        // What no output needs is not computed.
        let graph = pass::keep_outputs(&graph, |_| true);
        let schedule = lower::lower(&graph, &weights, input_size, self.isa, self.threads, self.precision);
        let arenas = vec![Arena::new(schedule.arena)];
        Ok(FastPlan { schedule: Arc::new(schedule), arenas, input_size, pace: Pace::default() })
    }
}

impl Fast {
    /// The most f32 multiply-accumulates a second that one core does with this engine's instruction set, measured in
    /// registers alone: what [`FastPlan::profile`]'s times are compared with. Takes some milliseconds.
    pub fn peak(&self) -> f64 {
        const ROUNDS: usize = 100_000;
        let mut sum = 0.0f32;
        let mut least = f64::INFINITY;
        for _ in 0..20 {
            let start = Instant::now();
            sum += peak::accumulate(self.isa, ROUNDS);
            least = least.min(start.elapsed().as_secs_f64());
        }
        debug_assert!(sum > 0.0);
        peak::macs(self.isa, ROUNDS) as f64 / least.max(1e-9)
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
    schedule: Arc<Schedule>,
    /// The first one, and one for each further image that is computed at the same time.
    arenas: Vec<Arena>,
    input_size: (usize, usize),
    pace: Pace,
}

impl Plan for FastPlan {
    fn input_size(&self) -> (usize, usize) {
        self.input_size
    }

    fn run(&mut self, image: &Tensor4) -> Result<Vec<(String, Tensor4)>, RunError> {
        let mut outputs = self.outputs(image)?;
        let workers = self.schedule.workers;
        // As many images at a time as there are workers, each from beginning to end; what is left over in bands.
        let whole = if workers > 1 { image.shape[0] / workers * workers } else { 0 };
        if whole > 0 {
            let len = self.schedule.arena;
            self.arenas.resize_with(workers, || Arena::new(len));
        }
        let arenas: Vec<*mut f32> = self.arenas.iter_mut().map(Arena::pointer).collect();
        let mut memories = Vec::with_capacity(image.shape[0]);
        for n in 0..image.shape[0] {
            let arena = arenas[if n < whole { n % workers } else { 0 }];
            memories.push(self.memory(arena, image, n, &mut outputs));
        }
        let rest = memories.split_off(whole);
        if whole > 0 {
            share_out(&self.schedule, whole / workers, workers, move |schedule, index, band| {
                let memory = &memories[index * workers + band];
                for step in &schedule.steps {
                    (0..workers).for_each(|band| execute(schedule, step, memory, band));
                }
            });
        }
        if !rest.is_empty() {
            self.in_bands(rest, true);
        }
        Ok(outputs)
    }

    fn run_in_place(&mut self, image: &Tensor4) -> Result<Option<Vec<OutputView<'_>>>, RunError> {
        self.check(image)?;
        if image.shape[0] != 1 {
            return Ok(None);
        }
        let memory =
            Memory { arena: self.arenas[0].pointer(), image: image.data.as_ptr(), outputs: Vec::new() };
        self.in_bands(vec![memory], false);
        Ok(outputs::views(&self.schedule, self.arenas[0].numbers()))
    }
}

/// Does `work(schedule, step, band)` for all `steps` on `helped` threads at most; bands are those of the schedule's
/// workers. Memory that `work` uses must be there until this returns, not longer.
fn share_out(
    schedule: &Arc<Schedule>,
    steps: usize,
    helped: usize,
    work: impl Fn(&Schedule, usize, usize) + Send + Sync + 'static,
) {
    let share = Arc::new(Share::new(schedule.workers, steps));
    if helped == 1 {
        share.work(0, |step, band| work(schedule, step, band));
        return;
    }
    let finish = Finish(Arc::clone(&share));
    let schedule = Arc::clone(schedule);
    let job: pool::Job = Arc::new(move |worker| share.work(worker, |step, band| work(&schedule, step, band)));
    pool::run(&job, helped);
    if !finish.0.finish() {
        std::panic::resume_unwind(Box::new("a worker of the inference has panicked"));
    }
}

/// Lets nobody go on with memory that a panic is about to free.
struct Finish(Arc<Share>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// Whether helpers are worth it: on a busy machine, or with cores that share no cache, they may not be.
#[derive(Clone, Debug, Default)]
struct Pace {
    /// Runs so far.
    runs: usize,
    /// Seconds of a run with helpers and without, smoothed; 0 as long as there was none.
    times: [f64; 2],
    /// Runs to go alone.
    alone: usize,
    /// Length of the last pause, while helpers go on to be a loss.
    pause: usize,
}

impl Pace {
    /// Runs that go alone once helpers have turned out to be a loss: few at first, since one slow run may be another
    /// program's doing, then twice as many each time.
    const PAUSES: (usize, usize) = (2, 16);

    /// Decides on a run.
    fn shared(&mut self) -> bool {
        self.runs += 1;
        if self.alone > 0 {
            self.alone -= 1;
            return false;
        }
        // The third run goes alone, to compare with.
        self.runs != 3
    }

    fn note(&mut self, shared: bool, seconds: f64) {
        let time = &mut self.times[usize::from(!shared)];
        *time = if *time == 0.0 { seconds } else { 0.75 * *time + 0.25 * seconds };
        let [with, without] = self.times;
        if !shared || without == 0.0 {
            return;
        }
        if with > without {
            self.pause = (2 * self.pause).clamp(Self::PAUSES.0, Self::PAUSES.1);
            self.alone = self.pause;
            // The next run with helpers counts for itself.
            self.times[0] = 0.0;
        } else {
            self.pause = 0;
        }
    }
}

impl FastPlan {
    /// The schedule as text, a step a line.
    pub fn describe(&self) -> String {
        self.schedule.to_string()
    }

    /// Bytes of the arenas in which all maps lie: one, and one a thread once a batch has been run.
    pub fn arena_bytes(&self) -> usize {
        self.arenas.iter().map(|arena| arena.bytes()).sum()
    }

    /// Multiply-accumulates of one image.
    pub fn macs(&self) -> u64 {
        self.schedule.steps.iter().map(|step| step.macs).sum()
    }

    /// Runs one image `rounds` times on one thread and returns the median time of each step.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn profile(&mut self, image: &Tensor4, rounds: usize) -> Result<Vec<StepTime>, RunError> {
        let mut outputs = self.outputs(image)?;
        let arena = self.arenas[0].pointer();
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

    /// Runs images one after the other, their steps shared among the workers; without `export`, outputs stay where they
    /// are.
    fn in_bands(&mut self, images: Vec<Memory>, export: bool) {
        let (workers, steps) = (self.schedule.workers, self.schedule.steps.len());
        // Not every system without threads has a clock.
        let start = (workers > 1 && images.len() == 1).then(Instant::now);
        let shared = workers > 1 && self.pace.shared();
        let helped = if shared { workers } else { 1 };
        share_out(&self.schedule, steps * images.len(), helped, move |schedule, index, band| {
            let step = &schedule.steps[index % steps];
            if export || !matches!(step.operation, schedule::Operation::Export { .. }) {
                execute(schedule, step, &images[index / steps], band);
            }
        });
        if let Some(start) = start {
            self.pace.note(shared, start.elapsed().as_secs_f64());
        }
    }

    fn check(&self, image: &Tensor4) -> Result<(), RunError> {
        let [batch, channels, height, width] = image.shape;
        let complete = image.data.len() == image.shape.iter().product::<usize>();
        if channels != 3 || (height, width) != self.input_size || !complete || batch == 0 {
            return Err(RunError::Shape { found: image.shape, size: self.input_size });
        }
        Ok(())
    }

    /// The outputs of a batch, zeros as yet.
    fn outputs(&self, image: &Tensor4) -> Result<Vec<(String, Tensor4)>, RunError> {
        self.check(image)?;
        let batch = image.shape[0];
        let outputs = self.schedule.outputs.iter();
        let zeros = |&[c, h, w]: &[usize; 3]| Tensor4::zeros([batch, c, h, w]);
        Ok(outputs.map(|(name, shape)| (name.clone(), zeros(shape))).collect())
    }

    /// The memory of image `n` of a checked batch.
    fn memory(
        &self,
        arena: *mut f32,
        image: &Tensor4,
        n: usize,
        outputs: &mut [(String, Tensor4)],
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_that_are_a_loss_get_longer_and_longer_pauses() {
        let mut pace = Pace::default();
        let mut decided = Vec::new();
        for run in 0..30 {
            let shared = pace.shared();
            decided.push(shared);
            // Helpers double the time at first, and halve it from the twentieth run on.
            let time = if !shared {
                1.0
            } else if run < 20 {
                2.0
            } else {
                0.5
            };
            pace.note(shared, time);
        }
        assert!(decided[0] && decided[1] && !decided[2], "{decided:?}");
        let tried: Vec<usize> = (3..20).filter(|&run| decided[run]).collect();
        assert_eq!(tried, [3, 6, 11], "{decided:?}");
        assert!(decided[20..].iter().all(|shared| *shared), "{decided:?}");
    }
}
