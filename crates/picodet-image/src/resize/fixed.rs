//! Bytes: weights with 11 fractional bits, rows first, then columns.

use super::coefficients::{Axis, Coefficients, Kernel, coefficients};

const BITS: u32 = 11;
const ONE: f32 = (1 << BITS) as f32;

/// The weights as integers, ties rounded to even.
fn quantised(coefficients: &Coefficients, len: usize) -> [i32; 8] {
    let mut weights = [0; 8];
    for (weight, exact) in weights.iter_mut().zip(&coefficients.weights[..len]) {
        *weight = (exact * ONE).round_ties_even() as i32;
    }
    weights
}

/// Resizes all rows along their columns, `from` of them to `to`, with the first `LEN` weights; the others are zero.
#[inline(always)]
fn along_columns<const LEN: usize>(
    source: &[u8],
    kernel: Kernel,
    (from, to): (usize, usize),
    target: &mut [i32],
    channels: usize,
) {
    // The offsets of a target column's pixels in a row, and their weights, in little memory.
    let columns: Vec<([u32; LEN], [i32; LEN])> = coefficients(kernel, Axis::Columns, from, to)
        .iter()
        .map(|coefficients| {
            let weights = quantised(coefficients, kernel.len());
            let pixel = |i: usize| (coefficients.pixels[i] * channels) as u32;
            (std::array::from_fn(pixel), std::array::from_fn(|i| weights[i]))
        })
        .collect();
    let rows = source.chunks_exact(from * channels).zip(target.chunks_exact_mut(to * channels));
    for (source, row) in rows {
        for ((pixels, weights), values) in columns.iter().zip(row.chunks_exact_mut(channels)) {
            // The channels of each pixel; one bounds check instead of one per channel.
            let pixels = pixels.map(|pixel| &source[pixel as usize..][..channels]);
            for (channel, value) in values.iter_mut().enumerate() {
                *value = (0..LEN).map(|i| i32::from(pixels[i][channel]) * weights[i]).sum();
            }
        }
    }
}

pub(super) fn resize(
    source: &[u8],
    from: (usize, usize),
    channels: usize,
    to: (usize, usize),
    kernel: Kernel,
) -> Vec<u8> {
    let len = kernel.len();
    let width = to.1 * channels;
    let mut rows = vec![0i32; from.0 * width];
    // The channels of images, for which the compiler unrolls the loop; and all others.
    match (len, channels) {
        (2, 3) => along_columns::<2>(source, kernel, (from.1, to.1), &mut rows, 3),
        (2, _) => along_columns::<2>(source, kernel, (from.1, to.1), &mut rows, channels),
        _ => along_columns::<8>(source, kernel, (from.1, to.1), &mut rows, channels),
    }
    let mut target = Vec::with_capacity(to.0 * width);
    for coefficients in coefficients(kernel, Axis::Rows, from.0, to.0) {
        let weights = quantised(&coefficients, len);
        let row = |i: usize| &rows[coefficients.pixels[i] * width..][..width];
        match kernel {
            Kernel::Linear | Kernel::AreaEnlarging => {
                // OpenCV drops four bits before the second product, so that it fits its vector registers.
                let blend = |(&a, &b): (&i32, &i32)| {
                    ((((weights[0] * (a >> 4)) >> 16) + ((weights[1] * (b >> 4)) >> 16) + 2) >> 2) as u8
                };
                target.extend(row(0).iter().zip(row(1)).map(blend));
            }
            _ => {
                target.extend((0..width).map(|x| {
                    let sum: i32 =
                        (0..len).map(|i| row(i)[x].wrapping_mul(weights[i])).fold(0, i32::wrapping_add);
                    rounded(sum)
                }));
            }
        }
    }
    target
}

/// Drops the fractional bits of both passes, rounding to the nearest.
fn rounded(sum: i32) -> u8 {
    (sum.wrapping_add(1 << (2 * BITS - 1)) >> (2 * BITS)).clamp(0, 255) as u8
}
