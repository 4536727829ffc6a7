//! Options of a measurement.

use picodet_engine::{CpuEngine, Precision, precision_name};

use super::{LatencyError, Machine};

/// Options of a measurement.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LatencyOptions {
    /// Number of classes of the networks.
    pub classes: usize,
    /// Threads of each inference.
    pub threads: usize,
    /// Precision of the convolutions; with [`Precision::U8`] networks are quantised.
    pub precision: Precision,
    /// Seconds of measuring; a slow network takes longer.
    pub seconds: f64,
    /// Name of this machine's processor.
    pub processor: Option<String>,
    /// Day of the measurement, as in `2026-01-31`.
    pub date: String,
}

impl Default for LatencyOptions {
    fn default() -> Self {
        let (processor, date) = (None, String::new());
        Self { classes: 80, threads: 1, precision: Precision::F32, seconds: 40.0, processor, date }
    }
}

impl LatencyOptions {
    pub(super) fn engine(&self) -> Result<CpuEngine, LatencyError> {
        // Steps of a quantised network that are not computed in bytes are computed in f32.
        let floats = if self.precision == Precision::U8 { Precision::F32 } else { self.precision };
        let engine = CpuEngine::new().with_threads(self.threads).with_precision(floats);
        engine.ok_or(LatencyError::Precision(self.precision))
    }

    /// Returns the description of this machine with these settings.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine {
            processor: self.processor.clone(),
            instruction_set: CpuEngine::new().isa().to_string(),
            precision: precision_name(self.precision).to_owned(),
            threads: self.threads,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}
