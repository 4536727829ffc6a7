//! The inner loops of the cubic resize of pictures, for this processor's instruction set.
//!
//! One text for all of them but for the columns, whose cells the compiler does not gather well by itself.
#![allow(unsafe_code)]

use super::float::fused;

/// Cells that a tap may lie outside the picture: half a kernel.
pub(super) const MARGIN: usize = 2;
/// Red, green, blue.
const CHANNELS: usize = 3;
/// Values of four cells, and one more because three channels are moved four at a time.
const WINDOW: usize = 4 * CHANNELS + 1;

/// A target column's four neighbouring cells in a row with its margins, and their shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Index of the first value of the first cell.
    pub(super) first: usize,
    pub(super) shares: [f32; 4],
}

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    /// AVX2 with FMA, found at run time.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What the target always has.
    Plain,
}

impl Isa {
    /// The fastest set of this processor.
    pub(super) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Self::Avx2;
        }
        Self::Plain
    }

    /// Resizes a row of bytes along its columns; `target` has one value more than the target row, and `widened` is
    /// memory for the row with its margins and one value more.
    pub(super) fn columns(self, source: &[u8], columns: &[Column], widened: &mut [f32], target: &mut [f32]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `best`, which alone makes this case, has found both instruction sets.
            Self::Avx2 => unsafe { avx2::columns(source, columns, widened, target) },
            Self::Plain => {
                widen(source, widened);
                along_columns(widened, columns, target);
            }
        }
    }

    /// The sum of four rows in their shares, rounded to bytes.
    pub(super) fn rows(self, rows: [&[f32]; 4], shares: [f32; 4], target: &mut [u8]) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `columns`.
            Self::Avx2 => unsafe { avx2::rows(rows, shares, target) },
            Self::Plain if cfg!(any(target_feature = "fma", target_arch = "aarch64")) => {
                sum(rows, shares, target, f32::mul_add);
            }
            Self::Plain => sum(rows, shares, target, fused),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{CHANNELS, Column, WINDOW, sum, widen};

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn columns(source: &[u8], columns: &[Column], widened: &mut [f32], target: &mut [f32]) {
        widen(source, widened);
        // The first share for the lower half and the second for the upper one; the third and the fourth.
        let outer = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
        let inner = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
        for (x, column) in columns.iter().enumerate() {
            let Some(cells) = widened.get(column.first..column.first + WINDOW) else { continue };
            let Some(values) = target.get_mut(x * CHANNELS..x * CHANNELS + 4) else { continue };
            let cells = cells.as_ptr();
            // SAFETY: `cells` has 13 values, of which the last four begin at 9, and `values` has 4.
            unsafe {
                let shares = _mm256_broadcast_ps(&_mm_loadu_ps(column.shares.as_ptr()));
                let first = _mm256_loadu2_m128(cells.add(3), cells);
                let second = _mm256_loadu2_m128(cells.add(9), cells.add(6));
                // The order in which OpenCV's vendor library adds.
                let halves = _mm256_add_ps(
                    _mm256_mul_ps(first, _mm256_permutevar_ps(shares, outer)),
                    _mm256_mul_ps(second, _mm256_permutevar_ps(shares, inner)),
                );
                let whole = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
                _mm_storeu_ps(values.as_mut_ptr(), whole);
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn rows(rows: [&[f32]; 4], shares: [f32; 4], target: &mut [u8]) {
        sum(rows, shares, target, f32::mul_add);
    }
}

/// A row of bytes as floats between margins that repeat its ends.
#[inline(always)]
fn widen(source: &[u8], target: &mut [f32]) {
    let (left, rest) = target.split_at_mut(MARGIN * CHANNELS);
    let (middle, right) = rest.split_at_mut(source.len());
    for (value, &byte) in middle.iter_mut().zip(source) {
        *value = f32::from(byte);
    }
    for (i, value) in left.iter_mut().enumerate() {
        *value = middle[i % CHANNELS];
    }
    for (i, value) in right[..MARGIN * CHANNELS].iter_mut().enumerate() {
        *value = middle[source.len() - CHANNELS + i % CHANNELS];
    }
}

/// Resizes a widened row along its columns.
#[inline(always)]
fn along_columns(widened: &[f32], columns: &[Column], target: &mut [f32]) {
    for (x, column) in columns.iter().enumerate() {
        let Some(cells) = widened[column.first..].first_chunk::<WINDOW>() else { continue };
        let Some(values) = target[x * CHANNELS..].first_chunk_mut::<4>() else { continue };
        let [s0, s1, s2, s3] = column.shares;
        for c in 0..4 {
            values[c] = (cells[c] * s0 + cells[c + 6] * s2) + (cells[c + 3] * s1 + cells[c + 9] * s3);
        }
    }
}

/// `fused(a, b, c)` is a · b + c, rounded once.
#[inline(always)]
fn sum(
    [r0, r1, r2, r3]: [&[f32]; 4],
    [s0, s1, s2, s3]: [f32; 4],
    target: &mut [u8],
    fused: impl Fn(f32, f32, f32) -> f32,
) {
    let rows = r0.iter().zip(r1).zip(r2).zip(r3);
    for (byte, (((r0, r1), r2), r3)) in target.iter_mut().zip(rows) {
        *byte = rounded(fused(*r2, s2, r0 * s0) + fused(*r3, s3, r1 * s1));
    }
}

/// The nearest byte, the even one of two.
#[inline(always)]
fn rounded(value: f32) -> u8 {
    // Beside 1.5 · 2²³ floats are whole numbers, and the lowest byte of such a float is that of the number.
    (value.clamp(0.0, 255.0) + 12_582_912.0).to_bits() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_same_bytes() {
        let columns: Vec<Column> = (0..29)
            .map(|x| Column { first: x * CHANNELS, shares: [-0.07 - x as f32 * 1e-3, 0.6, 0.55, -0.08] })
            .collect();
        let source: Vec<u8> = (0..28 * CHANNELS).map(|i| ((i * i * 37) >> 2) as u8).collect();
        let result = |isa: Isa| {
            let mut widened = vec![0.0; (28 + 2 * MARGIN) * CHANNELS + 1];
            let mut rows: [Vec<f32>; 4] = std::array::from_fn(|_| vec![0.0; 29 * CHANNELS + 1]);
            for (i, row) in rows.iter_mut().enumerate() {
                let rotated = [&source[i * CHANNELS..], &source[..i * CHANNELS]].concat();
                isa.columns(&rotated, &columns, &mut widened, row);
            }
            let mut bytes = vec![0; 29 * CHANNELS];
            isa.rows(rows.each_ref().map(|row| &row[..29 * CHANNELS]), [-0.05, 0.4, 0.7, -0.05], &mut bytes);
            (
                rows.map(|row| row[..29 * CHANNELS].iter().map(|value| value.to_bits()).collect::<Vec<_>>()),
                bytes,
            )
        };
        assert!(result(Isa::Plain) == result(Isa::best()), "the instruction sets differ");
        assert!(result(Isa::best()).1.iter().any(|&byte| byte > 0 && byte < 255));
    }

    #[test]
    fn halves_go_to_the_even_byte() {
        let found = [-3.0, 0.5, 1.5, 2.5, 2.500_001, 254.5, 255.5, 1e9].map(rounded);
        assert_eq!(found, [0, 0, 2, 2, 3, 254, 255, 255]);
    }
}
