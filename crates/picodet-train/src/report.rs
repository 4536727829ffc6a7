//! One page about a run: curves, numbers, the augmented batches with the cells that learned.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use picodet_format::write_atomically;

use crate::journal::{EpochRecord, Record, StepRecord, read};
use crate::run::{RunError, files};
use crate::state::State;

/// Points of a curve at most; more are averaged.
const POINTS: usize = 400;
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
const COLOURS: [&str; 4] = ["#1b6ca8", "#c8553d", "#3a7d44", "#8d5a97"];

/// A named curve.
struct Curve {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// Writes the page of a run's folder from its journal and pictures.
pub(crate) fn write(folder: &Path, state: &State) -> Result<(), RunError> {
    let text = std::fs::read_to_string(folder.join(files::JOURNAL)).unwrap_or_default();
    let picture = |name: &str| std::fs::read(folder.join(name)).ok();
    let pictures = [
        ("The first batch", picture("batch.png")),
        ("The batch before the last evaluation", picture("batch_latest.png")),
    ];
    let pictures: Vec<(&str, Vec<u8>)> =
        pictures.into_iter().filter_map(|(title, bytes)| Some((title, bytes?))).collect();
    let page = render(&read(&text), state, &pictures);
    let path = folder.join(files::REPORT);
    write_atomically(&path, page.as_bytes()).map_err(|source| RunError::File { path, source })
}

/// The page of a run.
fn render(records: &[Record], state: &State, pictures: &[(&str, Vec<u8>)]) -> String {
    let steps: Vec<&StepRecord> = records.iter().filter_map(as_step).collect();
    let epochs: Vec<&EpochRecord> = records.iter().filter_map(as_epoch).collect();
    let curve = |name: &'static str, value: fn(&StepRecord) -> f64| Curve {
        name,
        points: thinned(steps.iter().map(|record| (record.step as f64, value(record))).collect()),
    };
    let measured = |name: &'static str, value: fn(&EpochRecord) -> Option<f64>| Curve {
        name,
        points: epochs.iter().filter_map(|record| Some((record.epoch as f64, value(record)?))).collect(),
    };
    let charts = [
        chart(
            "Loss",
            "step",
            &[
                curve("sum", |record| record.loss),
                curve("class", |record| record.loss_cls),
                curve("box", |record| record.loss_box),
                curve("distribution", |record| record.loss_dfl),
            ],
        ),
        chart(
            "Averaged model on the validation images",
            "epoch",
            &[measured("mAP 0.5 to 0.95", |record| record.map), measured("mAP 0.5", |record| record.map50)],
        ),
        chart("Learning rate", "step", &[curve("rate", |record| record.rate)]),
        chart(
            "Cells that learn, and objects, an image",
            "step",
            &[curve("cells", |record| record.positives), curve("objects", |record| record.objects)],
        ),
        chart("Norm of the gradient", "step", &[curve("norm", |record| record.norm)]),
        chart("Images a second", "step", &[curve("images a second", |record| record.images_per_second)]),
    ];
    let progress = &state.progress;
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>picodet train</title><style>body{font:15px/1.5 system-ui,sans-serif;max-width:980px;margin:2em auto;\
         padding:0 1em;color:#222}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:1.6em}svg{max-width:100%}\
         .charts{display:flex;flex-wrap:wrap;gap:8px}table{border-collapse:collapse}td,th{padding:2px 10px;\
         text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}\
         img{max-width:100%;border:1px solid #ccc}pre{background:#f5f5f5;padding:10px;overflow:auto}</style>",
    );
    let _ = write!(
        page,
        "<h1>{} on {} images, {} classes</h1><p>Step {} of {}, epoch {} of {}; {} of training; seed {}; {} images a batch.",
        escape(&progress.experiment.model),
        progress.images,
        progress.classes.len(),
        progress.step,
        steps.last().map_or(0, |record| record.of_steps),
        steps.last().map_or(0, |record| record.epoch),
        progress.experiment.epochs,
        duration(progress.seconds),
        progress.seed,
        progress.batch,
    );
    if let Some((map, epoch)) = progress.best {
        let _ = write!(page, " Best mAP <b>{map:.4}</b> after epoch {epoch}.");
    }
    let _ = write!(page, "</p><div class=\"charts\">{}</div>", charts.concat());
    page.push_str("<h2>Evaluations</h2><table><tr><th>epoch<th>mAP<th>mAP 0.5<th>time<th></tr>");
    for record in epochs.iter().filter(|record| record.map.is_some()) {
        let _ = write!(
            page,
            "<tr><td>{}<td>{:.4}<td>{:.4}<td>{}<td>{}</tr>",
            record.epoch,
            record.map.unwrap_or_default(),
            record.map50.unwrap_or_default(),
            duration(record.seconds),
            if record.best { "best so far" } else { "" },
        );
    }
    page.push_str("</table>");
    for (title, bytes) in pictures {
        let _ = write!(
            page,
            "<h2>{title}</h2><p>Boxes are the objects with the number of their class; dots the cells that learn them, larger \
             on coarser levels.</p><img alt=\"{title}\" src=\"data:image/png;base64,{}\">",
            BASE64_STANDARD.encode(bytes)
        );
    }
    let classes: Vec<String> = progress
        .classes
        .iter()
        .enumerate()
        .map(|(index, class)| format!("{index} {}", escape(class)))
        .collect();
    let _ = write!(
        page,
        "<h2>Classes</h2><p>{}</p><h2>Experiment</h2><pre>{}</pre></html>",
        classes.join(" · "),
        escape(&progress.experiment.to_toml())
    );
    page
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

/// Means of neighbours, so that at most [`POINTS`] are left.
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

/// The range of finite values, widened when it is a point.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) = finite
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match low < high {
        true => (low, high),
        false if low.is_finite() => (low - 0.5, low + 0.5),
        false => (0.0, 1.0),
    }
}

