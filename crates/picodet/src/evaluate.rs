//! A model over a dataset: detections on all cores, compared with the truth by COCO's rules.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use picodet_data::Dataset;
use picodet_detect::{Detector, Error, Model, Options};
use picodet_eval::{Category, Detection, GroundTruth};
use picodet_train::group::Group;

/// A dataset in the terms of an evaluation.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Ids of the images in their order.
    pub image_ids: Vec<i64>,
    /// The classes with their ids in the data.
    pub categories: Vec<Category>,
    /// The objects.
    pub truths: Vec<GroundTruth>,
}

impl Truth {
    /// What a dataset says.
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
            truths,
        }
    }
}

/// What a model found in a dataset.
#[derive(Debug, Default)]
pub struct Found {
    /// The detections, image by image in the dataset's order.
    pub detections: Vec<Detection>,
    /// Images that could not be looked at, and why.
    pub failures: Vec<(PathBuf, String)>,
    /// Classes of the model that the dataset does not have; what is found of them is left out.
    pub unknown_classes: Vec<String>,
}

/// What became of one image: its detections, or its file and why it failed.
type Outcome = Result<Vec<Detection>, (PathBuf, String)>;

/// For each class of the model, the category id of the dataset's class of the same name.
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

/// Runs a model over every image of a dataset on `threads` threads (0: all cores). `progress` is told the number of
/// images that are done; the result does not depend on the number of threads.
///
/// # Errors
/// When the model cannot be made ready or has no class in common with the dataset. An image that cannot be read is a
/// failure in the result, not an error.
pub fn detect_dataset(
    model: &Model,
    options: &Options,
    dataset: &Dataset,
    threads: usize,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Found, Error> {
    let categories = match_classes(model, dataset)?;
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let count = dataset.images.len();
    let detectors: Vec<Detector> = (0..threads.clamp(1, count.max(1)))
        .map(|_| Detector::new(model, options))
        .collect::<Result<_, _>>()?;
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; count]);
    std::thread::scope(|scope| {
        for mut detector in detectors {
            let (next, done, results, categories) = (&next, &done, &results, &categories);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let result = detect_one(&mut detector, dataset, index, categories);
                    results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                }
            });
        }
    });
    let mut found = Found::default();
    for result in results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten() {
        match result {
            Ok(detections) => found.detections.extend(detections),
            Err(failure) => found.failures.push(failure),
        }
    }
    let names = model.metadata.classes.iter().zip(&categories);
    found.unknown_classes = names.filter(|(_, id)| id.is_none()).map(|(name, _)| name.clone()).collect();
    Ok(found)
}

/// Runs a model over a dataset, each member of a group over its part of the images; every member gets all detections, in
/// the order in which one alone would find them.
///
/// # Errors
/// When the model cannot be run or an image of this member's part cannot be read.
pub(crate) fn detect_together(
    model: &Model,
    options: &Options,
    dataset: &Dataset,
    threads: usize,
    group: &dyn Group,
) -> Result<Vec<Detection>, String> {
    let detect = |dataset: &Dataset| {
        let found = detect_dataset(model, options, dataset, threads, &|_| {});
        let found = found.map_err(|error| error.to_string())?;
        match found.failures.first() {
            Some((path, problem)) => Err(format!("{}: {problem}", path.display())),
            None => Ok(found.detections),
        }
    };
    if group.size() == 1 {
        return detect(dataset);
    }
    let part = group.part(dataset.images.len());
    let mut own = dataset.clone();
    own.images = dataset.images[part].to_vec();
    let own = detect(&own)?;

    // A group adds numbers up: each member fills its place among zeros. Ids are as large as they like, so images and
    // classes go by their places.
    const NUMBERS: usize = 7;
    let counts = group.gather(own.len() as f64);
    let first: f64 = counts[..group.rank()].iter().sum();
    let all: f64 = counts.iter().sum();
    let places = |ids: &mut dyn Iterator<Item = i64>| -> BTreeMap<i64, usize> {
        ids.enumerate().map(|(place, id)| (id, place)).collect()
    };
    let images = places(&mut dataset.images.iter().map(|image| image.id));
    let classes = places(&mut dataset.classes.iter().map(|class| class.id));
    let mut numbers = vec![0.0; NUMBERS * all as usize];
    for (found, numbers) in own.iter().zip(numbers[NUMBERS * first as usize..].chunks_mut(NUMBERS)) {
        let place = [images[&found.image_id] as f64, classes[&found.category_id] as f64];
        numbers[..2].copy_from_slice(&place);
        numbers[2..6].copy_from_slice(&found.bbox);
        numbers[6] = found.score;
    }
    group.sum(&mut numbers);
    let (numbers, _) = numbers.as_chunks::<NUMBERS>();
    let read = |&[image, class, x, y, width, height, score]: &[f64; NUMBERS]| Detection {
        image_id: dataset.images[image as usize].id,
        category_id: dataset.classes[class as usize].id,
        bbox: [x, y, width, height],
        score,
    };
    Ok(numbers.iter().map(read).collect())
}

fn detect_one(
    detector: &mut Detector,
    dataset: &Dataset,
    index: usize,
    categories: &[Option<i64>],
) -> Outcome {
    let image = &dataset.images[index];
    let path = dataset.image_path(index).ok_or_else(|| {
        (PathBuf::from(&image.file), "the path of the image leaves the dataset or is empty".to_owned())
    })?;
    let detections = crate::open_image(&path).and_then(|picture| detector.detect(&picture));
    let detections = detections.map_err(|error| (path, error.to_string()))?;
    let convert = |found: picodet_detect::Detection| {
        let [x1, y1, x2, y2] = found.bbox.0.map(f64::from);
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
    use picodet_train::group::{Alone, Threads};

    use super::*;

    #[test]
    fn members_find_together_what_one_finds_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png");
        let (width, height) = {
            let image = crate::open_image(page).expect("the page");
            (image.width(), image.height())
        };
        let model = crate::default_model().expect("the model inside");
        // Three pictures for two members; ids that are no places.
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
        let detect = |group: &dyn Group| {
            detect_together(&model, &Options::default(), &dataset, 1, group).expect("detections")
        };
        let expected = detect(&Alone);
        assert!(expected.len() >= 9, "{}", expected.len());
        for found in [2, 4].into_iter().flat_map(|size| Threads::run(size, |group| detect(&*group))) {
            assert_eq!(found, expected);
        }
    }
}
