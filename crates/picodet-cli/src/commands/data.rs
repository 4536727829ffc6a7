//! `picodet data convert` and `picodet data split`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use picodet::crates::data::{Dataset, Images, Part, WriteReport, convert, split, write};

use crate::args::{Data, DataConvert, DataSplit};
use crate::output::status;

pub(crate) fn run(command: &Data) -> Result<ExitCode> {
    match command {
        Data::Convert(command) => run_convert(command),
        Data::Split(command) => run_split(command),
    }
}

fn images(labels_only: bool) -> Images {
    if labels_only { Images::Leave } else { Images::Copy }
}

fn run_convert(command: &DataConvert) -> Result<ExitCode> {
    let images = images(command.labels_only);
    let report = convert(&command.dataset, command.split.as_deref(), command.to, &command.output, images)?;
    Ok(report_written(&report, &command.output))
}

fn run_split(command: &DataSplit) -> Result<ExitCode> {
    let mut parts = Vec::new();
    for part in command.parts.split(',') {
        let Some((name, fraction)) = part.split_once('=') else {
            bail!("--parts: expected NAME=FRACTION, as in train=0.8,val=0.2, but found `{part}`");
        };
        let fraction: f64 =
            fraction.trim().parse().with_context(|| format!("--parts: fraction of `{part}`"))?;
        parts.push((name.trim(), fraction));
    }
    let dataset = Dataset::open(&command.dataset, None)?;
    let format = dataset.format;
    let datasets = split(&dataset, &parts, command.seed)?;
    for ((name, _), dataset) in parts.iter().zip(&datasets) {
        status(&format!("{name}: {} images, {} objects", dataset.images.len(), dataset.object_count()));
    }
    let named: Vec<Part<'_>> =
        parts.iter().zip(&datasets).map(|((name, _), dataset)| Part { name, dataset }).collect();
    let report = write(&named, format, &command.output, images(command.labels_only))?;
    Ok(report_written(&report, &command.output))
}

/// Reports what was written, the information that the format cannot store, and missing images.
pub(super) fn report_written(report: &WriteReport, folder: &Path) -> ExitCode {
    status(&format!("{}: {} images, {} objects", folder.display(), report.images, report.objects));
    for loss in &report.losses {
        status(&format!("lost: {} ({} times)", loss.what, loss.count));
    }
    for missing in &report.missing {
        status(&format!("missing: {}", missing.display()));
    }
    if report.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
