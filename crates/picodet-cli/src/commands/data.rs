//! `picodet data convert` and `picodet data split`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use picodet::data::{Dataset, Images, Part, WriteReport, convert, split, write};

use crate::args::{Data, DataConvert, DataSplit};
use crate::output::complain;

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
    Ok(tell_written(&report, &command.output))
}

fn run_split(command: &DataSplit) -> Result<ExitCode> {
    let mut parts = Vec::new();
    for part in command.parts.split(',') {
        let Some((name, share)) = part.split_once('=') else {
            bail!("`{part}`: parts are written as NAME=SHARE, as in train=0.8,val=0.2");
        };
        let share: f64 = share.trim().parse().with_context(|| format!("the share of `{part}`"))?;
        parts.push((name.trim(), share));
    }
    let dataset = Dataset::open(&command.dataset, None)?;
    let format = dataset.format;
    let datasets = split(&dataset, &parts, command.seed)?;
    for ((name, _), dataset) in parts.iter().zip(&datasets) {
        complain(&format!("{name}: {} images, {} objects", dataset.images.len(), dataset.object_count()));
    }
    let named: Vec<Part<'_>> =
        parts.iter().zip(&datasets).map(|((name, _), dataset)| Part { name, dataset }).collect();
    let report = write(&named, format, &command.output, images(command.labels_only))?;
    Ok(tell_written(&report, &command.output))
}

/// Says what was written, what the format could not hold, and which images were missing.
pub(super) fn tell_written(report: &WriteReport, folder: &Path) -> ExitCode {
    complain(&format!("{}: {} images, {} objects", folder.display(), report.images, report.objects));
    for loss in &report.losses {
        complain(&format!("lost: {} ({} times)", loss.what, loss.count));
    }
    for missing in &report.missing {
        complain(&format!("missing: {}", missing.display()));
    }
    if report.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
