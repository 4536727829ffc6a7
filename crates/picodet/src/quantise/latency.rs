//! Measures a float network and its quantised form in turns, so that other work on the machine slows all of them alike.

use std::time::{Duration, Instant};

use picodet_detect::{Error, Model, Options, precision_name, prepare};
use picodet_engine::{CpuPlan, Plan, Precision, fastest_precision};

use crate::bench::{Times, noise};

/// Runs of one network before it is the turn of the next; the first of them is not counted.
const RUNS: usize = 6;
/// Fewest turns.
const TURNS: usize = 4;

/// Median time of the network for one image on one thread, for each precision of this processor.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Latencies {
    /// Of the float model: f32, and 16 bits where the processor has instructions for them.
    pub float: Vec<(Precision, Duration)>,
    /// Of the quantised model.
    pub int8: Duration,
}

impl Latencies {
    /// Measures for about `budget`.
    ///
    /// # Errors
    /// When a model cannot be prepared or run.
    pub fn measure(float: &Model, quantised: &Model, budget: Duration) -> Result<Self, Error> {
        let mut precisions = vec![Precision::F32];
        precisions.extend(Some(fastest_precision()).filter(|&fastest| fastest != Precision::F32));
        let plan = |precision: &Precision| prepare(float, &Options::new().with_precision(*precision));
        let mut plans: Vec<CpuPlan> = precisions.iter().map(plan).collect::<Result<_, _>>()?;
        plans.push(prepare(quantised, &Options::new())?);
        let image = noise(plans[0].input_size());
        let mut times = vec![Vec::new(); plans.len()];
        let start = Instant::now();
        let mut turn = 0;
        while turn < TURNS || start.elapsed() < budget {
            for (plan, times) in plans.iter().zip(&mut times) {
                for run in 0..RUNS {
                    let start = Instant::now();
                    plan.run_in_place(&image)?;
                    if run > 0 {
                        times.push(start.elapsed());
                    }
                }
            }
            turn += 1;
        }
        let mut medians = times.into_iter().map(|times| Times::of(times).percentile(0.5));
        let float: Vec<_> = precisions.into_iter().zip(medians.by_ref()).collect();
        Ok(Self { float, int8: medians.next().unwrap_or_default() })
    }

    /// Returns the fastest precision of the float model, and its time.
    #[must_use]
    pub fn fastest_float(&self) -> (Precision, Duration) {
        self.float.iter().copied().min_by_key(|(_, time)| *time).unwrap_or_default()
    }

    /// Returns how many times faster the quantised model is than the fastest precision of the float model.
    #[must_use]
    pub fn gain(&self) -> f64 {
        self.fastest_float().1.as_secs_f64() / self.int8.as_secs_f64().max(1e-9)
    }

    /// Returns the name of each precision and its milliseconds, `int8` last.
    #[must_use]
    pub fn milliseconds(&self) -> Vec<(&'static str, f64)> {
        let float = self.float.iter().map(|(precision, time)| (precision.name(), *time));
        let all = float.chain([(precision_name(Precision::U8), self.int8)]);
        all.map(|(name, time)| (name, 1e3 * time.as_secs_f64())).collect()
    }
}
