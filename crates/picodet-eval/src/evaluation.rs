//! Runs an evaluation and summarises it: the twelve COCO metrics and the metrics of each class.

use std::ops::Range;

use crate::accumulate::{ClassCurves, evaluate_class};
use crate::error::EvaluationError;
use crate::index::Index;
use crate::numpy::mean_of_present;
use crate::parameters::{AreaRange, Parameters};
use crate::types::{Category, Detection, GroundTruth, Notes};

/// The twelve COCO metrics, each 0 to 1, or -1 without objects.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// Average precision, mean over the IoU thresholds 0.50 to 0.95, all areas, 100 detections per image.
    pub ap: f64,
    /// AP at IoU 0.50.
    pub ap50: f64,
    /// AP at IoU 0.75.
    pub ap75: f64,
    /// AP of objects below 32² square pixels.
    pub ap_small: f64,
    /// AP of objects of 32² to 96².
    pub ap_medium: f64,
    /// AP of objects above 96².
    pub ap_large: f64,
    /// Average recall with one detection per image and class.
    pub ar1: f64,
    /// Average recall with ten detections per image and class.
    pub ar10: f64,
    /// Average recall with a hundred detections per image and class.
    pub ar100: f64,
    /// AR of objects below 32² square pixels.
    pub ar_small: f64,
    /// AR of objects of 32² to 96².
    pub ar_medium: f64,
    /// AR of objects above 96².
    pub ar_large: f64,
}

impl Summary {
    /// The twelve metrics in pycocotools' order (`COCOeval.stats`).
    #[must_use]
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

/// The metrics of one class, each 0 to 1, or -1 without objects.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ClassResult {
    /// The class.
    pub category: Category,
    /// Objects that count (crowd regions do not).
    pub truths: usize,
    /// Detections that count (the best 100 per image).
    pub detections: usize,
    /// AP, mean over the IoU thresholds.
    pub ap: f64,
    /// AP at IoU 0.50.
    pub ap50: f64,
    /// AP at IoU 0.75.
    pub ap75: f64,
    /// AP of small, medium and large objects.
    pub ap_by_area: [f64; 3],
    /// Recall with 100 detections per image, mean over the IoU thresholds.
    pub ar100: f64,
}

/// Checked and grouped boxes, ready for [`Evaluator::evaluate`] and [`Evaluator::diagnose`].
#[derive(Debug)]
#[must_use]
pub struct Evaluator<'a> {
    pub(crate) index: Index,
    pub(crate) truths: &'a [GroundTruth],
    pub(crate) detections: &'a [Detection],
    pub(crate) parameters: Parameters,
}

impl<'a> Evaluator<'a> {
    /// Checks and groups the boxes of the images `image_ids` and the classes `categories`. Images without
    /// objects must be included, since detections in them are false positives.
    ///
    /// # Errors
    /// [`EvaluationError`] for detections in other images, NaN and infinite values, annotations with equal
    /// ids, and parameters out of range.
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

    /// Computes the COCO metrics like `evaluate`, `accumulate` and `summarize` of pycocotools.
    #[must_use]
    pub fn evaluate(&self) -> Evaluation {
        let curves = picodet_parallel::map(0..self.index.classes.len(), self.parameters.threads, |class| {
            let images = &self.index.classes[class];
            evaluate_class(images, &self.index, self.truths, self.detections, &self.parameters)
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
            curves,
        }
    }
}

/// Evaluates with the COCO parameters; see [`Evaluator::new`] for the arguments and errors.
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

/// Precision and recall of each class at each threshold (SPEC §6.5).
#[derive(Debug, Clone)]
pub struct Evaluation {
    parameters: Parameters,
    categories: Vec<Category>,
    image_count: usize,
    notes: Notes,
    curves: Vec<ClassCurves>,
}

impl Evaluation {
    /// The parameters of the evaluation.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The classes by ascending id; a single one with id -1 if classes were not distinguished.
    #[must_use]
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The number of evaluated images.
    #[must_use]
    pub fn image_count(&self) -> usize {
        self.image_count
    }

    /// Input that was left out.
    #[must_use]
    pub fn notes(&self) -> Notes {
        self.notes
    }

