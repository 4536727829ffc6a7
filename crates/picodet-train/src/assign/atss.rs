//! ATSS (SPEC §5.2, §5.4): of the cells nearest to an object, those that overlap it more than most.

use super::{Assignment, Truth, first_largest, largest};
use crate::geometry::{centre, inset, iou};
use crate::{Anchors, Box4, Predictions};

/// Side of a cell's anchor box in strides.
const SCALE: f64 = 5.0;

/// How the two forms of ATSS differ.
struct Form {
    /// Nearest cells of each level.
    nearest: usize,
    /// Delta degrees of freedom of the standard deviation.
    ddof: f64,
    /// Whether a cell at the threshold itself is in.
    inclusive: bool,
    /// A cell's centre lies deeper inside the object than this, in pixels.
    depth: f64,
    /// Whether a cell that several objects want goes to the best of those only, or of all.
    among_takers: bool,
}

/// The second generation's ATSS: the quality of a positive cell is the overlap of its *predicted* box.
///
/// `nearest` is 9, or 4 for very small inputs.
pub fn atss(predictions: &Predictions<'_>, image: usize, truth: &Truth, nearest: usize) -> Assignment {
    let form = Form { nearest, ddof: 1.0, inclusive: false, depth: 1e-9, among_takers: false };
    let mut assignment = assign(&predictions.anchors, truth, &form);
    let count = predictions.anchors.len();
    for anchor in 0..count {
        if let Some(object) = assignment.object[anchor] {
            let bbox = predictions.box_in_pixels(image, anchor);
            assignment.quality[anchor] = iou(&truth.boxes[object], &bbox, |union| union + 1e-9);
        }
    }
    assignment
}

/// The ATSS of the ablation's Base, computed without predictions.
pub fn loader_atss(anchors: &Anchors, truth: &Truth) -> Assignment {
    assign(anchors, truth, &Form { nearest: 9, ddof: 0.0, inclusive: true, depth: 0.01, among_takers: true })
}

fn assign(anchors: &Anchors, truth: &Truth, form: &Form) -> Assignment {
    let mut assignment = Assignment::background(anchors.len());
    let overlap =
        |object: &Box4, anchor: usize| iou(object, &anchors.square(anchor, SCALE), |union| union + 1e-10);
    let mut takers: Vec<Vec<usize>> = vec![Vec::new(); anchors.len()];
    for (index, object) in truth.boxes.iter().enumerate() {
        let candidates = nearest(anchors, object, form.nearest);
        let overlaps: Vec<f64> = candidates.iter().map(|&anchor| overlap(object, anchor)).collect();
        let count = overlaps.len() as f64;
        let mean = overlaps.iter().sum::<f64>() / count;
        let squares: f64 = overlaps.iter().map(|value| (value - mean).powi(2)).sum();
        let threshold = mean + (squares / (count - form.ddof)).sqrt();
        for (&anchor, &overlap) in candidates.iter().zip(&overlaps) {
            let enough = overlap > threshold || (form.inclusive && overlap >= threshold);
            if enough && inset(anchors.centres[anchor], object) > form.depth {
                takers[anchor].push(index);
            }
        }
    }
    for (anchor, objects) in takers.iter().enumerate() {
        assignment.object[anchor] = match objects.as_slice() {
            [] => None,
            [object] => Some(*object),
            _ if form.among_takers => {
                let best = first_largest(objects.iter().map(|&object| overlap(&truth.boxes[object], anchor)));
                best.map(|place| objects[place])
            }
            _ => first_largest(truth.boxes.iter().map(|object| overlap(object, anchor))),
        };
    }
    assignment
}

/// The cells of each level whose centres are nearest to an object's.
fn nearest(anchors: &Anchors, object: &Box4, count: usize) -> Vec<usize> {
    let [cx, cy] = centre(object);
    let mut found = Vec::new();
    let mut first = 0;
    for &cells in &anchors.per_level {
        let closeness: Vec<f64> =
            anchors.centres[first..first + cells].iter().map(|[x, y]| -(x - cx).hypot(y - cy)).collect();
        found.extend(largest(&closeness, count).into_iter().map(|cell| first + cell));
        first += cells;
    }
    found
}
