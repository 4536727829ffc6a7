//! Measures the time of each stage of a detection on this machine.

use std::time::{Duration, Instant};

use picodet_detect::{Detector, Error, Instructions, Model, Options, engine, precision_of, prepare};
use picodet_engine::{Isa, Plan, Precision, StepTime};
use picodet_graph::Tensor4;

use crate::{Limits, StageTimes};

/// The times of a stage, in rising order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Returns the time that is not exceeded by this fraction of the runs: 0.5 is the median. Zero without runs.
    pub fn percentile(&self, fraction: f64) -> Duration {
        let rank = (fraction.clamp(0.0, 1.0) * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// The result of [`measure`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Threads of each inference.
    pub threads: usize,
    /// Precision of the convolutions.
    pub precision: Precision,
    /// Name of the instruction set.
    pub instructions: &'static str,
    /// Images per second, from bytes to boxes, one after the other.
    pub images_per_second: f64,
    /// Time to prepare a detector from the model in memory.
    pub load: Duration,
    /// Name of each stage and its times, `total` last.
    pub stages: Vec<(&'static str, Times)>,
    /// Number of detections of the last run.
    pub detections: usize,
    /// Peak memory of the process in bytes, if known.
    pub peak_memory: Option<u64>,
    /// Name of the processor, if known.
    pub processor: Option<String>,
}

/// Measures `runs` detections in the encoded image `bytes`, after `warmup` unmeasured ones.
///
/// # Errors
/// When the model cannot be prepared or the image cannot be decoded.
pub fn measure(
    model: &Model,
    options: &Options,
    bytes: &[u8],
    warmup: usize,
    runs: usize,
) -> Result<Measured, Error> {
    let start = Instant::now();
    let detector = Detector::new(model, options)?;
    let load = start.elapsed();
    let mut samples: Vec<(Duration, StageTimes)> = Vec::with_capacity(runs);
    let mut detections = 0;
    let mut begin = Instant::now();
    for run in 0..warmup + runs {
        let start = Instant::now();
        if run == warmup {
            begin = start;
        }
        let image = picodet_image::decode(bytes, &Limits::default())?;
        let decoded = start.elapsed();
        let (found, times) = detector.detect_timed(&image)?;
        detections = found.len();
        if run >= warmup {
            samples.push((decoded, times));
        }
    }
    let images_per_second = runs as f64 / begin.elapsed().as_secs_f64().max(1e-9);
    let stage =
        |time: &dyn Fn(&(Duration, StageTimes)) -> Duration| Times::of(samples.iter().map(time).collect());
    let stages = vec![
        ("decode", stage(&|sample| sample.0)),
        ("preprocess", stage(&|sample| sample.1.preprocess)),
        ("network", stage(&|sample| sample.1.network)),
        ("postprocess", stage(&|sample| sample.1.postprocess)),
        ("total", stage(&|(decode, t)| *decode + t.preprocess + t.network + t.postprocess)),
    ];
    Ok(Measured {
        threads: options.threads.max(1),
        precision: precision_of(model, options)?,
        instructions: instructions(options),
        images_per_second,
        load,
        stages,
        detections,
        peak_memory: peak_memory(),
        processor: processor(),
    })
}

/// Returns the name of the instruction set of the options.
fn instructions(options: &Options) -> &'static str {
    let best = || Instructions::available().into_iter().next();
    options.instructions.or_else(best).map_or("", Instructions::name)
}

/// Measures a model's network on an image of noise, with every output copied, channels first, as other engines return
/// them: `runs` times, after `warmup` unmeasured ones.
///
/// # Errors
/// When the model cannot be prepared.
pub fn all_outputs(model: &Model, options: &Options, warmup: usize, runs: usize) -> Result<Times, Error> {
    let plan = prepare(model, options)?;
    let image = noise(plan.input_size());
    let mut times = Vec::with_capacity(runs);
    for run in 0..warmup + runs {
        let start = Instant::now();
        plan.run(&image)?;
        if run >= warmup {
            times.push(start.elapsed());
        }
    }
    Ok(Times::of(times))
}

/// Returns an image `[1, 3, h, w]` of values from -2 to 2.
pub(crate) fn noise((height, width): (usize, usize)) -> Tensor4 {
    let data = (0..3 * height * width).map(|i| ((i * 37 % 255) as f32 / 255.0 - 0.5) * 4.0).collect();
    Tensor4 { shape: [1, 3, height, width], data }
}

/// The times of the steps of a network on one thread.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The instruction set.
    pub isa: Isa,
    /// Peak f32 multiply-accumulates per second of a core.
    pub peak: f64,
    /// Multiply-accumulates per image.
    pub macs: u64,
    /// Median seconds per image.
    pub seconds: f64,
    /// The steps in order.
    pub steps: Vec<StepTime>,
}

impl Profile {
    /// Returns the fraction of the f32 peak at which `macs` in `seconds` run; with bf16 and int8 it can exceed 1.
    pub fn share(&self, macs: u64, seconds: f64) -> f64 {
        macs as f64 / (seconds * self.peak).max(1.0)
    }
}

/// Measures the steps of a model's network, `runs` times each on one thread, with an image of noise.
///
/// # Errors
/// When the model cannot be prepared.
pub fn profile(model: &Model, options: &Options, runs: usize) -> Result<Profile, Error> {
    let options = options.clone().with_threads(1);
    let (engine, plan) = (engine(&options)?, prepare(model, &options)?);
    let image = noise(plan.input_size());
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs.max(1) {
        let start = Instant::now();
        plan.run_in_place(&image)?;
        times.push(start.elapsed());
    }
    let steps = plan.profile(&image, runs)?;
    let seconds = Times::of(times).percentile(0.5).as_secs_f64();
    Ok(Profile { isa: engine.isa(), peak: engine.peak(), macs: plan.macs(), seconds, steps })
}

/// Returns the value of a line `KEY : VALUE` of a system file.
fn system_value(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn peak_memory() -> Option<u64> {
    let kilobytes: u64 = system_value("/proc/self/status", "VmHWM")?.split(' ').next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Returns the name of the processor, if it is known.
pub fn processor() -> Option<String> {
    system_value("/proc/cpuinfo", "model name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let times = Times::of((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(times.percentile(0.5), Duration::from_millis(50));
        assert_eq!(times.percentile(0.95), Duration::from_millis(95));
        assert_eq!(times.percentile(1.0), Duration::from_millis(100));
        assert_eq!(Times::default().percentile(0.5), Duration::ZERO);
    }
}
