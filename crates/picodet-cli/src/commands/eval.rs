//! `picodet eval`: evaluates a model or a file of detections on a dataset.

use crate::ExitCode;
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Error, Result, anyhow, bail};
use picodet::crates::data::{Dataset, Format, ImagePaths, coco, open_lenient_with};
use picodet::crates::eval::{
    DEFAULT_LIMIT, Detection, DiagnosticOptions, Diagnostics, Evaluation, Evaluator, Id, ImageNames,
    ImageSize, Parameters, Picture, Report, ResultTargets, class_table, error_table, read_result_records,
    reading_note, render_html, resolve_results, summary_table, write_results,
};
use picodet::evaluate::{GroundTruths, detect_dataset};
use serde_json::json;

use crate::args::{Eval, ModelArguments, ReportFormat};
use crate::output::{print_result, status, write_file};
use crate::{host, images, model};

const MISSING_INPUT: &str = "a model and a dataset are needed, or a dataset and --detections FILE";

pub(crate) fn run(command: &Eval) -> Result<ExitCode> {
    let (model, dataset) = match (command.inputs.as_slice(), &command.detections) {
        ([dataset], Some(_)) => (None, dataset),
        ([model, dataset], None) => (Some(model), dataset),
        ([_, _], Some(_)) => bail!("with --detections give only a dataset, no model"),
        _ => bail!(MISSING_INPUT),
    };
    let loaded = open_lenient_with(dataset, command.split.as_deref(), image_paths(command))?;
    for loss in loaded.findings.losses() {
        status(&format!("lost: {loss}"));
    }
    let mut dataset = loaded.strict(Path::new(dataset))?;
    if command.crowds_as_objects {
        dataset.crowds_as_objects();
    }
    if let Some(folder) = &command.images {
        dataset.root.clone_from(folder);
    }
    let truth = GroundTruths::of(&dataset);
    let (detections, failures) = match (model, &command.detections) {
        (Some(model), _) => detect(command, model, &dataset)?,
        (None, Some(path)) => read(path, &dataset, &truth)?,
        (None, None) => bail!(MISSING_INPUT),
    };
    if let Some(path) = &command.output {
        let mut bytes = Vec::new();
        write_results(&mut bytes, &detections)?;
        write_file(path, &bytes)?;
        status(&format!("detections: {}", path.display()));
    }
    let evaluator = Evaluator::new(
        &truth.image_ids,
        &truth.categories,
        &truth.objects,
        &detections,
        Parameters { threads: command.threads, ..Parameters::default() },
    )?;
    let evaluation = evaluator.evaluate();
    if evaluation.summary().ap < 0.0 {
        status("the metrics are undefined: no objects to evaluate on (crowd regions do not count)");
    }
    let diagnostics = evaluator.diagnose(&DiagnosticOptions::default())?;
    print_result(&match command.format {
        ReportFormat::Text => {
            let summary = summary_table(&evaluation.summary());
            let classes: Vec<_> = evaluation.classes().into_iter().filter(|class| class.truths > 0).collect();
            format!("{summary}\n{}\n{}", class_table(&classes), error_table(&diagnostics.errors))
        }
        ReportFormat::Json => as_json(&evaluation),
    })?;
    if let Some(path) = &command.html {
        let html = report(command, &dataset, &evaluator, &evaluation, &diagnostics);
        write_file(path, html.as_bytes())?;
        status(&format!("report: {}", path.display()));
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// How the images of a COCO dataset are found: `--images` replaces their folder, and with `--detections` they are only shown.
fn image_paths(command: &Eval) -> ImagePaths {
    match (&command.images, &command.detections) {
        (Some(_), _) => ImagePaths::AsWritten,
        (None, Some(_)) => ImagePaths::Optional,
        (None, None) => ImagePaths::Needed,
    }
}

/// Reads a results file; returns the detections of the dataset and the number of entries that cannot be read.
fn read(path: &Path, dataset: &Dataset, truth: &GroundTruths) -> Result<(Vec<Detection>, usize)> {
    let name = || path.display().to_string();
    let file = std::fs::File::open(path).with_context(name)?;
    let records = read_result_records(file, DEFAULT_LIMIT).with_context(name)?;
    let images = || dataset.images.iter();
    // The annotations are read again for their own text ids only if the results have texts.
    let has_texts = records.records.iter().any(|record| matches!(record.image, Id::Text(_)));
    let text_ids = match &dataset.annotations {
        Some(annotations) if has_texts && dataset.format == Format::COCO => coco::text_ids(annotations)?,
        _ => HashMap::new(),
    };
    let targets = ResultTargets {
        image_ids: images().map(|image| image.id).collect(),
        names: ImageNames::new(images().map(|image| (image.id, image.file.clone()))),
        text_ids,
        categories: truth.categories.clone(),
    };
    let (detections, notes) = resolve_results(records, &targets).with_context(name)?;
    let sizes: Vec<ImageSize> =
        images().map(|image| ImageSize { id: image.id, width: image.width, height: image.height }).collect();
    let all = detections.iter().chain(&notes.unresolved);
    // Inverted boxes are reported, and fit no reading.
    let reading = (!notes.are_inverted())
        .then(|| reading_note(all, &truth.objects, &truth.categories, &sizes))
        .flatten();
    if let Err(error) = notes.check() {
        return Err(match reading {
            Some(reading) => anyhow!("{}: {error}; {reading}", path.display()),
            None => Error::new(error).context(name()),
        });
    }
    for line in notes.lines().iter().chain(&reading) {
        status(&format!("picodet: {}: {line}", path.display()));
    }
    Ok((detections, notes.malformed))
}

/// Returns the detections of a model and the number of images that failed.
fn detect(command: &Eval, name: &str, dataset: &Dataset) -> Result<(Vec<Detection>, usize)> {
    let arguments = ModelArguments::named(name);
    let model = model::open_integers(&arguments)?;
    let options = command.detection.options(command.score).with_limits(command.limits.limits());
    let bar = images::progress(dataset.images.len(), "detecting");
    let start = Instant::now();
    let report = host::progress("detecting", dataset.images.len());
    let found = detect_dataset(&model, &options, dataset, command.threads, &|done| {
        bar.set_position(done as u64);
        report(done)
    })?;
    bar.finish_and_clear();
    for (path, problem) in &found.failures {
        status(&format!("picodet: {}: {problem}", path.display()));
    }
    if !found.failures.is_empty() {
        status(&format!(
            "picodet: {} of {} images failed; the metrics count them as images without detections",
            found.failures.len(),
            dataset.images.len()
        ));
    }
    if !found.unknown_classes.is_empty() {
        status(&format!(
            "classes of the model that are not in the dataset: {}",
            found.unknown_classes.join(", ")
        ));
    }
    let seconds = start.elapsed().as_secs_f64();
    status(&format!("{} images in {seconds:.1} s", dataset.images.len()));
    Ok((found.detections, found.failures.len()))
}

/// Names of the twelve COCO metrics.
const NAMES: [&str; 12] =
    ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"];

/// Returns `None` for -1, which stands for a metric without objects.
fn defined(value: f64) -> Option<f64> {
    Some(value).filter(|value| *value >= 0.0)
}

fn as_json(evaluation: &Evaluation) -> String {
    let metrics: serde_json::Map<String, serde_json::Value> = NAMES
        .iter()
        .zip(evaluation.summary().values())
        .map(|(name, value)| ((*name).to_owned(), defined(value).into()))
        .collect();
    let class = |class: &picodet::crates::eval::ClassResult| {
        json!({
            "id": class.category.id,
            "name": class.category.name,
            "objects": class.truths,
            "AP": defined(class.ap),
            "AP50": defined(class.ap50),
            "AP75": defined(class.ap75),
        })
    };
    let classes: Vec<_> = evaluation.classes().iter().map(class).collect();
    format!("{:#}\n", json!({ "images": evaluation.image_count(), "metrics": metrics, "classes": classes }))
}

/// Number of images in the report, those with the most errors.
const WORST_IMAGES: usize = 12;
/// Maximum side of an image in the report, in pixels.
const PICTURE_SIDE: usize = 720;

fn report(
    command: &Eval,
    dataset: &Dataset,
    evaluator: &Evaluator<'_>,
    evaluation: &Evaluation,
    diagnostics: &Diagnostics,
) -> String {
    let inputs = command.inputs.join(" on ");
    let results =
        command.detections.as_ref().map(|path| format!("{} on ", path.display())).unwrap_or_default();
    let facts = [
        ("evaluated".to_owned(), format!("{results}{inputs}")),
        ("images".to_owned(), dataset.images.len().to_string()),
        ("objects".to_owned(), dataset.object_count().to_string()),
    ];
    let pictures: Vec<Picture> = diagnostics
        .images
        .iter()
        .filter(|image| image.total() > 0)
        .take(WORST_IMAGES)
        .filter_map(|image| {
            let index = dataset.images.iter().position(|record| record.id == image.image_id)?;
            let input = picodet::Input::from(dataset.image_path(index)?);
            let picture = input.read_within(&command.limits.limits()).ok()?;
            let (source_width, source_height) = picture.source_size();
            let longest = picture.width().max(picture.height());
            let scaled =
                |side: usize| if longest > PICTURE_SIDE { side * PICTURE_SIDE / longest } else { side };
            let size = (scaled(picture.height()), scaled(picture.width()));
            let small = picture.resized(size, picodet::Interpolation::Area);
            let (truths, detections) = evaluator.labelled_boxes(image.image_id, diagnostics);
            Some(Picture {
                title: format!(
                    "{}: {} errors, {} correct",
                    dataset.images[index].file,
                    image.total(),
                    image.correct
                ),
                jpeg: picodet::crates::image::encode_jpeg(&small, 80),
                size: (source_width as u32, source_height as u32),
                truths,
                detections,
            })
        })
        .collect();
    let title = "Evaluation";
    render_html(&Report { title, facts: &facts, evaluation, diagnostics, pictures: &pictures })
}