/// Round values between two bounds, about four of them.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let rough = (high - low) / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    (first..)
        .map(|number| number as f64 * step)
        .take_while(|tick| *tick <= high + 1e-9 * step)
        .take(12)
        .collect()
}

fn chart(title: &str, x_name: &str, curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    if points().next().is_none() {
        return String::new();
    }
    let horizontal = range(points().map(|point| point.0));
    let (low, high) = range(points().map(|point| point.1));
    let vertical = if low > 0.0 && low < 0.5 * high { (0.0, high) } else { (low, high) };
    let x =
        |value: f64| LEFT + (value - horizontal.0) / (horizontal.1 - horizontal.0) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| {
        HEIGHT - BOTTOM - (value - vertical.0) / (vertical.1 - vertical.0) * (HEIGHT - TOP - BOTTOM)
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" width=\"{WIDTH}\" font-size=\"11\" role=\"img\" aria-label=\"{title}\">\
         <g transform=\"translate(0 20)\"><text x=\"{LEFT}\" y=\"-6\" font-size=\"13\" font-weight=\"600\">{title}</text>",
        HEIGHT + 38.0
    );
    for tick in ticks(vertical) {
        let _ = write!(
            svg,
            "<path d=\"M{LEFT} {0:.1}H{1}\" stroke=\"#ddd\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            y(tick),
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(tick) + 4.0,
            number(tick)
        );
    }
    for tick in ticks(horizontal) {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(tick),
            HEIGHT - BOTTOM + 15.0,
            number(tick)
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#777\">{x_name}</text>",
        WIDTH - RIGHT,
        HEIGHT - 4.0
    );
    let mut at = LEFT;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<String> = curve
            .points
            .iter()
            .filter(|point| point.1.is_finite())
            .map(|&(px, py)| format!("{:.1} {:.1}", x(px), y(py)))
            .collect();
        let _ = write!(
            svg,
            "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
             <rect x=\"{at}\" y=\"{2}\" width=\"10\" height=\"3\" fill=\"{colour}\"/><text x=\"{3}\" y=\"{4}\">{1}</text>",
            path.join("L"),
            curve.name,
            HEIGHT + 4.0,
            at + 14.0,
            HEIGHT + 9.0,
        );
        at += 30.0 + 6.4 * curve.name.len() as f64;
    }
    svg.push_str("</g></svg>");
    svg
}

/// A tick's number without needless digits.
fn number(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    if value != 0.0 && value.abs() < 1e-4 { format!("{value:.0e}") } else { format!("{rounded}") }
}

/// Seconds as hours, minutes and seconds.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds:02} s"),
        _ => format!("{hours} h {minutes:02} min"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((0.0, 1.0)), [0.0, 0.5, 1.0]);
        assert_eq!(ticks((12.0, 43.0)), [20.0, 30.0, 40.0]);
        assert!(ticks((-0.5, 0.5)).len() >= 2);
    }

    #[test]
    fn many_points_become_their_means_and_durations_are_words() {
        let points: Vec<(f64, f64)> = (0..4000).map(|index| (f64::from(index), 2.0)).collect();
        let few = thinned(points);
        assert_eq!(few.len(), POINTS);
        assert!(few.iter().all(|point| point.1 == 2.0));
        assert_eq!([3.0, 61.0, 3660.0].map(duration), ["3 s", "1 min 01 s", "1 h 01 min"]);
    }
}
