//! Latency tables: `picodet search latency`, and the table of a search.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use picodet::crates::search::{
    LatencyCheck, LatencyOptions, LatencyTable, Predictor, Space, check_latency, measure_latency,
    median_and_worst,
};
use picodet::search::SearchFolder;

use super::shared::read_space;
use crate::ExitCode;
use crate::args::{FindOptions, Latency};
use crate::output::{print_result, status, write_file};

/// Seed of the networks of a check.
const CHECK_SEED: u64 = 7;

pub(super) fn run(command: &Latency) -> Result<ExitCode> {
    let space = read_space(&command.space)?;
    let options = options(command.classes, command.threads, command.precision.into());
    let table = measure(&space, &options)?;
    write_file(&command.output, table.to_toml().as_bytes())?;
    let whole = &table.whole;
    let mut text = format!(
        "{}: {} parts; the published network takes {:.3} ms ({}, {}, threads: {})\n",
        command.output.display(),
        table.parts.len(),
        whole.reference,
        table.machine.instruction_set,
        table.machine.precision,
        table.machine.threads
    );
    if command.check > 0 {
        let mut options = options.clone();
        // As long for each network as in the measurement of the table.
        options.seconds = command.check as f64;
        let checked = check_latency(&space, &table, &options, command.check, CHECK_SEED)?;
        text += &check_text(&checked);
    }
    print_result(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Describes the errors of predictions.
fn check_text(checked: &[LatencyCheck]) -> String {
    let mut text = format!("errors of the predictions of {} other networks:\n", checked.len());
    let steps = checked.iter().map(|check| check.predicted_steps / check.steps - 1.0);
    let whole = checked.iter().map(|check| check.predicted_whole / check.whole - 1.0);
    let errors = [("sum of steps", median_and_worst(steps)), ("whole inference", median_and_worst(whole))];
    for (name, [median, worst]) in errors.map(|(name, errors)| (name, errors.map(|error| 100.0 * error))) {
        let _ = writeln!(text, "{name:<16} median {median:.1} %, worst {worst:.1} %");
    }
    text
}

/// Returns the options of a measurement on this machine.
pub(super) fn options(classes: usize, threads: usize, precision: picodet::Precision) -> LatencyOptions {
    let mut options = LatencyOptions::default();
    options.classes = classes;
    options.threads = threads;
    options.precision = precision;
    options.processor = picodet::bench::processor();
    options.date = time::OffsetDateTime::now_utc().date().to_string();
    options
}

fn measure(space: &Space, options: &LatencyOptions) -> Result<LatencyTable> {
    status("measuring the latency of the networks on this machine; other programs disturb it");
    Ok(measure_latency(space, options, &mut |_, _| {})?)
}

/// Returns the table of a search and whether it is of this machine: the given one, that of the folder if it was measured with the
/// same settings, or a new one.
pub(super) fn of_search(
    space: &Space,
    classes: usize,
    command: &FindOptions,
    folder: &SearchFolder,
) -> Result<(LatencyTable, bool)> {
    let options = options(classes, command.threads, command.precision.into());
    let read = |path: &Path| -> Result<LatencyTable> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        LatencyTable::from_toml(&text).with_context(|| path.display().to_string())
    };
    if let Some(path) = &command.latency_table {
        let table = read(path)?;
        let is_own = table.machine == options.machine();
        if !is_own {
            let processor = table.machine.processor.as_deref().unwrap_or("another processor");
            status(&format!(
                "latencies are predicted for {processor} ({}, {}, threads: {}) and not measured here",
                table.machine.instruction_set, table.machine.precision, table.machine.threads
            ));
        }
        return Ok((table, is_own));
    }
    let path = folder.latency();
    if let Some(table) = read(&path).ok().filter(|table| table.machine == options.machine())
        && Predictor::new(&table, space, classes).is_ok()
    {
        return Ok((table, true));
    }
    let table = measure(space, &options)?;
    write_file(&path, table.to_toml().as_bytes())?;
    Ok((table, true))
}
