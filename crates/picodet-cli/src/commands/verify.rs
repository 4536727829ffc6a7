//! `picodet verify`: compares the detections of two models, or of a model and a results file.

use crate::ExitCode;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use picodet::crates::eval::{
    Category, DEFAULT_LIMIT, Detection, GroundTruth, ImageNames, ImageSize, ResultTargets,
    read_result_records, reading_note, resolve_results,
};
use picodet::verify::{Comparison, Tolerance};
use picodet::{Detector, Image, ImageBox, Options, ScoredBox};

use crate::args::{ModelArguments, Verify};
use crate::image_ids::{NO_IMAGE_ID, image_ids, refuse_duplicates};
use crate::output::{print_result, report_error, status};
use crate::{images, model};

/// Source of the detections of one side.
enum Side {
    Model(Box<Detector>),
    /// COCO results by the index of the image.
    File(BTreeMap<usize, Vec<ScoredBox>>),
}

pub(crate) fn run(command: &Verify) -> Result<ExitCode> {
    let mut sources: Vec<PathBuf> = Vec::new();
    for argument in &command.images {
        sources.extend(images::expand(argument)?);
    }
    let first = detector(command, &command.first)?;
    let (classes, category_ids) = (first.classes().to_vec(), first.category_ids().to_vec());
    let first = Side::Model(Box::new(first));
    let mut failures = 0usize;
    let mut readings = Readings::new(&classes, &category_ids);
    let second = if is_results_file(&command.second)? {
        let ids = image_ids(&sources, command.annotations.as_deref())?;
        refuse_duplicates(&sources, &ids)?;
        let path = Path::new(&command.second);
        let found = results_by_image(path, &sources, &ids, &readings.categories)?;
        failures += found.malformed;
        readings.unresolved = found.unresolved;
        readings.keys = found.keys;
        Side::File(found.by_image)
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
    let bar = images::progress(sources.len(), "comparing");
    for (index, source) in sources.iter().enumerate() {
        let name = source.display().to_string();
        let mut compare = || -> Result<()> {
            let image = images::read(source, &command.limits.limits())?;
            let of = |side: &Side| detections(side, &image, index, command.clip);
            let (ours, theirs) = (of(&first)?, of(&second)?);
            comparison.add(&name, &ours, &theirs, &tolerance);
            if matches!(second, Side::File(_)) {
                readings.add(index, image.source_size(), &ours, &theirs);
            }
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
    if let Some(note) = readings.note() {
        status(&format!("picodet: {}: {note}", command.second));
    }
    let is_empty = comparison.first + comparison.second == 0;
    if is_empty {
        status(&format!(
            "picodet: no detection of either side has a score of at least {}, so there is no comparison; lower --score",
            command.score
        ));
    }
    Ok(if comparison.is_equal() && failures == 0 && !is_empty {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// Whether the second argument is a results file, from its extension.
///
/// # Errors
/// For files of other tables and lists.
fn is_results_file(second: &str) -> Result<bool> {
    let extension =
        Path::new(second).extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "json" | "jsonl" => Ok(true),
        "csv" | "tsv" | "txt" | "xml" | "pkl" | "npy" | "npz" => {
            bail!("{second}: neither a model nor COCO results, which are JSON (.json or .jsonl)")
        }
        _ => Ok(false),
    }
}

/// The detections of both sides, for what the numbers of a results file seem to mean.
struct Readings {
    /// The classes in their order.
    categories: Vec<Category>,
    /// The image id of each image.
    keys: Vec<i64>,
    first: Vec<GroundTruth>,
    second: Vec<Detection>,
    /// Entries of images and categories that are not compared.
    unresolved: Vec<Detection>,
    sizes: Vec<ImageSize>,
}

impl Readings {
    fn new(classes: &[Arc<str>], category_ids: &[u32]) -> Self {
        let category =
            |(name, id): (&Arc<str>, &u32)| Category { id: i64::from(*id), name: name.to_string() };
        Self {
            categories: classes.iter().zip(category_ids).map(category).collect(),
            keys: Vec::new(),
            first: Vec::new(),
            second: Vec::new(),
            unresolved: Vec::new(),
            sizes: Vec::new(),
        }
    }

    fn add(
        &mut self,
        index: usize,
        (width, height): (usize, usize),
        first: &[ScoredBox],
        second: &[ScoredBox],
    ) {
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or_default();
        let image_id = self.keys.get(index).copied().unwrap_or_default();
        self.sizes.push(ImageSize { id: image_id, width: side(width), height: side(height) });
        let categories = &self.categories;
        let numbers =
            |found: &ScoredBox| Some((categories.get(found.class)?.id, found.bbox.xywh().map(f64::from)));
        for (category_id, bbox) in first.iter().filter_map(numbers) {
            let id = self.first.len() as i64 + 1;
            let area = bbox[2] * bbox[3];
            let object = GroundTruth { id, image_id, category_id, bbox, area, crowd: false, ignore: false };
            self.first.push(object);
        }
        self.second.extend(second.iter().filter_map(|found| {
            let (category_id, bbox) = numbers(found)?;
            Some(Detection { image_id, category_id, bbox, score: f64::from(found.score) })
        }));
    }

    fn note(&self) -> Option<String> {
        let all = self.second.iter().chain(&self.unresolved);
        reading_note(all, &self.first, &self.categories, &self.sizes)
    }
}

fn detector(command: &Verify, name: &str) -> Result<Detector> {
    let arguments = ModelArguments::named(name);
    // The counterpart of a detection near the threshold may have a score below it.
    let score_threshold = (command.score - command.score_tolerance).clamp(0.0, 1.0);
    let options = Options::new().with_score_threshold(score_threshold).with_resize(command.resize);
    let model = model::open(&arguments)?;
    Detector::new(&model, &command.computing.set(options)).with_context(|| name.to_owned())
}

fn detections(side: &Side, image: &Image, index: usize, clip: bool) -> Result<Vec<ScoredBox>> {
    let mut found: Vec<ScoredBox> = match side {
        Side::Model(detector) => detector.detect(image)?.iter().map(ScoredBox::from).collect(),
        Side::File(by_image) => by_image.get(&index).cloned().unwrap_or_default(),
    };
    if clip {
        let (width, height) = image.source_size();
        found.iter_mut().for_each(|found| found.bbox = found.bbox.clipped(width, height));
    }
    Ok(found)
}

/// COCO results of the images that are compared.
struct Results {
    /// By the index of the image, with class indices.
    by_image: BTreeMap<usize, Vec<ScoredBox>>,
    /// Entries of other images and categories.
    unresolved: Vec<Detection>,
    /// Number of entries that cannot be read.
    malformed: usize,
    /// The image id of each image; a negative number if it has none.
    keys: Vec<i64>,
}

/// Reads COCO results of these images; `categories` are the classes. Entries of other images and categories are reported.
fn results_by_image(
    path: &Path,
    sources: &[PathBuf],
    ids: &[Option<u64>],
    categories: &[Category],
) -> Result<Results> {
    let name = || path.display().to_string();
    let file = std::fs::File::open(path).with_context(name)?;
    let records = read_result_records(file, DEFAULT_LIMIT).with_context(name)?;
    // Images without id are found by name only.
    let key =
        |(index, id): (i64, &Option<u64>)| id.and_then(|id| i64::try_from(id).ok()).unwrap_or(-1 - index);
    let keys: Vec<i64> = (0..).zip(ids).map(key).collect();
    let by_id: HashMap<i64, usize> = keys.iter().enumerate().map(|(index, id)| (*id, index)).collect();
    let files = by_id.iter().map(|(id, &index)| (*id, sources[index].to_string_lossy().into_owned()));
    let targets = ResultTargets {
        names: ImageNames::new(files),
        image_ids: by_id.keys().copied().collect(),
        categories: categories.to_vec(),
        ..ResultTargets::default()
    };
    let (found, mut notes) = resolve_results(records, &targets).with_context(name)?;
    // The detections of other images are compared in other runs.
    if notes.unknown_images < notes.total {
        notes.check().with_context(name)?;
        // A comparison of some of the images of a results file is usual.
        notes.first_unknown_image = None;
    } else if let Some((source, _)) = sources.iter().zip(ids).find(|(_, id)| id.is_none()) {
        bail!("{}: {NO_IMAGE_ID}", source.display());
    }
    for line in notes.lines() {
        status(&format!("picodet: {}: {line}", path.display()));
    }
    let mut by_image: BTreeMap<usize, Vec<ScoredBox>> = BTreeMap::new();
    for entry in found {
        let class = categories.iter().position(|category| category.id == entry.category_id);
        let (Some(class), Some(&index)) = (class, by_id.get(&entry.image_id)) else { continue };
        let [x, y, width, height] = entry.bbox;
        let bbox = ImageBox([x as f32, y as f32, (x + width) as f32, (y + height) as f32]);
        by_image.entry(index).or_default().push(ScoredBox { class, score: entry.score as f32, bbox });
    }
    Ok(Results { by_image, unresolved: notes.unresolved, malformed: notes.malformed, keys })
}
