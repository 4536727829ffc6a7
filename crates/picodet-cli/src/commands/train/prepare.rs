//! Prepares a run from the arguments: recipe, data, weights, batch size.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use picodet::crates::data::{CheckOptions, FindingKind, Severity, check, find_split, splits};
use picodet::crates::train::RunFolder;
use picodet::crates::train::group::ProcessGroup;
use picodet::crates::train::recipes::{RECIPES, recipe};
use picodet::crates::train::{Evaluation, Experiment, InputSize};
use picodet::train::{DatasetPaths, Request, Trainer, automatic_batch, fine_tune, overfit};

use super::describe::describe;
use super::quantised;
use crate::args::{Batch, ModelArguments, Train};
use crate::model;
use crate::output::status;

/// Images per batch, at most those of the recipe.
const DEFAULT_BATCH: usize = 16;
/// Maximum duration of `--overfit-first`.
const OVERFIT_TIME: Duration = Duration::from_secs(50);
/// Overfitting has failed when it leaves more than this fraction of the first loss.
const OVERFIT_FRACTION: f64 = 0.7;

/// Returns the trainer that the arguments describe, and the folder of its run. Rank 0 checks and reports for all.
pub(super) fn prepare(command: &Train, group: &dyn ProcessGroup) -> Result<(Trainer, PathBuf)> {
    if let Some(folder) = &command.resume {
        let mut trainer = resume(folder, group)?;
        if command.max_pixels.is_some() {
            trainer.paths.max_pixels = command.max_pixels;
        }
        return Ok((trainer, folder.clone()));
    }
    let (Some(name), Some(data)) = (&command.recipe, &command.data) else {
        bail!("a recipe and --data are needed, or --resume");
    };
    if group.is_first() && command.output.join(RunFolder::CHECKPOINT).exists() {
        bail!(
            "{0} already contains a run; resume it with `picodet train --resume {0}`, or choose another --output",
            command.output.display()
        );
    }
    let (mut experiment, is_published) = read_recipe(name)?;
    override_recipe(command, &mut experiment, false)?;
    let paths = dataset_paths(command, data)?;
    if group.is_first() {
        if let Some(unused) = unused_validation_split(command, data)? {
            status(&format!("--validation-share: the split `{unused}` of the dataset is not used"));
        }
        if command.unchecked { check_images(&paths)? } else { check_data(&paths)? }
    }
    let weights = match &command.weights {
        Some(name) => Some(model::open(&ModelArguments::named(name))?),
        None => None,
    };
    if let Some(float) = weights.as_ref().filter(|_| command.quantise) {
        if float.metadata.variant != experiment.model {
            bail!("the weights are those of {}, not of {}", float.metadata.variant, experiment.model);
        }
        let trainer = quantised::prepare(command, paths, float, group)?;
        return Ok((trainer, command.output.clone()));
    }
    if let Some(model) = weights.as_ref().filter(|_| is_published)
        && model.metadata.variant == experiment.model
        && let Some(architecture) = &model.metadata.architecture
    {
        experiment.architecture = model.variant.overrides();
        if group.is_first() {
            status(&format!("the network is that of the weights: {} with {architecture}", experiment.model));
        }
    }
    if let Some(model) = weights.as_ref().filter(|_| is_published && !command.as_published)
        && let Some(found) = fine_tune(&mut experiment, &paths, model)?
    {
        override_recipe(command, &mut experiment, true)?;
        if group.is_first() {
            status(&fine_tuning_text(found));
        }
    }
    let threads = match command.threads {
        0 => picodet_parallel::cores(),
        threads => threads,
    };
    let frozen = if command.freeze_backbone { vec!["backbone.".to_owned()] } else { Vec::new() };
    let batch = batch_size(command, &experiment, &paths, &frozen, group)?;
    if let Some(rate) = command.rate {
        experiment.rate.base = rate;
        experiment.batch.images = batch;
        experiment.check()?;
    }
    let request = Request { experiment, paths, weights, batch, seed: command.seed, frozen, threads };
    let trainer = Trainer::new(request)?;
    if group.is_first() {
        describe(&trainer, group);
        if command.overfit_first {
            overfit_first(&trainer)?;
        }
    }
    Ok((trainer, command.output.clone()))
}

