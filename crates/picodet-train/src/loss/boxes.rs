//! Box losses of one anchor.

use picodet_zoo::BINS;

use crate::Box4;
use crate::geometry::area;

/// Returns the derivative of the maximum (or, negated, the minimum) of two values by the first: half at a tie (SPEC §0).
fn slope_of_maximum(first: f64, second: f64) -> f64 {
    match first.total_cmp(&second) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    }
}

/// Computes `1 - GIoU` of a predicted box against its target, and its derivative by the sides of the predicted box.
pub fn generalised_iou(p: &Box4, t: &Box4) -> (f64, Box4) {
    let raw = [p[2].min(t[2]) - p[0].max(t[0]), p[3].min(t[3]) - p[1].max(t[1])];
    let [w, h] = raw.map(|side| side.max(0.0));
    let overlap = w * h;
    let (pw, ph) = (p[2] - p[0], p[3] - p[1]);
    let union = pw * ph + area(t) - overlap + 1e-10;
    let (cw, ch) = (p[2].max(t[2]) - p[0].min(t[0]), p[3].max(t[3]) - p[1].min(t[1]));
    let enclosing = cw * ch + 1e-10;
    let loss = 2.0 - overlap / union - union / enclosing;

    let gradient = std::array::from_fn(|side| {
        let axis = side % 2;
        let (other_overlap, other, other_enclosing) = if axis == 0 { (h, ph, ch) } else { (w, pw, cw) };
        // Moving a left or upper side outwards lowers its coordinate.
        let (sign, into_overlap, into_enclosing) = if side < 2 {
            (-1.0, slope_of_maximum(p[side], t[side]), slope_of_maximum(t[side], p[side]))
        } else {
            (1.0, slope_of_maximum(t[side], p[side]), slope_of_maximum(p[side], t[side]))
        };
        let alive = if raw[axis] >= 0.0 { 1.0 } else { 0.0 };
        let d_overlap = sign * into_overlap * alive * other_overlap;
        let d_union = sign * other - d_overlap;
        let d_enclosing = sign * into_enclosing * other_enclosing;
        -(d_overlap * union - overlap * d_union) / (union * union)
            - (d_union * enclosing - union * d_enclosing) / (enclosing * enclosing)
    });
    (loss, gradient)
}

/// Computes the distribution focal loss of one side: cross entropy against the two bins around `target` (0 to 6.9), and its
/// derivative by the logits. `probabilities` are the softmax of the logits.
pub fn distribution_focal(probabilities: &[f64; BINS], target: f64) -> (f64, [f64; BINS]) {
    let left = target.floor() as usize;
    let right = (left + 1).min(BINS - 1);
    let (to_left, to_right) = ((left + 1) as f64 - target, target - left as f64);
    let loss = -probabilities[left].ln() * to_left - probabilities[right].ln() * to_right;
    let mut gradient = *probabilities;
    gradient[left] -= to_left;
    gradient[right] -= to_right;
    (loss, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_of_giou_equals_finite_differences() {
        let target = [1.0, 2.0, 5.0, 7.0];
        let cases = [
            [0.5, 1.0, 4.0, 6.0],
            [2.0, 3.0, 4.0, 5.0],
            [0.0, 0.0, 9.0, 9.0],
            [6.0, 8.0, 9.0, 9.5],
            [0.0, 3.0, 9.0, 4.0],
        ];
        let mut wrong = Vec::new();
        for bbox in cases {
            let (_, gradient) = generalised_iou(&bbox, &target);
            for side in 0..4 {
                let at = |step: f64| {
                    let mut moved = bbox;
                    moved[side] += step;
                    generalised_iou(&moved, &target).0
                };
                let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
                if (slope - gradient[side]).abs() > 1e-7 {
                    wrong.push(format!("{bbox:?} side {side}: {slope}, not {}", gradient[side]));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
