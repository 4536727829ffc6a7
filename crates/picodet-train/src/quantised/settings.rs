//! Settings of training with quantisation.

use picodet_graph::{Graph, Role, Weights};
use serde::{Deserialize, Serialize};

use super::QuantisedNetwork;
use crate::{Momentum, MovingAverage};

/// Decay of the mean squares of gradients.
const SQUARE_DECAY: f32 = 0.999;
/// Factors of the learning rate of weights, biases and scales.
const RATES: [f32; 3] = [0.1, 1.0, 1.0];

/// Settings of training with quantisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct QuantisedTraining {
    /// Weight of the loss against the labels, beside that against the float network; 0 without labels.
    pub labels: f64,
    /// Factors of the learning rate: of weights, in integers; of biases, in steps of the map that they are part of; and of scales,
    /// in hundredths of their logarithm.
    pub rates: [f32; 3],
    /// Share of the steps, at the end, in which integers and scales do not change any more.
    pub frozen_share: f64,
}

impl Default for QuantisedTraining {
    fn default() -> Self {
        Self { labels: 0.0, rates: RATES, frozen_share: 0.1 }
    }
}

impl QuantisedTraining {
    /// Sets the weight of the loss against the labels.
    #[must_use]
    pub fn with_labels(self, labels: f64) -> Self {
        Self { labels, ..self }
    }

    /// Sets the factors of the learning rate of weights, biases and scales.
    #[must_use]
    pub fn with_rates(self, rates: [f32; 3]) -> Self {
        Self { rates, ..self }
    }

    /// Sets the share of the steps, at the end, in which integers and scales do not change.
    #[must_use]
    pub fn with_frozen_share(self, frozen_share: f64) -> Self {
        Self { frozen_share, ..self }
    }

    /// Returns the step from which on integers and scales do not change, of a run of `steps`.
    #[must_use]
    pub fn freezing_step(&self, steps: usize) -> usize {
        steps - ((steps as f64 * self.frozen_share) as usize).min(steps)
    }

    /// Returns the optimiser: `momentum` with adaptive steps.
    pub(crate) fn momentum(&self, momentum: Momentum) -> Momentum {
        Momentum { square_decay: Some(SQUARE_DECAY), factors: self.rates, ..momentum }
    }

    /// Prepares the parameters for step `step` of `steps`: at [`QuantisedTraining::freezing_step`] integers and scales become
    /// those of the average, so that none is left between two integers.
    pub(crate) fn settle(
        &self,
        network: &QuantisedNetwork,
        parameters: &mut Weights,
        average: &MovingAverage,
        (step, steps): (usize, usize),
    ) {
        if step == 0 || step != self.freezing_step(steps) {
            return;
        }
        let averaged = average.clone().apply(parameters);
        for param in network.parameter_graph().params.iter().filter(|param| param.role != Role::Bias) {
            if let (Some(values), Some(averaged)) =
                (parameters.get_mut(&param.name), averaged.get(&param.name))
            {
                values.data.clone_from(&averaged.data);
            }
        }
        network.centre(parameters);
    }

    /// Removes the gradients of what does not change any more in step `step` of `steps`.
    pub(crate) fn freeze(&self, graph: &Graph, gradients: &mut Weights, (step, steps): (usize, usize)) {
        if step >= self.freezing_step(steps) {
            let biases = graph.params.iter().filter(|param| param.role == Role::Bias);
            let biases: Vec<&String> = biases.map(|param| &param.name).collect();
            gradients.retain(|name, _| biases.contains(&name));
        }
    }
}
