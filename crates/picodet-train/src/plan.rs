//! Fits the length of a run into its time limit.

use serde::{Deserialize, Serialize};

/// Steps whose duration is measured, at most.
const MEASURED_STEPS: usize = 20;
/// Steps whose duration is measured, at least.
const LEAST_MEASURED_STEPS: usize = 2;
/// Share of the time limit in which steps are measured, at most.
const MEASURED_SHARE: f64 = 0.03;
/// Share of the time limit that is planned; the rest is for files and for steps that take longer than the measured ones.
const PLANNED_SHARE: f64 = 0.95;

/// The length of a run that was fitted into its time limit, with the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimePlan {
    /// Steps of the run.
    pub steps: usize,
    /// Steps of the run without a time limit.
    pub of_steps: usize,
    /// Finished steps when the run was planned.
    #[serde(default)]
    pub at_step: usize,
    /// Steps per epoch.
    pub steps_per_epoch: usize,
    /// The time limit in seconds.
    pub limit: f64,
    /// Mean duration of the steps after that, in seconds.
    pub step_seconds: f64,
    /// Duration of an evaluation in seconds.
    pub evaluation_seconds: f64,
}

impl TimePlan {
    /// Returns the epochs of the run, the last of which may be incomplete.
    #[must_use]
    pub fn epochs(&self) -> f64 {
        self.steps as f64 / self.steps_per_epoch.max(1) as f64
    }
}

/// The durations of the first steps of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct StepCosts {
    steps: usize,
    seconds: f64,
    /// Sum of the sizes of the network input, each relative to the mean size of the run, times the passes of its step.
    sizes: f64,
}

impl StepCosts {
    /// Adds a step with the size of its network input, relative to the mean size of the run, times its passes.
    pub(crate) fn add(&mut self, seconds: f64, size: f64) {
        self.steps += 1;
        self.seconds += seconds;
        self.sizes += size;
    }

    /// Returns whether enough steps are measured, `elapsed` seconds after the start of a run with a limit.
    pub(crate) fn is_enough(&self, elapsed: f64, limit: f64) -> bool {
        self.steps >= MEASURED_STEPS
            || self.steps >= LEAST_MEASURED_STEPS && elapsed >= MEASURED_SHARE * limit
    }

    /// Returns the mean duration of a pass in seconds; larger inputs take longer in proportion.
    pub(crate) fn mean(&self) -> f64 {
        self.seconds / self.sizes.max(f64::MIN_POSITIVE)
    }
}

/// The position of a run when it is planned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// Seconds since the start of the run.
    pub(crate) elapsed: f64,
    /// Finished steps.
    pub(crate) step: usize,
    /// Steps of the run without a limit.
    pub(crate) of_steps: usize,
    /// Steps per epoch.
    pub(crate) steps_per_epoch: usize,
    /// Steps between evaluations.
    pub(crate) steps_per_evaluation: usize,
}

/// Plans the longest run that ends within `limit` seconds with its evaluations, at least one further step. `passes` gives
/// the passes that a run of some steps takes after those that are finished, and increases with the steps.
pub(crate) fn fit(
    at: Position,
    limit: f64,
    [pass_seconds, evaluation_seconds]: [f64; 2],
    passes: &dyn Fn(usize) -> usize,
) -> TimePlan {
    let left = PLANNED_SHARE * limit - at.elapsed;
    let evaluations = |steps: usize| steps.div_ceil(at.steps_per_evaluation);
    let before = at.step / at.steps_per_evaluation;
    let seconds = |steps: usize| {
        passes(steps) as f64 * pass_seconds + (evaluations(steps) - before) as f64 * evaluation_seconds
    };
    // The last number of steps that fits; the duration grows with the number.
    let (mut fits, mut too_long) = (at.step + 1, at.of_steps + 1);
    while fits + 1 < too_long {
        let middle = fits + (too_long - fits) / 2;
        if seconds(middle) <= left { fits = middle } else { too_long = middle }
    }
    let steps = fits.min(at.of_steps);
    let left = steps.saturating_sub(at.step);
    let step_seconds = passes(steps) as f64 / left.max(1) as f64 * pass_seconds;
    TimePlan {
        steps,
        of_steps: at.of_steps,
        at_step: at.step,
        steps_per_epoch: at.steps_per_epoch,
        limit,
        step_seconds,
        evaluation_seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Position =
        Position { elapsed: 10.0, step: 20, of_steps: 3000, steps_per_epoch: 10, steps_per_evaluation: 50 };

    /// One pass a step.
    fn every(steps: usize) -> usize {
        steps - AT.step
    }

    #[test]
    fn the_longest_run_that_fits_is_planned() {
        // 950 - 10 seconds are left: 85 s for 50 steps and an evaluation.
        let plan = fit(AT, 1000.0, [1.5, 10.0], &every);
        let cost = |steps: usize| {
            (20..steps).map(|step| 1.5 + if (step + 1) % 50 == 0 { 10.0 } else { 0.0 }).sum::<f64>()
                + if steps.is_multiple_of(50) { 0.0 } else { 10.0 }
        };
        assert!(cost(plan.steps) <= 940.0, "{plan:?} takes {}", cost(plan.steps));
        assert!(cost(plan.steps + 1) > 940.0, "{plan:?} is not the longest");
    }

    #[test]
    fn a_run_is_never_longer_than_its_recipe_and_has_a_step_left() {
        assert_eq!(fit(AT, 1e9, [1.5, 10.0], &every).steps, 3000);
        assert_eq!(fit(AT, 11.0, [1.5, 10.0], &every).steps, 21);
        assert_eq!(fit(Position { step: 3000, ..AT }, 1e9, [1.5, 10.0], &|_| 0).steps, 3000);
    }

    #[test]
    fn cheaper_steps_at_the_beginning_do_not_make_the_run_too_long() {
        // The first half of the steps takes one pass each, the rest three; 20 are over.
        let passes = |steps: usize| steps / 2 + (steps - steps / 2) * 3 - 20;
        let plan = fit(AT, 1000.0, [1.5, 0.0], &passes);
        assert_eq!((plan.steps, plan.at_step), (322, 20));
        assert!((plan.step_seconds - 1.5 * 624.0 / 302.0).abs() < 1e-12, "{plan:?}");
    }

    #[test]
    fn the_duration_of_a_step_is_that_of_the_mean_size() {
        let mut costs = StepCosts::default();
        costs.add(2.0, 0.5);
        assert!(!costs.is_enough(1e9, 100.0), "one step");
        costs.add(6.0, 1.5);
        assert!((costs.mean() - 4.0).abs() < 1e-12, "{costs:?}");
        assert!(costs.is_enough(8.0, 100.0) && !costs.is_enough(0.5, 100.0));
        (0..MEASURED_STEPS).for_each(|_| costs.add(1.0, 1.0));
        assert!(costs.is_enough(0.5, 1e9));
    }
}
