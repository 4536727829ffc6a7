//! SimOTA (SPEC §5.1): each object takes its cheapest cells, and the sum of its overlaps is their number.

use picodet_kernel::focal::{Focal, background_sum};
use picodet_simd::Isa;
use serde::{Deserialize, Serialize};

use super::{Assignment, Truth, largest};
use crate::geometry::{area, centre, inset, intersection, iou};
use crate::loss::negative;
use crate::predictions::sigmoid;
use crate::{Box4, Predictions};

/// The cost of assigning an object to an anchor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SimOtaCost {
    /// The paper's: varifocal loss and generalised IoU.
    #[default]
    Modified,
    /// YOLOX's: cross entropy and the logarithm of IoU.
    Original,
}

/// The assigner's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimOta {
    /// Which cost.
    pub cost: SimOtaCost,
    /// Weight of the overlap against the class; 6 in the paper, 3 in the original.
    pub lambda: f64,
}

impl Default for SimOta {
    fn default() -> Self {
        Self { cost: SimOtaCost::Modified, lambda: 6.0 }
    }
}

/// Distance from an object's centre, in strides, within which anchors are candidates.
const CENTRE_RADIUS: f64 = 2.5;
/// Number of largest overlaps whose sum is the number of anchors of an object.
const CANDIDATES: usize = 10;
/// Added to the cost of a cell that is not both inside an object and near its centre.
const PENALTY: f64 = 1e8;

fn plain_iou(a: &Box4, b: &Box4) -> f64 {
    iou(a, b, |union| union.max(1e-6))
}

fn generalised_iou(a: &Box4, b: &Box4) -> f64 {
    let union = (area(a) + area(b) - intersection(a, b)).max(1e-6);
    let enclosing = area(&[a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]).max(1e-6);
    plain_iou(a, b) - (enclosing - union) / enclosing
}

/// Binary cross entropy of a probability, logarithms no less than -100.
fn cross_entropy(p: f64, target: f64) -> f64 {
    -(target * p.ln().max(-100.0) + (1.0 - target) * (1.0 - p).ln().max(-100.0))
}

/// A cell and an object.
#[derive(Clone, Copy)]
struct Pair {
    cost: f64,
    iou: f64,
}

impl SimOta {
    /// Assigns the cells of one image of the batch.
    ///
    /// Where the reference leaves the order of equal costs open, lower cells come first; penalised pairs keep the order
    /// of their costs, which the reference's 32-bit sums lose.
    pub fn assign(&self, predictions: &Predictions<'_>, image: usize, truth: &Truth) -> Assignment {
        let anchors = &predictions.anchors;
        let mut assignment = Assignment::background(anchors.len());
        let candidates: Vec<usize> = (0..anchors.len())
            .filter(|&anchor| {
                truth
                    .boxes
                    .iter()
                    .any(|b| is_inside(predictions, anchor, b) || is_near(predictions, anchor, b))
            })
            .collect();
        if candidates.is_empty() {
            return assignment;
        }
        // By candidate, then by object.
        let pairs: Vec<Vec<Pair>> =
            candidates.iter().map(|&anchor| self.pairs(predictions, image, anchor, truth)).collect();
        let mut takers: Vec<Vec<usize>> = vec![Vec::new(); candidates.len()];
        for object in 0..truth.boxes.len() {
            let overlaps: Vec<f64> = pairs.iter().map(|pairs| pairs[object].iou).collect();
            let sum: f64 = largest(&overlaps, CANDIDATES).into_iter().map(|place| overlaps[place]).sum();
            let share = (sum as usize).max(1);
            let cheapness: Vec<f64> = pairs.iter().map(|pairs| -pairs[object].cost).collect();
            largest(&cheapness, share).into_iter().for_each(|place| takers[place].push(object));
        }
        for (place, objects) in takers.iter().enumerate() {
            assignment.object[candidates[place]] = match objects.as_slice() {
                [] => None,
                [object] => Some(*object),
                // The cheapest of all objects, even one that did not take the cell.
                _ => super::first_largest(pairs[place].iter().map(|pair| -pair.cost)),
            };
        }
        assignment
    }

    /// Returns cost and overlap of an anchor for every object.
    fn pairs(&self, predictions: &Predictions<'_>, image: usize, anchor: usize, truth: &Truth) -> Vec<Pair> {
        let bbox = predictions.box_in_pixels(image, anchor);
        let logits = predictions.class_logits(image, anchor);
        let focal = match self.cost {
            SimOtaCost::Modified => Focal::Varifocal,
            SimOtaCost::Original => Focal::CrossEntropy,
        };
        let all_negative = background_sum(Isa::best(), focal, logits);
        let pair = |(object, &class): (&Box4, &usize)| {
            let overlap = plain_iou(&bbox, object);
            let logit = f64::from(logits[class]);
            let (p, class_negative) = (sigmoid(logit), negative(focal, logit));
            let (positive, distance) = match self.cost {
                SimOtaCost::Modified if overlap > 0.0 => {
                    (overlap * cross_entropy(p, overlap), 1.0 - generalised_iou(&bbox, object))
                }
                SimOtaCost::Modified => (class_negative, 1.0 - generalised_iou(&bbox, object)),
                SimOtaCost::Original => (cross_entropy(p, 1.0), -(overlap + 1e-7).ln()),
            };
            let good = is_inside(predictions, anchor, object) && is_near(predictions, anchor, object);
            let penalty = if good { 0.0 } else { PENALTY };
            let cost = all_negative - class_negative + positive + self.lambda * distance + penalty;
            Pair { cost, iou: overlap }
        };
        truth.boxes.iter().zip(&truth.classes).map(pair).collect()
    }
}

fn is_inside(predictions: &Predictions<'_>, anchor: usize, object: &Box4) -> bool {
    inset(predictions.anchors.centres[anchor], object) > 0.0
}

fn is_near(predictions: &Predictions<'_>, anchor: usize, object: &Box4) -> bool {
    let [x, y] = predictions.anchors.centres[anchor];
    let [cx, cy] = centre(object);
    let radius = CENTRE_RADIUS * predictions.anchors.strides[anchor];
    (x - cx).abs() < radius && (y - cy).abs() < radius
}
