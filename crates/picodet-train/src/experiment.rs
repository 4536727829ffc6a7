//! An experiment: one TOML file that says what is trained, on what recipe (SPEC §7).

use std::path::Path;

use picodet_image::Interpolation;
use picodet_zoo::{Variant, variant};
use serde::{Deserialize, Serialize};

use crate::augment::Step;
use crate::objective::{Assigner, LossKind, Objective};
use crate::{Momentum, MovingAverage, Schedule};

/// All that a run depends on but its data and its seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// The network, by the name of a variant.
    pub model: String,
    /// The ImageNet classifier that the published run started from; said, not loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_start: Option<String>,
    /// Epochs to train.
    pub epochs: usize,
    /// How batches are made.
    pub batch: BatchConfig,
    /// Learning rate.
    pub rate: RateConfig,
    /// Optimiser.
    #[serde(default)]
    pub optimiser: OptimiserConfig,
    /// Moving average of the weights.
    #[serde(default)]
    pub average: AverageConfig,
    /// Which cells learn which objects.
    pub assigner: Assigner,
    /// How wrong they are.
    pub loss: LossKind,
}

/// How batches are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchConfig {
    /// Images of a batch, all processes together; the learning rate is stated for as many.
    pub images: usize,
    /// Sizes of the network input of which one is drawn for each batch.
    pub sizes: Vec<InputSize>,
    /// Interpolations of the resize of which one is drawn for each batch.
    #[serde(default = "all_interpolations")]
    pub interpolations: Vec<String>,
    /// Steps of the augmentation: `crop`, `flip P`, `distort`, `mosaic P`, `hsv`.
    pub augmentation: Vec<String>,
    /// Epoch from which on mosaics are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mosaic_until: Option<usize>,
}

/// A size of the network input: one number for a square, two for height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InputSize {
    /// Height and width alike.
    Square(usize),
    /// Height, width.
    Rectangle(usize, usize),
}

impl InputSize {
    /// Height and width in pixels.
    pub fn pair(self) -> (usize, usize) {
        match self {
            Self::Square(side) => (side, side),
            Self::Rectangle(height, width) => (height, width),
        }
    }
}

/// The learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateConfig {
    /// The rate at the end of the warm-up, for the stated number of images a batch.
    pub base: f64,
    /// `cosine`, or `quadratic` for the NPU recipe.
    #[serde(default)]
    pub schedule: ScheduleKind,
    /// Epochs of the whole schedule, which training need not reach.
    pub epochs: usize,
    /// Steps of the warm-up of `cosine`.
    #[serde(default = "warm_up")]
    pub warm_up: usize,
}

/// The form of the schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Linear warm-up, cosine.
    #[default]
    Cosine,
    /// Quadratic warm-up, cosine, flat end.
    Quadratic,
}

/// Stochastic gradient descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimiserConfig {
    /// Share of the last step that is kept.
    pub momentum: f32,
    /// Pull to zero.
    pub weight_decay: f32,
    /// Largest norm of all gradients together; none in the published recipes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

impl Default for OptimiserConfig {
    fn default() -> Self {
        Self { momentum: 0.9, weight_decay: 4e-5, clip: None }
    }
}

/// The moving average.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AverageConfig {
    /// Epochs after which the average starts anew: Cycle-EMA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycle: Option<usize>,
}

fn all_interpolations() -> Vec<String> {
    ["nearest", "linear", "area", "cubic", "lanczos4"].map(str::to_owned).to_vec()
}

fn warm_up() -> usize {
    300
}

/// What is wrong with an experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ExperimentError {
    /// The file, or the key in it.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

