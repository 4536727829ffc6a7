//! Metrics of a training batch.

use crate::group::ProcessGroup;
use crate::journal::StepRecord;
use crate::loader::Batch;
use crate::objective::LossOutput;
use crate::{Assignment, Truth};

/// Sums over the batch of all processes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BatchMetrics {
    /// Classification loss.
    pub(crate) cls: f64,
    /// IoU loss of the boxes.
    pub(crate) bbox: f64,
    /// Distribution focal loss of the boxes.
    pub(crate) dfl: f64,
    /// Cells with an assigned object.
    pub(crate) positives: f64,
    /// Objects.
    pub(crate) objects: f64,
    /// Images.
    pub(crate) images: f64,
}

impl BatchMetrics {
    /// Adds the values of the shards of all processes.
    pub(crate) fn reduce(output: &LossOutput, truths: &[Truth], group: &dyn ProcessGroup) -> Self {
        let loss = &output.loss;
        let positives: usize = output.assignments.iter().map(Assignment::positives).sum();
        let objects: usize = truths.iter().map(|truth| truth.boxes.len()).sum();
        let mut sums = [loss.cls, loss.bbox, loss.dfl, positives as f64, objects as f64, truths.len() as f64];
        group.all_reduce(&mut sums);
        let [cls, bbox, dfl, positives, objects, images] = sums;
        Self { cls, bbox, dfl, positives, objects, images }
    }

    /// Returns the total loss.
    pub(crate) fn loss(&self) -> f64 {
        self.cls + self.bbox + self.dfl
    }

    /// Returns the part of a step's record that is about its batch and loss; the other values are 0.
    pub(crate) fn record(&self, batch: &Batch) -> StepRecord {
        StepRecord {
            loss: self.loss(),
            loss_cls: self.cls,
            loss_box: self.bbox,
            loss_dfl: self.dfl,
            positives: self.positives / self.images,
            objects: self.objects / self.images,
            height: batch.shape[2],
            width: batch.shape[3],
            ..StepRecord::default()
        }
    }
}
