//! `picodet detect`: objects in images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};
use picodet::results::{self, ImageResult};
use picodet::{Detector, Image, Nms, Options};
use picodet_format::write_atomically;

use crate::args::{Detect, Format};
use crate::output::{complain, one_line, say};
use crate::{images, memory, model};

pub(crate) fn run(command: &Detect) -> Result<ExitCode> {
    let mut sources = Vec::new();
    let mut failures = 0usize;
    for argument in &command.images {
        match images::expand(argument) {
            Ok(found) => sources.extend(found),
            Err(error) => {
                complain(&format!("picodet: {}", one_line(&error)));
                failures += 1;
            }
        }
    }
    if sources.is_empty() {
        bail!("no image to detect in");
    }
    let ids = match &command.annotations {
        Some(path) => Some(images::annotated_ids(path)?),
        None => None,
    };
    // The first image is read while the network is made ready.
    memory::take_large_pages();
    let first = sources[0].clone();
    let first = std::thread::Builder::new().spawn(move || images::read(&first));
    let mut first = first.ok();
    let model = model::open(&command.model)?;
    let nms = Nms {
        score_threshold: command.score,
        iou_threshold: command.nms_iou,
        max_detections: command.max_detections,
        ..Nms::default()
    };
    let options = Options {
        nms,
        input_size: command.input_size,
        resize: command.resize,
        threads: command.threads,
        precision: command.precision.into(),
    };
    let mut detector = Detector::new(&model, &options)?;
    if let Some(folder) = &command.output {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }

    let bar = images::progress(sources.len(), "detecting");
    let mut coco = Vec::new();
    let mut drawn = BTreeSet::new();
    if command.format == Format::Csv {
        say(results::CSV_HEADER)?;
    }
    for source in &sources {
        let image = match first.take().map(JoinHandle::join) {
            Some(Ok(image)) => image,
            // What made the thread panic does so again here.
            Some(Err(_)) | None => images::read(source),
        };
        match detect_one(source, image, &mut detector, command, ids.as_ref()) {
            Ok((result, image)) => {
                let classes = detector.classes();
                let text = match command.format {
                    Format::Text => results::text(&result, classes),
                    Format::Json => format!("{}\n", results::json(&result, classes)),
                    Format::Csv => results::csv(&result, classes),
                    Format::Coco => {
                        coco.extend(results::coco(&result, detector.category_ids()));
                        String::new()
                    }
                };
                bar.suspend(|| say(&text))?;
                // A drawing takes longer than the detection.
                if let Some(folder) = &command.output {
                    let path = free_name(folder, source, &mut drawn);
                    if let Err(error) = write_drawing(&path, &image, &result.detections, classes) {
                        failures += 1;
                        bar.suspend(|| complain(&format!("picodet: {}", one_line(&error))));
                    }
                }
            }
            Err(error) => {
                failures += 1;
                bar.suspend(|| complain(&format!("picodet: {}", one_line(&error))));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if command.format == Format::Coco {
        say(&format!("{}\n", serde_json::Value::Array(coco)))?;
    }
    if failures > 0 {
        complain(&format!("picodet: {failures} of {} inputs failed", sources.len() + failures));
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn detect_one(
    source: &Path,
    image: Result<Image>,
    detector: &mut Detector,
    command: &Detect,
    ids: Option<&BTreeMap<String, u64>>,
) -> Result<(ImageResult, Image)> {
    let name = source.display().to_string();
    let image = image.with_context(|| name.clone())?;
    let detections = detector.detect(&image).with_context(|| name.clone())?;
    let image_id = images::id_of(source, ids);
    if command.format == Format::Coco && image_id.is_none() {
        bail!("{name}: no image id; name the file by a number, or give --annotations with an entry for it");
    }
    Ok((ImageResult { file: name, size: (image.width(), image.height()), image_id, detections }, image))
}

/// A file name in `folder` that no earlier image of this run took and that is not the source itself.
fn free_name(folder: &Path, source: &Path, drawn: &mut BTreeSet<PathBuf>) -> PathBuf {
    let stem = if source == Path::new("-") {
        "stdin".into()
    } else {
        source.file_stem().unwrap_or_default().to_string_lossy()
    };
    let ending = match source.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase().as_str()
    {
        "jpg" | "jpeg" => "jpg",
        _ => "png",
    };
    let original = source.canonicalize().ok();
    let mut number = 1;
    loop {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let path = folder.join(format!("{stem}{suffix}.{ending}"));
        let is_source = original.is_some() && path.canonicalize().ok() == original;
        if !is_source && drawn.insert(path.clone()) {
            return path;
        }
        number += 1;
    }
}

fn write_drawing(
    path: &Path,
    image: &Image,
    detections: &[picodet::Detection],
    classes: &[String],
) -> Result<()> {
    let drawing = picodet::draw(image, detections, classes);
    let bytes = match path.extension().and_then(|ending| ending.to_str()) {
        Some("jpg") => picodet::image::encode_jpeg(&drawing, 92),
        _ => picodet::image::encode_png(&drawing),
    };
    write_atomically(path, &bytes).with_context(|| path.display().to_string())
}