fn resume(folder: &Path, group: &dyn ProcessGroup) -> Result<Trainer> {
    let trainer = Trainer::resume(folder)?;
    let progress = &trainer.state.progress;
    let mut line = format!("resuming {} after step {}", progress.experiment.model, progress.step);
    if let Some(plan) = progress.plan {
        line += &format!(" of {} planned", plan.steps);
    }
    if let Some(Evaluation { epoch, map: Some(best), .. }) = progress.best {
        line += &format!(", best mAP {best:.4} after epoch {epoch}");
    }
    if group.is_first() {
        status(&line);
    }
    Ok(trainer)
}

/// Reads the recipe; returns whether it is a published one.
fn read_recipe(name: &str) -> Result<(Experiment, bool)> {
    let is_published = RECIPES.iter().any(|recipe| recipe.0 == name) && !Path::new(name).exists();
    let experiment = if is_published { recipe(name)? } else { Experiment::read(Path::new(name))? };
    Ok((experiment, is_published))
}

/// Applies the arguments that override the recipe. In fine-tuning, the epochs of its phases follow the number of epochs.
fn override_recipe(command: &Train, experiment: &mut Experiment, is_fine_tuning: bool) -> Result<()> {
    if let Some(epochs) = command.epochs {
        if is_fine_tuning {
            experiment.scale_phases(epochs as f64 / experiment.epochs as f64);
        }
        experiment.set_epochs(epochs);
    }
    if !command.sizes.is_empty() {
        experiment.batch.sizes =
            command.sizes.iter().map(|&(height, width)| InputSize::Rectangle(height, width)).collect();
    }
    if let Some(steps) = &command.augment {
        experiment.batch.augmentation =
            steps.iter().map(|step| step.trim().to_owned()).filter(|step| !step.is_empty()).collect();
        experiment.batch.plain_epochs = 0;
    }
    experiment.check()?;
    Ok(())
}

/// Describes why the recipe was adapted.
fn fine_tuning_text([images, classes, known]: [usize; 3]) -> String {
    format!(
        "fine-tuning on {images} images; {known} of {classes} classes are in the model; --as-published keeps the published \
         recipe"
    )
}

/// Returns the datasets and splits to train and to evaluate on.
fn dataset_paths(command: &Train, data: &Path) -> Result<DatasetPaths> {
    let available = splits(data)?;
    let first_of =
        |names: &[&str]| names.iter().find_map(|name| find_split(&available, name)).map(str::to_owned);
    // A list `trainval` without `train` has the images that are not in `test`.
    let split = command.split.clone().or_else(|| first_of(&["train", "trainval"]));
    let validation_split = command.validation_split.clone().or_else(|| match &command.validation {
        Some(_) => None,
        None if command.validation_share.is_some() => None,
        None => usual_validation_split(&available).map(str::to_owned),
    });
    Ok(DatasetPaths {
        data: data.to_path_buf(),
        split,
        validation: command.validation.clone(),
        validation_split,
        validation_share: command.validation_share,
        crowds_as_objects: command.crowds_as_objects,
        max_pixels: command.max_pixels,
    })
}

/// Returns the split that is evaluated on unless the arguments name another one.
fn usual_validation_split(available: &[String]) -> Option<&str> {
    ["val", "valid", "validation", "test"].iter().find_map(|name| find_split(available, name))
}

/// Returns the split that `--validation-share` takes the place of.
fn unused_validation_split(command: &Train, data: &Path) -> Result<Option<String>> {
    if command.validation_share.is_none() {
        return Ok(None);
    }
    let available = splits(data)?;
    let unused = usual_validation_split(&available);
    Ok(unused.filter(|split| command.split.as_deref() != Some(*split)).map(str::to_owned))
}

/// Reads the headers of the images that the run decodes. A missing, unknown or too large image ends the run before it starts.
fn check_images(paths: &DatasetPaths) -> Result<()> {
    let options = CheckOptions { decode: false, hash: false, ..check_options(paths) };
    let validation = paths.validation.as_ref().unwrap_or(&paths.data);
    for (path, split) in [(&paths.data, &paths.split), (validation, &paths.validation_split)] {
        let findings = check(path, split.as_deref(), &options)?.report.findings;
        for loss in findings.losses() {
            status(&format!("lost: {loss}"));
        }
        let is_unusable =
            |kind: FindingKind| matches!(kind, FindingKind::ImageMissing | FindingKind::ImageUndecodable);
        let count: usize =
            findings.counts().iter().filter(|(kind, _)| is_unusable(**kind)).map(|(_, &count)| count).sum();
        if let Some(first) = findings.list().iter().find(|finding| is_unusable(finding.kind)) {
            bail!(
                "{}: {count} images cannot be used, the first: {}; `picodet check --fix FOLDER --allow-loss` leaves them out",
                path.display(),
                first.message
            );
        }
    }
    Ok(())
}