impl Experiment {
    /// Reads an experiment.
    ///
    /// # Errors
    /// When the text is no TOML, has a key that is not known or lacks one, or a value does not make sense.
    pub fn from_toml(text: &str) -> Result<Self, ExperimentError> {
        let experiment: Self = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
            ExperimentError { place: format!("line {line}"), problem: error.message().replace('\n', " ") }
        })?;
        experiment.check()?;
        Ok(experiment)
    }

    /// Reads an experiment's file.
    ///
    /// # Errors
    /// As [`Experiment::from_toml`], and when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, ExperimentError> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ExperimentError {
            place: place.clone(),
            problem: format!(
                "{error}; a recipe is a TOML file, or the name of a network: `picodet models` lists them"
            ),
        })?;
        Self::from_toml(&text).map_err(|error| ExperimentError {
            place: format!("{place}: {}", error.place),
            problem: error.problem,
        })
    }

    /// The experiment as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// The network.
    ///
    /// # Errors
    /// When no network has this name, which [`Experiment::check`] rules out.
    pub fn variant(&self) -> Result<&'static Variant, ExperimentError> {
        let unknown =
            || wrong("model", format!("`{}` is no network; `picodet models` lists them", self.model));
        variant(&self.model).ok_or_else(unknown)
    }

    /// Assigner and loss.
    pub fn objective(&self) -> Objective {
        Objective { assigner: self.assigner, loss: self.loss }
    }

    /// The optimiser at its start.
    pub fn momentum(&self) -> Momentum {
        Momentum {
            momentum: self.optimiser.momentum,
            weight_decay: self.optimiser.weight_decay,
            ..Momentum::default()
        }
    }

    /// The moving average at its start.
    pub fn moving_average(&self) -> MovingAverage {
        MovingAverage::new(self.average.cycle)
    }

    /// The learning rate of each step for a batch of `images` in `steps_per_epoch`.
    pub fn schedule(&self, images: usize, steps_per_epoch: usize) -> Schedule {
        let base = self.rate_for(images);
        let epochs = self.rate.epochs;
        match self.rate.schedule {
            ScheduleKind::Cosine => {
                Schedule::Cosine { base, epochs, steps_per_epoch, warm_up: self.rate.warm_up }
            }
            ScheduleKind::Quadratic => Schedule::QuadraticWarmUp { base, epochs, steps_per_epoch },
        }
    }

    /// The base learning rate for a batch of `images`: in proportion to the one that is stated.
    pub fn rate_for(&self, images: usize) -> f64 {
        self.rate.base * images as f64 / self.batch.images as f64
    }

    /// The steps of the augmentation.
    ///
    /// # Errors
    /// When a word is none.
    pub fn augmentation(&self) -> Result<Vec<Step>, ExperimentError> {
        let parse =
            |word: &String| word.parse().map_err(|error| wrong("batch.augmentation", format!("{error}")));
        self.batch.augmentation.iter().map(parse).collect()
    }

    /// The interpolations of the resize.
    ///
    /// # Errors
    /// When a word is none.
    pub fn interpolations(&self) -> Result<Vec<Interpolation>, ExperimentError> {
        let parse =
            |word: &String| word.parse().map_err(|error| wrong("batch.interpolations", format!("{error}")));
        self.batch.interpolations.iter().map(parse).collect()
    }

    /// Whether every value makes sense.
    ///
    /// # Errors
    /// The first that does not, by its key.
    pub fn check(&self) -> Result<(), ExperimentError> {
        const LARGEST_SIDE: usize = 4096;
        let variant = self.variant()?;
        let positive = |value: usize, key: &str| match value {
            0 => Err(wrong(key, "must be at least 1".to_owned())),
            _ => Ok(()),
        };
        positive(self.epochs, "epochs")?;
        positive(self.batch.images, "batch.images")?;
        positive(self.rate.epochs, "rate.epochs")?;
        positive(self.batch.sizes.len(), "number of batch.sizes")?;
        positive(self.batch.interpolations.len(), "number of batch.interpolations")?;
        if self.average.cycle == Some(0) {
            return Err(wrong("average.cycle", "must be at least 1".to_owned()));
        }
        let fits = |side: usize| side.is_multiple_of(32) && (32..=LARGEST_SIDE).contains(&side);
        for (height, width) in self.batch.sizes.iter().map(|size| size.pair()) {
            if !fits(height) || !fits(width) {
                let problem =
                    format!("{height}x{width}, where multiples of 32 up to {LARGEST_SIDE} make sense");
                return Err(wrong("batch.sizes", problem));
            }
        }
        let sound = |value: f64| value.is_finite() && value >= 0.0;
        let numbers = [
            ("rate.base", self.rate.base),
            ("optimiser.momentum", f64::from(self.optimiser.momentum)),
            ("optimiser.weight_decay", f64::from(self.optimiser.weight_decay)),
            ("optimiser.clip", self.optimiser.clip.unwrap_or(1.0)),
        ];
        if let Some((key, value)) = numbers.into_iter().find(|number| !sound(number.1)) {
            return Err(wrong(key, format!("{value}, where a number of at least 0 makes sense")));
        }
        let aligned = matches!(variant.architecture.head.kind, picodet_zoo::HeadKind::PicoHeadV2);
        if aligned != (self.loss == LossKind::SecondGeneration) {
            let problem = format!("the head of `{}` does not go with this loss", self.model);
            return Err(wrong("loss", problem));
        }
        self.augmentation()?;
        self.interpolations()?;
        Ok(())
    }
}

fn wrong(place: &str, problem: String) -> ExperimentError {
    ExperimentError { place: place.to_owned(), problem }
}
