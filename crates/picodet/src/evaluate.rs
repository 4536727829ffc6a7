//! Runs a model over a dataset, on all cores, for evaluation by COCO's rules.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use picodet_data::Dataset;
use picodet_detect::{Detector, Error, Model, Options};
use picodet_eval::{Category, Detection, GroundTruth};
use picodet_train::group::ProcessGroup;

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
/// called with the number of images that are done; the result does not depend on the number of threads.
///
/// # Errors
/// When the model cannot be prepared or has no class in common with the dataset. An image that cannot be read is a
/// failure in the result, not an error.
pub fn detect_dataset(
    model: &Model,
    options: &Options,
    dataset: &Dataset,
    threads: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Found, Error> {
    let categories = match_classes(model, dataset)?;
    let detector = Detector::new(model, options)?;
    let done = AtomicUsize::new(0);
    let results = picodet_parallel::map(0..dataset.images.len(), threads, |index| {
        let result = detect_one(&detector, dataset, index, &categories);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        result
    });
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

/// An error in the evaluation of a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The model cannot be run.
    #[error(transparent)]
    Detect(#[from] Error),
    /// An image cannot be read.
    #[error("{}: {problem}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The error of the image.
        problem: String,
    },
    /// The detections cannot be compared with the ground truth.
    #[error(transparent)]
    Evaluation(#[from] picodet_eval::EvaluationError),
}

/// Runs a model over a dataset, each process of a group over its shard of the images. Every process gets all detections,
/// in the order of the images.
///
/// # Errors
/// If the model cannot be run or an image of this process's shard cannot be read.
pub(crate) fn detect_together(
    model: &Model,
    options: &Options,
    dataset: &Dataset,
    threads: usize,
    group: &dyn ProcessGroup,
) -> Result<Vec<Detection>, EvaluateError> {
    let detect = |dataset: &Dataset| {
        let found = detect_dataset(model, options, dataset, threads, &|_| {})?;
        match found.failures.into_iter().next() {
            Some((path, problem)) => Err(EvaluateError::Image { path, problem }),
            None => Ok(found.detections),
        }
    };
    if group.size() == 1 {
        return detect(dataset);
    }
    let mut shard = dataset.clone();
    shard.images = dataset.images[group.shard(dataset.images.len())].to_vec();
    let own: Vec<u8> = detect(&shard)?.iter().flat_map(detection_bytes).collect();
    let all = group.all_gather(&own).concat();
    Ok(all.as_chunks::<DETECTION_BYTES>().0.iter().map(detection_of_bytes).collect())
}

/// Bytes of a detection in an exchange between processes.
const DETECTION_BYTES: usize = 7 * 8;

fn detection_bytes(found: &Detection) -> [u8; DETECTION_BYTES] {
    let [x, y, width, height] = found.bbox.map(f64::to_le_bytes);
    let ids = [found.image_id, found.category_id].map(i64::to_le_bytes);
    let mut bytes = [0; DETECTION_BYTES];
    let fields = [ids[0], ids[1], x, y, width, height, found.score.to_le_bytes()];
    bytes.copy_from_slice(fields.as_flattened());
    bytes
}

fn detection_of_bytes(bytes: &[u8; DETECTION_BYTES]) -> Detection {
    let fields = bytes.as_chunks::<8>().0;
    let value = |index: usize| f64::from_le_bytes(fields[index]);
    Detection {
        image_id: i64::from_le_bytes(fields[0]),
        category_id: i64::from_le_bytes(fields[1]),
        bbox: [value(2), value(3), value(4), value(5)],
        score: value(6),
    }
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
    // The failure names the path, so the error does not have to.
    let bytes = std::fs::read(&path).map_err(|error| (path.clone(), error.to_string()))?;
    let detections = detector.detect(bytes).map_err(|error| (path, error.to_string()))?;
    let convert = |found: picodet_detect::Detection| {
        let [x1, y1, x2, y2] = found.bbox.xyxy().map(f64::from);
        Some(Detection {
            image_id: image.id,
            category_id: categories[found.class]?,
            bbox: [x1, y1, x2 - x1, y2 - y1],
            score: f64::from(found.score),
        })
    };
    Ok(detections.into_iter().filter_map(convert).collect())
}

#[cfg(test)]
mod tests {
    use picodet_train::group::{SingleProcess, ThreadGroup};

    use super::*;

    #[test]
    fn a_group_finds_the_detections_of_one_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png");
        let (width, height) = {
            let image = crate::open_image(page).expect("the page");
            (image.width(), image.height())
        };
        let model = crate::default_model().expect("the model inside");
        // Three images for two processes; the ids are not indices.
        let images: Vec<_> = (0..3)
            .map(|number| {
                let file = format!("{number}.png");
                std::fs::copy(page, folder.path().join(&file)).expect("a copy");
                serde_json::json!({"id": 70 - 7 * number, "file_name": file, "width": width, "height": height})
            })
            .collect();
        let classes = model.metadata.classes.iter().enumerate();
        let categories: Vec<_> =
            classes.map(|(place, name)| serde_json::json!({"id": 100 + place, "name": name})).collect();
        let text = serde_json::json!({"images": images, "annotations": [], "categories": categories});
        let path = folder.path().join("pages.json");
        std::fs::write(&path, text.to_string()).expect("annotations");
        let dataset = Dataset::open(&path, None).expect("a dataset");
        let detect = |group: &dyn ProcessGroup| {
            detect_together(&model, &Options::default(), &dataset, 1, group).expect("detections")
        };
        let expected = detect(&SingleProcess);
        assert!(expected.len() >= 9, "{}", expected.len());
        for found in [2, 4].into_iter().flat_map(|size| ThreadGroup::run(size, |group| detect(&*group))) {
            assert_eq!(found, expected);
        }
    }
}
