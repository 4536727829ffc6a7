//! `picodet verify`: compares the detections of two models, or of a model and a results file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use picodet::verify::{Comparison, Tolerance};
use picodet::{Detector, Image, ImageBox, Options, ScoredBox};
use picodet_format::coco::{DEFAULT_LIMIT, read_results};

use crate::args::{ModelArguments, Verify};
use crate::output::{print_result, report_error};
use crate::{images, model};

/// Source of the detections of one side.
enum Side {
    Model(Box<Detector>),
    /// COCO results by image id.
    File(BTreeMap<u64, Vec<ScoredBox>>),
}

pub(crate) fn run(command: &Verify) -> Result<ExitCode> {
    let ids = match &command.annotations {
        Some(path) => Some(images::annotated_ids(path)?),
        None => None,
    };
    let mut sources: Vec<PathBuf> = Vec::new();
    for argument in &command.images {
        sources.extend(images::expand(argument)?);
    }
    let first = detector(command, &command.first)?;
    let (classes, category_ids) = (first.classes().to_vec(), first.category_ids().to_vec());
    let first = Side::Model(Box::new(first));
    let second = if command.second.ends_with(".json") {
        Side::File(results_by_image(Path::new(&command.second), &category_ids)?)
    } else {
        let second = detector(command, &command.second)?;
        if second.classes() != classes {
            bail!(
                "the models have different classes: {} and {}",
                classes.join(", "),
                second.classes().join(", ")
            );
        }
        Side::Model(Box::new(second))
    };
    let tolerance =
        Tolerance { score_threshold: command.score, iou: command.iou, score: command.score_tolerance };
    let mut comparison = Comparison::new();
    let mut failures = 0usize;
    let bar = images::progress(sources.len(), "comparing");
    for source in &sources {
        let name = source.display().to_string();
        let id = images::id_of(source, ids.as_ref());
        let mut compare = || -> Result<()> {
            let image = images::read(source)?;
            let of = |side: &Side| detections(side, &image, id, command.clip);
            let (ours, theirs) = (of(&first)?, of(&second)?);
            comparison.add(&name, &ours, &theirs, &tolerance);
            Ok(())
        };
        if let Err(error) = compare().with_context(|| name.clone()) {
            failures += 1;
            bar.suspend(|| report_error(&error));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    print_result(&comparison.text(&classes))?;
    Ok(if comparison.is_equal() && failures == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn detector(command: &Verify, name: &str) -> Result<Detector> {
    let arguments = ModelArguments::named(name);
    // The counterpart of a detection near the threshold may have a score below it.
    let score_threshold = (command.score - command.score_tolerance).clamp(0.0, 1.0);
    let options = Options::new().with_score_threshold(score_threshold).with_resize(command.resize);
    Ok(Detector::new(&model::open(&arguments)?, &options)?)
}

fn detections(side: &Side, image: &Image, id: Option<u64>, clip: bool) -> Result<Vec<ScoredBox>> {
    let mut found: Vec<ScoredBox> = match side {
        Side::Model(detector) => detector.detect(image)?.iter().map(ScoredBox::from).collect(),
        Side::File(by_image) => {
            let id = id.context(images::NO_IMAGE_ID)?;
            by_image.get(&id).cloned().unwrap_or_default()
        }
    };
    if clip {
        found.iter_mut().for_each(|found| found.bbox = found.bbox.clipped(image.width(), image.height()));
    }
    Ok(found)
}

/// Reads COCO results by image id, with categories as class indices.
fn results_by_image(path: &Path, category_ids: &[u32]) -> Result<BTreeMap<u64, Vec<ScoredBox>>> {
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let entries = read_results(file, DEFAULT_LIMIT).with_context(|| path.display().to_string())?;
    let mut by_image: BTreeMap<u64, Vec<ScoredBox>> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let parsed = || -> Option<(u64, ScoredBox)> {
            let class = category_ids.iter().position(|&id| i64::from(id) == entry.category_id)?;
            let [x, y, width, height] = entry.bbox;
            let bbox = ImageBox([x as f32, y as f32, (x + width) as f32, (y + height) as f32]);
            let score = entry.score as f32;
            Some((u64::try_from(entry.image_id).ok()?, ScoredBox { class, score, bbox }))
        };
        let Some((image, detection)) = parsed() else {
            bail!("{}: entry {index} is not a COCO result of one of the model's categories", path.display());
        };
        by_image.entry(image).or_default().push(detection);
    }
    Ok(by_image)
}
