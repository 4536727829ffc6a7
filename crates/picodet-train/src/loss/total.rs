//! The total losses of the two generations and of the ablation's Base (SPEC §4.2, §4.3, §5.4).

use picodet_kernel::focal::Focal;
use picodet_zoo::BINS;

use super::class::{aligned_terms, focal_terms};
use super::{Positive, distribution_focal, generalised_iou};
use crate::geometry::iou;
use crate::group::ProcessGroup;
use crate::predictions::{HeadGradients, Predictions, sigmoid};
use crate::{Assignment, Truth};

/// A loss of a batch, or of one rank's shard of it: its three terms, weighted and normalised. Normalisers are those of the
/// whole batch, so that terms and gradients of the shards add up to those of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Varifocal or quality focal loss.
    pub cls: f64,
    /// GIoU loss.
    pub bbox: f64,
    /// Distribution focal loss.
    pub dfl: f64,
}

impl Loss {
    /// Returns the sum of the terms.
    pub fn total(&self) -> f64 {
        self.cls + self.bbox + self.dfl
    }

    /// Replaces a share of the loss by that of another one.
    pub(crate) fn blended(&self, other: Self, share: f64) -> Self {
        let blend = |own: f64, other: f64| own + share * (other - own);
        Self {
            cls: blend(self.cls, other.cls),
            bbox: blend(self.bbox, other.bbox),
            dfl: blend(self.dfl, other.dfl),
        }
    }
}

/// A batch with its assignments, as every loss takes it.
#[derive(Clone, Copy, Debug)]
pub struct Assigned<'a> {
    /// The predictions of the network.
    pub predictions: &'a Predictions<'a>,
    /// The objects of each image.
    pub truths: &'a [Truth],
    /// The assignment of each image.
    pub assignments: &'a [Assignment],
    /// The processes that share the batch.
    pub group: &'a dyn ProcessGroup,
    /// Threads that compute the loss; the result does not depend on their number.
    pub threads: usize,
}