/// Checks the datasets to train and to evaluate on. Errors end the run, except for boxes without area, which
/// training skips.
pub(in super::super) fn check_data(paths: &DatasetPaths) -> Result<()> {
    check_dataset(&paths.data, paths)?;
    match &paths.validation {
        Some(validation) if *validation != paths.data => check_dataset(validation, paths),
        _ => Ok(()),
    }
}

/// Returns the options of the checks before a run.
fn check_options(paths: &DatasetPaths) -> CheckOptions {
    CheckOptions {
        crowds_as_objects: paths.crowds_as_objects,
        limits: paths.limits(),
        ..CheckOptions::default()
    }
}

/// Checks all splits of a dataset.
fn check_dataset(path: &Path, paths: &DatasetPaths) -> Result<()> {
    let options = check_options(paths);
    let report = check(path, None, &options)?.report;
    let count = |kind: FindingKind| report.findings.counts().get(&kind).copied().unwrap_or_default();
    let errors = report.findings.errors() - count(FindingKind::BoxEmpty);
    let first =
        report.findings.list().iter().find(|finding| {
            finding.kind.severity() == Severity::Error && finding.kind != FindingKind::BoxEmpty
        });
    if errors > 0 {
        let unusable = count(FindingKind::ImageMissing) + count(FindingKind::ImageUndecodable);
        // Labels that cannot be read are an error without these checks, too.
        let lost = report
            .findings
            .counts()
            .keys()
            .any(|kind| kind.severity() == Severity::Error && kind.lost().is_some());
        let anyway = if unusable == 0 && !lost { "; --unchecked trains anyway" } else { "" };
        bail!(
            "{}: {errors} errors, the first: {}; `picodet check` lists all, `picodet check --fix FOLDER` repairs most, and \
             with --allow-loss leaves out the rest{anyway}",
            path.display(),
            first.map(|finding| format!("{} ({})", finding.message, finding.fix)).unwrap_or_default()
        );
    }
    for loss in report.findings.losses() {
        status(&format!("lost: {loss}"));
    }
    if count(FindingKind::BoxEmpty) > 0 {
        status(&format!("skipping {} boxes without area", count(FindingKind::BoxEmpty)));
    }
    let crowds: usize = report.datasets.iter().map(|dataset| dataset.crowd).sum();
    if crowds > 0 {
        status(&format!("skipping {crowds} crowd regions"));
    }
    let warnings = report.findings.count_of(Severity::Warning);
    if warnings > 0 {
        status(&format!("{}: {warnings} warnings; `picodet check` lists them", path.display()));
    }
    Ok(())
}

/// Returns the images per batch, chosen by free memory for `auto`.
fn batch_size(
    command: &Train,
    experiment: &Experiment,
    paths: &DatasetPaths,
    frozen: &[String],
    group: &dyn ProcessGroup,
) -> Result<usize> {
    match command.batch {
        Some(Batch::Images(images)) => Ok(images),
        None => Ok(experiment.batch.images.min(DEFAULT_BATCH)),
        Some(Batch::Auto) if command.device != "cpu" => bail!(
            "--batch auto supports only --device cpu; give --batch a number for --device {}",
            command.device
        ),
        Some(Batch::Auto) if group.size() > 1 => {
            bail!(
                "--batch auto supports only one process; give --batch the number of images of all processes"
            )
        }
        Some(Batch::Auto) => {
            let choice = automatic_batch(experiment, paths, frozen, command.cache << 20)?;
            status(&choice.to_string());
            Ok(choice.images)
        }
    }
}

/// Trains on one batch until its loss falls.
fn overfit_first(trainer: &Trainer) -> Result<()> {
    let [first, last] = overfit(trainer, OVERFIT_TIME)?;
    status(&format!("overfitting one batch: loss {first:.3} → {last:.3}"));
    if last.is_nan() || last > OVERFIT_FRACTION * first {
        bail!("the loss does not fall on a single batch; check the labels with `picodet check`");
    }
    Ok(())
}
