//! The choice between readings.

/// Least number of objects or detections that another reading matches in addition, and its shares.
const LEAST_GAIN: usize = 3;
const LEAST_SHARE_GAIN: f64 = 0.15;
const LEAST_RATIO: f64 = 1.3;

/// Returns the reading of the greatest value, the first of equals.
pub(super) fn best_of<R>(
    readings: impl IntoIterator<Item = R>,
    value: impl FnMut(&R) -> f64,
) -> Option<(f64, R)> {
    let mut value = value;
    (readings.into_iter())
        .map(|reading| (value(&reading), reading))
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// Whether a number of matches, of a total, is so much greater than that of COCO's reading that the other is meant.
pub(super) fn is_better((other, other_total): (usize, usize), (own, total): (usize, usize)) -> bool {
    let share = |matched: usize, total: usize| matched as f64 / total.max(1) as f64;
    other >= own + LEAST_GAIN
        && other as f64 >= LEAST_RATIO * own as f64
        && share(other, other_total) >= share(own, total) + LEAST_SHARE_GAIN
}
