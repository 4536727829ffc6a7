//! Writes the report of a run: curves, evaluations, and augmented batches with the assigned anchor points.

use std::path::Path;

use picodet_format::write_atomically;
use picodet_report::{Page, Table, embedded_png, escape, facts, line_chart, section, side_by_side};

use crate::error::RunError;
use crate::evaluation::{Evaluation, FinalModel};
use crate::folder::RunFolder;
use crate::journal::{EpochRecord, Record, StepRecord, read};
use crate::state::State;

/// Points of a curve; longer curves are averaged.
const POINTS: usize = 400;

/// Writes the report of a run's folder from its log and pictures.
pub(crate) fn write(folder: &Path, state: &State) -> Result<(), RunError> {
    let text = std::fs::read_to_string(folder.join(RunFolder::JOURNAL)).unwrap_or_default();
    let picture = |name: &str| std::fs::read(folder.join(name)).ok();
    let pictures = [
        ("First batch", picture("batch.png")),
        ("Batch before the last evaluation", picture("batch_latest.png")),
    ];
    let pictures: Vec<(&str, Vec<u8>)> =
        pictures.into_iter().filter_map(|(title, bytes)| Some((title, bytes?))).collect();
    let page = render(&read(&text), state, &pictures);
    let path = folder.join(RunFolder::REPORT);
    write_atomically(&path, page.as_bytes()).map_err(|source| RunError::File { path, source })
}

/// Renders the page of a run.
fn render(records: &[Record], state: &State, pictures: &[(&str, Vec<u8>)]) -> String {
    let steps: Vec<&StepRecord> = records.iter().filter_map(as_step).collect();
    let epochs: Vec<&EpochRecord> = records.iter().filter_map(as_epoch).collect();
    let progress = &state.progress;
    let mut page = Page::new(&format!(
        "{} on {} images, {} classes",
        progress.experiment.model,
        progress.images,
        progress.classes.len()
    ));
    page.push(&progress_of(&steps, state));
    page.push(&side_by_side(&charts(&steps, &epochs)));
    let mut table = Table::of_numbers(&["epoch", "mAP", "mAP50", "time", ""]);
    for record in epochs.iter().filter(|record| record.map.is_some()) {
        table.row([
            record.epoch.to_string().into(),
            format!("{:.4}", record.map.unwrap_or_default()).into(),
            format!("{:.4}", record.map50.unwrap_or_default()).into(),
            duration(record.seconds).into(),
            if record.best { "best so far" } else { "" }.into(),
        ]);
    }
    page.push(&section("Evaluations", "", &table.finish()));
    for (title, bytes) in pictures {
        let hint = "Boxes are objects with their class index; dots are the anchor points assigned to them, larger on \
                    levels with a larger stride.";
        page.push(&section(title, hint, &embedded_png(title, bytes)));
    }
    let classes: Vec<String> = progress
        .classes
        .iter()
        .enumerate()
        .map(|(index, class)| format!("{index} {}", escape(class)))
        .collect();
    page.push(&section("Classes", "", &format!("<p>{}</p>", classes.join(" · "))));
    let experiment = format!("<pre>{}</pre>", escape(&progress.experiment.to_toml()));
    page.push(&section("Experiment", "", &experiment));
    page.finish()
}

