//! `picodet train`: a network trained on a dataset, or a run gone on with.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use picodet::data::{CheckOptions, Kind, Severity, check, splits};
use picodet::train::{DataPlaces, Request, TrainError, Trainer, automatic_batch, overfit};
use picodet::training::group::Group;
use picodet::training::journal::{EpochRecord, StepRecord};
use picodet::training::recipes::{RECIPES, recipe};
use picodet::training::report::duration;
use picodet::training::run::{Ending, Event, OnNan, RunError, RunOptions, files};
use picodet::training::transfer::Transfer;
use picodet::training::{Experiment, InputSize};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::args::{Batch, ModelArguments, OnNan as OnNanArgument, Train};
use crate::model;
use crate::output::{complain, one_line, say};
use crate::processes;

/// The exit code of sysexits.h for a file that could not be written.
const CANNOT_WRITE: u8 = 74;
/// The exit code of any other failure.
const FAILED: u8 = 2;
/// Added to the number of a signal that ended the program.
const SIGNAL: u8 = 128;
/// Between lines of progress where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Longest time of `--overfit-first`.
const OVERFIT_TIME: Duration = Duration::from_secs(50);

pub(crate) fn run(command: &Train) -> Result<ExitCode> {
    let group = processes::join()?;
    let code = |error: &anyhow::Error| error.downcast_ref().and_then(write_failure).unwrap_or(FAILED);
    let result = processes::together(&*group, code, || train(command, &group));
    match result {
        Err(error) if code(&error) != FAILED => {
            complain(&format!("picodet: {}", one_line(&error)));
            Ok(ExitCode::from(code(&error)))
        }
        other => other,
    }
}

fn train(command: &Train, group: &Arc<dyn Group>) -> Result<ExitCode> {
    let stop = Arc::new(AtomicUsize::new(0));
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut signals = vec![SIGINT, SIGTERM];
    // mpirun passes it on, where other signals make it kill its processes a second later.
    #[cfg(unix)]
    if group.size() > 1 {
        signals.push(signal_hook::consts::SIGUSR1);
    }
    // The run looks after each step.
    for signal in signals {
        signal_hook::flag::register_usize(signal, Arc::clone(&stop), signal as usize)
            .context("signals cannot be watched")?;
    }
    let (mut trainer, folder) = prepare(command, &**group)?;
    let options = RunOptions {
        workers: command.workers,
        cache: command.cache << 20,
        evaluate_every: command.evaluate_every,
        checkpoint_every: Duration::from_secs(command.checkpoint_every),
        patience: command.patience,
        time_limit: command.time_limit.map(|minutes| Duration::from_secs_f64(minutes.clamp(0.0, 1e6) * 60.0)),
        on_nan: match command.on_nan {
            OnNanArgument::Stop => OnNan::Stop,
            OnNanArgument::Skip => OnNan::Skip,
        },
        stop: Arc::clone(&stop),
        group: Arc::clone(group),
        ..RunOptions::new(&folder)
    };
    if !group.is_first() {
        return Ok(exit_code(trainer.run(&options, &command.device, &mut |_| {})?));
    }
    trainer.make_folder(&folder)?;
    let mut display = Display::new();
    let ending = trainer.run(&options, &command.device, &mut |event| display.show(event));
    display.bar.finish_and_clear();
    finish(ending?, &trainer, &folder)
}

/// The exit code of a failure to write.
fn write_failure(error: &TrainError) -> Option<u8> {
    let is_write = match error {
        TrainError::Run(RunError::File { .. } | RunError::Checkpoint(_)) => true,
        TrainError::File { source, .. } => source.kind() != std::io::ErrorKind::NotFound,
        _ => false,
    };
    is_write.then_some(CANNOT_WRITE)
}

