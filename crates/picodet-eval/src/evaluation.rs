//! The numbers of an evaluation: COCO's twelve, and each class's.

use crate::accumulate::{GroupResult, evaluate_group};
use crate::error::EvaluationError;
use crate::index::Index;
use crate::numpy::mean_of_present;
use crate::parameters::{AreaRange, Parameters};
use crate::types::{Category, Detection, GroundTruth};

/// What an evaluation did not look at, or looked at as pycocotools does though it may surprise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notes {
    /// Annotations with id 0 (at most one): see [`crate::ZeroId`].
    pub zero_ids: usize,
    /// Annotations in images that are not evaluated.
    pub truths_without_image: usize,
    /// Annotations of classes that are not evaluated.
    pub truths_without_category: usize,
    /// Detections of classes that are not evaluated.
    pub detections_without_category: usize,
}

/// COCO's twelve numbers, each 0..1, or -1 where there is nothing to find.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Average precision, mean over the overlaps 0.50 to 0.95, all areas, 100 detections.
    pub ap: f64,
    /// AP at overlap 0.50.
    pub ap50: f64,
    /// AP at overlap 0.75.
    pub ap75: f64,
    /// AP of objects below 32² square pixels.
    pub ap_small: f64,
    /// AP of objects of 32² to 96².
    pub ap_medium: f64,
    /// AP of objects above 96².
    pub ap_large: f64,
    /// Average recall with one detection an image and class.
    pub ar1: f64,
    /// Average recall with ten.
    pub ar10: f64,
    /// Average recall with a hundred.
    pub ar100: f64,
    /// AR of objects below 32² square pixels.
    pub ar_small: f64,
    /// AR of objects of 32² to 96².
    pub ar_medium: f64,
    /// AR of objects above 96².
    pub ar_large: f64,
}

impl Summary {
    /// The twelve in pycocotools' order (`COCOeval.stats`).
    pub fn values(&self) -> [f64; 12] {
        [
            self.ap,
            self.ap50,
            self.ap75,
            self.ap_small,
            self.ap_medium,
            self.ap_large,
            self.ar1,
            self.ar10,
            self.ar100,
            self.ar_small,
            self.ar_medium,
            self.ar_large,
        ]
    }
}

/// One class's numbers, each 0..1, or -1 where there is nothing to find.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassResult {
    /// The class.
    pub category: Category,
    /// Objects that are wanted (no crowds).
    pub truths: usize,
    /// Detections that were looked at (the best 100 an image).
    pub detections: usize,
    /// AP, mean over the overlaps.
    pub ap: f64,
    /// AP at overlap 0.50.
    pub ap50: f64,
    /// AP at overlap 0.75.
    pub ap75: f64,
    /// AP of small, medium and large objects.
    pub ap_by_area: [f64; 3],
    /// Recall with 100 detections, mean over the overlaps.
    pub ar100: f64,
}

/// Boxes, checked and grouped, ready to be evaluated ([`Evaluator::evaluate`]) and looked into
/// ([`Evaluator::diagnose`]).
pub struct Evaluator<'a> {
    pub(crate) index: Index,
    pub(crate) truths: &'a [GroundTruth],
    pub(crate) detections: &'a [Detection],
    pub(crate) parameters: Parameters,
}

impl<'a> Evaluator<'a> {
    /// `image_ids`: the images that are evaluated, those without objects too, since what is detected
    /// there counts as false. `categories`: the classes that are evaluated.
    ///
    /// # Errors
    /// Detections in other images, numbers that are not finite, annotations with the same id,
    /// parameters out of range.
    pub fn new(
        image_ids: &[i64],
        categories: &[Category],
        truths: &'a [GroundTruth],
        detections: &'a [Detection],
        parameters: Parameters,
    ) -> Result<Self, EvaluationError> {
        parameters.check()?;
        let index = Index::build(image_ids, categories, truths, detections, &parameters)?;
        Ok(Self { index, truths, detections, parameters })
    }

    /// Computes COCO's numbers as pycocotools' `evaluate`, `accumulate` and `summarize` do.
    pub fn evaluate(&self) -> Evaluation {
        let groups = picodet_parallel::map(0..self.index.groups.len(), self.parameters.threads, |group| {
            let cells = &self.index.groups[group];
            evaluate_group(cells, &self.index, self.truths, self.detections, &self.parameters)
        });
        let categories = if self.parameters.use_categories {
            self.index.categories.clone()
        } else {
            vec![Category { id: -1, name: "all classes".to_owned() }]
        };
        Evaluation {
            parameters: self.parameters.clone(),
            categories,
            image_count: self.index.images.len(),
            notes: self.index.notes,
            groups,
        }
    }
}

/// Evaluates with COCO's parameters; see [`Evaluator::new`] for the arguments and errors.
///
/// # Errors
/// As [`Evaluator::new`].
pub fn evaluate(
    image_ids: &[i64],
    categories: &[Category],
    truths: &[GroundTruth],
    detections: &[Detection],
) -> Result<Evaluation, EvaluationError> {
    Ok(Evaluator::new(image_ids, categories, truths, detections, Parameters::default())?.evaluate())
}

/// Precision and recall of each class at each threshold (SPEC.md section 6.5).
pub struct Evaluation {
    parameters: Parameters,
    categories: Vec<Category>,
    image_count: usize,
    notes: Notes,
    groups: Vec<GroupResult>,
}

impl Evaluation {
    /// The parameters it was made with.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The classes by ascending id; one entry with id -1 if classes were not looked at.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// How many images were evaluated.
    pub fn image_count(&self) -> usize {
        self.image_count
    }