    /// Precision at each recall threshold, for the class at `category` in [`Evaluation::categories`], with
    /// the largest `max_detections`. All values are -1 without objects; `None` if an index is out of range.
    #[must_use]
    pub fn precision(&self, category: usize, area: AreaRange, threshold: usize) -> Option<&[f64]> {
        let recall_count = self.parameters.recall_thresholds.len();
        if threshold >= self.parameters.iou_thresholds.len() {
            return None;
        }
        let row = area as usize * self.parameters.iou_thresholds.len() + threshold;
        self.curves.get(category)?.precision.get(row * recall_count..(row + 1) * recall_count)
    }

    /// The lowest score of the detections that reach each recall threshold, all areas; 0 if the recall is not
    /// reached. Otherwise as [`Evaluation::precision`].
    #[must_use]
    pub fn scores(&self, category: usize, threshold: usize) -> Option<&[f64]> {
        let recall_count = self.parameters.recall_thresholds.len();
        self.curves.get(category)?.scores.get(threshold * recall_count..(threshold + 1) * recall_count)
    }

    /// Recall at each IoU threshold with at most `max_detections[limit]` detections per image and class.
    #[must_use]
    pub fn recall(&self, category: usize, area: AreaRange, limit: usize) -> Option<&[f64]> {
        let threshold_count = self.parameters.iou_thresholds.len();
        if limit >= self.parameters.max_detections.len() {
            return None;
        }
        let row = area as usize * self.parameters.max_detections.len() + limit;
        self.curves.get(category)?.recall.get(row * threshold_count..(row + 1) * threshold_count)
    }

    /// The twelve COCO metrics; AP at 0.50 or 0.75 is -1 if the parameters do not have this threshold.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let ap = |iou, area| self.average_precision(iou, area, 0..self.curves.len());
        let ar = |area, limit| self.average_recall(area, limit, 0..self.curves.len());
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

    /// The metrics of each class, in the order of [`Evaluation::categories`].
    #[must_use]
    pub fn classes(&self) -> Vec<ClassResult> {
        let one = |(class, category): (usize, &Category)| {
            let ap = |iou, area| self.average_precision(iou, area, class..class + 1);
            ClassResult {
                category: category.clone(),
                truths: self.curves[class].truths,
                detections: self.curves[class].detections,
                ap: ap(None, AreaRange::All),
                ap50: ap(Some(0.5), AreaRange::All),
                ap75: ap(Some(0.75), AreaRange::All),
                ap_by_area: [AreaRange::Small, AreaRange::Medium, AreaRange::Large]
                    .map(|area| ap(None, area)),
                ar100: self.average_recall(AreaRange::All, 2, class..class + 1),
            }
        };
        self.categories.iter().enumerate().map(one).collect()
    }

    /// Precision at each recall threshold, mean over the classes that have objects, for one IoU threshold or
    /// over all; -1 without such classes.
    #[must_use]
    pub fn mean_precision(&self, iou: Option<f64>) -> Vec<f64> {
        let at = |recall: usize| {
            let values = self.thresholds(iou).into_iter().flat_map(|threshold| {
                (0..self.curves.len()).filter_map(move |class| {
                    self.precision(class, AreaRange::All, threshold).map(|row| row[recall])
                })
            });
            mean_of_present(values)
        };
        (0..self.parameters.recall_thresholds.len()).map(at).collect()
    }

    fn thresholds(&self, iou: Option<f64>) -> Vec<usize> {
        let all = self.parameters.iou_thresholds.iter().enumerate();
        all.filter(|&(_, &value)| iou.is_none_or(|iou| iou == value)).map(|(index, _)| index).collect()
    }

    fn average_precision(&self, iou: Option<f64>, area: AreaRange, classes: Range<usize>) -> f64 {
        let recall_count = self.parameters.recall_thresholds.len();
        let mut values = Vec::new();
        // Threshold, recall, class: numpy's order of summation, which decides the last digits.
        for threshold in self.thresholds(iou) {
            let row = area as usize * self.parameters.iou_thresholds.len() + threshold;
            for recall in 0..recall_count {
                let at = row * recall_count + recall;
                values.extend(self.curves[classes.clone()].iter().map(|curves| curves.precision[at]));
            }
        }
        mean_of_present(values.into_iter())
    }

    fn average_recall(&self, area: AreaRange, limit: usize, classes: Range<usize>) -> f64 {
        let threshold_count = self.parameters.iou_thresholds.len();
        let row = area as usize * self.parameters.max_detections.len() + limit;
        let values = (0..threshold_count).flat_map(|threshold| {
            let at = row * threshold_count + threshold;
            self.curves[classes.clone()].iter().map(move |curves| curves.recall[at])
        });
        mean_of_present(values)
    }
}
