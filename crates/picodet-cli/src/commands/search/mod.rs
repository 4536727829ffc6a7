//! `picodet search`: trains the supernet of a space, and searches among its networks.

mod find;
mod latency;
mod shared;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use picodet::crates::data::{find_split, splits};
use picodet::crates::train::report::duration;
use picodet::crates::train::{Ending, RunOptions};
use picodet::search::{SearchFolder, SearchRequest, Searcher};
use picodet::train::DatasetPaths;

use self::shared::{Limits, read_space};
use super::train::display::Display;
use super::train::{exit_code, keep_freed_blocks, prepare};
use crate::ExitCode;
use crate::args::{ModelArguments, Search, SearchCommand};
use crate::model;
use crate::output::status;

/// The share of the time limit in which the supernet is trained.
const TRAINING_SHARE: f64 = 2.0 / 3.0;

pub(crate) fn run(command: &Search) -> Result<ExitCode> {
    match &command.command {
        Some(SearchCommand::Latency(command)) => latency::run(command),
        Some(SearchCommand::Find(command)) => {
            let limits = Limits::start(command.time_limit)?;
            let searcher = Searcher::resume(SearchFolder::new(&command.run))?;
            let target = find::Target::new(&searcher, &command.find)?;
            find::find(&searcher, &command.find, &target, &limits, &[])
        }
        None => search(command),
    }
}

/// Trains the supernet and searches among its networks.
fn search(command: &Search) -> Result<ExitCode> {
    keep_freed_blocks();
    let limits = Limits::start(command.time_limit)?;
    let mut searcher = match &command.resume {
        Some(folder) => Searcher::resume(SearchFolder::new(folder))?,
        None => new_search(command)?,
    };
    let target = find::Target::new(&searcher, &command.find)?;
    let start = Instant::now();
    if !searcher.is_trained() {
        let ending = train(&mut searcher, &limits)?;
        let resume = format!("resume with `picodet search --resume {}`", searcher.folder().path().display());
        match ending {
            Ending::Finished => {
                status(&format!("trained the supernet in {}", duration(start.elapsed().as_secs_f64())))
            }
            _ => {
                status(&format!("stopped while training the supernet; {resume}"));
                return Ok(exit_code(ending));
            }
        }
    }
    find::find(&searcher, &command.find, &target, &limits, &[("supernet", start.elapsed().as_secs_f64())])
}

fn new_search(command: &Search) -> Result<Searcher> {
    let (Some(space), Some(data)) = (&command.space, &command.data) else {
        bail!("a space and --data are needed, or --resume");
    };
    let folder = SearchFolder::new(&command.output);
    if folder.settings().exists() {
        bail!(
            "{0} already contains a search; resume it with `picodet search --resume {0}`, or choose another --output",
            command.output.display()
        );
    }
    let space = read_space(space)?;
    let paths = dataset_paths(command, data)?;
    prepare::check_data(&paths)?;
    let mut request = SearchRequest::new(space, paths);
    request.weights = match &command.weights {
        Some(name) => Some(model::open(&ModelArguments::named(name))?),
        None => None,
    };
    request.epochs = command.epochs;
    request.batch = command.batch;
    request.sizes = (!command.sizes.is_empty()).then(|| command.sizes.clone());
    request.seed = command.find.seed;
    request.threads = picodet_parallel::cores();
    let searcher = Searcher::new(request, folder)?;
    let trainer = &searcher.trainer;
    status(&format!(
        "{}: training a supernet on {} images, comparing its networks on {}; {} epochs, {} images per batch",
        searcher.space.base().name,
        trainer.dataset.images.len(),
        trainer.validation.images.len(),
        trainer.state.progress.experiment.epochs,
        trainer.state.progress.batch
    ));
    Ok(searcher)
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

fn train(searcher: &mut Searcher, limits: &Limits) -> Result<Ending> {
    let options = RunOptions {
        stop: Arc::clone(&limits.stop),
        time_limit: limits
            .time
            .map(|time| time.saturating_sub(limits.start.elapsed()).mul_f64(TRAINING_SHARE)),
        limits: searcher.trainer.paths.limits(),
        ..RunOptions::new(searcher.folder().run())
    };
    let mut display = Display::new(searcher.trainer.state.progress.evaluates_training_images);
    let ending = searcher.train(&options, &mut |event| display.show(event));
    display.finish();
    Ok(ending?)
}
