//! Latency tables: the measured milliseconds of the parts of a space's networks, in a TOML file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LatencyError;

/// Version of the file.
pub(super) const FORMAT: u32 = 1;

/// The machine and the settings of a measurement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Name of the processor, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Instruction set of the engine.
    pub instruction_set: String,
    /// Precision of the convolutions.
    pub precision: String,
    /// Threads of each inference.
    pub threads: usize,
    /// Version of picodet.
    pub version: String,
}

/// How the time of a whole inference follows from the sum of its steps: `scale * sum + offset`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WholeRuns {
    /// Milliseconds per millisecond.
    pub scale: f64,
    /// Milliseconds.
    pub offset: f64,
    /// Milliseconds of the network nearest to the published one.
    pub reference: f64,
    /// Median relative error of this formula for the candidates that it was fitted to.
    pub median_error: f64,
    /// Largest relative error.
    pub worst_error: f64,
}

/// The measured latencies of the parts of a space's networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyTable {
    /// Version of the file.
    pub format: u32,
    /// The network whose genes are searched.
    pub network: String,
    /// Number of classes of the measured networks.
    pub classes: usize,
    /// Day of the measurement, as in `2026-01-31`.
    pub date: String,
    /// Machine and settings.
    pub machine: Machine,
    /// Whole inferences.
    pub whole: WholeRuns,
    /// Milliseconds of each part, by its name.
    pub parts: BTreeMap<String, f64>,
}

impl LatencyTable {
    /// Reads a table.
    ///
    /// # Errors
    /// [`LatencyError::Syntax`], [`LatencyError::Format`].
    pub fn from_toml(text: &str) -> Result<Self, LatencyError> {
        let table: Self = toml::from_str(text)?;
        if table.format == FORMAT { Ok(table) } else { Err(LatencyError::Format(table.format)) }
    }

    /// Returns the table as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}