/// The run that the arguments describe, and its folder. The first process of a group checks and tells for all.
fn prepare(command: &Train, group: &dyn Group) -> Result<(Trainer, PathBuf)> {
    if let Some(folder) = &command.resume {
        let trainer = Trainer::resume(folder)?;
        let progress = &trainer.state.progress;
        let mut line = format!("going on with {} after step {}", progress.experiment.model, progress.step);
        if let Some((best, epoch)) = progress.best {
            line += &format!(", best mAP {best:.4} after epoch {epoch}");
        }
        if group.is_first() {
            complain(&line);
        }
        return Ok((trainer, folder.clone()));
    }
    let (Some(name), Some(data)) = (&command.recipe, &command.data) else {
        bail!("a recipe and --data are needed, or --resume");
    };
    if group.is_first() && command.output.join(files::CHECKPOINT).exists() {
        bail!(
            "{0} holds a run already; go on with it by `picodet train --resume {0}`, or choose another --output",
            command.output.display()
        );
    }
    let mut experiment = experiment(command, name)?;
    let places = places(command, data)?;
    if group.is_first() && !command.unchecked {
        check_data(&places)?;
    }
    let weights = match &command.weights {
        Some(name) => {
            Some(model::open(&ModelArguments { model: name.clone(), offline: false, sha256: None })?)
        }
        None => None,
    };
    let threads = match command.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let frozen = if command.freeze_backbone { vec!["backbone.".to_owned()] } else { Vec::new() };
    let batch = match command.batch {
        Batch::Images(images) => images,
        Batch::Auto if command.device != "cpu" => {
            bail!(
                "--batch auto knows the processor's memory alone; give --batch a number for {}",
                command.device
            )
        }
        Batch::Auto if group.size() > 1 => {
            bail!("--batch auto is for one process; give --batch a number, that of all processes together")
        }
        Batch::Auto => {
            let choice = automatic_batch(&experiment, &places, &frozen, command.cache << 20)?;
            complain(&choice.to_string());
            choice.images
        }
    };
    if let Some(rate) = command.rate {
        experiment.rate.base = rate;
        experiment.batch.images = batch;
        experiment.check()?;
    }
    let request = Request { experiment, places, weights, batch, seed: command.seed, frozen, threads };
    let trainer = Trainer::new(request)?;
    if group.is_first() {
        describe(&trainer, group);
    }
    if group.is_first() && command.overfit_first {
        let [first, last] = overfit(&trainer, OVERFIT_TIME)?;
        complain(&format!("one batch learned by heart: loss {first:.3} → {last:.3}"));
        if last.is_nan() || last > 0.7 * first {
            bail!("the loss of a single batch does not fall; look at the labels with `picodet check` first");
        }
    }
    Ok((trainer, command.output.clone()))
}

/// The recipe with what the arguments change.
fn experiment(command: &Train, name: &str) -> Result<Experiment> {
    let published = RECIPES.iter().any(|recipe| recipe.0 == name);
    let mut experiment = if published && !Path::new(name).exists() {
        recipe(name)?
    } else {
        Experiment::read(Path::new(name))?
    };
    if let Some(epochs) = command.epochs {
        experiment.epochs = epochs;
        experiment.rate.epochs = epochs;
    }
    if !command.sizes.is_empty() {
        experiment.batch.sizes =
            command.sizes.iter().map(|&(height, width)| InputSize::Rectangle(height, width)).collect();
    }
    if let Some(steps) = &command.augment {
        experiment.batch.augmentation =
            steps.iter().map(|step| step.trim().to_owned()).filter(|step| !step.is_empty()).collect();
    }
    experiment.check()?;
    Ok(experiment)
}

/// Which splits to learn from and to measure on.
fn places(command: &Train, data: &Path) -> Result<DataPlaces> {
    let there = splits(data)?;
    let first_of = |names: &[&str]| {
        names.iter().find(|name| there.iter().any(|other| other == *name)).map(|name| (*name).to_owned())
    };
    let split = command.split.clone().or_else(|| first_of(&["train"]));
    let validation_split = command.validation_split.clone().or_else(|| match &command.validation {
        Some(_) => None,
        None => first_of(&["val", "valid", "validation", "test"]),
    });
    Ok(DataPlaces {
        data: data.to_path_buf(),
        split,
        validation: command.validation.clone(),
        validation_split,
    })
}

/// The dataset check before a run: errors end it, but for boxes without area, which training leaves out.
fn check_data(places: &DataPlaces) -> Result<()> {
    let report = check(&places.data, None, &CheckOptions::default())?.report;
    let count = |kind: Kind| report.findings.counts().get(&kind).copied().unwrap_or_default();
    let errors = report.findings.errors() - count(Kind::BoxEmpty);
    let first = report
        .findings
        .list()
        .iter()
        .find(|finding| finding.kind.severity() == Severity::Error && finding.kind != Kind::BoxEmpty);
    if errors > 0 {
        bail!(
            "{}: {errors} errors, the first: {}; `picodet check` lists them and its --fix mends most; --unchecked \
             trains anyway",
            places.data.display(),
            first.map(|finding| finding.message.as_str()).unwrap_or_default()
        );
    }
    if count(Kind::BoxEmpty) > 0 {
        complain(&format!("{} boxes without area are left out", count(Kind::BoxEmpty)));
    }
    let warnings = report.findings.count_of(Severity::Warning);
    if warnings > 0 {
        complain(&format!("{warnings} warnings about the data; `picodet check` tells them"));
    }
    Ok(())
}

