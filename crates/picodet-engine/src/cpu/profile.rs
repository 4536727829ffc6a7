//! Measures the steps of a plan and the arithmetic peak of a core.

use std::time::Instant;

use picodet_graph::Tensor4;
use picodet_kernel::peak;

use super::plan::images;
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
        let mut images = images(image, &mut outputs);
        let steps = &self.program.schedule().steps;
        let mut times = vec![Vec::with_capacity(rounds); steps.len()];
        for _ in 0..rounds.max(1) {
            self.program.run_steps(&mut arenas[0], &mut images[0], |index, run| {
                let start = Instant::now();
                run();
                times[index].push(start.elapsed().as_secs_f64());
            });
        }
        let steps = steps.iter().zip(times);
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