    /// What was left out.
    pub fn notes(&self) -> Notes {
        self.notes
    }

    /// Precision at each recall threshold, for the class at `category` in [`Evaluation::categories`],
    /// with the largest `max_detections`. All -1 where there is nothing to find, `None` out of range.
    pub fn precision(&self, category: usize, area: AreaRange, threshold: usize) -> Option<&[f64]> {
        let recall_count = self.parameters.recall_thresholds.len();
        if threshold >= self.parameters.iou_thresholds.len() {
            return None;
        }
        let row = area as usize * self.parameters.iou_thresholds.len() + threshold;
        self.groups.get(category)?.precision.get(row * recall_count..(row + 1) * recall_count)
    }

    /// Scores down to which detections must be taken for each recall threshold, all areas; 0 where the
    /// recall is not reached. As [`Evaluation::precision`] otherwise.
    pub fn scores(&self, category: usize, threshold: usize) -> Option<&[f64]> {
        let recall_count = self.parameters.recall_thresholds.len();
        self.groups.get(category)?.scores.get(threshold * recall_count..(threshold + 1) * recall_count)
    }

    /// Recall at each overlap threshold with at most `max_detections[limit]` detections an image.
    pub fn recall(&self, category: usize, area: AreaRange, limit: usize) -> Option<&[f64]> {
        let threshold_count = self.parameters.iou_thresholds.len();
        if limit >= self.parameters.max_detections.len() {
            return None;
        }
        let row = area as usize * self.parameters.max_detections.len() + limit;
        self.groups.get(category)?.recall.get(row * threshold_count..(row + 1) * threshold_count)
    }

    /// COCO's twelve numbers. -1 at 0.50 and 0.75 if the parameters do not have these thresholds.
    pub fn summary(&self) -> Summary {
        let ap = |iou, area| self.average_precision(iou, area, 0..self.groups.len());
        let ar = |area, limit| self.average_recall(area, limit, 0..self.groups.len());
        Summary {
            ap: ap(None, AreaRange::All),
            ap50: ap(Some(0.5), AreaRange::All),
            ap75: ap(Some(0.75), AreaRange::All),
            ap_small: ap(None, AreaRange::Small),
            ap_medium: ap(None, AreaRange::Medium),
            ap_large: ap(None, AreaRange::Large),
            ar1: ar(AreaRange::All, 0),
            ar10: ar(AreaRange::All, 1),
            ar100: ar(AreaRange::All, 2),
            ar_small: ar(AreaRange::Small, 2),
            ar_medium: ar(AreaRange::Medium, 2),
            ar_large: ar(AreaRange::Large, 2),
        }
    }

    /// The numbers of each class, in the order of [`Evaluation::categories`].
    pub fn classes(&self) -> Vec<ClassResult> {
        let one = |(place, category): (usize, &Category)| {
            let ap = |iou, area| self.average_precision(iou, area, place..place + 1);
            ClassResult {
                category: category.clone(),
                truths: self.groups[place].truths,
                detections: self.groups[place].detections,
                ap: ap(None, AreaRange::All),
                ap50: ap(Some(0.5), AreaRange::All),
                ap75: ap(Some(0.75), AreaRange::All),
                ap_by_area: [AreaRange::Small, AreaRange::Medium, AreaRange::Large]
                    .map(|area| ap(None, area)),
                ar100: self.average_recall(AreaRange::All, 2, place..place + 1),
            }
        };
        self.categories.iter().enumerate().map(one).collect()
    }

    /// Precision at each recall, mean over the classes that have objects: at one overlap, or over all.
    /// -1 where there is no such class.
    pub fn mean_precision(&self, iou: Option<f64>) -> Vec<f64> {
        let at = |recall: usize| {
            let values = self.thresholds(iou).into_iter().flat_map(|threshold| {
                (0..self.groups.len()).filter_map(move |group| {
                    self.precision(group, AreaRange::All, threshold).map(|row| row[recall])
                })
            });
            mean_of_present(values)
        };
        (0..self.parameters.recall_thresholds.len()).map(at).collect()
    }

    fn thresholds(&self, iou: Option<f64>) -> Vec<usize> {
        let all = self.parameters.iou_thresholds.iter().enumerate();
        all.filter(|&(_, &value)| iou.is_none_or(|iou| iou == value)).map(|(place, _)| place).collect()
    }

    fn average_precision(&self, iou: Option<f64>, area: AreaRange, groups: std::ops::Range<usize>) -> f64 {
        let recall_count = self.parameters.recall_thresholds.len();
        let mut values = Vec::new();
        // Threshold, recall, class: the order in which numpy adds decides the last digits.
        for threshold in self.thresholds(iou) {
            let row = area as usize * self.parameters.iou_thresholds.len() + threshold;
            for recall in 0..recall_count {
                let place = row * recall_count + recall;
                values.extend(self.groups[groups.clone()].iter().map(|group| group.precision[place]));
            }
        }
        mean_of_present(values.into_iter())
    }

    fn average_recall(&self, area: AreaRange, limit: usize, groups: std::ops::Range<usize>) -> f64 {
        let threshold_count = self.parameters.iou_thresholds.len();
        let row = area as usize * self.parameters.max_detections.len() + limit;
        let values = (0..threshold_count).flat_map(|threshold| {
            let place = row * threshold_count + threshold;
            self.groups[groups.clone()].iter().map(move |group| group.recall[place])
        });
        mean_of_present(values)
    }
}
