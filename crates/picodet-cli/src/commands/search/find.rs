//! The search among the networks of a supernet, and its report.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use picodet::crates::search::{
    Entry, Evolution, Genome, Judged, LEAST_AGREEMENT, LatencyTable, Options, Predictor, SearchEnding,
    SearchReport, measure_candidates,
};
use picodet::crates::train::report::duration;
use picodet::search::{Find, Finding, Searcher};
use serde_json::json;

use super::latency;
use super::shared::Limits;
use crate::ExitCode;
use crate::args::{FindOptions, Limit, ReportFormat};
use crate::host;
use crate::output::{print_result, status, write_file};

/// Time between lines of progress outside a terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Networks of the front that are measured.
const MEASURED: usize = 10;
/// Seconds of measuring each of them.
const SECONDS_PER_NETWORK: f64 = 1.5;
/// The latency of the published network differs from that of the table by at most this fraction on a quiet machine.
const BUSY: f64 = 0.05;
/// A measured latency may exceed the constraint by this fraction, which a repeated measurement may differ by.
const TOLERANCE: f64 = 0.02;

/// The target of a search.
pub(super) struct Target {
    table: LatencyTable,
    /// Whether the table was measured on this machine.
    is_own: bool,
    predictor: Predictor,
    options: Options,
    /// Seconds of measuring the table.
    seconds: f64,
}

impl Target {
    /// Measures or reads the latency table, and checks that a network keeps the constraint.
    pub(super) fn new(searcher: &Searcher, command: &FindOptions) -> Result<Self> {
        let start = Instant::now();
        let (space, classes) = (&searcher.space, searcher.trainer.state.progress.classes.len());
        let (table, is_own) = latency::of_search(space, classes, command, searcher.folder())?;
        let predictor = Predictor::new(&table, space, classes)?;
        let mut options = Options::default();
        options.seed = command.seed;
        options.random = command.random;
        options.constraint = command.latency.map(|limit| match limit {
            Limit::Milliseconds(time) => time,
            Limit::Ratio(ratio) => ratio * table.whole.reference,
        });
        let evolution = Evolution::new(space.counts(), space.seeds(), options.clone());
        evolution.next(&[], &|genome: &Genome| predictor.predict(genome))?;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Self { table, is_own, predictor, options, seconds })
    }
}

