//! Linear algebra in f64 on row-major matrices: Cholesky factors and triangular solutions.

const LANES: usize = 8;

/// The scalar product of two vectors of one length.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// Adds `factor · x` to `y`.
fn add_scaled(y: &mut [f64], factor: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// The lower triangular `L` of `A = L Lᵀ`.
pub(crate) struct Cholesky {
    n: usize,
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factors a symmetric matrix of `n` rows; `None` when it is not positive definite.
    pub(crate) fn new(mut a: Vec<f64>, n: usize) -> Option<Self> {
        for i in 0..n {
            let (above, row) = a.split_at_mut(i * n);
            for j in 0..i {
                let earlier = &above[j * n..][..=j];
                row[j] = (row[j] - dot(&row[..j], &earlier[..j])) / earlier[j];
            }
            let rest = row[i] - dot(&row[..i], &row[..i]);
            if rest.is_nan() || rest <= 0.0 {
                return None;
            }
            row[i] = rest.sqrt();
            row[i + 1..n].fill(0.0);
        }
        Some(Self { n, lower: a })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.lower[i * self.n..][..=i]
    }

    /// Replaces `b` by `A⁻¹ b`.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        for i in 0..self.n {
            let row = self.row(i);
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
        for i in (0..self.n).rev() {
            let row = self.row(i);
            b[i] /= row[i];
            let value = b[i];
            add_scaled(&mut b[..i], -value, &row[..i]);
        }
    }

    /// Returns `L⁻¹`, lower triangular.
    pub(crate) fn inverse_factor(&self) -> Vec<f64> {
        let n = self.n;
        let mut inverse = vec![0.0; n * n];
        for i in 0..n {
            let row = self.row(i);
            let (above, to) = inverse.split_at_mut(i * n);
            let to = &mut to[..n];
            for k in 0..i {
                add_scaled(&mut to[..=k], -row[k] / row[i], &above[k * n..][..=k]);
            }
            to[i] = 1.0 / row[i];
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use picodet_testing::Noise;

    use super::*;

    #[test]
    fn factors_solve_and_invert() {
        for n in [1, 2, 7, 30] {
            let mut noise = Noise::new(n as u64);
            let b: Vec<f64> = (0..n * n).map(|_| noise.unit() - 0.5).collect();
            let mut a = vec![0.0; n * n];
            for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
                a[i * n + j] = dot(&b[i * n..][..n], &b[j * n..][..n]) + if i == j { 0.1 } else { 0.0 };
            }
            let factor = Cholesky::new(a.clone(), n).expect("positive definite");
            let x: Vec<f64> = (0..n).map(|_| noise.unit()).collect();
            let mut y: Vec<f64> = (0..n).map(|i| dot(&a[i * n..][..n], &x)).collect();
            factor.solve(&mut y);
            assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-9), "{x:?} {y:?}");
            let inverse = factor.inverse_factor();
            for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let product: f64 = (0..n).map(|k| factor.lower[i * n + k] * inverse[k * n + j]).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-9, "{n}: {i} {j}");
            }
        }
        assert!(Cholesky::new(vec![1.0, 2.0, 2.0, 1.0], 2).is_none(), "not positive definite");
        assert!(Cholesky::new(vec![f64::NAN], 1).is_none());
    }
}
