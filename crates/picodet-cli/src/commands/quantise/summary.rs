//! What `picodet quantise` prints about the written model.

use std::fmt::Write;

use picodet::quantise::{Latencies, Miss, Sensitivity, StepReport, Verdict};

use crate::args::QuantiseMethod;

/// Number of steps that are listed, those furthest from the float network first.
const LISTED: usize = 12;

/// The measured properties of a written model.
pub(super) struct Summary<'a> {
    pub(super) steps: &'a [StepReport],
    /// Of `--mixed`.
    pub(super) sensitivities: &'a [Sensitivity],
    pub(super) verdict: Verdict,
    pub(super) latencies: &'a Latencies,
    /// Number of images that it was judged on.
    pub(super) images: usize,
}

impl Summary<'_> {
    /// The report of a file of `bytes` bytes.
    pub(super) fn text(&self, bytes: usize) -> String {
        let mut text = String::new();
        let steps = self.sorted();
        let _ = writeln!(text, "signal to noise of the {} steps; the lowest:", steps.len());
        for step in steps.iter().take(LISTED) {
            let kind = if step.is_bytes { "u8 " } else { "f32" };
            let _ = writeln!(text, "  {:5.1} dB  {kind}  {}", step.decibels, step.scope);
        }
        self.write_sensitivities(&mut text);
        let (fidelity, images) = (self.verdict.fidelity, self.images);
        let _ = writeln!(
            text,
            "fidelity    {fidelity:.2} on {images} images (AP with the float model's detections as the truth)"
        );
        if let (Some(float), Some(ap)) = (self.verdict.ap_float, self.verdict.ap) {
            let _ = writeln!(text, "AP          {float:.2} float, {ap:.2} quantised ({:+.2})", ap - float);
        }
        let times = self.latencies.milliseconds().into_iter();
        let times: Vec<String> = times.map(|(name, time)| format!("{name} {time:.2} ms")).collect();
        let (best, gain) = (self.latencies.fastest_float().0, self.latencies.gain());
        let times = times.join(", ");
        let _ = writeln!(text, "latency     {times} on one thread (int8 {gain:.2} times as fast as {best})");
        let _ = writeln!(text, "file        {bytes} bytes");
        text
    }

    /// Lists the steps that lose most fidelity when they alone are computed in bytes.
    fn write_sensitivities(&self, text: &mut String) {
        if self.sensitivities.is_empty() {
            return;
        }
        let mut steps: Vec<&Sensitivity> = self.sensitivities.iter().collect();
        steps.sort_by(|a, b| b.damage.total_cmp(&a.damage));
        let _ = writeln!(
            text,
            "loss of fidelity by one step in int8, and time of that step in f32, of {} steps; the largest:",
            steps.len()
        );
        for step in steps.iter().take(LISTED) {
            let _ = writeln!(
                text,
                "  {:6.2}  {:+7.3} ms  {}",
                step.damage,
                step.milliseconds,
                step.convolutions.join(" + ")
            );
        }
    }

    /// The steps by rising signal-to-noise ratio.
    fn sorted(&self) -> Vec<&StepReport> {
        let mut steps: Vec<&StepReport> = self.steps.iter().collect();
        steps.sort_by(|a, b| a.decibels.total_cmp(&b.decibels));
        steps
    }

    /// Says which limits are not kept and what would help.
    pub(super) fn refusal(&self, misses: &[Miss], method: QuantiseMethod) -> String {
        let reasons: Vec<String> = misses.iter().map(ToString::to_string).collect();
        let is_speed = |miss: &Miss| matches!(miss, Miss::Speed { .. });
        let mut advice = Vec::new();
        if misses.iter().any(|miss| !is_speed(miss)) {
            if let Some(worst) = self.sorted().first() {
                advice.push(format!("the noisiest step is {}", worst.scope));
            }
            advice.push(match method {
                QuantiseMethod::Minmax => "try --method closed-form".to_owned(),
                QuantiseMethod::ClosedForm | QuantiseMethod::Train => {
                    "try more images of the kind that the model is for".to_owned()
                }
            });
        }
        if misses.iter().any(is_speed) {
            let best = self.latencies.fastest_float().0;
            advice.push(format!(
                "on this CPU use the float model with --precision {best}; --any-speed accepts the file for other CPUs"
            ));
        }
        format!("{}; {}. The file is kept", reasons.join(", "), advice.join("; "))
    }
}

pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
