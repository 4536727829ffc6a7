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

/// Where a target column's cells begin in a row, and their shares.
type Column = ([usize; 8], [i32; 8]);

/// Resizes a row along its columns by their first `LEN` shares; the others are zero.
#[inline(always)]
fn along_columns<const LEN: usize>(source: &[u8], columns: &[Column], target: &mut [i32], channels: usize) {
    for ((cells, shares), values) in columns.iter().zip(target.chunks_exact_mut(channels)) {
        for (channel, value) in values.iter_mut().enumerate() {
            *value = (0..LEN).map(|tap| i32::from(source[cells[tap] + channel]) * shares[tap]).sum();
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
    let columns: Vec<Column> = taps(kernel, Axis::Columns, from.1, to.1)
        .iter()
        .map(|taps| (taps.cells.map(|cell| cell * channels), quantised(taps, len)))
        .collect();
    let width = to.1 * channels;
    let mut rows = vec![0i32; from.0 * width];
    for (source, row) in source.chunks(from.1 * channels).zip(rows.chunks_mut(width)) {
        // The sizes of pictures, which the compiler then unrolls; and all others.
        match (len, channels) {
            (2, 3) => along_columns::<2>(source, &columns, row, 3),
            (2, _) => along_columns::<2>(source, &columns, row, channels),
            (_, 3) => along_columns::<8>(source, &columns, row, 3),
            (_, _) => along_columns::<8>(source, &columns, row, channels),
        }
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
