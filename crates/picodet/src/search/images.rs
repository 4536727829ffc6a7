//! The images on which a search compares candidates: decoded once, kept at the sizes of the network inputs.

use std::collections::BTreeMap;

use picodet_data::Dataset;
use picodet_detect::{Detector, Model, Options};
use picodet_engine::Precision;
use picodet_eval::{Detection, EvaluationError, Evaluator, Parameters};
use picodet_image::{Image, Interpolation, Limits, decode};
use picodet_search::{Accuracy, Measure};
use picodet_train::EvaluatorError;
use picodet_train::random::{Purpose, Stream};

use crate::evaluate::{EvaluateError, GroundTruths, converted, match_classes};

/// Samples of the images from which the standard error is computed.
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

    /// Returns the standard error of the difference between the accuracies of two models, by their detections: that over samples
    /// of the images with replacement, the same ones for both.
    ///
    /// # Errors
    /// [`EvaluationError`], which detections of this type rule out.
    pub fn paired_error(&self, first: &[Detection], second: &[Detection]) -> Result<f64, EvaluationError> {
        let by_image = |detections: &[Detection]| {
            let mut images: BTreeMap<i64, Vec<Detection>> = BTreeMap::new();
            for found in detections {
                images.entry(found.image_id).or_default().push(*found);
            }
            images
        };
        let [first, second] = [first, second].map(by_image);
        let count = self.truths.image_ids.len();
        let difference = |sample: usize| {
            let mut stream = Stream::new(0, Purpose::Search, sample as u64, BOOTSTRAP);
            let drawn: Vec<i64> = (0..count).map(|_| self.truths.image_ids[stream.index(count)]).collect();
            let [first, second] =
                [&first, &second].map(|detections| self.accuracy_of_sample(&drawn, detections));
            Ok(first? - second?)
        };
        let differences = picodet_parallel::map(0..SAMPLES, self.threads, difference);
        let differences: Vec<f64> = differences.into_iter().collect::<Result<_, EvaluationError>>()?;
        let mean = differences.iter().sum::<f64>() / SAMPLES as f64;
        let squares = differences.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Ok((squares / (SAMPLES - 1) as f64).sqrt())
    }

    /// The accuracy on images that were drawn, some of them several times.
    fn accuracy_of_sample(
        &self,
        drawn: &[i64],
        detections: &BTreeMap<i64, Vec<Detection>>,
    ) -> Result<f64, EvaluationError> {
        let mut objects = Vec::new();
        let mut found = Vec::new();
        for (place, image) in (0i64..).zip(drawn) {
            for object in self.truths.objects.iter().filter(|object| object.image_id == *image) {
                objects.push(picodet_eval::GroundTruth {
                    id: objects.len() as i64 + 1,
                    image_id: place,
                    ..*object
                });
            }
            let own = detections.get(image).into_iter().flatten();
            found.extend(own.map(|detection| Detection { image_id: place, ..*detection }));
        }
        let ids: Vec<i64> = (0i64..).take(drawn.len()).collect();
        let evaluator = Evaluator::new(
            &ids,
            &self.truths.categories,
            &objects,
            &found,
            Parameters { threads: 1, ..Parameters::default() },
        )?;
        Ok(evaluator.evaluate().summary().ap)
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
