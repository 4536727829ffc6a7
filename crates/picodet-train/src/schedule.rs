//! Learning rate schedules (SPEC §7.1).

use std::f64::consts::PI;

/// A learning rate schedule: warm-up, then a cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Linear from a tenth of the base over `warm_up` steps, then a cosine to 0 at the end of `epochs`.
    Cosine {
        /// Learning rate at the end of the warm-up.
        base: f64,
        /// Epochs of the whole cosine; training may end earlier.
        epochs: usize,
        /// Steps per epoch.
        steps_per_epoch: usize,
        /// Steps until the base is reached; 300 in all published recipes.
        warm_up: usize,
    },
    /// Quadratic over 2 epochs, a cosine to 0.08 of the base, flat over the last 30 epochs: the NPU recipe.
    QuadraticWarmUp {
        /// Learning rate at the end of the warm-up.
        base: f64,
        /// Epochs of the whole schedule.
        epochs: usize,
        /// Steps per epoch.
        steps_per_epoch: usize,
    },
}

const WARM_UP_START: f64 = 0.1;
const QUADRATIC_EPOCHS: usize = 2;
const FLAT_EPOCHS: usize = 30;
const FLAT_FRACTION: f64 = 0.08;

impl Schedule {
    /// Returns the learning rate of a step, counted from 0.
    #[must_use]
    pub fn rate(&self, step: usize) -> f64 {
        let step = step as f64;
        match *self {
            Self::Cosine { base, epochs, steps_per_epoch, warm_up } => {
                let warm_up = warm_up as f64;
                if step < warm_up {
                    let fraction = step / warm_up;
                    return base * (WARM_UP_START * (1.0 - fraction) + fraction);
                }
                let total = (epochs * steps_per_epoch) as f64;
                // After the end of the cosine the rate stays 0.
                let fraction = ((step - warm_up) / (total - warm_up).max(1.0)).min(1.0);
                0.5 * base * (1.0 + (PI * fraction).cos())
            }
            Self::QuadraticWarmUp { base, epochs, steps_per_epoch } => {
                let warm_up = (QUADRATIC_EPOCHS * steps_per_epoch) as f64;
                let flat = (FLAT_EPOCHS * steps_per_epoch) as f64;
                let total = (epochs * steps_per_epoch) as f64;
                let least = FLAT_FRACTION * base;
                if step < warm_up {
                    base * (step / warm_up).powi(2)
                } else if step >= total - flat {
                    least
                } else {
                    let fraction = (step - warm_up) / (total - warm_up - flat);
                    least + (base - least) * 0.5 * (1.0 + (PI * fraction).cos())
                }
            }
        }
    }
}
