//! Matrix multiplication of the reference engine.

use crate::Real;

/// Columns of a tile.
const WIDTH: usize = 8;
/// Rows of a tile.
const HEIGHT: usize = 4;

/// Computes `out = left · right` with `left` `[m, k]`, `right` `[k, n]` and `out` `[m, n]`, all row-major. Each element is
/// summed in the order of `k`.
///
/// # Panics
/// When a slice does not have the length that its shape requires.
pub(super) fn multiply<T: Real>(out: &mut [T], left: &[T], right: &[T], m: usize, k: usize, n: usize) {
    assert!(out.len() == m * n && left.len() == m * k && right.len() == k * n, "matrix shapes do not match");
    let row = |i: usize| &left[i * k..(i + 1) * k];
    // WIDTH columns of `right`, padded with zeros, in contiguous memory.
    let mut panel = vec![[T::ZERO; WIDTH]; k];
    for column in (0..n).step_by(WIDTH) {
        let width = WIDTH.min(n - column);
        for (i, line) in panel.iter_mut().enumerate() {
            line[..width].copy_from_slice(&right[i * n + column..][..width]);
        }
        let mut store = |i: usize, values: &[T; WIDTH]| {
            out[i * n + column..][..width].copy_from_slice(&values[..width]);
        };
        let whole = m / HEIGHT * HEIGHT;
        for first in (0..whole).step_by(HEIGHT) {
            let tile: [_; HEIGHT] = tile(std::array::from_fn(|i| row(first + i)), &panel);
            tile.iter().enumerate().for_each(|(i, values)| store(first + i, values));
        }
        for i in whole..m {
            let [values] = tile([row(i)], &panel);
            store(i, &values);
        }
    }
}

/// Multiplies some rows of the left matrix by a panel of the right one.
fn tile<T: Real, const ROWS: usize>(rows: [&[T]; ROWS], panel: &[[T; WIDTH]]) -> [[T; WIDTH]; ROWS] {
    let mut sums = [[T::ZERO; WIDTH]; ROWS];
    let rows = rows.map(|row| &row[..panel.len()]);
    for (k, line) in panel.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(rows) {
            for (sum, &value) in sums.iter_mut().zip(line) {
                *sum += row[k] * value;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_done_by_hand() {
        let mut out = [0.0f64; 4];
        multiply(&mut out, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1.0, 0.0, 0.0, 1.0, 2.0, 3.0], 2, 3, 2);
        assert_eq!(out, [7.0, 11.0, 16.0, 23.0]);
    }

    #[test]
    fn sizes_that_are_no_multiples_of_a_tile() {
        for (m, k, n) in [(1, 1, 1), (3, 5, 7), (4, 2, 8), (5, 3, 9), (9, 0, 17), (6, 31, 25)] {
            let left: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32 - 3.0).collect();
            let right: Vec<f32> = (0..k * n).map(|i| (i % 5) as f32 - 2.0).collect();
            let mut out = vec![9.0; m * n];
            multiply(&mut out, &left, &right, m, k, n);
            for (i, &found) in out.iter().enumerate() {
                let expected: f32 = (0..k).map(|x| left[i / n * k + x] * right[x * n + i % n]).sum();
                assert_eq!(found, expected, "{m} x {k} x {n}, element {i}");
            }
        }
    }
}
