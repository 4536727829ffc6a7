//! A report of COCO results: `report ANNOTATIONS.json RESULTS.json IMAGE_FOLDER OUT.html [PICTURES]`.
//!
//! Prints the tables, and embeds the images with most errors (JPEG files).

#![allow(clippy::print_stdout)]

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result, bail};
use picodet_eval::{
    DEFAULT_LIMIT, DiagnosticOptions, Evaluator, Parameters, Picture, Report, class_table, error_table,
    read_annotations, read_results, render_html, summary_table,
};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [annotations, results, images, out, rest @ ..] = &arguments[..] else {
        bail!("usage: report ANNOTATIONS.json RESULTS.json IMAGE_FOLDER OUT.html [PICTURES]");
    };
    let pictures = rest.first().map_or(Ok(6), |number| number.parse())?;
    let truth = read_annotations(File::open(annotations).context(annotations.clone())?, DEFAULT_LIMIT)?;
    let detections = read_results(File::open(results).context(results.clone())?, DEFAULT_LIMIT)?;
    let evaluator = Evaluator::new(
        &truth.image_ids(),
        &truth.categories,
        &truth.truths,
        &detections,
        Parameters::default(),
    )?;
    let evaluation = evaluator.evaluate();
    let diagnostics = evaluator.diagnose(&DiagnosticOptions::default())?;
    println!("{}", summary_table(&evaluation.summary()));
    println!("{}", error_table(&diagnostics.errors));
    println!("{}", class_table(&evaluation.classes()));

    let mut worst = Vec::new();
    for errors in diagnostics.images.iter().take(pictures) {
        let image = truth.images.iter().find(|image| image.id == errors.image_id).context("image")?;
        let file = Path::new(images).join(&image.file_name);
        let (truths, found) = evaluator.labelled_boxes(image.id, &diagnostics);
        worst.push(Picture {
            title: format!("{}: {} errors, {} found", image.file_name, errors.total(), errors.correct),
            jpeg: fs::read(&file).with_context(|| file.display().to_string())?,
            size: (image.width, image.height),
            truths,
            detections: found,
        });
    }
    let name =
        |path: &str| Path::new(path).file_name().map_or(String::new(), |name| name.to_string_lossy().into());
    let facts = [("Detections".to_owned(), name(results)), ("Annotations".to_owned(), name(annotations))];
    let title = format!("Evaluation of {}", name(results));
    let report = Report {
        title: &title,
        facts: &facts,
        evaluation: &evaluation,
        diagnostics: &diagnostics,
        pictures: &worst,
    };
    fs::write(out, render_html(&report)).context(out.clone())
}
