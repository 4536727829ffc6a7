//! `picodet quantise --method train`: training with quantisation after the closed form.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use picodet::Model;
use picodet::crates::data::{Dataset, Format, ImageRecord};
use picodet::crates::train::state::State;
use picodet::crates::train::{Ending, RunFolder, RunOptions};
use picodet::train::{DatasetPaths, QuantisedRequest, Trainer, quantised_experiment};

use super::pictures::Pictures;
use crate::args::Quantise;
use crate::commands::train::display::Display;
use crate::commands::train::watch_signals;
use crate::output::status;

/// Trains `start`, the quantised form of `float`, on `pictures`, and returns the trained model. A stopped run is resumed.
pub(super) fn train(float: &Model, start: &Model, pictures: &Pictures, command: &Quantise) -> Result<Model> {
    let folder = command.output.with_extension("run");
    let options = RunOptions {
        evaluate_every: usize::MAX,
        time_limit: command.time_limit.map(|minutes| Duration::from_secs_f64(minutes.clamp(0.0, 1e6) * 60.0)),
        stop: watch_signals(1)?,
        limits: command.limits.limits(),
        ..RunOptions::new(&folder)
    };
    let dataset = dataset(pictures)?;
    let mut trainer = trainer(float, start, dataset, command)?;
    let checkpoint = options.folder.checkpoint();
    if checkpoint.exists() {
        let state = State::read(&checkpoint)?;
        if state.progress.data != trainer.state.progress.data || state.quantised != trainer.state.quantised {
            bail!("{}: is the run of another model or of other images; remove it", folder.display());
        }
        status(&format!("{}: resumed after step {}", folder.display(), state.progress.step));
        trainer.state = state;
    }
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut display = Display::new(false);
    let ending = trainer.run(&options, "cpu", &mut |event| display.show(event));
    display.finish();
    let state = &mut trainer.state;
    match ending? {
        Ending::Finished => {}
        // Steps may take longer than planned: the last ones are missing, and the average of those before is the result.
        Ending::TimeLimit => {
            status(&format!("stopped at the time limit after step {}", state.progress.step));
            let epochs = state.progress.step * state.progress.experiment.batch.images / pictures.files.len();
            let averaged = state.average.apply(&state.weights);
            return Ok(state.model(&float.variant, averaged, epochs));
        }
        _ => bail!("stopped after step {}; the same command resumes it", state.progress.step),
    }
    let path = folder.join(RunFolder::FINAL);
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    Ok(Model::from_bytes(&bytes)?)
}

fn trainer(float: &Model, start: &Model, dataset: Dataset, command: &Quantise) -> Result<Trainer> {
    let experiment = quantised_experiment(float, dataset.images.len())?;
    let threads = match command.threads {
        0 => picodet_parallel::cores(),
        threads => threads,
    };
    let request = QuantisedRequest {
        float,
        start,
        batch: experiment.batch.images.min(dataset.images.len()),
        experiment,
        settings: None,
        validation: Dataset { images: Vec::new(), ..dataset.clone() },
        dataset,
        paths: DatasetPaths { data: command.data.clone(), ..DatasetPaths::default() },
        seed: 0,
        threads,
    };
    Ok(Trainer::quantised(request)?)
}

/// The images with their labels, if they have any.
fn dataset(pictures: &Pictures) -> Result<Dataset> {
    if let Some(dataset) = &pictures.dataset {
        return Ok(dataset.clone());
    }
    let record = |(index, path): (usize, &PathBuf)| {
        let path = std::path::absolute(path)?;
        let file = path.to_string_lossy().into_owned();
        let id = index as i64 + 1;
        let objects = Vec::new();
        let source = index as u32;
        Ok::<_, anyhow::Error>(ImageRecord { id, file, width: 0, height: 0, objects, label: None, source })
    };
    let images = pictures.files.iter().enumerate().map(record).collect::<Result<_>>()?;
    Ok(Dataset {
        format: Format::COCO,
        root: PathBuf::from("/"),
        annotations: None,
        split: None,
        classes: Vec::new(),
        images,
    })
}
