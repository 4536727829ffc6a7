//! `picodet quantise --mixed`: computes the steps in f32 that lose most for their time.

use std::time::Duration;

use anyhow::Result;
use picodet::Model;
use picodet::quantise::{Judge, Latencies, MIN_GAIN, Sensitivity, mixed, sensitivity};

use super::pictures::Pictures;
use crate::args::{MixedBudget, Quantise};
use crate::output::status;
use crate::{host, images};

/// Number of calibration images on which each step is judged.
const IMAGES: usize = 24;
/// How long the speed is measured.
const MEASURING: Duration = Duration::from_secs(1);

/// A model with some steps in f32, and what was measured.
pub(super) struct Mixed {
    pub(super) model: Model,
    pub(super) steps: Vec<Sensitivity>,
}

/// Measures the steps and chooses those to compute in f32.
pub(super) fn choose(
    command: &Quantise,
    budget: MixedBudget,
    float: &Model,
    quantised: &Model,
    calibration: &Pictures,
) -> Result<Mixed> {
    let (pictures, _) = calibration.clone().divide(IMAGES);
    let judge = Judge::new(float, &pictures.files, None, command.limits.limits(), command.threads)?;
    let count = quantised.quantisation.as_ref().map_or(0, |integers| integers.convolutions.len());
    let bar = images::progress_of(count, "measuring", "steps");
    let report = host::progress("measuring", count);
    let steps = sensitivity(&judge, float, quantised, &mut |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        report(done)
    })?;
    bar.finish_and_clear();
    let budget = match budget {
        MixedBudget::Milliseconds(time) => Duration::from_secs_f64(time / 1e3),
        MixedBudget::Auto => {
            let latencies = Latencies::measure(float, quantised, MEASURING)?;
            latencies.fastest_float().1.div_f64(MIN_GAIN).saturating_sub(latencies.int8)
        }
    };
    let milliseconds = 1e3 * budget.as_secs_f64();
    if budget.is_zero() {
        status(
            "--mixed: no time is left for steps in f32, as int8 is not 1.1 times as fast as the float model",
        );
    }
    let candidate = mixed(float, quantised, &steps, budget)?;
    let (before, after) = (judge.verdict(quantised)?.fidelity, judge.verdict(&candidate)?.fidelity);
    let floats = candidate.metadata.quantisation.as_ref().map_or(0, |record| record.floats.len());
    status(&format!(
        "{floats} convolutions in f32 within {milliseconds:.2} ms: fidelity {before:.2} before, {after:.2} after, on {} \
         calibration images",
        pictures.files.len()
    ));
    let model = if after > before { candidate } else { quantised.clone() };
    Ok(Mixed { model, steps })
}
