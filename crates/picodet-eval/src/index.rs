//! Groups boxes by class and image, in the order in which pycocotools processes them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::error::EvaluationError;
use crate::parameters::Parameters;
use crate::types::{Category, Detection, GroundTruth, Notes};

/// The boxes of one class in one image; ranges into [`Index::truths`] and [`Index::detections`].
#[derive(Debug)]
pub(crate) struct ImageClass {
    /// Index into the ascending image ids.
    pub(crate) image: usize,
    /// Annotated objects in the order of the input.
    pub(crate) truths: Range<usize>,
    /// Detections, best first; equal scores in the order of the input.
    pub(crate) detections: Range<usize>,
}

/// Boxes grouped by class and image.
#[derive(Debug)]
pub(crate) struct Index {
    /// Image ids, ascending, without repetition.
    pub(crate) images: Vec<i64>,
    /// Categories by ascending id, without repetition.
    pub(crate) categories: Vec<Category>,
    /// Indices into the annotated objects of the input.
    pub(crate) truths: Vec<usize>,
    /// Indices into the detections of the input.
    pub(crate) detections: Vec<usize>,
    /// For each class (one for all without classes) its images with boxes, by ascending image id.
    pub(crate) classes: Vec<Vec<ImageClass>>,
    /// Input that was left out.
    pub(crate) notes: Notes,
}

/// Sort key of a box: class, image, category, index in the input.
type Key = (usize, usize, usize, usize);

impl Index {
    /// Checks the input and groups its boxes.
    pub(crate) fn build(
        image_ids: &[i64],
        categories: &[Category],
        truths: &[GroundTruth],
        detections: &[Detection],
        parameters: &Parameters,
    ) -> Result<Self, EvaluationError> {
        check_numbers(truths, detections)?;
        let mut images = image_ids.to_vec();
        images.sort_unstable();
        images.dedup();
        let image_of: HashMap<i64, usize> =
            images.iter().enumerate().map(|(index, id)| (*id, index)).collect();
        check_ids(truths, detections, &image_of)?;
        let mut categories = categories.to_vec();
        categories.sort_by_key(|category| category.id);
        categories.dedup_by_key(|category| category.id);
        let category_of: HashMap<i64, usize> =
            categories.iter().enumerate().map(|(index, category)| (category.id, index)).collect();

        let key = |image: i64, category: i64, index: usize| -> Option<Key> {
            let category = *category_of.get(&category)?;
            let class = if parameters.use_categories { category } else { 0 };
            Some((class, *image_of.get(&image)?, category, index))
        };
        let mut notes = Notes::default();
        let mut true_keys = Vec::with_capacity(truths.len());
        for (index, truth) in truths.iter().enumerate() {
            notes.zero_ids += usize::from(truth.id == 0);
            notes.truths_without_image += usize::from(!image_of.contains_key(&truth.image_id));
            notes.truths_without_category += usize::from(!category_of.contains_key(&truth.category_id));
            true_keys.extend(key(truth.image_id, truth.category_id, index));
        }
        let mut detected_keys = Vec::with_capacity(detections.len());
        for (index, detection) in detections.iter().enumerate() {
            let found = key(detection.image_id, detection.category_id, index);
            notes.detections_without_category += usize::from(found.is_none());
            detected_keys.extend(found);
        }
        true_keys.sort_unstable();
        detected_keys.sort_unstable_by(|a, b| {
            // Scores are finite and therefore comparable; -0 and 0 are equal as in numpy.
            let by_score = detections[b.3].score.partial_cmp(&detections[a.3].score);
            (a.0, a.1)
                .cmp(&(b.0, b.1))
                .then(by_score.unwrap_or(std::cmp::Ordering::Equal))
                .then((a.2, a.3).cmp(&(b.2, b.3)))
        });
        let class_count = if parameters.use_categories { categories.len() } else { 1 };
        Ok(Self {
            classes: group(&true_keys, &detected_keys, class_count),
            truths: true_keys.iter().map(|key| key.3).collect(),
            detections: detected_keys.iter().map(|key| key.3).collect(),
            images,
            categories,
            notes,
        })
    }
}

fn group(truths: &[Key], detections: &[Key], class_count: usize) -> Vec<Vec<ImageClass>> {
    let mut classes: Vec<Vec<ImageClass>> = (0..class_count).map(|_| Vec::new()).collect();
    let (mut truth, mut detection) = (0, 0);
    let class_and_image = |key: &Key| (key.0, key.1);
    while truth < truths.len() || detection < detections.len() {
        let here = match (truths.get(truth), detections.get(detection)) {
            (Some(a), Some(b)) => class_and_image(a).min(class_and_image(b)),
            (Some(a), None) => class_and_image(a),
            (None, Some(b)) => class_and_image(b),
            (None, None) => break,
        };
        let length = |keys: &[Key]| keys.iter().take_while(|key| class_and_image(key) == here).count();
        let (true_end, detected_end) =
            (truth + length(&truths[truth..]), detection + length(&detections[detection..]));
        classes[here.0].push(ImageClass {
            image: here.1,
            truths: truth..true_end,
            detections: detection..detected_end,
        });
        (truth, detection) = (true_end, detected_end);
    }
    classes
}

fn check_numbers(truths: &[GroundTruth], detections: &[Detection]) -> Result<(), EvaluationError> {
    const FIELDS: [&str; 4] = ["bbox x", "bbox y", "bbox width", "bbox height"];
    let finite = |what, index, field, value: f64| {
        if value.is_finite() { Ok(()) } else { Err(EvaluationError::NotFinite { what, index, field, value }) }
    };
    for (index, truth) in truths.iter().enumerate() {
        for (field, value) in FIELDS.into_iter().zip(truth.bbox) {
            finite("annotation", index, field, value)?;
        }
        finite("annotation", index, "area", truth.area)?;
    }
    for (index, detection) in detections.iter().enumerate() {
        for (field, value) in FIELDS.into_iter().zip(detection.bbox) {
            finite("detection", index, field, value)?;
        }
        finite("detection", index, "score", detection.score)?;
    }
    Ok(())
}

fn check_ids(
    truths: &[GroundTruth],
    detections: &[Detection],
    image_of: &HashMap<i64, usize>,
) -> Result<(), EvaluationError> {
    let mut ids = HashSet::with_capacity(truths.len());
    for (second, truth) in truths.iter().enumerate() {
        if !ids.insert(truth.id) {
            let first = truths.iter().position(|other| other.id == truth.id).unwrap_or(second);
            return Err(EvaluationError::DuplicateAnnotation { id: truth.id, first, second });
        }
    }
    let unknown = |detection: &&Detection| !image_of.contains_key(&detection.image_id);
    let count = detections.iter().filter(unknown).count();
    if let Some(index) = detections.iter().position(|detection| unknown(&detection)) {
        let image_id = detections[index].image_id;
        return Err(EvaluationError::UnknownImage { index, image_id, count, total: detections.len() });
    }
    Ok(())
}
