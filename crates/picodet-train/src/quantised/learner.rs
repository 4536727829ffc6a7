//! A step of training with quantisation.

use picodet_gradient::{GradientError, Tape};
use picodet_graph::{TensorView, Weights};

use super::{QuantisedNetwork, QuantisedTraining};
use crate::backend::BackendError;
use crate::distillation::distil;
use crate::objective::level_maps;
use crate::step::{Learner, StepInput, StepOutput};
use crate::{Assignment, HeadGradients, LossOutput, Predictions};

/// The quantised network in training, with the float network whose predictions it learns.
#[derive(Debug)]
pub struct QuantisedLearner {
    network: QuantisedNetwork,
    settings: QuantisedTraining,
    quantised: Tape,
    float: Tape,
    gradients: HeadGradients,
    label_gradients: HeadGradients,
}

impl QuantisedLearner {
    /// Prepares a network for `threads` threads.
    ///
    /// # Errors
    /// If the graph cannot be differentiated.
    pub fn new(
        network: &QuantisedNetwork,
        settings: QuantisedTraining,
        threads: usize,
    ) -> Result<Self, GradientError> {
        let graph = &network.graph;
        let mut float = Tape::new(graph, threads)?;
        float.freeze(graph.params.iter().map(|param| param.name.as_str()))?;
        let mut quantised = Tape::new(graph, threads)?;
        quantised.freeze(network.fixed())?;
        Ok(Self {
            network: network.clone(),
            settings,
            quantised,
            float,
            gradients: HeadGradients::default(),
            label_gradients: HeadGradients::default(),
        })
    }
}

impl Learner for QuantisedLearner {
    fn learn(&mut self, parameters: &Weights, step: &StepInput<'_>) -> Result<StepOutput, BackendError> {
        let quantisation = self.network.quantisation(parameters);
        self.quantised.set_maps(&quantisation.maps)?;
        self.quantised.forward_view(&self.network.weights(&quantisation), step.batch.view())?;
        self.float.forward_view(&self.network.float, step.batch.view())?;
        let start = step.clock.now();
        let by = (step.group, step.threads);
        let student = |name: &str| self.quantised.output(name);
        let found = Predictions::new(&level_maps(student, step.strides));
        let aims = Predictions::new(&level_maps(|name| self.float.output(name), step.strides));
        let mut loss = distil(&found, &aims, by, &mut self.gradients);
        let (mut assignments, anchors) = match self.settings.labels {
            weight if weight > 0.0 => {
                let gradients = &mut self.label_gradients;
                let truths = &step.batch.truths;
                let output =
                    step.objective.compute_loss(student, step.strides, truths, step.epoch, by, gradients);
                self.gradients.add(gradients, weight as f32);
                loss.cls += weight * output.loss.cls;
                loss.bbox += weight * output.loss.bbox;
                loss.dfl += weight * output.loss.dfl;
                (output.assignments, output.anchors)
            }
            _ => (Vec::new(), aims.anchors),
        };
        assignments.resize_with(step.batch.truths.len(), || Assignment::background(anchors.centres.len()));
        let loss_time = step.clock.now() - start;
        let by_weight = self.quantised.backward(&self.gradients.outputs())?;
        let by_scale = self.quantised.scale_gradients();
        let gradients = self.network.gradients(parameters, &quantisation, &by_weight, by_scale);
        Ok(StepOutput { loss: LossOutput { loss, assignments, anchors }, loss_time, gradients })
    }

    fn output(&self, name: &str) -> Option<TensorView<'_>> {
        self.quantised.output(name)
    }

    fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        Vec::new()
    }
}
