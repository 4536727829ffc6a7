//! `picodet data convert` and `picodet data split`.

use crate::ExitCode;
use std::path::Path;

use anyhow::{Context, Result, bail};
use picodet::crates::data::{
    Images, Joined, Loss, Part, WriteOptions, WriteReport, convert, open_joined, split, write,
};

use crate::args::{Data, DataConvert, DataSplit};
use crate::output::status;

pub(crate) fn run(command: &Data) -> Result<ExitCode> {
    match command {
        Data::Convert(command) => run_convert(command),
        Data::Split(command) => run_split(command),
    }
}

/// Returns the options for these arguments.
fn options(labels_only: bool, allow_loss: bool, crowds_as_objects: bool) -> WriteOptions {
    let images = if labels_only { Images::Leave } else { Images::Copy };
    WriteOptions::from(images).with_loss(allow_loss).with_crowds_as_objects(crowds_as_objects)
}

fn run_convert(command: &DataConvert) -> Result<ExitCode> {
    let options = options(command.labels_only, command.allow_loss, command.crowds_as_objects);
    let report = convert(&command.dataset, command.split.as_deref(), command.to, &command.output, options)?;
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
    let Joined { loaded, splits, losses, .. } = open_joined(&command.dataset)?;
    if splits.len() > 1 {
        let (path, images) = (command.dataset.display(), loaded.dataset.images.len());
        status(&format!("{path}: the {images} images of {} are joined and split again", splits.join(", ")));
    }
    let losses: Vec<Loss> = loaded.findings.losses_of_copy().into_iter().chain(losses).collect();
    let mut dataset = loaded.for_copy(&command.dataset, command.allow_loss)?;
    if command.crowds_as_objects {
        dataset.crowds_as_objects();
    }
    let format = dataset.format;
    let datasets = split(&dataset, &parts, command.seed)?;
    for ((name, _), dataset) in parts.iter().zip(&datasets) {
        status(&format!("{name}: {} images, {} objects", dataset.images.len(), dataset.object_count()));
    }
    let named: Vec<Part<'_>> =
        parts.iter().zip(&datasets).map(|((name, _), dataset)| Part { name, dataset }).collect();
    let options = options(command.labels_only, command.allow_loss, command.crowds_as_objects);
    let mut report = write(&named, format, &command.output, options)?;
    report.losses.splice(0..0, losses);
    Ok(report_written(&report, &command.output))
}

/// Reports what was written, the information that the format cannot store, and missing images.
pub(super) fn report_written(report: &WriteReport, folder: &Path) -> ExitCode {
    status(&format!("{}: {} images, {} objects", folder.display(), report.images, report.objects));
    for loss in &report.losses {
        status(&format!("lost: {loss}"));
    }
    if report.corrected_sizes > 0 {
        status(&format!("{} images have another size than their labels state", report.corrected_sizes));
    }
    for missing in &report.missing {
        status(&format!("missing: {}", missing.display()));
    }
    if report.missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