/// How far the run is, as facts.
fn progress_of(steps: &[&StepRecord], state: &State) -> String {
    let progress = &state.progress;
    let (of_steps, epoch) = steps.last().map_or((0, 0), |record| (record.of_steps, record.epoch));
    let epochs = progress.plan.map_or(progress.experiment.epochs, |plan| plan.epochs().ceil() as usize);
    let mut pairs = vec![
        ("Step", format!("{} of {of_steps}", progress.step)),
        ("Epoch", format!("{epoch} of {epochs}")),
        ("Training time", duration(progress.seconds)),
        ("Seed", progress.seed.to_string()),
        ("Batch size", progress.batch.to_string()),
    ];
    if let Some(plan) = progress.plan {
        let plan = format!("{} of {} steps in {}", plan.steps, plan.of_steps, duration(plan.limit));
        pairs.push(("Planned for the time limit", plan));
    }
    let of = if progress.evaluates_training_images { ", of the training images" } else { "" };
    for (name, evaluation) in [("Best mAP", progress.best), ("Last mAP", progress.last)] {
        if let Some(Evaluation { epoch, map: Some(map), map50: Some(map50) }) = evaluation {
            pairs.push((name, format!("{map:.4} (mAP50 {map50:.4}) after epoch {epoch}{of}")));
        }
    }
    match FinalModel::choose(progress.best, progress.last) {
        Some(FinalModel::Best) => pairs.push(("Final model", "the best".to_owned())),
        Some(FinalModel::Last) => pairs.push(("Final model", "the last".to_owned())),
        None => {}
    }
    if progress.evaluates_training_images {
        pairs.push(("Validation", "no validation split: every mAP is of the training images".to_owned()));
    }
    facts(pairs.iter().map(|(name, value)| (*name, value.as_str())))
}

/// The curves of the run, one section each; charts without points are left out.
fn charts(steps: &[&StepRecord], epochs: &[&EpochRecord]) -> Vec<String> {
    let step = |name: &'static str, value: fn(&StepRecord) -> f64| {
        (name, thinned(steps.iter().map(|record| (record.step as f64, value(record))).collect()))
    };
    let epoch = |name: &'static str, value: fn(&EpochRecord) -> Option<f64>| {
        let point = |record: &&EpochRecord| Some((record.epoch as f64, value(record)?));
        (name, epochs.iter().filter_map(point).collect())
    };
    let charts = [
        (
            "Loss",
            "step",
            vec![
                step("total", |record| record.loss),
                step("class", |record| record.loss_cls),
                step("box", |record| record.loss_box),
                step("distribution", |record| record.loss_dfl),
            ],
        ),
        (
            "Averaged model on the validation images",
            "epoch",
            vec![epoch("mAP 0.50:0.95", |record| record.map), epoch("mAP50", |record| record.map50)],
        ),
        ("Learning rate", "step", vec![step("learning rate", |record| record.rate)]),
        (
            "Positive anchor points and objects per image",
            "step",
            vec![
                step("positive anchor points", |record| record.positives),
                step("objects", |record| record.objects),
            ],
        ),
        ("Gradient norm", "step", vec![step("gradient norm", |record| record.norm)]),
        ("Images per second", "step", vec![step("images per second", |record| record.images_per_second)]),
    ];
    let section = |(title, x_name, curves): (&str, &str, Vec<_>)| {
        let chart = line_chart(title, x_name, &curves);
        (!chart.is_empty()).then(|| section(title, "", &chart))
    };
    charts.into_iter().filter_map(section).collect()
}

fn as_step(record: &Record) -> Option<&StepRecord> {
    match record {
        Record::Step(record) => Some(record),
        Record::Epoch(_) => None,
    }
}

fn as_epoch(record: &Record) -> Option<&EpochRecord> {
    match record {
        Record::Epoch(record) => Some(record),
        Record::Step(_) => None,
    }
}

/// Averages neighbouring points so that at most [`POINTS`] are left.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let size = points.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let count = part.len() as f64;
        (
            part.iter().map(|point| point.0).sum::<f64>() / count,
            part.iter().map(|point| point.1).sum::<f64>() / count,
        )
    };
    points.chunks(size).map(mean).collect()
}

/// Formats seconds as hours, minutes and seconds.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds:02} s"),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_are_averaged_and_durations_have_units() {
        let points: Vec<(f64, f64)> = (0..4000).map(|index| (f64::from(index), 2.0)).collect();
        let few = thinned(points);
        assert_eq!(few.len(), POINTS);
        assert!(few.iter().all(|point| point.1 == 2.0));
        assert_eq!([3.0, 61.0, 3660.0].map(duration), ["3 s", "1 min 01 s", "1 h 01 min"]);
    }
}
