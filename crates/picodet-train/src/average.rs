//! The exponential moving average of the weights, and its cycle (SPEC §7.4).

use std::collections::BTreeMap;

use picodet_graph::{Tensor, Weights};
use serde::{Deserialize, Serialize};

/// Largest share that the average keeps of itself in a step.
const DECAY: f64 = 0.9998;

/// A moving average of all weights and running statistics, started at zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MovingAverage {
    /// After how many applications everything starts anew; `None` for never.
    pub cycle: Option<usize>,
    pub(crate) values: BTreeMap<String, Vec<f32>>,
    pub(crate) counters: Counters,
}

/// Where an average stands in its cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// Steps taken in since the last start.
    pub(crate) steps: usize,
    /// Applications since the last start.
    applied: usize,
    /// Share that the average kept of itself in the last step.
    last_decay: f64,
}

impl MovingAverage {
    /// An average that starts anew after `cycle` applications: 40 with one an epoch in the paper.
    pub fn new(cycle: Option<usize>) -> Self {
        Self { cycle, ..Self::default() }
    }

    /// Steps since the last start.
    pub fn steps(&self) -> usize {
        self.counters.steps
    }

    /// Takes the weights after one step in.
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

    /// The averaged weights, with the reference's bias correction; counts towards the cycle. The weights themselves,
    /// when no step was taken in.
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
