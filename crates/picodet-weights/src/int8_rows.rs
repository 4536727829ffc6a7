//! Storage of a tensor as 8-bit integers with one scale per row.
//!
//! Only the file is smaller: the values are expanded to `f32` when it is read, and every computation is in `f32`.

use picodet_graph::Tensor;

/// Suffix of the name of the tensor that holds the scales.
pub(crate) const SCALE_SUFFIX: &str = ".scale";

/// Shortest row for which one byte per value and a scale are worth storing.
const SHORTEST_ROW: usize = 8;
/// Largest integer that is written; -128 is read, but not written.
const LARGEST: f64 = 127.0;
/// Shares of the largest value of a row, in percent, at which clipping is tried.
const CLIPPING: std::ops::RangeInclusive<u32> = 90..=100;
/// Number of times that the scale is fitted to the integers and the integers to the scale.
const FITS: usize = 3;

/// The integers and scales of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Int8Rows {
    /// The integers in the order of the tensor's values.
    pub(crate) integers: Vec<i8>,
    /// One scale per row, that is per index of the first axis.
    pub(crate) scales: Vec<f32>,
}

/// Returns the 8-bit rows with the smallest squared error that was found.
///
/// `None` for tensors of one axis, short rows, and values that are infinite, NaN, or too large for a scale.
pub(crate) fn quantise(tensor: &Tensor) -> Option<Int8Rows> {
    let rows = *tensor.shape.first()?;
    let length = tensor.data.len().checked_div(rows)?;
    if tensor.shape.len() < 2 || length < SHORTEST_ROW {
        return None;
    }
    let mut integers = Vec::with_capacity(tensor.data.len());
    let mut scales = Vec::with_capacity(rows);
    for row in tensor.data.chunks_exact(length) {
        let scale = best_scale(row)?;
        integers.extend(row.iter().map(|&value| nearest(value, scale) as i8));
        scales.push(scale);
    }
    Some(Int8Rows { integers, scales })
}

/// Returns the values of 8-bit rows: each integer times the scale of its row.
///
/// `None` unless there is one valid scale per row of `shape`.
pub(crate) fn dequantise(integers: &[i8], scales: &[f32], shape: &[usize]) -> Option<Vec<f32>> {
    let rows = *shape.first()?;
    if !are_scales(scales, rows) {
        return None;
    }
    let length = integers.len().checked_div(rows).unwrap_or(0);
    if length == 0 {
        return Some(Vec::new());
    }
    let mut values = Vec::with_capacity(integers.len());
    for (row, &scale) in integers.chunks_exact(length).zip(scales) {
        values.extend(row.iter().map(|&integer| f32::from(integer) * scale));
    }
    Some(values)
}

/// Largest distance from an integer, in steps, of values that have been multiplied in f32.
const GRID: f64 = 1e-4;

/// Whether there is one valid scale per row.
pub(crate) fn are_scales(scales: &[f32], rows: usize) -> bool {
    scales.len() == rows && scales.iter().copied().all(is_valid_scale)
}

/// Whether a scale is positive and no integer times the scale is infinite.
fn is_valid_scale(scale: f32) -> bool {
    scale > 0.0 && (scale * 128.0).is_finite()
}

/// Returns the scale of a row with the smallest squared error among several clipping limits, each fitted by least
/// squares.
fn best_scale(row: &[f32]) -> Option<f32> {
    let largest = row.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    if !row.iter().all(|value| value.is_finite()) {
        return None;
    }
    // Subnormal scales would lose the precision of the values.
    if largest >= 128.0 * f32::MIN_POSITIVE
        && let Some(scale) = scale_of_grid(row, largest)
    {
        return Some(scale);
    }
    let mut best = (f64::INFINITY, 1.0);
    for percent in CLIPPING.rev() {
        let mut scale = (f64::from(largest) * f64::from(percent) / 100.0 / LARGEST) as f32;
        for _ in 0..FITS {
            if !is_valid_scale(scale) {
                break;
            }
            let error = squared_error(row, scale);
            if error < best.0 {
                best = (error, scale);
            }
            scale = fitted_scale(row, scale);
        }
    }
    // Rows of zeros, or of values too small for a scale, become zeros; those with too large values are refused.
    is_valid_scale((f64::from(largest) / LARGEST) as f32)
        .then_some(best.1)
        .or((largest < f32::MIN_POSITIVE).then_some(1.0))
}

/// Returns the scale of a row whose values are integers times a scale, so that a file that is read and written again keeps
/// its integers, also where the largest of them is below 127.
fn scale_of_grid(row: &[f32], largest: f32) -> Option<f32> {
    let on_grid = |scale: f32| {
        row.iter().all(|&value| (f64::from(value) / f64::from(scale) - nearest(value, scale)).abs() < GRID)
    };
    let exact = |scale: &f32| row.iter().all(|&value| nearest(value, *scale) as f32 * scale == value);
    let scale = (1..=127u8)
        .rev()
        .map(|steps| largest / f32::from(steps))
        .find(|&scale| is_valid_scale(scale) && on_grid(scale))?;
    Some([scale, scale.next_up(), scale.next_down()].into_iter().find(exact).unwrap_or(scale))
}

