//! `picodet eval`: evaluates a model or a file of detections on a dataset.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use picodet::crates::data::Dataset;
use picodet::crates::eval::{
    DEFAULT_LIMIT, Detection, DiagnosticOptions, Diagnostics, Evaluation, Evaluator, Parameters, Picture,
    Report, class_table, error_table, read_results, render_html, summary_table, write_results,
};
use picodet::evaluate::{GroundTruths, detect_dataset};
use serde_json::json;

use crate::args::{Eval, ModelArguments, ReportFormat};
use crate::output::{print_result, status, write_file};
use crate::{images, model};

const MISSING_INPUT: &str = "a model and a dataset are needed, or a dataset and --detections FILE";

pub(crate) fn run(command: &Eval) -> Result<ExitCode> {
    let (model, dataset) = match (command.inputs.as_slice(), &command.detections) {
        ([dataset], Some(_)) => (None, dataset),
        ([model, dataset], None) => (Some(model), dataset),
        ([_, _], Some(_)) => bail!("with --detections give only a dataset, no model"),
        _ => bail!(MISSING_INPUT),
    };
    let mut dataset = Dataset::open(dataset, command.split.as_deref())?;
    if let Some(folder) = &command.images {
        dataset.root.clone_from(folder);
    }
    let (detections, failures) = match (model, &command.detections) {
        (Some(model), _) => detect(command, model, &dataset)?,
        (None, Some(path)) => (read(path)?, 0),
        (None, None) => bail!(MISSING_INPUT),
    };
    if let Some(path) = &command.output {
        let mut bytes = Vec::new();
        write_results(&mut bytes, &detections)?;
        write_file(path, &bytes)?;
        status(&format!("detections: {}", path.display()));
    }
    let truth = GroundTruths::of(&dataset);
    let evaluator = Evaluator::new(
        &truth.image_ids,
        &truth.categories,
        &truth.objects,
        &detections,
        Parameters { threads: command.threads, ..Parameters::default() },
    )?;
    let evaluation = evaluator.evaluate();
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

fn read(path: &Path) -> Result<Vec<Detection>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    read_results(file, DEFAULT_LIMIT).with_context(|| path.display().to_string())
}

/// Returns the detections of a model and the number of images that failed.
fn detect(command: &Eval, name: &str, dataset: &Dataset) -> Result<(Vec<Detection>, usize)> {
    let arguments = ModelArguments::named(name);
    let model = model::open(&arguments)?;
    let options = command.detection.options(command.score);
    let bar = images::progress(dataset.images.len(), "detecting");
    let start = Instant::now();
    let found =
        detect_dataset(&model, &options, dataset, command.threads, &|done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    for (path, problem) in &found.failures {
        status(&format!("picodet: {}: {problem}", path.display()));
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

fn as_json(evaluation: &Evaluation) -> String {
    let metrics: serde_json::Map<String, serde_json::Value> = NAMES
        .iter()
        .zip(evaluation.summary().values())
        .map(|(name, value)| ((*name).to_owned(), value.into()))
        .collect();
    let class = |class: &picodet::crates::eval::ClassResult| {
        json!({
            "id": class.category.id,
            "name": class.category.name,
            "objects": class.truths,
            "AP": class.ap,
            "AP50": class.ap50,
            "AP75": class.ap75,
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
            let picture = picodet::open_image(dataset.image_path(index)?).ok()?;
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
                size: (picture.width() as u32, picture.height() as u32),
                truths,
                detections,
            })
        })
        .collect();
    let title = "Evaluation";
    render_html(&Report { title, facts: &facts, evaluation, diagnostics, pictures: &pictures })
}
