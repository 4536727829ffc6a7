//! Rounds rows of weights to 8-bit integers.

use crate::linear::{Cholesky, dot};

/// Largest integer of a weight.
const LARGEST: f64 = 127.0;
/// Share of the mean of the diagonal that is added to it.
const DAMPING: f64 = 1e-3;
/// Scales that are tried, as shares of the one that represents the largest weight.
const SHARES: usize = 20;
/// The smallest of these shares.
const SMALLEST_SHARE: f64 = 0.5;
/// Most passes over the integers of a row that change one after the other.
const PASSES: usize = 10;
/// Smallest scale, where all weights of a row are zero.
const SMALLEST_SCALE: f64 = 1e-30;

/// A row of integers and its scale.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) integers: Vec<i8>,
    pub(crate) scale: f32,
}

/// Rounds each weight to the nearest integer, with the scale of the largest weight.
pub(crate) fn nearest(row: &[f64]) -> Row {
    let scale = largest_scale(row);
    let integers = row.iter().map(|&value| integer(value, f64::from(scale)) as i8).collect();
    Row { integers, scale }
}

fn largest_scale(row: &[f64]) -> f32 {
    let largest = row.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    (largest / LARGEST).max(SMALLEST_SCALE) as f32
}

fn integer(value: f64, scale: f64) -> f64 {
    (value / scale).round_ties_even().clamp(-LARGEST, LARGEST)
}

/// Rounds rows with error feedback: the error of each weight is compensated by the weights that are not yet rounded.
pub(crate) struct Feedback {
    n: usize,
    /// The columns in the order in which they are rounded: those of the largest inputs first.
    order: Vec<usize>,
    /// Upper triangular, `H⁻¹ = Uᵀ U`, rows and columns in that order.
    upper: Vec<f64>,
    /// The covariance of the inputs, `[n][n]`.
    covariance: Vec<f64>,
}

