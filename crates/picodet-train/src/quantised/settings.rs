//! Settings of training with quantisation.

use picodet_graph::{Graph, Role, Weights};
use serde::{Deserialize, Serialize};

use super::network::integer;
use super::QuantisedNetwork;
use crate::MovingAverage;

/// Settings of training with quantisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct QuantisedTraining {
    /// Weight of the loss against the labels, beside that against the float network; 0 without labels.
    pub labels: f64,
    /// Share of the steps, at the end, in which integers and scales do not change any more.
    pub frozen_share: f64,
}

impl Default for QuantisedTraining {
    fn default() -> Self {
        Self { labels: 0.0, frozen_share: 0.1 }
    }
}

impl QuantisedTraining {
    /// Sets the weight of the loss against the labels.
    #[must_use]
    pub fn with_labels(self, labels: f64) -> Self {
        Self { labels, ..self }
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
        let changing = |name: &str| averaged.get(name);
        for param in network.parameter_graph().params.iter().filter(|param| param.role != Role::Bias) {
            if let (Some(values), Some(averaged)) = (parameters.get_mut(&param.name), changing(&param.name)) {
                values.data.clone_from(&averaged.data);
            }
        }
        network.round(parameters);
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

impl QuantisedNetwork {
    /// Moves the weights to their integers.
    fn round(&self, parameters: &mut Weights) {
        for (name, start) in self.integers() {
            if let Some(values) = parameters.get_mut(name) {
                for (value, &start) in values.data.iter_mut().zip(start) {
                    *value = (integer(start, super::network::UNIT(0) * *value) - f32::from(start)) / super::network::UNIT(0).max(1e-9);
                }
            }
        }
    }
}
