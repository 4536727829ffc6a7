//! Floats: rows first, then columns.

use super::taps::{Axis, Kernel, taps};

pub(super) fn resize<T: Copy + Into<f32>>(
    source: &[T],
    from: (usize, usize),
    channels: usize,
    to: (usize, usize),
    kernel: Kernel,
) -> Vec<f32> {
    let len = kernel.len();
    let columns = taps(kernel, Axis::Columns, from.1, to.1);
    let width = to.1 * channels;
    let mut rows = vec![0.0; from.0 * width];
    for (source, row) in source.chunks(from.1 * channels).zip(rows.chunks_mut(width)) {
        for (taps, values) in columns.iter().zip(row.chunks_mut(channels)) {
            for (channel, value) in values.iter_mut().enumerate() {
                let product =
                    |tap: usize| source[taps.cells[tap] * channels + channel].into() * taps.shares[tap];
                *value = match kernel {
                    // The order in which OpenCV's vendor library adds.
                    Kernel::Cubic => (product(0) + product(2)) + (product(1) + product(3)),
                    _ => (0..len).map(product).sum(),
                };
            }
        }
    }
    let mut target = Vec::with_capacity(to.0 * width);
    for taps in taps(kernel, Axis::Rows, from.0, to.0) {
        let row = |tap: usize| &rows[taps.cells[tap] * width..][..width];
        if kernel == Kernel::Cubic {
            let [r0, r1, r2, r3] = [row(0), row(1), row(2), row(3)];
            let [s0, s1, s2, s3] = [0, 1, 2, 3].map(|tap| taps.shares[tap]);
            target.extend((0..width).map(|x| fused(r2[x], s2, r0[x] * s0) + fused(r3[x], s3, r1[x] * s1)));
        } else {
            target
                .extend((0..width).map(|x| (0..len).map(|tap| row(tap)[x] * taps.shares[tap]).sum::<f32>()));
        }
    }
    target
}

/// `a · b + c`, rounded once, on processors without such an instruction too: the product is exact in f64.
fn fused(a: f32, b: f32, c: f32) -> f32 {
    (f64::from(a) * f64::from(b) + f64::from(c)) as f32
}
