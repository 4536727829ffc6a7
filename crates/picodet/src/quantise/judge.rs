//! Judges a model by its detections: against those of another model, and against labels.

use std::path::{Path, PathBuf};

use picodet_detect::{Detector, Error, Options};
use picodet_eval::{Category, Detection, EvaluationError, Evaluator, GroundTruth, Parameters};
use picodet_image::Limits;
use picodet_model::Model;

use crate::evaluate::{GroundTruths, converted};

/// Score from which on a detection of the float model counts as an object.
pub const FIDELITY_SCORE: f64 = 0.3;
/// Score from which on detections are compared.
const LOWEST_SCORE: f32 = 0.025;

/// Why detections cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// The float model detects no object in any image.
    #[error(
        "the float model detects nothing with a score of {FIDELITY_SCORE} in the {images} images for judging; \
         give images that contain its classes"
    )]
    NoObjects {
        /// The number of images.
        images: usize,
    },
    /// A detector cannot be prepared or fails.
    #[error(transparent)]
    Detect(#[from] Error),
    /// The boxes cannot be evaluated.
    #[error(transparent)]
    Evaluate(#[from] EvaluationError),
}

/// The detections of a float model in some images, and their labels if there are any.
#[derive(Debug)]
pub struct Judge<'a> {
    images: &'a [PathBuf],
    truth: Option<&'a GroundTruths>,
    /// The category in the labels of each class of the model.
    categories: Vec<Option<i64>>,
    limits: Limits,
    threads: usize,
    float: Vec<Detection>,
    failures: Vec<(&'a Path, String)>,
    classes: Vec<Category>,
}

/// How a model compares with the float model of a [`Judge`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// AP (IoU 0.50 to 0.95) in percent, where the float model's detections of [`FIDELITY_SCORE`] and more are the truth.
    pub fidelity: f64,
    /// AP of the float model in percent, if the images have labels.
    pub ap_float: Option<f64>,
    /// AP of the judged model in percent, if the images have labels.
    pub ap: Option<f64>,
}

impl<'a> Judge<'a> {
    /// Runs the float model on the images. `truth` has one entry per image, in their order; `categories` gives the category
    /// of each class of the model. An image that cannot be read counts as one without detections.
    ///
    /// # Errors
    /// [`JudgeError`] when the model detects no object or cannot be prepared.
    pub fn new(
        model: &Model,
        images: &'a [PathBuf],
        truth: Option<(&'a GroundTruths, Vec<Option<i64>>)>,
        limits: Limits,
        threads: usize,
    ) -> Result<Self, JudgeError> {
        let detector = Detector::new(model, &options(limits))?;
        let (float, failures) = detect(&detector, images, threads);
        let (truth, categories) = truth.unzip();
        let class = |(id, name): (usize, &String)| Category { id: id as i64, name: name.clone() };
        let judge = Self {
            images,
            truth,
            categories: categories.unwrap_or_default(),
            limits,
            threads,
            float,
            failures,
            classes: model.metadata.classes.iter().enumerate().map(class).collect(),
        };
        if judge.float.iter().any(|found| found.score >= FIDELITY_SCORE) {
            Ok(judge)
        } else {
            Err(JudgeError::NoObjects { images: images.len() })
        }
    }

    /// Returns the images that cannot be read, with the reason.
    #[must_use]
    pub fn failures(&self) -> &[(&'a Path, String)] {
        &self.failures
    }

    /// Judges a model, quantised or not, by its detections in the same images.
    ///
    /// # Errors
    /// [`JudgeError`] when the model cannot be prepared.
    pub fn verdict(&self, model: &Model) -> Result<Verdict, JudgeError> {
        let detector = Detector::new(model, &options(self.limits))?;
        let (found, _) = detect(&detector, self.images, self.threads);
        let ids: Vec<i64> = (0..self.images.len() as i64).collect();
        let objects: Vec<GroundTruth> = self
            .float
            .iter()
            .filter(|found| found.score >= FIDELITY_SCORE)
            .enumerate()
            .map(|(index, found)| GroundTruth {
                id: index as i64 + 1,
                image_id: found.image_id,
                category_id: found.category_id,
                bbox: found.bbox,
                area: found.bbox[2] * found.bbox[3],
                crowd: false,
                ignore: false,
            })
            .collect();
        Ok(Verdict {
            fidelity: self.ap(&ids, &self.classes, &objects, &found)?,
            ap_float: self.labelled_ap(&self.float)?,
            ap: self.labelled_ap(&found)?,
        })
    }

    fn labelled_ap(&self, found: &[Detection]) -> Result<Option<f64>, JudgeError> {
        let Some(truth) = self.truth else { return Ok(None) };
        let labelled = |found: &Detection| {
            let category_id = *self.categories.get(usize::try_from(found.category_id).ok()?)?;
            let image_id = *truth.image_ids.get(usize::try_from(found.image_id).ok()?)?;
            Some(Detection { category_id: category_id?, image_id, ..*found })
        };
        let found: Vec<Detection> = found.iter().filter_map(labelled).collect();
        let ap = self.ap(&truth.image_ids, &truth.categories, &truth.objects, &found)?;
        Ok(Some(ap).filter(|ap| *ap >= 0.0))
    }

    /// AP in percent.
    fn ap(
        &self,
        ids: &[i64],
        classes: &[Category],
        objects: &[GroundTruth],
        found: &[Detection],
    ) -> Result<f64, JudgeError> {
        let parameters = Parameters { threads: self.threads, ..Parameters::default() };
        let evaluator = Evaluator::new(ids, classes, objects, found, parameters)?;
        Ok(100.0 * evaluator.evaluate().summary().ap)
    }
}

fn options(limits: Limits) -> Options {
    Options::new().with_score_threshold(LOWEST_SCORE).with_limits(limits)
}

/// The detections in images that have their indices as ids, and the images that cannot be read; categories are classes of the
/// model.
fn detect<'a>(
    detector: &Detector,
    images: &'a [PathBuf],
    threads: usize,
) -> (Vec<Detection>, Vec<(&'a Path, String)>) {
    let categories: Vec<Option<i64>> = (0i64..).take(detector.classes().len()).map(Some).collect();
    let results = picodet_parallel::map(images.iter().enumerate(), threads, |(index, path)| {
        let found = detector.detect(path.as_path()).map_err(|error| (path.as_path(), error.to_string()))?;
        Ok(converted(found, index as i64, &categories).collect::<Vec<_>>())
    });
    let (mut all, mut failures) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(found) => all.extend(found),
            Err(failure) => failures.push(failure),
        }
    }
    (all, failures)
}
