//! Shows the progress of a run: a bar in a terminal, a line at intervals elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use picodet::crates::train::Event;
use picodet::crates::train::journal::{EpochRecord, StepRecord};
use picodet::crates::train::plan::TimePlan;
use picodet::crates::train::report::duration;

use crate::host;
use crate::output::status;

/// Time between lines of progress outside a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Weight of the last step in the smoothed throughput.
const SMOOTHING: f64 = 0.05;

pub(in super::super) struct Display {
    bar: ProgressBar,
    terminal: bool,
    last_line: Instant,
    /// Images per second, exponentially smoothed.
    throughput: Option<f64>,
    /// Whether evaluations are of training images.
    evaluates_training_images: bool,
}

impl Display {
    pub(in super::super) fn new(evaluates_training_images: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && host::current().is_none();
        let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let template = "{bar:24} {pos}/{len} {wide_msg}";
        ProgressStyle::with_template(template).map(|style| bar.set_style(style)).ok();
        Self {
            bar,
            terminal,
            last_line: Instant::now().checked_sub(LINE_INTERVAL).unwrap_or_else(Instant::now),
            throughput: None,
            evaluates_training_images,
        }
    }

    pub(in super::super) fn show(&mut self, event: &Event<'_>) {
        if host::send_training(event) {
            return;
        }
        match event {
            Event::Step(record) => self.step(record),
            Event::Epoch(record) => self.epoch(record),
            Event::Planned(plan) => self.line(&plan_text(plan)),
            Event::Note(note) => self.line(note),
            _ => {}
        }
    }

    /// Removes the bar.
    pub(in super::super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        if self.terminal { self.bar.println(text) } else { status(text) }
    }

    fn step(&mut self, record: &StepRecord) {
        let last = record.images_per_second;
        let throughput = self.throughput.map_or(last, |mean| (1.0 - SMOOTHING) * mean + SMOOTHING * last);
        self.throughput = Some(throughput);
        let done = record.step + 1;
        let left = record.seconds / done as f64 * (record.of_steps - done) as f64;
        let text = format!(
            "epoch {} loss {:.3} (class {:.3} box {:.3} dfl {:.3}) positives {:.1}/image rate {:.5} \
             {throughput:.1} images/s, data wait {:.0} % · {} left",
            record.epoch,
            record.loss,
            record.loss_cls,
            record.loss_box,
            record.loss_dfl,
            record.positives,
            record.rate,
            100.0 * record.wait / record.step_seconds.max(1e-9),
            duration(left),
        );
        if self.terminal {
            self.bar.set_length(record.of_steps as u64);
            self.bar.set_position(done as u64);
            self.bar.set_message(text);
        } else if self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            status(&format!("step {done}/{} {text}", record.of_steps));
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        if let (Some(map), Some(map50)) = (record.map, record.map50) {
            let best = if record.best { ", best so far" } else { "" };
            let of = if self.evaluates_training_images { " of the training images" } else { "" };
            self.line(&format!(
                "epoch {}/{}: mAP {map:.4}, mAP 0.5 {map50:.4}{of}{best} ({})",
                record.epoch,
                record.of_epochs,
                duration(record.seconds)
            ));
        }
    }
}

/// Describes the length of a run that was fitted into its time limit.
fn plan_text(plan: &TimePlan) -> String {
    let epochs = |steps: usize| {
        let epochs = steps as f64 / plan.steps_per_epoch.max(1) as f64;
        if epochs.fract() == 0.0 { format!("{epochs} epochs") } else { format!("{epochs:.1} epochs") }
    };
    let measured = format!(
        "a step takes {:.2} s, an evaluation {}",
        plan.step_seconds,
        duration(plan.evaluation_seconds)
    );
    let limit = duration(plan.limit);
    if plan.steps < plan.of_steps {
        format!(
            "planned for {limit}: {} ({} steps) of {}, with the learning rate schedule to the end; {measured}",
            epochs(plan.steps),
            plan.steps,
            epochs(plan.of_steps),
        )
    } else {
        format!("planned for {limit}: all {} fit; {measured}", epochs(plan.steps))
    }
}
