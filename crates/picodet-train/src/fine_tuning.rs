//! Adapts a published recipe to fine-tuning on few images.

use crate::{AverageConfig, Experiment, InputSize, OptimiserConfig, RateConfig, ScheduleKind};

/// Images per batch.
pub const FINE_TUNING_BATCH: usize = 8;
/// Images that pass through the network in a run: half an hour of S 416 on two cores.
const PASSES: usize = 24_000;
/// Runs through which at most so many images pass are too short for crops and changes of colour.
const PLAIN_PASSES: usize = 3_000;
/// Datasets with more images are trained by the published recipe.
const MOST_IMAGES: usize = 5000;
/// The fewest and the most epochs.
const EPOCHS: [usize; 2] = [12, 100];
/// Learning rate for [`FINE_TUNING_BATCH`] images if the model does not know all classes.
const RATE_NEW: f64 = 0.02;
/// Learning rate if the model knows all classes.
const RATE_KNOWN: f64 = 0.003;
/// Images that pass through the network in training with quantisation.
const QUANTISED_PASSES: usize = 5_000;
/// Learning rate of training with quantisation: how far a weight moves in a step, in integers.
const QUANTISED_RATE: f64 = 0.003;

impl Experiment {
    /// Replaces the schedule by that for fine-tuning a trained model on `images` images. `knows_all` states whether the model
    /// was trained on all classes of the dataset.
    ///
    /// A model that knows all classes starts near its best accuracy, which a high learning rate would destroy; new classes and
    /// pictures of another kind need a high one. A short run, of fewer epochs or by a time limit, flips images only. Results are in
    /// BENCHMARKS.md.
    ///
    /// Returns whether it did; a large dataset keeps the recipe.
    pub fn fine_tune(&mut self, images: usize, knows_all: bool) -> bool {
        if images > MOST_IMAGES {
            return false;
        }
        let [fewest, most] = EPOCHS;
        let epochs = (PASSES / images.max(1)).clamp(fewest, most);
        self.scale_phases(epochs as f64 / self.epochs.max(1) as f64);
        self.batch.images = FINE_TUNING_BATCH;
        self.batch.plain_epochs = PLAIN_PASSES / images.max(1);
        self.average = AverageConfig::default();
        self.set_epochs(epochs);
        self.rate = RateConfig {
            base: if knows_all { RATE_KNOWN } else { RATE_NEW },
            schedule: ScheduleKind::Cosine,
            ..self.rate.clone()
        };
        true
    }

    /// Replaces schedule and augmentation by those of training with quantisation, of a trained model with an input of `size` that
    /// `resize` scales images to, on `images` images.
    ///
    /// Colours are not changed: maps keep the ranges that their scales were chosen for.
    pub fn quantise(&mut self, images: usize, size: (usize, usize), resize: &str) {
        let epochs = (QUANTISED_PASSES / images.max(1)).max(1);
        self.scale_phases(epochs as f64 / self.epochs.max(1) as f64);
        self.batch.images = FINE_TUNING_BATCH;
        self.batch.sizes = vec![InputSize::Rectangle(size.0, size.1)];
        self.batch.interpolations = vec![resize.to_owned()];
        self.batch.augmentation = ["crop", "flip 0.5"].map(str::to_owned).to_vec();
        (self.batch.mosaic_until, self.batch.plain_epochs) = (None, 0);
        self.average = AverageConfig::default();
        self.optimiser = OptimiserConfig::default();
        self.set_epochs(epochs);
        self.rate = RateConfig { base: QUANTISED_RATE, schedule: ScheduleKind::Cosine, ..self.rate.clone() };
    }

    /// Sets the epochs of the run and of its schedule.
    pub fn set_epochs(&mut self, epochs: usize) {
        self.epochs = epochs;
        self.rate.epochs = epochs;
    }
}

#[cfg(test)]
mod tests {
    use crate::Schedule;
    use crate::objective::Assigner;
    use crate::recipes::{RECIPES, recipe};

    use super::*;

    #[test]
    fn every_recipe_is_valid_and_annealed_for_few_and_many_images() {
        for (name, _) in RECIPES {
            for images in [1, 100, 1000, MOST_IMAGES] {
                let mut experiment = recipe(name).expect("a recipe");
                assert!(experiment.fine_tune(images, false), "{name}, {images} images");
                assert_eq!(experiment.check(), Ok(()), "{name}, {images} images");
                let steps_per_epoch = (images / FINE_TUNING_BATCH).max(1);
                let steps = experiment.epochs * steps_per_epoch;
                let schedule = experiment.schedule(FINE_TUNING_BATCH, steps, steps_per_epoch);
                assert!(matches!(schedule, Schedule::Cosine { .. }) && schedule.warm_up() * 10 <= steps);
                assert!(schedule.rate(steps) < 1e-9, "{name}, {images} images: {schedule:?}");
                if let Assigner::AtssThenTaskAligned { static_epochs } = experiment.assigner {
                    assert!(static_epochs < experiment.epochs, "{name}, {images} images");
                }
            }
        }
    }

    #[test]
    fn a_large_dataset_keeps_the_recipe() {
        let published = recipe("legacy_s_416").expect("a recipe");
        let mut experiment = published.clone();
        assert!(!experiment.fine_tune(118_000, true));
        assert_eq!(experiment, published);
    }

    #[test]
    fn short_runs_flip_images_only() {
        let mut experiment = recipe("legacy_s_416").expect("a recipe");
        experiment.fine_tune(200, false);
        let steps = |epochs: f64| experiment.augmentation(epochs).map(|steps| steps.len());
        assert_eq!(steps(experiment.epochs as f64), Ok(3));
        assert_eq!((steps(15.0), steps(15.1)), (Ok(1), Ok(3)), "at most 3000 images");
        let published = recipe("legacy_s_416").expect("a recipe");
        assert_eq!(published.augmentation(1.0).map(|steps| steps.len()), Ok(3));
    }

    #[test]
    fn known_classes_are_trained_at_a_lower_rate() {
        let rate = |knows_all: bool| {
            let mut experiment = recipe("legacy_s_416").expect("a recipe");
            experiment.fine_tune(200, knows_all);
            experiment.rate_for(FINE_TUNING_BATCH)
        };
        assert!(rate(true) < rate(false));
    }
}
