//! Matrix multiplication of feature rows by packed weights, with bias, residual and activation: pointwise
//! convolutions, the stem, dense convolutions (over a padded copy of their rows) and linear layers.
//!
//! `out[p][n] = act(bias[n] + Σ_k a[p][k] · b[k][n] + residual[p][n])`. The left matrix is read where it lies, row
//! by row, in runs of columns; the right one is packed in panels of one to three vectors. A tile of up to 12 rows by
//! one panel stays in registers over the whole sum.
#![allow(unsafe_code)]

use picodet_graph::Activation;

use super::activate::activate;
use super::lanes::Lanes;
use super::{dispatch, prefetch};

/// Bytes of the left matrix that all panels go over before the next rows come: a part of a level-2 cache.
const BLOCK_BYTES: usize = 192 << 10;

/// Numbers in a cache line.
const LINE: usize = 16;

/// What [`gemm`] multiplies.
pub(crate) struct Gemm<'a> {
    /// First row of the left matrix.
    pub(crate) a: *const f32,
    /// Numbers from one left row to the next.
    pub(crate) a_stride: usize,
    /// The columns of a left row that take part: first and number, in the order of the packed rows.
    pub(crate) runs: &'a [(usize, usize)],
    /// Rows of the left matrix and of the result.
    pub(crate) rows: usize,
    /// Packed as [`panels`] says: panel after panel, each `[k][vectors · lanes]`.
    pub(crate) b: &'a [f32],
    /// Columns of the result.
    pub(crate) columns: usize,
    /// One number a column, padded with zeros to whole vectors.
    pub(crate) bias: &'a [f32],
    /// First row of the result, valid for `columns` numbers each `out_stride`.
    pub(crate) out: *mut f32,
    /// Numbers from one result row to the next.
    pub(crate) out_stride: usize,
    /// Added before the activation; rows as those of the result. Null for none.
    pub(crate) residual: *const f32,
    /// Numbers from one residual row to the next.
    pub(crate) residual_stride: usize,
    /// Applied last.
    pub(crate) act: Option<Activation>,
}

/// How `columns` are cut into panels: first column and vectors of each.
pub(crate) fn panels(columns: usize, lanes: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut left = columns.div_ceil(lanes);
    let mut first = 0;
    std::iter::from_fn(move || {
        let vectors = match left {
            0 => return None,
            1 => 1,
            3 => 3,
            _ => 2,
        };
        let panel = (first, vectors);
        left -= vectors;
        first += vectors * lanes;
        Some(panel)
    })
}

/// Packs `[k][columns]`, given by `at(k, column)`, for [`gemm`] with vectors of `lanes`.
pub(crate) fn pack(k: usize, columns: usize, lanes: usize, at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut packed = Vec::with_capacity(k * columns.next_multiple_of(lanes));
    for (first, vectors) in panels(columns, lanes) {
        for row in 0..k {
            for column in first..first + vectors * lanes {
                packed.push(if column < columns { at(row, column) } else { 0.0 });
            }
        }
    }
    packed
}

/// `tile::<V, height, NV>(arguments)`, for a height that was not known before and is at most `most`.
macro_rules! of_height {
    ($height:expr, $most:expr, $tile:ident::<$V:ident, $NV:ident>($($argument:expr),*)) => {
        match $height {
            12 if $most >= 12 => $tile::<$V, 12, $NV>($($argument),*),
            11 if $most >= 11 => $tile::<$V, 11, $NV>($($argument),*),
            10 if $most >= 10 => $tile::<$V, 10, $NV>($($argument),*),
            9 if $most >= 9 => $tile::<$V, 9, $NV>($($argument),*),
            8 if $most >= 8 => $tile::<$V, 8, $NV>($($argument),*),
            7 if $most >= 7 => $tile::<$V, 7, $NV>($($argument),*),
            6 if $most >= 6 => $tile::<$V, 6, $NV>($($argument),*),
            5 if $most >= 5 => $tile::<$V, 5, $NV>($($argument),*),
            4 if $most >= 4 => $tile::<$V, 4, $NV>($($argument),*),
            3 => $tile::<$V, 3, $NV>($($argument),*),
            2 => $tile::<$V, 2, $NV>($($argument),*),
            _ => $tile::<$V, 1, $NV>($($argument),*),
        }
    };
}
pub(super) use of_height;

dispatch!(
    /// Multiplies.
    gemm, gemm_lanes, Gemm<'_>
);

/// # Safety
/// As [`gemm`].
#[inline(always)]
unsafe fn gemm_lanes<V: Lanes>(args: &Gemm<'_>) {
    let k: usize = args.runs.iter().map(|run| run.1).sum();
    debug_assert_eq!(args.b.len(), k * args.columns.next_multiple_of(V::LEN));
    let block = (BLOCK_BYTES / 4 / k.max(1)).max(24) / 24 * 24;
    let mut start = 0;
    while start < args.rows {
        let end = (start + block).min(args.rows);
        for (first, vectors) in panels(args.columns, V::LEN) {
            // SAFETY: the caller's promise; tiles lie inside `start..end`.
            unsafe {
                match vectors {
                    1 => panel::<V, 1>(args, k, first, start, end),
                    2 => panel::<V, 2>(args, k, first, start, end),
                    _ => panel::<V, 3>(args, k, first, start, end),
                }
            }
        }
        start = end;
    }
}

/// Rows `start..end` of one panel, in tiles of nearly equal height.
///
/// # Safety
/// As [`gemm`].
#[inline(always)]
unsafe fn panel<V: Lanes, const NV: usize>(
    args: &Gemm<'_>,
    k: usize,
    first: usize,
    start: usize,
    end: usize,
) {
    let most = V::ROWS[NV - 1];
    let rows = end - start;
    let tiles = rows.div_ceil(most);
    let mut row = start;
    for index in 0..tiles {
        let height = (end - row).div_ceil(tiles - index);
        // SAFETY: the caller's promise; `height` is at most `most`.
        unsafe {
            of_height!(height, most, tile::<V, NV>(args, k, first, row));
        }
        row += height;
    }
}

