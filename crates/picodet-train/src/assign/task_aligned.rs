//! Task-aligned assignment (SPEC §5.3): the cells that classify and localise an object best at once.

use super::{Assignment, Truth, first_largest, largest};
use crate::Predictions;
use crate::geometry::{inset, iou};
use crate::loss::Score;

/// Cells that an object may take.
const TOP: usize = 13;
/// Power of the overlap in the metric; the score's is 1.
const BETA: i32 = 6;
const EPSILON: f64 = 1e-9;

/// Assigns the anchors of one image.
pub fn task_aligned(predictions: &Predictions<'_>, image: usize, truth: &Truth) -> Assignment {
    let anchors = &predictions.anchors;
    let count = anchors.len();
    let mut assignment = Assignment::background(count);
    let boxes: Vec<_> = (0..count).map(|anchor| predictions.box_in_pixels(image, anchor)).collect();
    let alignments: Vec<f64> = (0..count).map(|anchor| predictions.alignment(image, anchor)).collect();
    let objects = || truth.boxes.iter().zip(&truth.classes);
    // By object, then by cell.
    let overlaps: Vec<Vec<f64>> = objects()
        .map(|(object, _)| boxes.iter().map(|bbox| iou(object, bbox, |union| union + EPSILON)).collect())
        .collect();
    let metrics: Vec<Vec<f64>> = objects()
        .zip(&overlaps)
        .map(|((_, &class), overlaps)| {
            let metric = |anchor: usize| {
                let logit = f64::from(predictions.class_logits(image, anchor)[class]);
                Score::new(logit, alignments[anchor]).value * overlaps[anchor].powi(BETA)
            };
            (0..count).map(metric).collect()
        })
        .collect();

    let mut takers: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (index, object) in truth.boxes.iter().enumerate() {
        let inside = |anchor: usize| inset(anchors.centres[anchor], object) > EPSILON;
        let masked: Vec<f64> = (0..count).map(|a| if inside(a) { metrics[index][a] } else { 0.0 }).collect();
        largest(&masked, TOP).into_iter().filter(|&a| inside(a)).for_each(|a| takers[a].push(index));
    }
    for (anchor, objects) in takers.iter().enumerate() {
        assignment.object[anchor] = match objects.as_slice() {
            [] => None,
            [object] => Some(*object),
            _ => first_largest(overlaps.iter().map(|overlaps| overlaps[anchor])),
        };
    }

    for index in 0..truth.boxes.len() {
        let taken = || (0..count).filter(|&anchor| assignment.object[anchor] == Some(index));
        let best_metric = taken().map(|anchor| metrics[index][anchor]).fold(0.0, f64::max);
        let best_overlap = taken().map(|anchor| overlaps[index][anchor]).fold(0.0, f64::max);
        for anchor in taken().collect::<Vec<_>>() {
            assignment.quality[anchor] = metrics[index][anchor] / (best_metric + EPSILON) * best_overlap;
        }
    }
    assignment
}
