//! Bytes: shares of 11 fractional bits, rows first, then columns.

use super::taps::{Axis, Kernel, Taps, taps};

const BITS: u32 = 11;
const ONE: f32 = (1 << BITS) as f32;

/// Shares as integers, rounded to even at the half.
fn quantised(taps: &Taps, len: usize) -> [i32; 8] {
    let mut shares = [0; 8];
    for (share, exact) in shares.iter_mut().zip(&taps.shares[..len]) {
        *share = (exact * ONE).round_ties_even() as i32;
    }
    shares
}

/// Resizes all rows along their columns, `from` of them to `to`, by the first `LEN` shares; the others are zero.
#[inline(always)]
fn along_columns<const LEN: usize>(
    source: &[u8],
    kernel: Kernel,
    (from, to): (usize, usize),
    target: &mut [i32],
    channels: usize,
) {
    // Where a target column's cells begin in a row, and their shares, in little memory.
    let columns: Vec<([u32; LEN], [i32; LEN])> = taps(kernel, Axis::Columns, from, to)
        .iter()
        .map(|taps| {
            let shares = quantised(taps, kernel.len());
            let cell = |tap: usize| (taps.cells[tap] * channels) as u32;
            (std::array::from_fn(cell), std::array::from_fn(|tap| shares[tap]))
        })
        .collect();
    let rows = source.chunks_exact(from * channels).zip(target.chunks_exact_mut(to * channels));
    for (source, row) in rows {
        for ((cells, shares), values) in columns.iter().zip(row.chunks_exact_mut(channels)) {
            // The channels of each cell; one check instead of one a channel.
            let cells = cells.map(|cell| &source[cell as usize..][..channels]);
            for (channel, value) in values.iter_mut().enumerate() {
                *value = (0..LEN).map(|tap| i32::from(cells[tap][channel]) * shares[tap]).sum();
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
    // The channels of pictures, which the compiler then unrolls; and all others.
    match (len, channels) {
        (2, 3) => along_columns::<2>(source, kernel, (from.1, to.1), &mut rows, 3),
        (2, _) => along_columns::<2>(source, kernel, (from.1, to.1), &mut rows, channels),
        _ => along_columns::<8>(source, kernel, (from.1, to.1), &mut rows, channels),
    }
    let mut target = Vec::with_capacity(to.0 * width);
    for taps in taps(kernel, Axis::Rows, from.0, to.0) {
        let shares = quantised(&taps, len);
        let row = |tap: usize| &rows[taps.cells[tap] * width..][..width];
        match kernel {
            Kernel::Linear | Kernel::AreaEnlarging => {
                // OpenCV drops four bits before the second product, so that it fits its vector registers.
                let blend = |(&a, &b): (&i32, &i32)| {
                    ((((shares[0] * (a >> 4)) >> 16) + ((shares[1] * (b >> 4)) >> 16) + 2) >> 2) as u8
                };
                target.extend(row(0).iter().zip(row(1)).map(blend));
            }
            _ => {
                target.extend((0..width).map(|x| {
                    let sum: i32 =
                        (0..len).map(|tap| row(tap)[x].wrapping_mul(shares[tap])).fold(0, i32::wrapping_add);
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