/// Returns the integer whose product with the scale is nearest to the value.
fn nearest(value: f32, scale: f32) -> f64 {
    (f64::from(value) / f64::from(scale)).round_ties_even().clamp(-LARGEST, LARGEST)
}

fn squared_error(row: &[f32], scale: f32) -> f64 {
    row.iter().map(|&value| (f64::from(value) - nearest(value, scale) * f64::from(scale)).powi(2)).sum()
}

/// Returns the least-squares scale of the integers that `scale` gives.
fn fitted_scale(row: &[f32], scale: f32) -> f32 {
    let (mut product, mut square) = (0.0, 0.0);
    for &value in row {
        let integer = nearest(value, scale);
        product += integer * f64::from(value);
        square += integer * integer;
    }
    (product / square) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(rows: &[&[f32]]) -> Tensor {
        Tensor { shape: vec![rows.len(), rows[0].len(), 1, 1], data: rows.concat() }
    }

    fn expand(tensor: &Tensor, stored: &Int8Rows) -> Vec<f32> {
        dequantise(&stored.integers, &stored.scales, &tensor.shape).expect("valid scales")
    }

    #[test]
    fn each_row_has_its_own_scale_and_small_rows_keep_their_precision() {
        let large: Vec<f32> = (0..64).map(|n| (n as f32 * 0.7).sin() * 50.0).collect();
        let small: Vec<f32> = (0..64).map(|n| (n as f32 * 0.3).cos() * 1e-4).collect();
        let tensor = tensor(&[&large, &small]);
        let stored = quantise(&tensor).expect("rows");
        let values = expand(&tensor, &stored);
        for (index, (value, expected)) in values.iter().zip(&tensor.data).enumerate() {
            let largest = if index < 64 { 50.0 } else { 1e-4 };
            assert!((value - expected).abs() <= largest / 127.0, "{index}: {value} {expected}");
        }
    }

    #[test]
    fn values_on_the_grid_are_stored_without_loss() {
        let row: Vec<f32> = (-127i8..=127).map(|integer| f32::from(integer) * 0.031).collect();
        let tensor = tensor(&[&row]);
        let stored = quantise(&tensor).expect("rows");
        assert_eq!(expand(&tensor, &stored), tensor.data);
        // Clipped rows have no integer of 127.
        for largest in [3i8, 64, 101, 126] {
            let row: Vec<f32> = (-largest..=largest).map(|integer| f32::from(integer) * 0.0173).collect();
            let row = row.repeat(usize::from(largest < 50) * 20 + 1);
            let tensor = self::tensor(&[&row]);
            let stored = quantise(&tensor).expect("rows");
            assert_eq!(expand(&tensor, &stored), tensor.data, "{largest}");
        }
    }

    #[test]
    fn the_chosen_scale_is_at_least_as_good_as_that_of_the_largest_value() {
        let row: Vec<f32> = (0..200).map(|n| ((n * 37 % 101) as f32 - 50.0) / 400.0).chain([0.31]).collect();
        let plain = 0.31 / 127.0;
        assert!(squared_error(&row, best_scale(&row).expect("a scale")) < squared_error(&row, plain));
    }

    #[test]
    fn zeros_stay_zeros_and_unsuitable_tensors_are_left_to_other_types() {
        let zeros = tensor(&[&[0.0; 9], &[1e-44; 9]]);
        assert_eq!(expand(&zeros, &quantise(&zeros).expect("rows")), [0.0; 18]);
        let vector = Tensor { shape: vec![64], data: vec![1.0; 64] };
        let unsuitable = [vector, tensor(&[&[1.0; 4]]), tensor(&[&[f32::NAN; 9]]), tensor(&[&[f32::MAX; 9]])];
        assert!(unsuitable.iter().all(|tensor| quantise(tensor).is_none()));
        assert_eq!(quantise(&Tensor { shape: vec![0, 9], data: Vec::new() }), None);
    }

    #[test]
    fn every_row_needs_a_positive_finite_scale() {
        assert_eq!(dequantise(&[1, -1, -128, 2], &[0.5, 2.0], &[2, 2]), Some(vec![0.5, -0.5, -256.0, 4.0]));
        for scales in [&[0.5][..], &[0.5; 3], &[0.5, 0.0], &[0.5, -1.0], &[0.5, f32::NAN], &[0.5, 1e38]] {
            assert_eq!(dequantise(&[0; 4], scales, &[2, 2]), None, "{scales:?}");
        }
        assert_eq!(dequantise(&[1], &[1.0], &[]), None);
        assert_eq!(dequantise(&[], &[], &[0, 4]), Some(Vec::new()));
        assert_eq!(dequantise(&[], &[1.0, 1.0], &[2, 0]), Some(Vec::new()));
    }
}