impl Feedback {
    /// Prepares the rounding of rows whose inputs have the covariance `h` of `n` rows; `None` when it cannot be inverted.
    pub(crate) fn new(h: &[f64], n: usize) -> Option<Self> {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| h[b * n + b].total_cmp(&h[a * n + a]));
        let mean = (0..n).map(|i| h[i * n + i]).sum::<f64>() / n as f64;
        let damping = (DAMPING * mean).max(f64::MIN_POSITIVE);
        // With the order reversed the factor is `P R P` of `H = R Rᵀ` with an upper triangular `R`.
        let mut reversed = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..n {
                reversed[i * n + j] = h[order[n - 1 - i] * n + order[n - 1 - j]];
            }
            reversed[i * n + i] += damping;
        }
        let inverse = Cholesky::new(reversed, n)?.inverse_factor();
        let mut upper = vec![0.0; n * n];
        for (i, j) in (0..n).flat_map(|i| (i..n).map(move |j| (i, j))) {
            upper[i * n + j] = inverse[(n - 1 - i) * n + (n - 1 - j)];
        }
        Some(Self { n, order, upper, covariance: h.to_vec() })
    }

    /// Rounds a row with the scale of the least error among several, then changes integers and scale while that makes the error
    /// smaller.
    pub(crate) fn round(&self, row: &[f64]) -> Row {
        let largest = f64::from(largest_scale(row));
        let mut best = (f64::INFINITY, Row { integers: vec![0; self.n], scale: largest as f32 });
        for step in 0..SHARES {
            let share = 1.0 - (1.0 - SMALLEST_SHARE) * step as f64 / (SHARES - 1) as f64;
            let scale = ((largest * share) as f32).max(f32::MIN_POSITIVE);
            let (error, integers) = self.round_to(row, f64::from(scale), best.0);
            if error < best.0 {
                best = (error, Row { integers, scale });
            }
        }
        self.descend(row, best.1)
    }

    /// Product of a row of the covariance and a vector.
    fn covariance_dot(&self, index: usize, values: &[f64]) -> f64 {
        dot(&self.covariance[index * self.n..][..self.n], values)
    }

    /// Changes integers one by one, and the scale, while that makes the error of the result smaller.
    fn descend(&self, row: &[f64], start: Row) -> Row {
        let n = self.n;
        let mut scale = f64::from(start.scale);
        let mut integers: Vec<f64> = start.integers.iter().map(|&integer| f64::from(integer)).collect();
        for _ in 0..PASSES {
            // The scale of the least error is that of a projection.
            let products: Vec<f64> = (0..n).map(|i| self.covariance_dot(i, &integers)).collect();
            let (along, length) = (dot(&products, row), dot(&products, &integers));
            if along > 0.0 && length > 0.0 {
                scale = f64::from((along / length) as f32).max(f64::from(f32::MIN_POSITIVE));
            }
            let error: Vec<f64> = integers.iter().zip(row).map(|(q, weight)| q * scale - weight).collect();
            let mut gradient: Vec<f64> = (0..n).map(|i| self.covariance_dot(i, &error)).collect();
            let mut is_changed = false;
            for i in 0..n {
                let variances = &self.covariance[i * n..][..n];
                let curvature = variances[i] * scale;
                if curvature <= 0.0 {
                    continue;
                }
                let to = integer(integers[i] * curvature - gradient[i], curvature);
                let step = to - integers[i];
                if step != 0.0 {
                    (integers[i], is_changed) = (to, true);
                    gradient.iter_mut().zip(variances).for_each(|(g, h)| *g += step * scale * h);
                }
            }
            if !is_changed {
                break;
            }
        }
        Row { integers: integers.iter().map(|&integer| integer as i8).collect(), scale: scale as f32 }
    }

    /// Returns the error of a row with a scale, and its integers; stops when the error is above `limit`.
    fn round_to(&self, row: &[f64], scale: f64, limit: f64) -> (f64, Vec<i8>) {
        let n = self.n;
        let mut rest: Vec<f64> = self.order.iter().map(|&column| row[column]).collect();
        let mut integers = vec![0; n];
        let mut error = 0.0;
        for j in 0..n {
            let upper = &self.upper[j * n..][..n];
            let nearest = integer(rest[j], scale);
            integers[self.order[j]] = nearest as i8;
            let e = (rest[j] - nearest * scale) / upper[j];
            error += e * e;
            if error > limit {
                break;
            }
            rest[j + 1..].iter_mut().zip(&upper[j + 1..]).for_each(|(rest, u)| *rest -= e * u);
        }
        (error, integers)
    }
}

/// Returns weights nearer to those that give the float result: `V + (T - V H) (H + λ diag)⁻¹`, `rows` rows of `n`; `None`
/// when the matrix cannot be inverted. `t` is the covariance of results and inputs.
pub(crate) fn fit(weights: &[f64], h: &[f64], t: &[f64], n: usize, strength: f64) -> Option<Vec<f64>> {
    let mean = (0..n).map(|i| h[i * n + i]).sum::<f64>() / n as f64;
    let mut regularised = h.to_vec();
    (0..n).for_each(|i| regularised[i * n + i] += (strength * mean).max(f64::MIN_POSITIVE));
    let factor = Cholesky::new(regularised, n)?;
    let mut fitted = weights.to_vec();
    for (row, t) in fitted.chunks_exact_mut(n).zip(t.chunks_exact(n)) {
        let mut change: Vec<f64> = (0..n).map(|i| t[i] - dot(row, &h[i * n..][..n])).collect();
        factor.solve(&mut change);
        row.iter_mut().zip(&change).for_each(|(row, change)| *row += change);
    }
    Some(fitted)
}

#[cfg(test)]
mod tests {
    use picodet_testing::Noise;

    use super::*;

