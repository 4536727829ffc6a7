//! Prepares a run of `picodet train --quantise`.

use anyhow::{Context, Result, bail};
use picodet::Model;
use picodet::crates::train::group::ProcessGroup;
use picodet::quantise::{Options, network_input, quantise};
use picodet::train::{DatasetPaths, QuantisedRequest, Trainer, open_datasets, quantised_experiment};

use crate::args::{Batch, Train};
use crate::images;
use crate::output::status;

/// Images that the closed form is computed from, at most.
const CALIBRATION: usize = 128;

/// Returns a run that starts from the closed form of `float`.
pub(super) fn prepare(
    command: &Train,
    paths: DatasetPaths,
    float: &Model,
    group: &dyn ProcessGroup,
) -> Result<Trainer> {
    if command.device != "cpu" {
        bail!("--quantise trains on the cpu only, not on --device {}", command.device);
    }
    if float.quantisation.is_some() {
        bail!("the weights are quantised already; give the float model that they were made from");
    }
    let (dataset, validation) = open_datasets(&paths)?;
    let mut experiment = quantised_experiment(float, dataset.images.len())?;
    if let Some(epochs) = command.epochs {
        experiment.set_epochs(epochs);
    }
    let batch = match command.batch {
        Some(Batch::Images(images)) => images,
        _ => experiment.batch.images.min(dataset.images.len()),
    };
    if let Some(rate) = command.rate {
        (experiment.rate.base, experiment.batch.images) = (rate, batch);
    }
    let threads = match command.threads {
        0 => picodet_parallel::cores(),
        threads => threads,
    };
    let count = dataset.images.len().min(CALIBRATION);
    let chosen = (0..count).filter_map(|index| dataset.image_path(index * dataset.images.len() / count));
    let limits = paths.limits();
    let inputs = picodet_parallel::map(chosen.collect::<Vec<_>>(), threads, |path| {
        Ok(network_input(float, &images::read(&path, &limits)?))
    });
    let inputs = inputs.into_iter().collect::<Result<Vec<_>>>()?;
    let options = Options::default().with_scales(command.scales.into()).with_threads(threads);
    let (start, _) = quantise(float, &inputs, &options, &mut |_, _| std::ops::ControlFlow::Continue(()))
        .context("the closed form, from which training with quantisation starts")?;
    if group.is_first() {
        status(&format!(
            "{}: training with quantisation on {} images, from the closed form of {count} images",
            float.metadata.variant,
            dataset.images.len()
        ));
    }
    let request = QuantisedRequest {
        float,
        start: &start,
        experiment,
        settings: None,
        dataset,
        validation,
        paths,
        batch,
        seed: command.seed,
        threads,
    };
    Ok(Trainer::quantised(request)?)
}
