//! Floats: rows first, then columns.

use super::coefficients::{Axis, Kernel, coefficients};

/// Resizes rows of pixels of `channels` values each from `from` to `to` (height, width).
pub(super) fn resize<T: Copy + Into<f32>>(
    source: &[T],
    from: (usize, usize),
    channels: usize,
    to: (usize, usize),
    kernel: Kernel,
) -> Vec<f32> {
    let len = kernel.len();
    let columns = coefficients(kernel, Axis::Columns, from.1, to.1);
    let width = to.1 * channels;
    let mut rows = vec![0.0; from.0 * width];
    for (source, row) in source.chunks(from.1 * channels).zip(rows.chunks_mut(width)) {
        for (coefficients, values) in columns.iter().zip(row.chunks_mut(channels)) {
            for (channel, value) in values.iter_mut().enumerate() {
                let product = |i: usize| {
                    source[coefficients.pixels[i] * channels + channel].into() * coefficients.weights[i]
                };
                *value = match kernel {
                    // The order in which OpenCV's vendor library adds.
                    Kernel::Cubic => (product(0) + product(2)) + (product(1) + product(3)),
                    _ => (0..len).map(product).sum(),
                };
            }
        }
    }
    let mut target = Vec::with_capacity(to.0 * width);
    for coefficients in coefficients(kernel, Axis::Rows, from.0, to.0) {
        let row = |i: usize| &rows[coefficients.pixels[i] * width..][..width];
        if kernel == Kernel::Cubic {
            let [r0, r1, r2, r3] = [row(0), row(1), row(2), row(3)];
            let [w0, w1, w2, w3] = [0, 1, 2, 3].map(|i| coefficients.weights[i]);
            target.extend((0..width).map(|x| fused(r2[x], w2, r0[x] * w0) + fused(r3[x], w3, r1[x] * w1)));
        } else {
            target.extend(
                (0..width).map(|x| (0..len).map(|i| row(i)[x] * coefficients.weights[i]).sum::<f32>()),
            );
        }
    }
    target
}

/// Returns `a · b + c`, rounded once, on processors without such an instruction too.
#[inline(always)]
pub(super) fn fused(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let addend = f64::from(c);
    let sum = product + addend;
    // The product is exact. The rounding error of the sum decides ties between two f32; so that the second rounding
    // respects it, an inexact sum gets an odd last bit.
    let back = sum - product;
    let lost = (product - (sum - back)) + (addend - back);
    let bits = sum.to_bits();
    if lost == 0.0 || bits & 1 == 1 || !sum.is_finite() {
        return sum as f32;
    }
    // The odd neighbour in the direction of the exact sum.
    let away = (lost > 0.0) == (sum > 0.0);
    f64::from_bits(if away { bits + 1 } else { bits - 1 }) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fused_rounds_once_like_the_instruction() {
        // The exact sum is slightly above a tie between two f32, which rounding to f64 first would lose.
        let (a, b) = (1.0 + f32::EPSILON, 1.0 + f32::EPSILON);
        let c = f32::EPSILON * f32::EPSILON * 2.0f32.powi(-24);
        let mut wrong = Vec::new();
        let mut noise = picodet_testing::Noise::new(1);
        let mut next = || noise.uniform(-0.5, 0.5);
        let random =
            (0..100_000).map(|_| (next() * 300.0, next(), next() * 2.0f32.powi((next() * 60.0) as i32)));
        let cases = [(a, b, c), (a, b, -c), (-a, b, c), (0.0, 1.0, 0.0), (1.0, -1.0, 1.0)];
        for (a, b, c) in cases.into_iter().chain(random.collect::<Vec<_>>()) {
            if fused(a, b, c).to_bits() != a.mul_add(b, c).to_bits() {
                wrong.push((a, b, c));
            }
        }
        assert!(wrong.is_empty(), "{} differ: {:?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    }
}
