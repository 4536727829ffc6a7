//! `picodet search`: trains the supernet of a space, and searches among its networks.

mod find;
mod latency;
mod shared;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use picodet::crates::data::{find_split, splits};
use picodet::crates::train::group::ProcessGroup;
use picodet::crates::train::report::duration;
use picodet::crates::train::{Ending, Event, RunOptions};
use picodet::search::{SearchFolder, SearchRequest, Searcher};
use picodet::train::DatasetPaths;

use self::shared::{Limits, read_space};
use super::train::display::Display;
use super::train::{FAILED, exit_code, keep_freed_blocks, prepare};
use crate::ExitCode;
use crate::args::{ModelArguments, Search, SearchCommand};
use crate::model;
use crate::output::status;
use crate::processes;

/// The share of the time limit in which the supernet is trained.
const TRAINING_SHARE: f64 = 2.0 / 3.0;

pub(crate) fn run(command: &Search) -> Result<ExitCode> {
    match &command.command {
        Some(SearchCommand::Latency(command)) => latency::run(command),
        Some(SearchCommand::Find(command)) => {
            let limits = Limits::start(command.time_limit, 1)?;
            let searcher = Searcher::resume(SearchFolder::new(&command.run))?;
            let target = find::Target::new(&searcher, &command.find)?;
            find::find(&searcher, &command.find, &target, &limits, &[])
        }
        None => {
            keep_freed_blocks();
            let group = processes::join()?;
            processes::together(&*group, |_| FAILED, || search(command, &group))
        }
    }
}

/// Trains the supernet, all processes together, and searches among its networks, rank 0 only.
fn search(command: &Search, group: &Arc<dyn ProcessGroup>) -> Result<ExitCode> {
    let limits = Limits::start(command.time_limit, group.size())?;
    let mut searcher = match &command.resume {
        Some(folder) => Searcher::resume(SearchFolder::new(folder))?,
        None => new_search(command, group)?,
    };
    let is_trained = searcher.is_trained();
    if !group.is_first() {
        return match is_trained {
            true => Ok(ExitCode::SUCCESS),
            false => Ok(exit_code(train(&mut searcher, &limits, group, &mut |_| {})?)),
        };
    }
    let target = find::Target::new(&searcher, &command.find)?;
    let start = Instant::now();
    if !is_trained {
        let mut display = Display::new(searcher.trainer.state.progress.evaluates_training_images);
        let ending = train(&mut searcher, &limits, group, &mut |event| display.show(event));
        display.finish();
        let resume = format!("resume with `picodet search --resume {}`", searcher.folder().path().display());
        match ending? {
            Ending::Finished => {
                status(&format!("trained the supernet in {}", duration(start.elapsed().as_secs_f64())))
            }
            ending => {
                status(&format!("stopped while training the supernet; {resume}"));
                return Ok(exit_code(ending));
            }
        }
    }
    find::find(&searcher, &command.find, &target, &limits, &[("supernet", start.elapsed().as_secs_f64())])
}

fn new_search(command: &Search, group: &Arc<dyn ProcessGroup>) -> Result<Searcher> {
    let (Some(space), Some(data)) = (&command.space, &command.data) else {
        bail!("a space and --data are needed, or --resume");
    };
    let folder = SearchFolder::new(&command.output);
    if group.is_first() && folder.settings().exists() {
        bail!(
            "{0} already contains a search; resume it with `picodet search --resume {0}`, or choose another --output",
            command.output.display()
        );
    }
    let space = read_space(space)?;
    let paths = dataset_paths(command, data)?;
    if group.is_first() {
        prepare::check_data(&paths)?;
    }
    let mut request = SearchRequest::new(space, paths);
    request.weights = match &command.weights {
        Some(name) => Some(model::open(&ModelArguments::named(name))?),
        None => None,
    };
    request.epochs = command.epochs;
    request.batch = command.batch;
    request.sizes = (!command.sizes.is_empty()).then(|| command.sizes.clone());
    request.seed = command.find.seed;
    request.warm_up = Some(command.warm);
    request.sandwich.distillation = command.distillation;
    request.threads = picodet_parallel::cores();
    request.group = Arc::clone(group);
    let searcher = Searcher::new(request, folder)?;
    if group.is_first() {
        describe(&searcher, group.size());
    }
    Ok(searcher)
}

fn describe(searcher: &Searcher, processes: usize) {
    let trainer = &searcher.trainer;
    let together = if processes > 1 { format!(", {processes} processes") } else { String::new() };
    status(&format!(
        "{}: training a supernet on {} images, comparing its networks on {}; {} epochs, {} images per batch{together}",
        searcher.space.base().name,
        trainer.dataset.images.len(),
        trainer.validation.images.len(),
        trainer.state.progress.experiment.epochs,
        trainer.state.progress.batch
    ));
}

/// Returns the split to train on, and the images to compare candidates on.
fn dataset_paths(command: &Search, data: &Path) -> Result<DatasetPaths> {
    let train = find_split(&splits(data)?, "train").map(str::to_owned);
    let share = command.search_split.is_none().then_some(command.search_share);
    Ok(DatasetPaths {
        data: PathBuf::from(data),
        split: command.split.clone().or(train),
        validation_split: command.search_split.clone(),
        validation_share: share,
        ..DatasetPaths::default()
    })
}

fn train(
    searcher: &mut Searcher,
    limits: &Limits,
    group: &Arc<dyn ProcessGroup>,
    listen: &mut dyn FnMut(&Event<'_>),
) -> Result<Ending> {
    let options = RunOptions {
        stop: Arc::clone(&limits.stop),
        time_limit: limits
            .time
            .map(|time| time.saturating_sub(limits.start.elapsed()).mul_f64(TRAINING_SHARE)),
        limits: searcher.trainer.paths.limits(),
        group: Arc::clone(group),
        ..RunOptions::new(searcher.folder().run())
    };
    Ok(searcher.train(&options, listen)?)
}
