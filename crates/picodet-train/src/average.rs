//! Exponential moving average of the weights, with restarts (Cycle-EMA, SPEC §7.4).

use std::collections::BTreeMap;

use picodet_graph::{Tensor, Weights};
use serde::{Deserialize, Serialize};

/// Maximum decay of a step.
const DECAY: f64 = 0.9998;

/// Moving average of all weights and running statistics, initialised with zeros.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MovingAverage {
    /// Number of applications after which the average restarts; `None` for never.
    pub cycle: Option<usize>,
    pub(crate) values: BTreeMap<String, Vec<f32>>,
    pub(crate) counters: Counters,
}

/// The position of an average in its cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Updates since the last restart.
    pub(crate) steps: usize,
    /// Applications since the last restart.
    applied: usize,
    /// Decay of the last update.
    last_decay: f64,
}

impl MovingAverage {
    /// Returns an average that restarts after `cycle` applications; 40 with one per epoch in the paper.
    #[must_use]
    pub fn new(cycle: Option<usize>) -> Self {
        Self { cycle, ..Self::default() }
    }

    /// Returns the updates since the last restart.
    pub fn steps(&self) -> usize {
        self.counters.steps
    }

    /// Updates the average with the weights after a step.
    pub fn update(&mut self, weights: &Weights) {
        let decay = DECAY.min((1 + self.counters.steps) as f64 / (10 + self.counters.steps) as f64);
        for (name, tensor) in weights {
            let average = self.values.entry(name.clone()).or_insert_with(|| vec![0.0; tensor.data.len()]);
            for (average, value) in average.iter_mut().zip(&tensor.data) {
                *average = *average * decay as f32 + *value * (1.0 - decay) as f32;
            }
        }
        self.counters.last_decay = decay;
        self.counters.steps += 1;
    }

    /// Returns the averaged weights with the bias correction of the reference implementation, and counts the application.
    /// Without an update, returns `weights`.
    pub fn apply(&mut self, weights: &Weights) -> Weights {
        if self.counters.steps == 0 {
            return weights.clone();
        }
        let correction = (1.0 - self.counters.last_decay.powi(self.counters.steps as i32)) as f32;
        let averaged = weights
            .iter()
            .map(|(name, tensor)| {
                let data = self.values[name].iter().map(|value| value / correction).collect();
                (name.clone(), Tensor { shape: tensor.shape.clone(), data })
            })
            .collect();
        self.counters.applied += 1;
        if self.cycle == Some(self.counters.applied) {
            *self = Self::new(self.cycle);
        }
        averaged
    }
}
