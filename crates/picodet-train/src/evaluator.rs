//! The interface between the training loop and the evaluation of a model.

use picodet_model::Model;

use crate::error::EvaluatorError;

/// Accuracy of a model on the validation images, each value from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModelMetrics {
    /// mAP over IoU thresholds from 0.5 to 0.95.
    pub map: f64,
    /// mAP at IoU threshold 0.5.
    pub map50: f64,
}

/// Evaluates models during a run.
pub trait Evaluator {
    /// Evaluates a model. All processes of a group call it with the same model; the result of rank 0 counts.
    ///
    /// # Errors
    /// If the model cannot be run or the validation images cannot be read.
    fn evaluate(&mut self, model: &Model) -> Result<ModelMetrics, EvaluatorError>;
}

impl<F: FnMut(&Model) -> Result<ModelMetrics, EvaluatorError>> Evaluator for F {
    fn evaluate(&mut self, model: &Model) -> Result<ModelMetrics, EvaluatorError> {
        self(model)
    }
}
