//! Latencies of this machine.

use std::error::Error;
use std::fs;
use std::path::Path;

use picodet::crates::search::{LatencyOptions, LatencyTable, Predictor, Space, measure_latency};

/// Reads the latency table of a file, or measures one and writes it there.
pub(crate) fn predictor(
    space: &Space,
    options: &LatencyOptions,
    path: &Path,
) -> Result<Predictor, Box<dyn Error + Send + Sync>> {
    let table = if path.exists() {
        LatencyTable::from_toml(&fs::read_to_string(path)?)?
    } else {
        let table = measure_latency(space, options, &mut |_, _| {})?;
        fs::write(path, table.to_toml())?;
        table
    };
    Ok(Predictor::new(&table, space, options.classes)?)
}
