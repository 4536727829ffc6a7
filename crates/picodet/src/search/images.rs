//! The images on which a search compares candidates: decoded once, kept at the sizes of the network inputs.

use std::collections::BTreeMap;

use picodet_data::Dataset;
use picodet_detect::{Detector, Model, Options};
use picodet_engine::Precision;
use picodet_eval::{Detection, EvaluationError, Evaluator, GroundTruth, Parameters};
use picodet_image::{Image, Interpolation, Limits, decode};
use picodet_search::{Accuracy, Measure};
use picodet_train::EvaluatorError;
use picodet_train::random::{Purpose, Stream};

use crate::evaluate::{EvaluateError, GroundTruths, converted, match_classes};

/// Samples of the images from which standard errors are computed.
const SAMPLES: usize = 200;
/// Second position of the stream of these samples; training and the evolution use smaller ones.
const BOOTSTRAP: u64 = 1 << 32;

/// The images of a search with their objects.
#[derive(Debug)]
pub struct SearchImages {
    dataset: Dataset,
    truths: GroundTruths,
    limits: Limits,
    threads: usize,
    precision: Precision,
    /// The images by height and width of the network input.
    kept: BTreeMap<(usize, usize), Vec<Image>>,
}

impl SearchImages {
    /// Prepares the images of a dataset; they are read when the first model is evaluated.
    #[must_use]
    pub fn new(dataset: Dataset, limits: Limits, threads: usize, precision: Precision) -> Self {
        let truths = GroundTruths::of(&dataset);
        Self { dataset, truths, limits, threads, precision, kept: BTreeMap::new() }
    }

    /// Returns the detections of a model in all images.
    ///
    /// # Errors
    /// If an image cannot be read or the model cannot be run.
    pub fn detect(&mut self, model: &Model) -> Result<Vec<Detection>, EvaluateError> {
        let size = model.metadata.input_size;
        if !self.kept.contains_key(&size) {
            let images = self.read(model)?;
            self.kept.insert(size, images);
        }
        let categories = match_classes(model, &self.dataset)?;
        let options = Options::default().with_limits(self.limits).with_precision(self.precision);
        let detector = Detector::new(model, &options)?;
        let found =
            picodet_parallel::map(self.kept[&size].iter().enumerate(), self.threads, |(index, image)| {
                let detections = detector.detect(image)?;
                Ok(converted(detections, self.truths.image_ids[index], &categories).collect::<Vec<_>>())
            });
        Ok(found.into_iter().collect::<Result<Vec<_>, picodet_detect::Error>>()?.concat())
    }

    /// Decodes all images and resizes them to the input of a model, as the model does.
    fn read(&self, model: &Model) -> Result<Vec<Image>, EvaluateError> {
        let resize = model.metadata.resize.parse().unwrap_or(Interpolation::Cubic);
        let read = |index: usize| {
            let path = self.dataset.image_path(index).unwrap_or_default();
            let failed = |problem: String| EvaluateError::Image { path: path.clone(), problem };
            let bytes = self.dataset.read_image(index).map_err(|error| failed(error.to_string()))?;
            let image = decode(&bytes, &self.limits).map_err(|error| failed(error.to_string()))?;
            Ok(image.reduced(model.metadata.input_size, resize))
        };
        let images = picodet_parallel::map(0..self.dataset.images.len(), self.threads, read);
        images.into_iter().collect()
    }

    /// Returns the accuracy of a model, by its detections, on each of several samples of the images with replacement; the same
    /// samples for all models.
    ///
    /// # Errors
    /// [`EvaluationError`], which detections of this type rule out.
    pub fn sampled(&self, detections: &[Detection]) -> Result<Vec<f64>, EvaluationError> {
        let mut images: BTreeMap<i64, (Vec<GroundTruth>, Vec<Detection>)> = BTreeMap::new();
        for object in &self.truths.objects {
            images.entry(object.image_id).or_default().0.push(*object);
        }
        for found in detections {
            images.entry(found.image_id).or_default().1.push(*found);
        }
        let count = self.truths.image_ids.len();
        let ids: Vec<i64> = (0i64..).take(count).collect();
        let accuracy = |sample: usize| {
            let mut stream = Stream::new(0, Purpose::Search, sample as u64, BOOTSTRAP);
            let (mut objects, mut found) = (Vec::new(), Vec::new());
            for &place in &ids {
                let Some((own, detections)) = images.get(&self.truths.image_ids[stream.index(count)]) else {
                    continue;
                };
                for object in own {
                    let id = objects.len() as i64 + 1;
                    objects.push(GroundTruth { id, image_id: place, ..*object });
                }
                found.extend(detections.iter().map(|found| Detection { image_id: place, ..*found }));
            }
            let parameters = Parameters { threads: 1, ..Parameters::default() };
            let evaluator = Evaluator::new(&ids, &self.truths.categories, &objects, &found, parameters)?;
            Ok(evaluator.evaluate().summary().ap)
        };
        picodet_parallel::map(0..SAMPLES, self.threads, accuracy).into_iter().collect()
    }

    /// Returns the accuracy on all images and on both halves of them.
    ///
    /// # Errors
    /// [`EvaluationError`], which detections of this type rule out.
    pub fn accuracy(&self, detections: &[Detection]) -> Result<Accuracy, EvaluationError> {
        let of = |ids: &[i64]| -> Result<f64, EvaluationError> {
            let kept: std::collections::BTreeSet<&i64> = ids.iter().collect();
            let detections: Vec<Detection> =
                detections.iter().filter(|found| kept.contains(&found.image_id)).copied().collect();
            let parameters = Parameters { threads: self.threads, ..Parameters::default() };
            let GroundTruths { categories, objects, .. } = &self.truths;
            Ok(Evaluator::new(ids, categories, objects, &detections, parameters)?.evaluate().summary().ap)
        };
        let half = |first: usize| {
            of(&self.truths.image_ids.iter().copied().skip(first).step_by(2).collect::<Vec<_>>())
        };
        Ok(Accuracy { accuracy: of(&self.truths.image_ids)?, halves: [half(0)?, half(1)?] })
    }
}

impl Measure for SearchImages {
    fn measure(&mut self, model: &Model) -> Result<Accuracy, EvaluatorError> {
        let detections = self.detect(model).map_err(EvaluatorError::new)?;
        self.accuracy(&detections).map_err(EvaluatorError::new)
    }
}

/// Returns the standard error of the difference between the accuracies of two models, by their accuracies on the same samples.
#[must_use]
pub(crate) fn paired_error(first: &[f64], second: &[f64]) -> f64 {
    let differences: Vec<f64> = first.iter().zip(second).map(|(first, second)| first - second).collect();
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count.max(1.0);
    let squares = differences.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (squares / (count - 1.0).max(1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_models_share_is_no_error_of_their_difference() {
        let samples = [0.5, 0.7, 0.6, 0.4];
        let shifted = samples.map(|value| value - 0.1);
        assert!(paired_error(&samples, &shifted) < 1e-12);
        // Differences 0.1, -0.1, 0.1, -0.1.
        let other = [0.4, 0.8, 0.5, 0.5];
        assert!((paired_error(&samples, &other) - (0.04f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
