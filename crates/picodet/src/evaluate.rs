//! Runs a model over a dataset, on all cores, for evaluation by COCO's rules.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use picodet_data::Dataset;
use picodet_detect::{Detections, Detector, Error, Model, Options};
use picodet_eval::{Category, Detection, GroundTruth};

#[cfg(feature = "train")]
mod distributed;

#[cfg(feature = "train")]
pub use distributed::EvaluateError;
#[cfg(feature = "train")]
pub(crate) use distributed::detect_together;

/// The ground truth of a dataset, in the types of the evaluation.
#[derive(Clone, Debug, Default)]
pub struct GroundTruths {
    /// Ids of the images in their order.
    pub image_ids: Vec<i64>,
    /// The classes with their ids in the data.
    pub categories: Vec<Category>,
    /// The objects.
    pub objects: Vec<GroundTruth>,
}

impl GroundTruths {
    /// Returns the ground truth of a dataset.
    pub fn of(dataset: &Dataset) -> Self {
        let category = |class: &picodet_data::Class| Category { id: class.id, name: class.name.clone() };
        let mut truths = Vec::new();
        for image in &dataset.images {
            for object in &image.objects {
                truths.push(GroundTruth {
                    id: object.id.unwrap_or(truths.len() as i64 + 1),
                    image_id: image.id,
                    category_id: dataset.classes[object.class].id,
                    bbox: object.xywh(),
                    area: object.stated_area.unwrap_or_else(|| object.area()),
                    crowd: object.crowd,
                    ignore: object.difficult,
                });
            }
        }
        Self {
            image_ids: dataset.images.iter().map(|image| image.id).collect(),
            categories: dataset.classes.iter().map(category).collect(),
            objects: truths,
        }
    }
}

/// The detections of a model in a dataset.
#[derive(Debug, Default)]
pub struct Found {
    /// The detections, image by image in the dataset's order.
    pub detections: Vec<Detection>,
    /// Images that could not be read, with the reason.
    pub failures: Vec<(PathBuf, String)>,
    /// Classes of the model that the dataset does not have; their detections are left out.
    pub unknown_classes: Vec<String>,
}

/// The detections of one image, or its file and the reason of the failure.
type ImageResult = Result<Vec<Detection>, (PathBuf, String)>;

/// Returns, for each class of the model, the category id of the dataset's class of the same name.
///
/// # Errors
/// When no class of the model is in the dataset.
pub fn match_classes(model: &Model, dataset: &Dataset) -> Result<Vec<Option<i64>>, Error> {
    let plain = |name: &str| name.trim().to_lowercase();
    let ids: BTreeMap<String, i64> =
        dataset.classes.iter().map(|class| (plain(&class.name), class.id)).collect();
    let matched: Vec<Option<i64>> =
        model.metadata.classes.iter().map(|name| ids.get(&plain(name)).copied()).collect();
    if matched.iter().all(Option::is_none) {
        let list = |names: Vec<&str>| names.into_iter().take(5).collect::<Vec<_>>().join(", ");
        return Err(Error::Option(format!(
            "the model and the dataset have no class in common: {}, … against {}, …",
            list(model.metadata.classes.iter().map(String::as_str).collect()),
            list(dataset.classes.iter().map(|class| class.name.as_str()).collect()),
        )));
    }
    Ok(matched)
}

/// Runs a model over every image of a dataset on `threads` threads (0: all cores), which share one detector. `progress` is
/// called with the number of images that are done and returns whether to continue; the result does not depend on the number
/// of threads.
///
/// # Errors
/// When the model cannot be prepared or has no class in common with the dataset, and [`Error::Cancelled`] when `progress`
/// returns [`ControlFlow::Break`]. An image that cannot be read is a
/// failure in the result, not an error.
pub fn detect_dataset(
    model: &Model,
    options: &Options,
    dataset: &Dataset,
    threads: usize,
    progress: &(dyn Fn(usize) -> ControlFlow<()> + Sync),
) -> Result<Found, Error> {
    let categories = match_classes(model, dataset)?;
    let detector = Detector::new(model, options)?;
    let done = AtomicUsize::new(0);
    let cancelled = AtomicBool::new(false);
    let results = picodet_parallel::map(0..dataset.images.len(), threads, |index| {
        if cancelled.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let result = detect_one(&detector, dataset, index, &categories);
        if progress(done.fetch_add(1, Ordering::Relaxed) + 1).is_break() {
            cancelled.store(true, Ordering::Relaxed);
        }
        result
    });
    if cancelled.into_inner() {
        return Err(Error::Cancelled);
    }
    let mut found = Found::default();
    for result in results {
        match result {
            Ok(detections) => found.detections.extend(detections),
            Err(failure) => found.failures.push(failure),
        }
    }
    let names = model.metadata.classes.iter().zip(&categories);
    found.unknown_classes = names.filter(|(_, id)| id.is_none()).map(|(name, _)| name.clone()).collect();
    Ok(found)
}

fn detect_one(
    detector: &Detector,
    dataset: &Dataset,
    index: usize,
    categories: &[Option<i64>],
) -> ImageResult {
    let image = &dataset.images[index];
    let path = dataset.image_path(index).ok_or_else(|| {
        (PathBuf::from(&image.file), "the path of the image leaves the dataset or is empty".to_owned())
    })?;
    // The failure contains the path already.
    let bytes = dataset.read_image(index).map_err(|error| (path.clone(), error.to_string()))?;
    let detections = detector.detect(bytes).map_err(|error| (path, error.to_string()))?;
    Ok(converted(detections, image.id, categories).collect())
}

/// Returns the detections of an image in the types of the evaluation; `categories` are those of the model's classes.
pub(crate) fn converted(
    detections: Detections,
    image_id: i64,
    categories: &[Option<i64>],
) -> impl Iterator<Item = Detection> {
    detections.into_iter().filter_map(move |found| {
        let [x1, y1, x2, y2] = found.bbox.xyxy().map(f64::from);
        Some(Detection {
            image_id,
            category_id: categories[found.class]?,
            bbox: [x1, y1, x2 - x1, y2 - y1],
            score: f64::from(found.score),
        })
    })
}
