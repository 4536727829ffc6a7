//! Experiments: a network with its training recipe, in a TOML file (SPEC §7).

use std::path::Path;

use picodet_image::Interpolation;
use picodet_model::MAX_INPUT_SIDE;
use picodet_zoo::{ArchitectureOverrides, Variant, variant};
use serde::{Deserialize, Serialize};

use crate::augment::Step;
use crate::objective::{Assigner, LossKind, Objective};
use crate::{Momentum, MovingAverage, Schedule};

/// The settings of a run except data and seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name of the network, a variant.
    pub model: String,
    /// The ImageNet classifier that the published run started from; for information only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_start: Option<String>,
    /// The values in which the network differs from the published one.
    #[serde(default, skip_serializing_if = "ArchitectureOverrides::is_empty")]
    pub architecture: ArchitectureOverrides,
    /// Number of epochs.
    pub epochs: usize,
    /// Batches.
    pub batch: BatchConfig,
    /// Learning rate.
    pub rate: RateConfig,
    /// Optimiser.
    #[serde(default)]
    pub optimiser: OptimiserConfig,
    /// Moving average of the weights.
    #[serde(default)]
    pub average: AverageConfig,
    /// Label assignment.
    pub assigner: Assigner,
    /// Loss.
    pub loss: LossKind,
}

/// Settings of batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchConfig {
    /// Images per batch, all processes together, for which the learning rate is given.
    pub images: usize,
    /// Sizes of the network input; one is drawn for each batch.
    pub sizes: Vec<InputSize>,
    /// Interpolations of the resize; one is drawn for each batch.
    #[serde(default = "all_interpolations")]
    pub interpolations: Vec<String>,
    /// Steps of the augmentation: `crop`, `flip P`, `distort`, `mosaic P`, `hsv`.
    pub augmentation: Vec<String>,
    /// First epoch without mosaics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mosaic_until: Option<usize>,
    /// A run of at most so many epochs flips images only: crops and changes of colour help against overfitting, which takes longer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub plain_epochs: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A size of the network input: one value for a square, two for height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InputSize {
    /// Equal height and width.
    Square(usize),
    /// Height, width.
    Rectangle(usize, usize),
}

impl InputSize {
    /// Returns height and width in pixels.
    #[must_use]
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
    /// Learning rate at the end of the warm-up, for the given number of images per batch.
    pub base: f64,
    /// `cosine`, or `quadratic` for the NPU recipe.
    #[serde(default)]
    pub schedule: ScheduleKind,
    /// Epochs of the whole schedule; training may end earlier.
    pub epochs: usize,
    /// Steps of the warm-up of `cosine`, at most.
    #[serde(default = "warm_up")]
    pub warm_up: usize,
    /// The warm-up as a share of the whole schedule, at most.
    #[serde(default = "warm_up_share")]
    pub warm_up_share: f64,
}

/// The shape of the schedule.
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
    /// Momentum.
    pub momentum: f32,
    /// Weight decay.
    pub weight_decay: f32,
    /// Maximum norm of all gradients together; not used in the published recipes.
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
    /// Epochs after which the average restarts (Cycle-EMA).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycle: Option<usize>,
}

fn all_interpolations() -> Vec<String> {
    ["nearest", "linear", "area", "cubic", "lanczos4"].map(str::to_owned).to_vec()
}

fn warm_up() -> usize {
    300
}

fn warm_up_share() -> f64 {
    0.1
}

/// Epochs of the warm-up of `quadratic`, at most.
const QUADRATIC_WARM_UP: usize = 2;
/// Epochs of the flat end of `quadratic`, at most.
const FLAT_EPOCHS: usize = 30;
/// The flat end of `quadratic` is at most this part of its steps.
const FLAT_PART: usize = 10;

/// An error in an experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ExperimentError {
    /// The file, the line, or the key.
    pub place: String,
    /// The error.
    pub problem: String,
}

