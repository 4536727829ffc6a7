//! Measures the steps of a plan and the arithmetic peak of a core.

use std::time::Instant;

use picodet_graph::Tensor4;
use picodet_kernel::peak;

use super::arena::Arena;
use super::plan::execute;
use super::{CpuEngine, CpuPlan};
use crate::RunError;

/// Time of one step, as [`CpuPlan::profile`] measures it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepTime {
    /// The kind of operation, as in `pointwise`.
    pub kind: String,
    /// Scope of the graph node that the step computes.
    pub scope: String,
    /// Height and width of the step's result.
    pub out_size: (usize, usize),
    /// Number of multiply-accumulates.
    pub macs: u64,
    /// Median seconds.
    pub seconds: f64,
}

impl CpuPlan {
    /// Runs one image `rounds` times on one thread and returns the median time of each step.
    ///
    /// # Errors
    /// As [`Plan::run`](crate::Plan::run).
    pub fn profile(&self, image: &Tensor4, rounds: usize) -> Result<Vec<StepTime>, RunError> {
        let mut outputs = self.outputs(image)?;
        let mut arenas = self.arenas(1);
        let arena = arenas.iter_mut().map(Arena::pointer).next().unwrap_or(std::ptr::null_mut());
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
}

impl CpuEngine {
    /// Measures the most f32 multiply-accumulates per second that one core does in registers with this engine's
    /// instruction set: the yardstick of [`CpuPlan::profile`]'s times. Takes some milliseconds.
    pub fn peak(&self) -> f64 {
        const ROUNDS: usize = 100_000;
        let mut sum = 0.0f32;
        let mut least = f64::INFINITY;
        for _ in 0..20 {
            let start = Instant::now();
            sum += peak::accumulate(self.isa(), ROUNDS);
            least = least.min(start.elapsed().as_secs_f64());
        }
        debug_assert!(sum > 0.0);
        peak::macs(self.isa(), ROUNDS) as f64 / least.max(1e-9)
    }
}
