//! `picodet detect`: detects objects in images.

mod drawing;
mod writer;

use crate::ExitCode;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use picodet::results::ImageResult;
use picodet::{Detector, Image, Limits};

use self::drawing::Drawings;
use self::writer::Writer;
use crate::args::{Detect, Format};
use crate::image_ids::{NO_IMAGE_ID, image_ids, refuse_duplicates};
use crate::output::{is_closed_pipe, report_error, status};
use crate::{images, model};

pub(crate) fn run(command: &Detect) -> Result<ExitCode> {
    let (sources, mut failures) = sources(&command.images);
    let inputs = sources.len() + failures;
    if sources.is_empty() {
        bail!("no images to detect in");
    }
    let ids = image_ids(&sources, command.annotations.as_deref())?;
    if command.format == Format::Coco {
        refuse_duplicates(&sources, &ids)?;
    }
    picodet_kernel::heap::use_large_pages();
    let limits = command.limits.limits();
    let mut first_image = read_in_background(&sources[0], limits);
    let model = model::open_integers(&command.model)?;
    let options = command.detection.options(command.score).with_threads(command.threads);
    let detector = Detector::new(&model, &options)?;
    drop(model);
    let drawings = |folder: &PathBuf| Drawings::new(folder, command.font.as_deref(), detector.classes());
    let mut drawings = command.output.as_ref().map(drawings).transpose()?;
    let mut writer = Writer::new(command.format)?;

    let mut is_read = true;
    let bar = images::progress(sources.len(), "detecting");
    for (source, &id) in sources.iter().zip(&ids) {
        let image = match first_image.take().map(JoinHandle::join) {
            Some(Ok(image)) => image,
            // After a panic of the thread, reading again raises it here.
            Some(Err(_)) | None => images::read(source, &limits),
        };
        let outcome = match detect(source, image, &detector, command.format, id) {
            Ok((result, image)) => {
                if is_read {
                    match bar.suspend(|| writer.write(&result, &detector)) {
                        // The drawings are written even if the reader of the results is gone.
                        Err(error) if is_closed_pipe(&error) && drawings.is_some() => is_read = false,
                        other => other?,
                    }
                }
                // Results are written first, since drawing takes longer than detecting.
                let drawn =
                    drawings.as_mut().map(|drawings| drawings.write(source, &image, &result.detections));
                drawn.unwrap_or(Ok(()))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            failures += 1;
            bar.suspend(|| report_error(&error));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    writer.finish()?;
    if failures > 0 {
        status(&format!("picodet: {failures} of {inputs} inputs failed"));
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Expands the image arguments; returns the files and the number of arguments that failed, which are reported.
fn sources(arguments: &[PathBuf]) -> (Vec<PathBuf>, usize) {
    let mut sources = Vec::new();
    let mut failures = 0;
    for argument in arguments {
        match images::expand(argument) {
            Ok(found) => sources.extend(found),
            Err(error) => {
                report_error(&error);
                failures += 1;
            }
        }
    }
    (sources, failures)
}

/// Starts to read an image while the network is prepared; `None` when no thread can be started.
fn read_in_background(source: &Path, limits: Limits) -> Option<JoinHandle<Result<Image>>> {
    let source = source.to_owned();
    std::thread::Builder::new().spawn(move || images::read(&source, &limits)).ok()
}

/// Detects in one image; returns the result and the image.
fn detect(
    source: &Path,
    image: Result<Image>,
    detector: &Detector,
    format: Format,
    image_id: Option<u64>,
) -> Result<(ImageResult, Image)> {
    let name = source.display().to_string();
    let image = image.with_context(|| name.clone())?;
    let detections = detector.detect(&image).with_context(|| name.clone())?;
    if format == Format::Coco && image_id.is_none() {
        bail!("{name}: {}", NO_IMAGE_ID);
    }
    Ok((ImageResult { file: name, size: image.source_size(), image_id, detections }, image))
}
