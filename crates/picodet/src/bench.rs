//! How long detecting takes on this machine, stage by stage.

use std::time::{Duration, Instant};

use picodet_detect::{Detector, Error, Model, Options};

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
    let mut detector = Detector::new(model, options)?;
    let load = start.elapsed();
    let mut samples: Vec<(Duration, StageTimes)> = Vec::with_capacity(runs);
    let mut detections = 0;
    for run in 0..warmup + runs {
        let start = Instant::now();
        let image = picodet_image::decode(bytes, &Limits::default())?;
        let decoded = start.elapsed();
        let (found, times) = detector.detect_timed(&image)?;
        detections = found.len();
        if run >= warmup {
            samples.push((decoded, times));
        }
    }
    let stage =
        |time: &dyn Fn(&(Duration, StageTimes)) -> Duration| Times::of(samples.iter().map(time).collect());
    let stages = vec![
        ("decode", stage(&|sample| sample.0)),
        ("preprocess", stage(&|sample| sample.1.preprocess)),
        ("network", stage(&|sample| sample.1.network)),
        ("postprocess", stage(&|sample| sample.1.postprocess)),
        ("total", stage(&|(decode, t)| *decode + t.preprocess + t.network + t.postprocess)),
    ];
    Ok(Measured { load, stages, detections, peak_memory: peak_memory(), processor: processor() })
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