/// Searches, measures the front, writes the report and prints the result.
pub(super) fn find(
    searcher: &Searcher,
    command: &FindOptions,
    target: &Target,
    limits: &Limits,
    seconds: &[(&'static str, f64)],
) -> Result<ExitCode> {
    let start = Instant::now();
    let mut settings = Find::default();
    settings.options = target.options.clone();
    settings.evaluations = command.evaluations;
    settings.precision = command.precision.of_accuracy();
    let mut progress = Progress::new(start);
    let predict = |genome: &Genome| target.predictor.predict(genome);
    let finding = searcher.find(&settings, &predict, &mut |judged| {
        progress.show(&judged);
        let is_late = limits.time.is_some_and(|time| limits.start.elapsed() >= time);
        limits.stop.load(Ordering::Relaxed) == 0 && !is_late
    });
    progress.bar.finish_and_clear();
    let finding = finding?;
    let searching = start.elapsed().as_secs_f64();
    let (front, recommended) = measured_front(searcher, command, target, &finding)?;
    let without_gain = target.predictor.without_gain(&searcher.space);
    let times = [&[("latency table", target.seconds)], seconds, &[("search", searching)]].concat();
    let report = SearchReport {
        space: &searcher.space,
        table: &target.table,
        candidates: &finding.result.candidates,
        front: &front,
        recommended,
        constraint: target.options.constraint,
        agreement: finding.agreement,
        without_gain: &without_gain,
        seconds: &times,
    };
    let folder = searcher.folder().path();
    remove_older(&searcher.folder().front(), front.len());
    write_file(&folder.join("front.csv"), report.front_csv().as_bytes())?;
    write_file(&folder.join("report.html"), report.html().as_bytes())?;
    print_result(&match command.format {
        ReportFormat::Text => text(searcher, target, &finding, &report),
        ReportFormat::Json => as_json(target, &finding, &report),
    })?;
    status(&format!("report: {}", folder.join("report.html").display()));
    Ok(ExitCode::SUCCESS)
}

/// Returns the front with measured latencies, if the table is of this machine, and the index of the recommended network: a
/// faster one if it does not keep the constraint.
fn measured_front(
    searcher: &Searcher,
    command: &FindOptions,
    target: &Target,
    finding: &Finding,
) -> Result<(Vec<Entry>, usize)> {
    let (space, classes) = (&searcher.space, target.table.classes);
    let entry = |found: &picodet::search::FrontEntry| {
        let candidate = space.candidate(&found.candidate.genome);
        let macs = candidate.map(|network| network.architecture.graph(classes).cost(network.input_size).macs);
        Entry {
            candidate: found.candidate.clone(),
            error: found.error,
            parameters: found.parameters,
            macs: macs.unwrap_or_default(),
            measured: None,
        }
    };
    let mut front: Vec<Entry> = finding.front.iter().map(entry).collect();
    let mut recommended = finding.recommended;
    if !target.is_own || front.is_empty() {
        return Ok((front, recommended));
    }
    let first = recommended.saturating_sub(MEASURED / 2).min(front.len().saturating_sub(MEASURED));
    let chosen = first..front.len().min(first + MEASURED);
    let genomes: Vec<Genome> =
        front[chosen.clone()].iter().map(|entry| entry.candidate.genome.clone()).collect();
    let mut options = latency::options(classes, command.threads, command.precision.into());
    options.seconds = SECONDS_PER_NETWORK * (genomes.len() + 1) as f64;
    let times = measure_candidates(space, &genomes, &options)?;
    let reference = times.last().copied().unwrap_or_default();
    let expected = target.table.whole.reference;
    let is_busy = (reference / expected - 1.0).abs() > BUSY;
    if is_busy {
        status(&format!(
            "the published network now takes {reference:.3} ms, {expected:.3} ms when the latency table was measured: other \
             programs disturb the measurement, the measured latencies are not used"
        ));
    }
    front[chosen].iter_mut().zip(times).for_each(|(entry, time)| entry.measured = Some(time));
    if let Some(limit) = target.options.constraint.filter(|_| !is_busy) {
        let is_late = |entry: &Entry| entry.measured.is_some_and(|time| time > (1.0 + TOLERANCE) * limit);
        while recommended > 0 && is_late(&front[recommended]) {
            let entry = &front[recommended];
            status(&format!(
                "network {} takes {:.3} ms instead of {:.3} ms; a faster one is recommended",
                recommended + 1,
                entry.measured.unwrap_or_default(),
                entry.candidate.latency
            ));
            recommended -= 1;
        }
    }
    Ok((front, recommended))
}

/// Removes the files of networks that an earlier, longer front had.
fn remove_older(folder: &Path, count: usize) {
    for number in count + 1.. {
        let files = ["toml", "safetensors"].map(|kind| folder.join(format!("{number}.{kind}")));
        if !files.iter().any(|file| file.exists()) {
            break;
        }
        // A file that cannot be removed is not listed in the report.
        files.iter().for_each(|file| drop(std::fs::remove_file(file)));
    }
}

/// Shows judged candidates: a bar in a terminal, a line at intervals elsewhere.
struct Progress {
    bar: ProgressBar,
    start: Instant,
    last_line: Instant,
    /// Highest accuracy so far, with its latency.
    best: (f64, f64),
    /// Candidates whose accuracy was known before.
    known: usize,
}

impl Progress {
    fn new(start: Instant) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && host::current().is_none();
        let bar = if is_terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        ProgressStyle::with_template("{bar:24} {pos}/{len} {wide_msg}")
            .map(|style| bar.set_style(style))
            .ok();
        Self { bar, start, last_line: start, best: (0.0, 0.0), known: 0 }
    }

    fn show(&mut self, judged: &Judged<'_>) {
        let candidate = judged.candidate;
        if candidate.accuracy > self.best.0 {
            self.best = (candidate.accuracy, candidate.latency);
        }
        self.known += usize::from(judged.is_known);
        let new = judged.done - self.known;
        let each = self.start.elapsed().as_secs_f64() / new.max(1) as f64;
        let left = duration(each * (judged.of - judged.done) as f64);
        let text = format!("best AP {:.4} at {:.2} ms · {left} left", self.best.0, self.best.1);
        self.bar.set_length(judged.of as u64);
        self.bar.set_position(judged.done as u64);
        self.bar.set_message(text.clone());
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE_INTERVAL {
            status(&format!("judged {} of {} networks, {text}", judged.done, judged.of));
            self.last_line = Instant::now();
        }
    }
}

fn text(searcher: &Searcher, target: &Target, finding: &Finding, report: &SearchReport<'_>) -> String {
    let mut text = String::new();
    let reference = target.table.whole.reference;
    let _ = writeln!(
        text,
        "{:>7} {:>8} {:>8} {:>8} {:>7} {:>10}",
        "network", "AP", "±", "ms", "of pub.", "parameters"
    );
    for (index, entry) in report.front.iter().enumerate() {
        let time = entry.measured.unwrap_or(entry.candidate.latency);
        let mark = if index == report.recommended { "  recommended" } else { "" };
        let _ = writeln!(
            text,
            "{:>7} {:>8.4} {:>8.4} {time:>8.3} {:>6.0}% {:>10}{mark}",
            index + 1,
            entry.candidate.accuracy,
            entry.error,
            100.0 * time / reference,
            entry.parameters
        );
    }
    match finding.result.ending {
        SearchEnding::Exhausted => text += "all networks within the constraint are judged\n",
        SearchEnding::Stopped => {
            text += "stopped before all networks were judged; the same command resumes it\n"
        }
        _ => {}
    }
    if finding.is_slack {
        text += "the constraint excludes no network\n";
    }
    if finding.agreement < LEAST_AGREEMENT {
        let _ = writeln!(
            text,
            "two halves of the images order the networks with a rank correlation of {:.2}: they cannot tell them apart; the \
             recommended network is the fastest within the error of the best",
            finding.agreement
        );
    }
    if let Some(entry) = finding.front.get(report.recommended) {
        let (recipe, model) = (entry.experiment.display(), entry.model.display());
        let data = searcher.trainer.paths.data.display();
        let _ = writeln!(text, "picodet train {recipe} --data {data} --weights {model}");
    }
    text
}

fn as_json(target: &Target, finding: &Finding, report: &SearchReport<'_>) -> String {
    let networks = report.front.iter().zip(&finding.front).map(|(entry, files)| {
        json!({
            "genome": entry.candidate.genome,
            "ap": entry.candidate.accuracy,
            "ap_error": entry.error,
            "predicted_ms": entry.candidate.latency,
            "measured_ms": entry.measured,
            "parameters": entry.parameters,
            "macs": entry.macs,
            "recipe": files.experiment,
            "model": files.model,
        })
    });
    let value = json!({
        "machine": target.table.machine,
        "reference_ms": target.table.whole.reference,
        "constraint_ms": report.constraint,
        "constraint_is_slack": finding.is_slack,
        "agreement": finding.agreement,
        "judged": finding.result.candidates.len(),
        "recommended": report.recommended,
        "front": networks.collect::<Vec<_>>(),
        "seconds": report.seconds.iter().map(|(name, time)| ((*name).to_owned(), json!(time))).collect::<serde_json::Map<_, _>>(),
    });
    format!("{value:#}\n")
}
