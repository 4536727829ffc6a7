//! How long detecting takes on this machine, stage by stage.

use std::time::{Duration, Instant};

use picodet_detect::{Detector, Error, Model, Options, engine, network};
use picodet_engine::{Isa, Plan, Precision, StepTime};
use picodet_graph::Tensor4;

use crate::{Limits, StageTimes};

/// A stage's times in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The time that a share of the runs stayed within: 0.5 is the median. Zero without runs.
    pub fn percentile(&self, share: f64) -> Duration {
        let place = (share.clamp(0.0, 1.0) * self.0.len() as f64).ceil() as usize;
        self.0.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Threads in each inference.
    pub threads: usize,
    /// Numbers that pointwise convolutions multiplied.
    pub precision: Precision,
    /// Images a second, from bytes to boxes one after the other.
    pub images_per_second: f64,
    /// From the model in memory to a detector that is ready.
    pub load: Duration,
    /// Name of each stage and its times, `total` last.
    pub stages: Vec<(&'static str, Times)>,
    /// Detections of the last run.
    pub detections: usize,
    /// Most memory that the process has had, in bytes, where the system says so.
    pub peak_memory: Option<u64>,
    /// The processor, where the system says so.
    pub processor: Option<String>,
}

/// Times `runs` detections of the encoded image `bytes` after `warmup` ones that do not count.
///
/// # Errors
/// When the model cannot be made ready or the image cannot be decoded.
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
        precision: options.precision,
        images_per_second,
        load,
        stages,
        detections,
        peak_memory: peak_memory(),
        processor: processor(),
    })
}

/// Times a model's network on an image of noise, every output copied out channels first, as other engines give them:
/// `runs` times after `warmup` ones that do not count.
///
/// # Errors
/// When the model cannot be made ready.
pub fn all_outputs(model: &Model, options: &Options, warmup: usize, runs: usize) -> Result<Times, Error> {
    let (graph, weights) = network(model);
    let size = options.input_size.unwrap_or(model.metadata.input_size);
    let plan = engine(options)?.prepare(&graph, &weights, size)?;
    let image = noise(size);
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

/// `[1, 3, h, w]` of numbers from -2 to 2.
fn noise((height, width): (usize, usize)) -> Tensor4 {
    let data = (0..3 * height * width).map(|i| ((i * 37 % 255) as f32 / 255.0 - 0.5) * 4.0).collect();
    Tensor4 { shape: [1, 3, height, width], data }
}

/// Where the time of a network goes, on one thread.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The instruction set.
    pub isa: Isa,
    /// The most f32 multiply-accumulates a second that a core does.
    pub peak: f64,
    /// Multiply-accumulates of an image.
    pub macs: u64,
    /// Median seconds of an image.
    pub seconds: f64,
    /// The steps in order.
    pub steps: Vec<StepTime>,
}

impl Profile {
    /// The share of the f32 peak, 0 to 1, at which `macs` in `seconds` run. With bf16 it can be more than 1.
    pub fn share(&self, macs: u64, seconds: f64) -> f64 {
        macs as f64 / (seconds * self.peak).max(1.0)
    }
}

/// Times the steps of a model's network, `runs` times each on one thread, with an image of noise.
///
/// # Errors
/// When the model cannot be made ready.
pub fn profile(model: &Model, options: &Options, runs: usize) -> Result<Profile, Error> {
    let engine = engine(&options.clone().with_threads(1))?;
    let (graph, weights) = network(model);
    let size = options.input_size.unwrap_or(model.metadata.input_size);
    let plan = engine.prepare(&graph, &weights, size)?;
    let image = noise(size);
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

/// The value of a line `KEY : VALUE` of a file of the system.
fn system_value(file: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn peak_memory() -> Option<u64> {
    let kilobytes: u64 = system_value("/proc/self/status", "VmHWM")?.split(' ').next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn processor() -> Option<String> {
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