impl Experiment {
    /// Reads an experiment.
    ///
    /// # Errors
    /// If the text is not TOML, has an unknown key or lacks one, or a value is invalid.
    pub fn from_toml(text: &str) -> Result<Self, ExperimentError> {
        let experiment: Self = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
            ExperimentError { place: format!("line {line}"), problem: error.message().replace('\n', " ") }
        })?;
        experiment.check()?;
        Ok(experiment)
    }

    /// Reads the file of an experiment.
    ///
    /// # Errors
    /// As [`Experiment::from_toml`], or if the file cannot be read.
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

    /// Returns the experiment as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// Returns the network, with the architecture of this experiment.
    ///
    /// # Errors
    /// If no network has this name, or it cannot have this architecture, which [`Experiment::check`] rules out.
    pub fn variant(&self) -> Result<Variant, ExperimentError> {
        let unknown =
            || wrong("model", format!("unknown network `{}`; `picodet models` lists all", self.model));
        let published = variant(&self.model).ok_or_else(unknown)?;
        published.with(&self.architecture).map_err(|error| wrong("architecture", error.to_string()))
    }

    /// Returns label assignment and loss.
    pub fn objective(&self) -> Objective {
        Objective { assigner: self.assigner, loss: self.loss }
    }

    /// Returns the optimiser without velocities.
    pub fn momentum(&self) -> Momentum {
        Momentum {
            momentum: self.optimiser.momentum,
            weight_decay: self.optimiser.weight_decay,
            ..Momentum::default()
        }
    }

    /// Returns the moving average before the first update.
    pub fn moving_average(&self) -> MovingAverage {
        MovingAverage::new(self.average.cycle)
    }

    /// Returns the learning rate schedule over `steps` steps for `images` images per batch.
    pub fn schedule(&self, images: usize, steps: usize, steps_per_epoch: usize) -> Schedule {
        let base = self.rate_for(images);
        let share = (self.rate.warm_up_share * steps as f64) as usize;
        match self.rate.schedule {
            ScheduleKind::Cosine => Schedule::Cosine { base, steps, warm_up: self.rate.warm_up.min(share) },
            ScheduleKind::Quadratic => Schedule::QuadraticWarmUp {
                base,
                steps,
                warm_up: (QUADRATIC_WARM_UP * steps_per_epoch).min(share),
                flat: (FLAT_EPOCHS * steps_per_epoch).min(steps / FLAT_PART),
            },
        }
    }

    /// Scales the epochs at which the recipe changes its assigner and its augmentation.
    pub fn scale_phases(&mut self, factor: f64) {
        let scaled = |epochs: usize| (epochs as f64 * factor).round() as usize;
        if let Assigner::AtssThenTaskAligned { static_epochs } = &mut self.assigner {
            *static_epochs = scaled(*static_epochs);
        }
        self.batch.mosaic_until = self.batch.mosaic_until.map(scaled);
    }

    /// Returns the base learning rate for `images` images per batch, in proportion to the given one.
    pub fn rate_for(&self, images: usize) -> f64 {
        self.rate.base * images as f64 / self.batch.images as f64
    }

    /// Returns the augmentations of a run of `epochs` epochs.
    ///
    /// # Errors
    /// If a name is unknown.
    pub fn augmentation(&self, epochs: f64) -> Result<Vec<Step>, ExperimentError> {
        let parse =
            |word: &String| word.parse().map_err(|error| wrong("batch.augmentation", format!("{error}")));
        let mut steps = self.batch.augmentation.iter().map(parse).collect::<Result<Vec<Step>, _>>()?;
        if epochs <= self.batch.plain_epochs as f64 {
            steps.retain(|step| matches!(step, Step::Flip(_)));
        }
        Ok(steps)
    }

    /// Returns the interpolations of the resize.
    ///
    /// # Errors
    /// If a name is unknown.
    pub fn interpolations(&self) -> Result<Vec<Interpolation>, ExperimentError> {
        let parse =
            |word: &String| word.parse().map_err(|error| wrong("batch.interpolations", format!("{error}")));
        self.batch.interpolations.iter().map(parse).collect()
    }

    /// Checks all values.
    ///
    /// # Errors
    /// The first invalid value, with its key.
    pub fn check(&self) -> Result<(), ExperimentError> {
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
        let fits = |side: usize| side.is_multiple_of(32) && (32..=MAX_INPUT_SIDE).contains(&side);
        for (height, width) in self.batch.sizes.iter().map(|size| size.pair()) {
            if !fits(height) || !fits(width) {
                let problem =
                    format!("{height}x{width}; sides must be multiples of 32 up to {MAX_INPUT_SIDE}");
                return Err(wrong("batch.sizes", problem));
            }
        }
        if !(0.0..=1.0).contains(&self.rate.warm_up_share) {
            return Err(wrong(
                "rate.warm_up_share",
                format!("{}; must be from 0 to 1", self.rate.warm_up_share),
            ));
        }
        let sound = |value: f64| value.is_finite() && value >= 0.0;
        let numbers = [
            ("rate.base", self.rate.base),
            ("optimiser.momentum", f64::from(self.optimiser.momentum)),
            ("optimiser.weight_decay", f64::from(self.optimiser.weight_decay)),
            ("optimiser.clip", self.optimiser.clip.unwrap_or(1.0)),
        ];
        if let Some((key, value)) = numbers.into_iter().find(|number| !sound(number.1)) {
            return Err(wrong(key, format!("{value}; must be finite and at least 0")));
        }
        let aligned = matches!(variant.architecture.head.kind, picodet_zoo::HeadKind::PicoHeadV2);
        if aligned != (self.loss == LossKind::SecondGeneration) {
            let problem = format!("the head of `{}` does not match this loss", self.model);
            return Err(wrong("loss", problem));
        }
        self.augmentation(self.epochs as f64)?;
        self.interpolations()?;
        Ok(())
    }
}

fn wrong(place: &str, problem: String) -> ExperimentError {
    ExperimentError { place: place.to_owned(), problem }
}