impl Assigned<'_> {
    /// Returns the anchors that learn objects, each with the weight that `weigh(image, anchor, quality)` returns.
    fn positives(&self, weigh: impl Fn(usize, usize, f64) -> f64) -> Vec<Positive> {
        let mut found = Vec::new();
        for (image, assignment) in self.assignments.iter().enumerate() {
            for (anchor, object) in assignment.object.iter().enumerate() {
                if let Some(object) = *object {
                    let weight = weigh(image, anchor, assignment.quality[anchor]);
                    let class = self.truths[image].classes[object];
                    found.push(Positive { image, anchor, object, class, weight });
                }
            }
        }
        found
    }

    /// Returns the box that a positive learns, in strides of its level.
    fn target_in_strides(&self, positive: &Positive) -> [f64; 4] {
        let stride = self.predictions.anchors.strides[positive.anchor];
        self.truths[positive.image].boxes[positive.object].map(|side| side / stride)
    }

    /// Returns the overlap of each positive's predicted box with its target: the class targets of the first generation.
    fn overlaps(&self, positives: &[Positive]) -> Vec<f64> {
        let overlap = |positive: &Positive| {
            let target = self.target_in_strides(positive);
            let bbox = self.predictions.box_in_strides(positive.image, positive.anchor);
            iou(&bbox, &target, |union| union.max(1e-6))
        };
        positives.iter().map(overlap).collect()
    }

    /// Adds GIoU and distribution focal loss of all positives, divided by `normaliser`; returns the two sums.
    fn box_terms(
        &self,
        positives: &[Positive],
        (giou_weight, dfl_weight): (f64, f64),
        normaliser: f64,
        gradients: &mut HeadGradients,
    ) -> (f64, f64) {
        let (mut bbox_sum, mut dfl_sum) = (0.0, 0.0);
        for positive in positives {
            let (image, anchor) = (positive.image, positive.anchor);
            let target = self.target_in_strides(positive);
            let (giou, by_side) = generalised_iou(&self.predictions.box_in_strides(image, anchor), &target);
            let giou_factor = giou_weight * positive.weight / normaliser;
            let dfl_factor = dfl_weight * positive.weight / 4.0 / normaliser;
            bbox_sum += giou_factor * giou;

            let probabilities = self.predictions.bin_probabilities(image, anchor);
            let distances = self.predictions.distances(anchor, &target);
            let logits = gradients.reg_mut(image, anchor).as_chunks_mut::<BINS>().0;
            for (side, logits) in logits.iter_mut().enumerate() {
                let probabilities = &probabilities[side];
                let (dfl, by_logit) = distribution_focal(probabilities, distances[side]);
                dfl_sum += dfl_factor * dfl;
                let bins = probabilities.iter().enumerate();
                let mean: f64 = bins.map(|(bin, probability)| bin as f64 * probability).sum();
                // Distances grow to the left and up, where coordinates fall.
                let by_distance = if side < 2 { -by_side[side] } else { by_side[side] };
                for (bin, gradient) in logits.iter_mut().enumerate() {
                    let by_mean = probabilities[bin] * (bin as f64 - mean);
                    *gradient = (giou_factor * by_distance * by_mean + dfl_factor * by_logit[bin]) as f32;
                }
            }
        }
        (bbox_sum, dfl_sum)
    }

    /// The first generation's loss, normalised by `count` positives.
    fn first_generation(&self, count: usize, focal: Focal, gradients: &mut HeadGradients) -> Loss {
        // The weight of a box is the largest class probability of its anchor.
        let confidence = |image: usize, anchor: usize| {
            let logits = self.predictions.class_logits(image, anchor);
            sigmoid(f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)))
        };
        let positives = self.positives(|image, anchor, _| confidence(image, anchor));
        let mut normalisers = [count as f64, positives.iter().map(|positive| positive.weight).sum()];
        self.group.all_reduce(&mut normalisers);
        let [count, weight] = normalisers.map(|sum| sum.max(1.0));
        let (bbox, dfl) = self.box_terms(&positives, (2.0, 0.25), weight, gradients);
        let targets = (positives.as_slice(), self.overlaps(&positives));
        let targets = (targets.0, targets.1.as_slice());
        let cls = focal_terms(self.predictions, targets, focal, (count, self.threads), gradients);
        Loss { cls, bbox, dfl }
    }
}

/// Computes the paper's loss: varifocal, 2 · GIoU, 0.25 · DFL; boxes weighted by the predicted confidence.
///
/// An image with objects counts at least one positive; an image without counts none.
pub fn paper(assigned: &Assigned<'_>, gradients: &mut HeadGradients) -> Loss {
    let images = assigned.assignments.iter().zip(assigned.truths);
    let counted = images
        .map(|(assignment, truth)| if truth.boxes.is_empty() { 0 } else { assignment.positives().max(1) });
    assigned.first_generation(counted.sum(), Focal::Varifocal, gradients)
}

/// Computes the loss of the ablation's Base: quality focal instead of varifocal, and every image counts at least one
/// positive.
pub fn base(assigned: &Assigned<'_>, gradients: &mut HeadGradients) -> Loss {
    let count = assigned.assignments.iter().map(|assignment| assignment.positives().max(1)).sum();
    assigned.first_generation(count, Focal::QualityFocal, gradients)
}

/// Computes the second generation's loss: varifocal on probabilities, 2.5 · GIoU, 0.5 · DFL, all divided by the sum of
/// qualities.
///
/// A batch without positives, where the reference divides by zero, is divided by 1.
pub fn second_generation(assigned: &Assigned<'_>, gradients: &mut HeadGradients) -> Loss {
    let positives = assigned.positives(|_, _, quality| quality);
    let mut sum = [positives.iter().map(|positive| positive.weight).sum()];
    assigned.group.all_reduce(&mut sum);
    let normaliser = if sum[0] > 0.0 { sum[0] } else { 1.0 };
    let (bbox, dfl) = assigned.box_terms(&positives, (2.5, 0.5), normaliser, gradients);
    let cls = aligned_terms(assigned.predictions, &positives, (normaliser, assigned.threads), gradients);
    Loss { cls, bbox, dfl }
}
