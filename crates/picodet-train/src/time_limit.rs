//! Measures the first steps of a run with a time limit, and plans its length.

use picodet_zoo::Variant;

use crate::error::RunError;
use crate::evaluator::Evaluator;
use crate::loader::Batch;
use crate::options::RunOptions;
use crate::plan::{Position, StepCosts, TimePlan, fit};
use crate::state::State;
use crate::step::Learner;

/// The measurements of a run whose length is not planned yet.
#[derive(Debug)]
pub(crate) struct TimeLimit {
    /// In seconds.
    limit: f64,
    /// Mean number of pixels of the network input.
    mean_pixels: f64,
    costs: StepCosts,
    /// Whether the first step, which takes longer than later ones, is over.
    is_warm: bool,
}

impl TimeLimit {
    /// Starts to measure if the run has a time limit and no plan. A new run takes its limit from the options.
    pub(crate) fn start(state: &mut State, options: &RunOptions) -> Option<Self> {
        if state.progress.step == 0 {
            state.progress.time_limit = options.time_limit.map(|limit| limit.as_secs_f64());
        }
        let is_open = |limit: &f64| state.progress.plan.is_none() && state.progress.seconds < *limit;
        let limit = state.progress.time_limit.filter(is_open)?;
        let sizes = state.progress.experiment.batch.sizes.iter().map(|size| size.pair());
        let (count, pixels) = sizes.fold((0.0, 0.0), |(count, pixels), (height, width)| {
            (count + 1.0, pixels + (height * width) as f64)
        });
        Some(Self { limit, mean_pixels: pixels / count, costs: StepCosts::default(), is_warm: false })
    }

    /// Adds a step of `passes` passes through networks.
    pub(crate) fn add(&mut self, batch: &Batch, seconds: f64, passes: usize) {
        if self.is_warm {
            let pixels = (batch.shape[2] * batch.shape[3]) as f64;
            self.costs.add(seconds, pixels / self.mean_pixels * passes as f64);
        }
        self.is_warm = true;
    }

    /// Returns the plan once enough steps are measured, if the limit is not reached yet; the clock of rank 0 counts. Measures
    /// an evaluation for it.
    ///
    /// # Errors
    /// If the evaluation fails.
    pub(crate) fn plan(
        &self,
        state: &State,
        variant: &Variant,
        steps_per_epoch: usize,
        options: &RunOptions,
        (learner, evaluator): (&dyn Learner, &mut dyn Evaluator),
    ) -> Result<Option<TimePlan>, RunError> {
        let elapsed = state.progress.seconds;
        let mut is_ready = [f64::from(elapsed < self.limit && self.costs.is_enough(elapsed, self.limit))];
        options.group.broadcast(&mut is_ready);
        if is_ready[0] == 0.0 {
            return Ok(None);
        }
        let start = options.clock.now();
        let model = state.model(variant, state.weights.clone(), 0);
        evaluator.evaluate(&model).map_err(|source| RunError::Evaluation { epoch: 0, source })?;
        let evaluation_seconds = (options.clock.now() - start).as_secs_f64();
        let mut measured = [elapsed + evaluation_seconds, self.costs.mean(), evaluation_seconds];
        options.group.broadcast(&mut measured);
        let [elapsed, pass_seconds, evaluation_seconds] = measured;
        let step = state.progress.step;
        let at = Position {
            elapsed,
            step,
            of_steps: state.steps(steps_per_epoch),
            steps_per_epoch,
            steps_per_evaluation: options.evaluate_every.max(1) * steps_per_epoch,
        };
        let passes = |steps| learner.passes(step..steps, steps);
        Ok(Some(fit(at, self.limit, [pass_seconds, evaluation_seconds], &passes)))
    }
}
