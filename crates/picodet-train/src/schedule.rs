//! Learning rate schedules (SPEC §7.1).

use std::f64::consts::PI;

/// A learning rate schedule: warm-up, then a cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Linear from a tenth of the base over the warm-up, then a cosine to 0.
    Cosine {
        /// Learning rate at the end of the warm-up.
        base: f64,
        /// Steps of the warm-up and the whole cosine; training may end earlier.
        steps: usize,
        /// Steps until the base is reached; 300 in all published recipes.
        warm_up: usize,
    },
    /// Quadratic warm-up, a cosine to 0.08 of the base, a flat end: the NPU recipe.
    QuadraticWarmUp {
        /// Learning rate at the end of the warm-up.
        base: f64,
        /// Steps of the whole schedule.
        steps: usize,
        /// Steps until the base is reached; 2 epochs in the published recipe.
        warm_up: usize,
        /// Steps of the flat end; 30 epochs in the published recipe.
        flat: usize,
    },
}

const WARM_UP_START: f64 = 0.1;
const FLAT_FRACTION: f64 = 0.08;

impl Schedule {
    /// Returns the learning rate of a step, counted from 0.
    #[must_use]
    pub fn rate(&self, step: usize) -> f64 {
        let step = step as f64;
        match *self {
            Self::Cosine { base, steps, warm_up } => {
                let (total, warm_up) = (steps as f64, warm_up as f64);
                if step < warm_up {
                    let fraction = step / warm_up;
                    return base * (WARM_UP_START * (1.0 - fraction) + fraction);
                }
                // After the end of the cosine the rate stays 0.
                let fraction = ((step - warm_up) / (total - warm_up).max(1.0)).min(1.0);
                0.5 * base * (1.0 + (PI * fraction).cos())
            }
            Self::QuadraticWarmUp { base, steps, warm_up, flat } => {
                let (total, warm_up, flat) = (steps as f64, warm_up as f64, flat as f64);
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

    /// Returns the steps of the warm-up.
    #[must_use]
    pub fn warm_up(&self) -> usize {
        match *self {
            Self::Cosine { warm_up, .. } | Self::QuadraticWarmUp { warm_up, .. } => warm_up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_rises_over_its_warm_up_and_then_falls_to_its_final_rate() {
        let base = 0.04;
        for steps in [1, 2, 7, 40, 400, 5000] {
            for warm_up in [0, 1, steps / 10, steps / 2] {
                let flat = steps / 10;
                for (schedule, last) in [
                    (Schedule::Cosine { base, steps, warm_up }, 0.0),
                    (Schedule::QuadraticWarmUp { base, steps, warm_up, flat }, FLAT_FRACTION * base),
                ] {
                    let rates: Vec<f64> = (0..=steps).map(|step| schedule.rate(step)).collect();
                    assert!(rates[..warm_up].windows(2).all(|pair| pair[0] < pair[1]), "{schedule:?}");
                    assert!(rates[warm_up..].windows(2).all(|pair| pair[0] >= pair[1]), "{schedule:?}");
                    assert!(rates.iter().all(|&rate| (0.0..=base).contains(&rate)), "{schedule:?}");
                    assert!((schedule.rate(steps) - last).abs() < 1e-12 || steps == warm_up, "{schedule:?}");
                }
            }
        }
    }
}
