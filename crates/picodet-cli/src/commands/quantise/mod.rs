//! `picodet quantise`: writes a model in 8 bits and judges it.

mod mixed;
mod pictures;
mod summary;
mod training;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use picodet::bench::processor;
use picodet::crates::data::Dataset;
use picodet::crates::graph::Tensor4;
use picodet::evaluate::{GroundTruths, match_classes};
use picodet::quantise::{
    FEW_IMAGES, FIDELITY_SCORE, Gate, Judge, Latencies, MIN_GAIN, Options, network_input, quantise, sha256,
};
use picodet::{Detector, Model, Storage};

use self::pictures::Pictures;
use self::summary::{Summary, rounded};
use crate::ExitCode;
use crate::args::{ModelArguments, Quantise, QuantiseMethod};
use crate::output::{one_line, print_result, refuse_own_source, status, write_file};
use crate::{host, images, model};

/// Exit code for a model that loses more than it may, or is not faster.
const MISSED: u8 = 3;
/// How long the speed is measured.
const MEASURING: Duration = Duration::from_secs(2);
/// Share of calibration images with a detection below which they are taken for images of another kind.
const FEW_DETECTIONS: f64 = 0.2;

pub(crate) fn run(command: &Quantise) -> Result<ExitCode> {
    refuse_own_source(Path::new(&command.model), &command.output)?;
    let opened = model::open_with_file(&ModelArguments::named(&command.model))?;
    let float = opened.model;
    if float.quantisation.is_some() {
        bail!("{}: is quantised already; give the float model that it was made from", command.model);
    }
    let data = Pictures::open(&command.data, command.split.as_deref())?;
    let (calibration, rest) = data.clone().divide(command.images);
    let judged = match &command.judge {
        Some(path) => Pictures::open(path, None)?,
        None if rest.files.len() >= FEW_IMAGES => rest,
        None => {
            status(&format!(
                "{}: fewer than {FEW_IMAGES} images besides those of the calibration, which judge the result too; \
                 give others with --judge",
                command.data.display()
            ));
            calibration.clone()
        }
    };
    let start = Instant::now();
    let inputs = read(&float, &calibration, command)?;
    let options = Options::default()
        .with_method(command.method.into())
        .with_scales(command.scales.into())
        .with_threads(command.threads);
    let bar = images::progress_of(float.graph.nodes.len(), "quantising", "operations");
    let report_progress = host::progress("quantising", float.graph.nodes.len());
    let mut progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        report_progress(done)
    };
    let (quantised, steps) =
        quantise(&float, &inputs, &options, &mut progress).with_context(|| command.model.clone())?;
    bar.finish_and_clear();
    status(&format!("{} images in {:.1} s", inputs.len(), start.elapsed().as_secs_f64()));
    drop(inputs);
    let quantised = match command.method {
        // Without other images for judging, only those of the scales are not judged.
        QuantiseMethod::Train if command.judge.is_none() => {
            training::train(&float, &quantised, &calibration, command)?
        }
        QuantiseMethod::Train => training::train(&float, &quantised, &data, command)?,
        _ => quantised,
    };
    let mixed = command.mixed.map(|budget| mixed::choose(command, budget, &float, &quantised, &calibration));
    let (quantised, sensitivities) = match mixed.transpose()? {
        Some(mixed) => (mixed.model, mixed.steps),
        None => (quantised, Vec::new()),
    };

    let truth = labels(&float, judged.dataset.as_ref());
    let truth = truth.as_ref().map(|(truth, categories)| (truth, categories.clone()));
    let judge = Judge::new(&float, &judged.files, truth, command.limits.limits(), command.threads)?;
    judge.failures().iter().for_each(|(path, problem)| {
        status(&format!("picodet: {}: {problem}", path.display()));
    });
    // The model is read back, so that the integers and weights of the file are judged.
    let mut quantised = Model::from_bytes(&quantised.to_bytes(Storage::Int8Rows))?;
    let verdict = judge.verdict(&quantised)?;
    let latencies = Latencies::measure(&float, &quantised, MEASURING)?;
    if let Some(record) = &mut quantised.metadata.quantisation {
        record.fidelity = Some(rounded(verdict.fidelity));
        record.ap_float = verdict.ap_float.map(rounded);
        record.ap_quantised = verdict.ap.map(rounded);
        record.source_sha256 = opened.file.as_deref().map(sha256).unwrap_or_default();
        let milliseconds = latencies.milliseconds().into_iter();
        record.milliseconds = milliseconds.map(|(name, time)| (name.to_owned(), rounded(time))).collect();
        record.processor = processor();
    }
    let bytes = quantised.to_bytes(Storage::Int8Rows);
    write_file(&command.output, &bytes)?;
    let gate = Gate::default()
        .with_min_fidelity(command.min_fidelity)
        .with_max_drop(command.max_drop)
        .with_min_gain((!command.any_speed).then_some(MIN_GAIN));
    let misses = gate.misses(&verdict, &latencies);
    let summary = Summary {
        steps: &steps,
        sensitivities: &sensitivities,
        verdict,
        latencies: &latencies,
        images: judged.files.len(),
    };
    print_result(&summary.text(bytes.len()))?;
    if misses.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    status(&format!("picodet: {}: {}", command.output.display(), summary.refusal(&misses, command.method)));
    Ok(ExitCode::from(MISSED))
}

/// Returns the labels, and the category id of each class of the model, if there are labels of such classes. A pretrained model may
/// well be quantised with images whose labels are of other classes.
fn labels(model: &Model, dataset: Option<&Dataset>) -> Option<(GroundTruths, Vec<Option<i64>>)> {
    let dataset = dataset.filter(|dataset| dataset.object_count() > 0)?;
    match match_classes(model, dataset) {
        Ok(categories) => Some((GroundTruths::of(dataset), categories)),
        Err(problem) => {
            status(&format!("{problem}; AP is not measured"));
            None
        }
    }
}

/// Reads the images that the scales are computed from, and warns if they give poor ones. Files that cannot be read are reported
/// and left out.
fn read(model: &Model, pictures: &Pictures, command: &Quantise) -> Result<Vec<Tensor4>> {
    let options = picodet::Options::new().with_score_threshold(FIDELITY_SCORE as f32);
    let detector = Detector::new(model, &options)?;
    let results = picodet_parallel::map(&pictures.files, command.threads, |path| {
        let image = images::read(path, &command.limits.limits())?;
        let is_empty = detector.detect(&image)?.is_empty();
        Ok::<_, anyhow::Error>((network_input(model, &image), is_empty))
    });
    let (mut inputs, mut empty) = (Vec::new(), 0);
    for (path, result) in pictures.files.iter().zip(results) {
        match result {
            Ok((input, is_empty)) => {
                inputs.push(input);
                empty += usize::from(is_empty);
            }
            Err(error) => status(&format!("picodet: {}: {}", path.display(), one_line(&error))),
        }
    }
    if inputs.is_empty() {
        bail!("{}: none of the {} images can be read", command.data.display(), pictures.files.len());
    }
    if inputs.len() < FEW_IMAGES {
        status(&format!(
            "warning: scales from {} image{}; values of other images will be cut off, {FEW_IMAGES} or more are better",
            inputs.len(),
            if inputs.len() == 1 { "" } else { "s" }
        ));
    }
    let share = 1.0 - empty as f64 / inputs.len() as f64;
    if share < FEW_DETECTIONS {
        status(&format!(
            "warning: the model detects objects in {:.0} % of the images of {}; scales are good for images of the kind \
             that they come from",
            100.0 * share,
            command.data.display()
        ));
    }
    Ok(inputs)
}