/// What is about to be trained, in a few lines.
fn describe(trainer: &Trainer, group: &dyn Group) {
    let progress = &trainer.state.progress;
    let experiment = &progress.experiment;
    let dataset = &trainer.dataset;
    let split = |name: &Option<String>| name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    complain(&format!(
        "{} on {} images{} with {} objects of {} classes, {} images without objects; measured on {} images{}",
        experiment.model,
        dataset.images.len(),
        split(&trainer.places.split),
        dataset.object_count(),
        dataset.classes.len(),
        dataset.images_without_objects(),
        trainer.validation.images.len(),
        split(&trainer.places.validation_split),
    ));
    let processes =
        if group.size() > 1 { format!(" in each of {} processes", group.size()) } else { String::new() };
    complain(&format!(
        "{} epochs of {} steps, {} images a batch on {} threads{processes}; learning rate {:.5} ({} for {} images)",
        experiment.epochs,
        (dataset.images.len() / progress.batch).max(1),
        progress.batch,
        progress.threads,
        experiment.rate_for(progress.batch),
        experiment.rate.base,
        experiment.batch.images,
    ));
    match &trainer.transfer {
        Some(transfer) => describe_transfer(transfer, &progress.origin),
        None => complain("starting from random weights"),
    }
}

fn describe_transfer(transfer: &Transfer, origin: &str) {
    let mut line = format!("starting from {origin}: {} tensors taken", transfer.taken);
    if !transfer.resized.is_empty() {
        line += &format!(", {} of the predictions made for other classes", transfer.resized.len());
        match transfer.classes.as_slice() {
            [] => line += " (none is known)",
            known => line += &format!(" (known: {})", known.join(", ")),
        }
    }
    if !transfer.fresh.is_empty() {
        line += &format!(", {} new ones stay random", transfer.fresh.len());
    }
    if transfer.unfolded > 0 {
        line += &format!("; {} batch norms measured anew", transfer.unfolded);
    }
    complain(&line);
}

/// Says how a run ended.
fn finish(ending: Ending, trainer: &Trainer, folder: &Path) -> Result<ExitCode> {
    let progress = &trainer.state.progress;
    let best = match progress.best {
        Some((map, epoch)) => {
            format!("best mAP {map:.4} after epoch {epoch}: {}\n", folder.join(files::BEST).display())
        }
        None => "not measured yet\n".to_owned(),
    };
    let resume = format!("go on with `picodet train --resume {}`", folder.display());
    let how = match ending {
        Ending::Finished => format!("all epochs done in {}", duration(progress.seconds)),
        Ending::Patience => format!("no evaluation was better for a while; {resume}"),
        Ending::TimeLimit => format!("the time is over; {resume}"),
        Ending::Signal(_) => format!("stopped after step {}; {resume}", progress.step),
    };
    complain(&how);
    say(&best)?;
    complain(&format!("report: {}", folder.join(files::REPORT).display()));
    Ok(exit_code(ending))
}

fn exit_code(ending: Ending) -> ExitCode {
    match ending {
        Ending::Signal(signal) => ExitCode::from(SIGNAL.saturating_add(signal as u8)),
        _ => ExitCode::SUCCESS,
    }
}

/// Progress: a bar in a terminal, a line now and then elsewhere.
struct Display {
    bar: ProgressBar,
    terminal: bool,
    last_line: Instant,
    /// Seconds a step, smoothed; the last steps count most.
    pace: Option<f64>,
}

impl Display {
    fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let template = "{bar:24} {pos}/{len} {wide_msg}";
        ProgressStyle::with_template(template).map(|style| bar.set_style(style)).ok();
        Self {
            bar,
            terminal,
            last_line: Instant::now().checked_sub(LINE_EVERY).unwrap_or_else(Instant::now),
            pace: None,
        }
    }

    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Step(record) => self.step(record),
            Event::Epoch(record) => self.epoch(record),
            Event::Note(note) => self.line(note),
            Event::Checkpoint(_) => {}
        }
    }

    fn line(&self, text: &str) {
        if self.terminal { self.bar.println(text) } else { complain(text) }
    }

    fn step(&mut self, record: &StepRecord) {
        let now = record.images_per_second;
        let pace = self.pace.map_or(now, |pace| 0.95 * pace + 0.05 * now);
        self.pace = Some(pace);
        let done = record.step + 1;
        let left = record.seconds / done as f64 * (record.of_steps - done) as f64;
        let text = format!(
            "epoch {} loss {:.3} (class {:.3} box {:.3} dist {:.3}) cells/image {:.1} rate {:.5} {pace:.1} images/s, waits {:.0} % · {} left",
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
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            complain(&format!("step {done}/{} {text}", record.of_steps));
        }
    }

    fn epoch(&mut self, record: &EpochRecord) {
        if let (Some(map), Some(map50)) = (record.map, record.map50) {
            let best = if record.best { ", the best so far" } else { "" };
            self.line(&format!(
                "epoch {}/{}: mAP {map:.4}, mAP 0.5 {map50:.4}{best} ({})",
                record.epoch,
                record.of_epochs,
                duration(record.seconds)
            ));
        }
    }
}
