//! Detection in a dataset by a group of processes.

use std::ops::ControlFlow;
use std::path::PathBuf;

use picodet_data::Dataset;
use picodet_detect::{Error, Model, Options};
use picodet_eval::Detection;
use picodet_train::group::ProcessGroup;

use super::detect_dataset;

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
        let found = detect_dataset(model, options, dataset, threads, &|_| ControlFlow::Continue(()))?;
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
        let model = crate::layout_model().expect("the model inside");
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
