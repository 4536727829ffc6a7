//! Pictures of red, green and blue bytes by cubic: the way of every picture into the network, so it is quick.
//!
//! Value for value what `float` gives, but row by row: a source row is widened to floats and resized along its
//! columns once, four such rows make a target row while they are still in the first cache, and whoever wants the row
//! takes it from there.

use super::taps::{Axis, Kernel, Taps, taps};

/// Red, green, blue.
const CHANNELS: usize = 3;
/// Cells that a tap may lie before the picture's first: half a kernel.
const MARGIN: usize = 2;

/// A target column's four neighbouring cells in a row with its margins, and their shares.
struct Column {
    /// Index of the first value of the first cell.
    first: usize,
    shares: [f32; 4],
}

/// Resizes `[height, width, 3]` bytes and hands each finished row, `[width, 3]`, to `finish` with its index.
///
/// `source` holds `from.0 · from.1 · 3` bytes; all sides are positive.
pub(crate) fn resize(
    source: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    mut finish: impl FnMut(usize, &[u8]),
) {
    let blend = Blend::best();
    let columns: Vec<Column> = taps(Kernel::Cubic, Axis::Columns, from.1, to.1).iter().map(column).collect();
    // Three channels are moved four at a time, so that every row needs room for one value more.
    let mut widened = vec![0.0; (from.1 + 2 * MARGIN) * CHANNELS + 1];
    let width = to.1 * CHANNELS;
    let mut rows: [Vec<f32>; 4] = std::array::from_fn(|_| vec![0.0; width + 1]);
    let mut held = [usize::MAX; 4];
    let mut finished = vec![0; width];
    for (y, taps) in taps(Kernel::Cubic, Axis::Rows, from.0, to.0).iter().enumerate() {
        // The cells of a target row are neighbours, so no two of them want the same place.
        for &cell in &taps.cells[..4] {
            if held[cell % 4] != cell {
                held[cell % 4] = cell;
                widen(&source[cell * from.1 * CHANNELS..][..from.1 * CHANNELS], &mut widened);
                along_columns(&widened, &columns, &mut rows[cell % 4]);
            }
        }
        let row = |tap: usize| &rows[taps.cells[tap] % 4][..width];
        let shares = [0, 1, 2, 3].map(|tap| taps.shares[tap]);
        blend.rows([row(0), row(1), row(2), row(3)], shares, &mut finished);
        finish(y, &finished);
    }
}

/// `taps` repeats the border by naming its cell again; here the margins repeat it, so that cells are neighbours.
fn column(taps: &Taps) -> Column {
    Column {
        first: (taps.first + MARGIN as isize).max(0) as usize * CHANNELS,
        shares: [0, 1, 2, 3].map(|tap| taps.shares[tap]),
    }
}

/// A row of bytes as floats between margins that repeat its ends.
fn widen(source: &[u8], target: &mut [f32]) {
    let (left, rest) = target.split_at_mut(MARGIN * CHANNELS);
    let (middle, right) = rest.split_at_mut(source.len());
    for (value, &byte) in middle.iter_mut().zip(source) {
        *value = f32::from(byte);
    }
    let (first, last) = (&middle[..CHANNELS], &middle[source.len() - CHANNELS..]);
    left.as_chunks_mut::<CHANNELS>().0.iter_mut().for_each(|cell| cell.copy_from_slice(first));
    right.as_chunks_mut::<CHANNELS>().0.iter_mut().for_each(|cell| cell.copy_from_slice(last));
}

/// Resizes a widened row along its columns; `target` has one value more than the target row.
fn along_columns(widened: &[f32], columns: &[Column], target: &mut [f32]) {
    /// Four cells and the value that is moved too much.
    const WINDOW: usize = 4 * CHANNELS + 1;
    for (x, column) in columns.iter().enumerate() {
        let Some(cells) = widened[column.first..].first_chunk::<WINDOW>() else { continue };
        let Some(values) = target[x * CHANNELS..].first_chunk_mut::<4>() else { continue };
        let [s0, s1, s2, s3] = column.shares;
        // The order in which OpenCV's vendor library adds.
        *values = std::array::from_fn(|c| {
            (cells[c] * s0 + cells[c + 6] * s2) + (cells[c + 3] * s1 + cells[c + 9] * s3)
        });
    }
}

use blend::Blend;

mod blend {
    //! The sum of four rows in their shares, rounded to bytes.
    #![allow(unsafe_code)]

    /// How this processor multiplies and adds in one step.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Blend {
        /// By instructions that are found at run time.
        #[cfg(target_arch = "x86_64")]
        Avx2,
        /// By instructions that the target always has, or by way of f64.
        Plain,
    }

    impl Blend {
        pub(super) fn best() -> Self {
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
            Self::Plain
        }

        pub(super) fn rows(self, rows: [&[f32]; 4], shares: [f32; 4], target: &mut [u8]) {
            match self {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `best`, which alone makes this case, has found both instruction sets.
                Self::Avx2 => unsafe { rows_avx2(rows, shares, target) },
                Self::Plain if cfg!(any(target_feature = "fma", target_arch = "aarch64")) => {
                    sum(rows, shares, target, f32::mul_add);
                }
                Self::Plain => sum(rows, shares, target, super::super::float::fused),
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn rows_avx2(rows: [&[f32]; 4], shares: [f32; 4], target: &mut [u8]) {
        sum(rows, shares, target, f32::mul_add);
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
            let value = fused(*r2, s2, r0 * s0) + fused(*r3, s3, r1 * s1);
            *byte = rounded(value);
        }
    }

    /// The nearest byte, the even one of two.
    #[inline(always)]
    fn rounded(value: f32) -> u8 {
        // Beside 1.5 · 2²³ floats are whole numbers, and the lowest byte of such a float is that of the number.
        (value.clamp(0.0, 255.0) + 12_582_912.0).to_bits() as u8
    }
}