    /// Correlated inputs, `samples` of `n`.
    fn inputs(n: usize, samples: usize) -> Vec<f64> {
        let mut noise = Noise::new(5);
        let mut data = Vec::new();
        for _ in 0..samples {
            let common = noise.unit();
            data.extend((0..n).map(|i| common * (1.0 + i as f64 / 5.0) + 0.3 * noise.unit()));
        }
        data
    }

    fn covariance(x: &[f64], n: usize) -> Vec<f64> {
        let mut h = vec![0.0; n * n];
        for sample in x.chunks(n) {
            for i in 0..n {
                (0..n).for_each(|j| h[i * n + j] += sample[i] * sample[j]);
            }
        }
        h
    }

    fn squared_error(x: &[f64], row: &[f64], rounded: &Row) -> f64 {
        let error = |sample: &[f64]| {
            let value = |(i, x): (usize, &f64)| {
                x * (row[i] - f64::from(rounded.integers[i]) * f64::from(rounded.scale))
            };
            sample.iter().enumerate().map(value).sum::<f64>().powi(2)
        };
        x.chunks(row.len()).map(error).sum()
    }

    #[test]
    fn error_feedback_is_far_better_than_the_nearest_integers() {
        const N: usize = 12;
        let x = inputs(N, 400);
        let feedback = Feedback::new(&covariance(&x, N), N).expect("invertible");
        let mut noise = Noise::new(9);
        let (mut plain, mut fed) = (0.0, 0.0);
        for _ in 0..20 {
            let row: Vec<f64> = (0..N).map(|_| noise.unit() - 0.5).collect();
            plain += squared_error(&x, &row, &nearest(&row));
            fed += squared_error(&x, &row, &feedback.round(&row));
        }
        assert!(fed < 0.5 * plain, "{fed} {plain}");
    }

    #[test]
    fn changing_integers_makes_the_error_of_a_rounded_row_smaller() {
        const N: usize = 12;
        let x = inputs(N, 400);
        let feedback = Feedback::new(&covariance(&x, N), N).expect("invertible");
        let mut noise = Noise::new(11);
        let (mut before, mut after) = (0.0, 0.0);
        for _ in 0..20 {
            let row: Vec<f64> = (0..N).map(|_| noise.unit() - 0.5).collect();
            let start = nearest(&row);
            let end = feedback.descend(&row, start.clone());
            let errors = [&start, &end].map(|rounded| squared_error(&x, &row, rounded));
            assert!(errors[1] <= errors[0] * (1.0 + 1e-6), "{errors:?}");
            (before, after) = (before + errors[0], after + errors[1]);
        }
        assert!(after < 0.8 * before, "{after} {before}");
    }

    #[test]
    fn a_fit_recovers_the_weights_behind_a_result() {
        const N: usize = 6;
        let x = inputs(N, 300);
        let h = covariance(&x, N);
        let weights = [0.3, -0.2, 0.7, 0.1, 0.0, -1.0];
        let t: Vec<f64> = (0..N).map(|i| dot(&weights, &h[i * N..][..N])).collect();
        let fitted = fit(&[0.0; N], &h, &t, N, 1e-9).expect("invertible");
        assert!(weights.iter().zip(&fitted).all(|(a, b)| (a - b).abs() < 1e-5), "{fitted:?}");
        let held = fit(&[0.0; N], &h, &t, N, 1e6).expect("invertible");
        assert!(held.iter().all(|value| value.abs() < 1e-3), "{held:?}");
    }

    #[test]
    fn rows_of_zeros_have_a_scale() {
        assert_eq!(nearest(&[0.0; 3]).integers, [0; 3]);
        assert!(nearest(&[0.0; 3]).scale > 0.0);
        assert_eq!(nearest(&[1.27, -0.635, 0.0]).integers, [127, -64, 0]);
        let feedback = Feedback::new(&[0.0; 9], 3);
        assert!(feedback.is_none_or(|feedback| feedback.round(&[0.0; 3]).integers == [0; 3]));
    }
}
