//! `picodet train`: trains a network on a dataset, or resumes a run.

mod describe;
pub(super) mod display;
pub(super) mod prepare;
mod quantised;

use crate::ExitCode;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::{Context, Result};
use picodet::crates::train::group::ProcessGroup;
use picodet::crates::train::report::duration;
use picodet::crates::train::state::Progress;
use picodet::crates::train::{Ending, Evaluation, FinalModel, OnNonFinite, RunError, RunFolder, RunOptions};
use picodet::train::{TrainError, Trainer};
use signal_hook::consts::{SIGINT, SIGTERM};

use self::display::Display;
use crate::args::{OnNan, Train};
use crate::output::{print_result, report_error, status};
use crate::{host, processes};

/// Exit code for a file that cannot be written (EX_IOERR of sysexits.h).
const CANNOT_WRITE: u8 = 74;
/// Exit code of any other failure.
pub(super) const FAILED: u8 = 2;
/// Exit code of a signal, minus its number.
const SIGNAL: u8 = 128;

pub(crate) fn run(command: &Train) -> Result<ExitCode> {
    keep_freed_blocks();
    let group = processes::join()?;
    let code = |error: &anyhow::Error| error.downcast_ref().and_then(write_failure).unwrap_or(FAILED);
    let result = processes::together(&*group, code, || train(command, &group));
    match result {
        Err(error) if code(&error) != FAILED => {
            report_error(&error);
            Ok(ExitCode::from(code(&error)))
        }
        other => other,
    }
}

/// Makes GNU's allocator keep the large blocks that a step frees for the next step.
///
/// By default each such block is mapped from the system and returned to it, which costs page faults: 11 % of a step of S-320
/// with batch 8. The allocator keeps blocks up to the size of the largest one that was freed, at most 32 MiB.
pub(super) fn keep_freed_blocks() {
    const LARGEST: usize = (32 << 20) - (64 << 10);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGEST)));
}

fn train(command: &Train, group: &Arc<dyn ProcessGroup>) -> Result<ExitCode> {
    let stop = watch_signals(group.size())?;
    let (mut trainer, folder) = prepare::prepare(command, &**group)?;
    let options = RunOptions {
        workers: command.workers,
        cache: command.cache << 20,
        evaluate_every: command.evaluate_every,
        checkpoint_every: Duration::from_secs(command.checkpoint_every),
        patience: command.patience,
        time_limit: command.time_limit.map(|minutes| Duration::from_secs_f64(minutes.clamp(0.0, 1e6) * 60.0)),
        on_non_finite: match command.on_nan {
            OnNan::Stop => OnNonFinite::Stop,
            OnNan::Skip => OnNonFinite::Skip,
        },
        stop,
        limits: trainer.paths.limits(),
        group: Arc::clone(group),
        ..RunOptions::new(&folder)
    };
    if !group.is_first() {
        return Ok(exit_code(trainer.run(&options, &command.device, &mut |_| {})?));
    }
    trainer.make_folder(&folder)?;
    let mut display = Display::new(trainer.state.progress.evaluates_training_images);
    let ending = trainer.run(&options, &command.device, &mut |event| display.show(event));
    display.finish();
    report_ending(ending?, &trainer, &folder)
}

/// Registers the signals that stop a run, unless a host does; the run polls the returned number of the last one after each
/// step.
pub(super) fn watch_signals(processes: usize) -> Result<Arc<AtomicUsize>> {
    if let Some(host) = host::current() {
        return Ok(host.stop);
    }
    let stop = Arc::new(AtomicUsize::new(0));
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut signals = vec![SIGINT, SIGTERM];
    // mpirun forwards SIGUSR1; after other signals it kills its processes within a second.
    #[cfg(unix)]
    if processes > 1 {
        signals.push(signal_hook::consts::SIGUSR1);
    }
    #[cfg(not(unix))]
    let _ = processes;
    for signal in signals {
        signal_hook::flag::register_usize(signal, Arc::clone(&stop), signal as usize)
            .context("cannot register a signal handler")?;
    }
    Ok(stop)
}

/// Returns the exit code of a failure to write a file, `None` for other errors.
fn write_failure(error: &TrainError) -> Option<u8> {
    let is_write = match error {
        TrainError::Run(RunError::File { .. } | RunError::Checkpoint(_)) => true,
        TrainError::File { source, .. } => source.kind() != std::io::ErrorKind::NotFound,
        _ => false,
    };
    is_write.then_some(CANNOT_WRITE)
}

/// Describes the models of a run: the final one, why it was chosen, and the other one.
fn final_text(progress: &Progress, ending: Ending, folder: &Path) -> String {
    let measured = |evaluation: Option<Evaluation>| match evaluation {
        Some(Evaluation { epoch, map: Some(map), map50: Some(map50) }) => {
            let of = if progress.evaluates_training_images { " of the training images" } else { "" };
            format!("mAP {map:.4}, mAP 0.5 {map50:.4}{of} after epoch {epoch}")
        }
        Some(Evaluation { epoch, .. }) => format!("mAP undefined after epoch {epoch}"),
        None => "not evaluated".to_owned(),
    };
    let (best, last) = (measured(progress.best), measured(progress.last));
    let is_final = !matches!(ending, Ending::Signal(_));
    let file = |name: &str| folder.join(if is_final { RunFolder::FINAL } else { name }).display().to_string();
    let which = if is_final { "final model" } else { "best model so far" };
    match FinalModel::choose(progress.best, progress.last) {
        Some(FinalModel::Best) => {
            format!("{which}: the best one, {best}; the last one: {last}: {}\n", file(RunFolder::BEST))
        }
        Some(FinalModel::Last) if progress.best.is_some() => {
            format!("{which}: the last one, which is the best, {last}: {}\n", file(RunFolder::LAST))
        }
        Some(FinalModel::Last) => {
            format!("{which}: the last one; {last}: no objects to evaluate on: {}\n", file(RunFolder::LAST))
        }
        None => "no final model: not evaluated yet\n".to_owned(),
    }
}

/// Reports how a run ended, and prints its final model.
fn report_ending(ending: Ending, trainer: &Trainer, folder: &Path) -> Result<ExitCode> {
    let progress = &trainer.state.progress;
    let resume = format!("resume with `picodet train --resume {}`", folder.display());
    status(&match ending {
        Ending::Finished => match progress.plan {
            Some(plan) if plan.steps < plan.of_steps => {
                format!("finished the {} planned steps in {}", plan.steps, duration(progress.seconds))
            }
            _ => format!("finished all epochs in {}", duration(progress.seconds)),
        },
        Ending::Patience => format!("stopped early, no improvement within --patience evaluations; {resume}"),
        Ending::TimeLimit => format!("stopped at the time limit after step {}; {resume}", progress.step),
        Ending::Signal(_) => format!("stopped by a signal after step {}; {resume}", progress.step),
    });
    print_result(&final_text(progress, ending, folder))?;
    status(&format!("report: {}", folder.join(RunFolder::REPORT).display()));
    Ok(exit_code(ending))
}

pub(super) fn exit_code(ending: Ending) -> ExitCode {
    match ending {
        Ending::Signal(signal) => ExitCode::from(SIGNAL.saturating_add(signal as u8)),
        _ => ExitCode::SUCCESS,
    }
}