/// # Safety
/// As [`gemm`]; rows `row..row + MR` exist.
#[inline(always)]
unsafe fn tile<V: Lanes, const MR: usize, const NV: usize>(
    args: &Gemm<'_>,
    k: usize,
    first: usize,
    row: usize,
) {
    // SAFETY: the caller's promise. `b` holds `k` rows of this panel, `bias` whole vectors.
    unsafe {
        let stride = args.a_stride;
        let mut b = args.b.as_ptr().add(first * k);
        let mut acc = [[V::splat(0.0); NV]; MR];
        for j in 0..NV {
            let bias = V::load(args.bias.as_ptr().add(first + j * V::LEN));
            for line in &mut acc {
                line[j] = bias;
            }
        }
        // What the next tile overwrites comes into the cache as well.
        let mut target = args.out.wrapping_add((row + MR) * args.out_stride + first).cast_const();
        for _ in 0..MR {
            for line in (0..NV * V::LEN).step_by(LINE) {
                prefetch(target.wrapping_add(line));
            }
            target = target.wrapping_add(args.out_stride);
        }
        let base = args.a.add(row * stride);
        for &(column, len) in args.runs {
            // Three moving pointers and one stride address all twelve rows without spilling.
            let mut a0 = base.add(column);
            let mut a4 = if MR > 4 { a0.add(4 * stride) } else { a0 };
            let mut a8 = if MR > 8 { a0.add(8 * stride) } else { a0 };
            let mut left = len;
            while left > 0 {
                let part = left.min(LINE);
                left -= part;
                // The next tile's rows come while this one is multiplied, a cache line of each at a time.
                let mut ahead = a0.wrapping_add(MR * stride);
                for _ in 0..MR {
                    prefetch(ahead);
                    ahead = ahead.wrapping_add(stride);
                }
                for _ in 0..part {
                    let mut right = [V::splat(0.0); NV];
                    for (j, right) in right.iter_mut().enumerate() {
                        *right = V::load(b.add(j * V::LEN));
                    }
                    for i in 0..MR {
                        let pointer = match i / 4 {
                            0 => a0,
                            1 => a4,
                            _ => a8,
                        };
                        let left = V::splat(*pointer.add(i % 4 * stride));
                        for j in 0..NV {
                            acc[i][j] = left.mul_add(right[j], acc[i][j]);
                        }
                    }
                    b = b.add(NV * V::LEN);
                    a0 = a0.add(1);
                    a4 = a4.add(1);
                    a8 = a8.add(1);
                }
            }
        }
        let plain = !V::COMPACT && args.residual.is_null() && args.columns - first >= NV * V::LEN;
        if plain && args.act == Some(Activation::HardSwish) {
            // The usual case, straight from the registers. Masks here would send the sums to memory again.
            for i in 0..MR {
                for j in 0..NV {
                    let to = args.out.add((row + i) * args.out_stride + first + j * V::LEN);
                    activate(acc[i][j], Some(Activation::HardSwish)).store(to);
                }
            }
            return;
        }
        // The sums leave the registers here, in one go: an epilogue that kept them there would make the compiler
        // keep them in memory during the loop as well.
        let mut sums = [0.0f32; MOST];
        for i in 0..MR {
            for j in 0..NV {
                acc[i][j].store(sums.as_mut_ptr().add((i * NV + j) * V::LEN));
            }
        }
        finish::<V>(args, (row, MR), (first, NV), &sums);
    }
}

/// Numbers in the largest tile of any instruction set.
pub(crate) const MOST: usize = 12 * 2 * 16;

/// Residual, activation and store of a tile of (first row, rows) by (first column, vectors).
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn finish<V: Lanes>(
    args: &Gemm<'_>,
    rows: (usize, usize),
    columns: (usize, usize),
    sums: &[f32; MOST],
) {
    // The usual activations are decided on once a tile, not once a vector.
    // SAFETY: the caller's promise, handed on.
    unsafe {
        match args.act {
            act if V::COMPACT => store::<V>(args, rows, columns, sums, act),
            None => store::<V>(args, rows, columns, sums, None),
            Some(Activation::HardSwish) => store::<V>(args, rows, columns, sums, Some(Activation::HardSwish)),
            act => store::<V>(args, rows, columns, sums, act),
        }
    }
}

/// # Safety
/// As [`finish`].
#[inline(always)]
unsafe fn store<V: Lanes>(
    args: &Gemm<'_>,
    (row, rows): (usize, usize),
    (first, vectors): (usize, usize),
    sums: &[f32; MOST],
    act: Option<Activation>,
) {
    let columns = args.columns - first;
    for i in row..row + rows {
        // SAFETY: the caller's promise; parts do not leave the columns of the result, and `sums` holds the tile.
        unsafe {
            let to = args.out.add(i * args.out_stride + first);
            let from = args.residual.wrapping_add(i * args.residual_stride + first);
            for j in 0..vectors {
                let count = columns.saturating_sub(j * V::LEN).min(V::LEN);
                let mut value = V::load(sums.as_ptr().add(((i - row) * vectors + j) * V::LEN));
                if !args.residual.is_null() {
                    value = value.add(V::load_part(from.add(j * V::LEN), count));
                }
                let value = activate(value, act);
                if count == V::LEN {
                    value.store(to.add(j * V::LEN));
                } else {
                    value.store_part(to.add(j * V::LEN), count);
                }
            }
        }
    }
}
