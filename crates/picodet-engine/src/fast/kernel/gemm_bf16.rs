//! Matrix multiplication as in `gemm.rs`, with 16-bit factors (bf16) and f32 sums.
//!
//! Left rows of 16 bits are read where they are. Of others some at a time are rounded and packed, which also lets a factor
//! a column be multiplied in; then all panels of weights go over them. Weights lie in pairs of rows: the processor multiplies two
//! numbers a lane and adds both products at once.
#![allow(unsafe_code)]

use picodet_graph::{Activation, DType};

use super::activate::activate;
use super::gemm::{Gemm, MOST, of_height, panels};
use super::lanes::pairs::{Pairs, to_bf16};
use super::{dispatch_pairs, prefetch};

/// Rows between one that is packed and the one that is to come into the cache meanwhile.
const AHEAD: usize = 6;

/// Bytes of packed rows that all panels go over: a part of a level-1 cache.
const BLOCK_BYTES: usize = 20 << 10;

/// What [`gemm_bf16`] multiplies.
pub(crate) struct GemmBf16<'a> {
    /// The product without its weights, which it does not look at.
    pub(crate) product: Gemm<'a>,
    /// Packed by [`pack_pairs`].
    pub(crate) pairs: &'a [u32],
    /// One number a column of the left matrix, in the order of the packed rows, that it is multiplied by; null for none.
    pub(crate) factors: *const f32,
    /// Type of the elements of the left matrix, `product.a`, which `product.a_stride` counts.
    pub(crate) a_dtype: DType,
    /// Type of the elements of the result, `product.out`, which `product.out_stride` counts.
    pub(crate) out_dtype: DType,
    /// [`scratch_len`] numbers of f32's size.
    pub(crate) scratch: *mut f32,
}

/// Rows that are packed together.
fn block_rows(k: usize) -> usize {
    (BLOCK_BYTES / (2 * k.next_multiple_of(2)).max(1)).max(12) / 12 * 12
}

/// Numbers of f32's size that a product with rows of `k` needs as scratch memory.
pub(crate) fn scratch_len(k: usize) -> usize {
    // Whole vectors are written at the end of a row, so that something may lie behind the last one.
    (block_rows(k) * k.next_multiple_of(2) / 2 + 16).next_multiple_of(16)
}

/// Packs `[k][columns]`, given by `at(k, column)`, in panels as [`super::gemm::pack`] does, rows in pairs.
pub(crate) fn pack_pairs(
    k: usize,
    columns: usize,
    lanes: usize,
    at: impl Fn(usize, usize) -> f32,
) -> Vec<u32> {
    let mut packed = Vec::with_capacity(k.div_ceil(2) * columns.next_multiple_of(lanes));
    let half = |row: usize, column: usize| {
        if row < k && column < columns { u32::from(to_bf16(at(row, column))) } else { 0 }
    };
    for (first, vectors) in panels(columns, lanes) {
        for row in (0..k).step_by(2) {
            for column in first..first + vectors * lanes {
                packed.push(half(row, column) | half(row + 1, column) << 16);
            }
        }
    }
    packed
}

dispatch_pairs!(
    /// Multiplies.
    gemm_bf16, blocks, GemmBf16<'_>
);

/// Rows that one panel goes over.
struct Part {
    /// The first one, in pairs of columns.
    left: *const u32,
    /// Whether it lies in a map, not in the scratch memory.
    direct: bool,
    /// Pairs from one row to the next.
    step: usize,
    /// Columns of a row.
    k: usize,
    /// First column of the panel.
    first: usize,
    /// Row of the result of the first one.
    start: usize,
    rows: usize,
}

/// # Safety
/// As [`gemm_bf16`].
#[inline(always)]
unsafe fn blocks<V: Pairs>(args: &GemmBf16<'_>) {
    let product = &args.product;
    let k: usize = product.runs.iter().map(|run| run.1).sum();
    debug_assert_eq!(args.pairs.len(), k.div_ceil(2) * product.columns.next_multiple_of(V::LEN));
    // Rows of pairs are multiplied where they are, a few at a time so that they stay in the cache.
    let direct = match product.runs {
        &[(first, len)] if args.a_dtype == DType::Bf16 && args.factors.is_null() => {
            [first, len, product.a_stride].iter().all(|number| number.is_multiple_of(2)).then_some(first)
        }
        _ => None,
    };
    let block = block_rows(k);
    for start in (0..product.rows).step_by(block) {
        let rows = block.min(product.rows - start);
        // SAFETY: the caller's promise; the scratch memory holds a block, and rows lie inside the matrices.
        unsafe {
            let (left, step) = if let Some(first) = direct {
                let row = product.a.cast::<u16>().add(start * product.a_stride + first);
                (row.cast(), product.a_stride / 2)
            } else {
                pack_rows::<V>(args, k, start, rows);
                (args.scratch.cast::<u32>().cast_const(), k.div_ceil(2))
            };
            for (first, vectors) in panels(product.columns, V::LEN) {
                let part = Part { left, direct: direct.is_some(), step, k, first, start, rows };
                match vectors {
                    1 => panel::<V, 1>(args, &part),
                    2 => panel::<V, 2>(args, &part),
                    _ => panel::<V, 3>(args, &part),
                }
            }
        }
    }
}

/// Rounds rows `start..start + rows` of the left matrix into the scratch memory.
///
/// # Safety
/// As [`gemm_bf16`]; there is room for the rows.
#[inline(always)]
unsafe fn pack_rows<V: Pairs>(args: &GemmBf16<'_>, k: usize, start: usize, rows: usize) {
    let product = &args.product;
    let length = k.next_multiple_of(2);
    let scratch = args.scratch.cast::<u16>();
    for row in 0..rows {
        // SAFETY: the caller's promise. A store reaches past its run by less than a vector; what lies there is written
        // later, or is the spare memory behind the last row.
        unsafe {
            let mut to = scratch.add(row * length);
            let mut factor = args.factors;
            for &(column, len) in product.runs {
                let at = (start + row) * product.a_stride + column;
                if args.a_dtype == DType::Bf16 {
                    // Runs are too short for the processor to see where the next row lies.
                    let ahead = product.a.cast::<u16>().wrapping_add(at + AHEAD * product.a_stride);
                    for line in (0..len).step_by(32) {
                        prefetch(ahead.wrapping_add(line).cast());
                    }
                    copy_bf16::<V>(product.a.cast::<u16>().add(at), factor, len, to);
                    to = to.add(len);
                    if !factor.is_null() {
                        factor = factor.add(len);
                    }
                    continue;
                }
                let from = product.a.add(at);
                for done in (0..len).step_by(V::LEN) {
                    let count = (len - done).min(V::LEN);
                    let whole = count == V::LEN;
                    let part =
                        |from: *const f32| if whole { V::load(from) } else { V::load_part(from, count) };
                    let mut value = part(from.add(done));
                    if !factor.is_null() {
                        value = value.mul(part(factor.add(done)));
                    }
                    value.store_bf16(to.add(done));
                }
                to = to.add(len);
                if !factor.is_null() {
                    factor = factor.add(len);
                }
            }
            if length > k {
                *to = 0;
            }
        }
    }
}

/// Copies numbers of 16 bits, times factors where there are any.
///
/// # Safety
/// As [`pack_rows`].
#[inline(always)]
unsafe fn copy_bf16<V: Pairs>(from: *const u16, factors: *const f32, len: usize, to: *mut u16) {
    // SAFETY: the caller's promise.
    unsafe {
        if factors.is_null() {
            // Vectors, fours or single ones; the last one reaches back over numbers that are copied already.
            let step = [V::LEN, 4, 1].into_iter().find(|&step| step <= len).unwrap_or(1);
            for done in (0..len).step_by(step) {
                let done = done.min(len - step);
                let (from, to) = (from.add(done), to.add(done));
                match step {
                    1 => *to = *from,
                    4 => to.cast::<u64>().write_unaligned(from.cast::<u64>().read_unaligned()),
                    _ => V::copy_halves(from, to),
                }
            }
            return;
        }
        for done in (0..len).step_by(V::LEN) {
            let count = (len - done).min(V::LEN);
            let value = V::load_widened(from.add(done), count).mul(V::load_part(factors.add(done), count));
            value.store_bf16(to.add(done));
        }
    }
}

/// Packed rows by one panel, in tiles of nearly equal height.
///
/// # Safety
/// As [`gemm_bf16`].
#[inline(always)]
unsafe fn panel<V: Pairs, const NV: usize>(args: &GemmBf16<'_>, part: &Part) {
    let (rows, most) = (part.rows, V::ROWS[NV - 1]);
    let tiles = rows.div_ceil(most);
    let mut row = 0;
    for index in 0..tiles {
        let height = (rows - row).div_ceil(tiles - index);
        // SAFETY: the caller's promise; `height` is at most `most`.
        unsafe {
            of_height!(height, most, tile::<V, NV>(args, part, row));
        }
        row += height;
    }
}

/// # Safety
/// As [`gemm_bf16`]; packed rows `row..row + MR` exist.
#[inline(always)]
unsafe fn tile<V: Pairs, const MR: usize, const NV: usize>(args: &GemmBf16<'_>, part: &Part, row: usize) {
    let product = &args.product;
    let &Part { left, direct, step, k, first, start, .. } = part;
    let pairs = k.div_ceil(2);
    // SAFETY: the caller's promise. `pairs` holds the pairs of this panel, `bias` whole vectors, `left` rows of `pairs`
    // pairs, `step` apart.
    unsafe {
        let mut b = args.pairs.as_ptr().add(first * pairs);
        let mut acc = [[V::splat(0.0); NV]; MR];
        for j in 0..NV {
            let bias = V::load(product.bias.as_ptr().add(first + j * V::LEN));
            for line in &mut acc {
                line[j] = bias;
            }
        }
        // What the next tile overwrites comes into the cache as well.
        let at = (start + row + MR) * product.out_stride + first;
        let (mut target, words) = if args.out_dtype == DType::Bf16 {
            (product.out.cast::<u16>().wrapping_add(at).cast::<f32>().cast_const(), product.out_stride / 2)
        } else {
            (product.out.wrapping_add(at).cast_const(), product.out_stride)
        };
        for _ in 0..MR {
            for line in (0..NV * V::LEN).step_by(16) {
                if args.out_dtype == DType::F32 || line < (NV * V::LEN).div_ceil(2) {
                    prefetch(target.wrapping_add(line));
                }
            }
            target = target.wrapping_add(words);
        }
        // Three moving pointers and one stride address all twelve rows without spilling.
        let mut a0 = left.add(row * step);
        let mut a4 = if MR > 4 { a0.add(4 * step) } else { a0 };
        let mut a8 = if MR > 8 { a0.add(8 * step) } else { a0 };
        let mut rest = pairs;
        while rest > 0 {
            let part = rest.min(16);
            rest -= part;
            if direct {
                // The next tile's rows come while this one is multiplied, a cache line of each at a time.
                let mut ahead = a0.wrapping_add(MR * step);
                for _ in 0..MR {
                    prefetch(ahead.cast());
                    ahead = ahead.wrapping_add(step);
                }
            }
            for _ in 0..part {
                let mut right = [V::splat_pair(0); NV];
                for (j, right) in right.iter_mut().enumerate() {
                    *right = V::load_pairs(b.add(j * V::LEN));
                }
                for i in 0..MR {
                    let pointer = match i / 4 {
                        0 => a0,
                        1 => a4,
                        _ => a8,
                    };
                    let left = V::splat_pair(pointer.add(i % 4 * step).read_unaligned());
                    for j in 0..NV {
                        acc[i][j] = acc[i][j].add_products(left, right[j]);
                    }
                }
                b = b.add(NV * V::LEN);
                a0 = a0.add(1);
                a4 = a4.add(1);
                a8 = a8.add(1);
            }
        }
        let row = start + row;
        let plain = !V::COMPACT && product.residual.is_null() && product.columns - first >= NV * V::LEN;
        if plain && product.act == Some(Activation::HardSwish) && args.out_dtype == DType::Bf16 {
            for i in 0..MR {
                for j in 0..NV {
                    let to =
                        product.out.cast::<u16>().add((row + i) * product.out_stride + first + j * V::LEN);
                    activate(acc[i][j], Some(Activation::HardSwish)).store_bf16(to);
                }
            }
            return;
        }
        if plain && product.act == Some(Activation::HardSwish) {
            for i in 0..MR {
                for j in 0..NV {
                    let to = product.out.add((row + i) * product.out_stride + first + j * V::LEN);
                    activate(acc[i][j], Some(Activation::HardSwish)).store(to);
                }
            }
            return;
        }
        let mut sums = [0.0f32; MOST];
        for i in 0..MR {
            for j in 0..NV {
                acc[i][j].store(sums.as_mut_ptr().add((i * NV + j) * V::LEN));
            }
        }
        finish::<V>(args, (row, MR), (first, NV), &sums);
    }
}

/// Residual, activation and store of a tile of (first row, rows) by (first column, vectors), whichever they are.
///
/// # Safety
/// As [`gemm_bf16`].
#[inline(always)]
unsafe fn finish<V: Pairs>(
    args: &GemmBf16<'_>,
    (row, rows): (usize, usize),
    (first, vectors): (usize, usize),
    sums: &[f32; MOST],
) {
    let product = &args.product;
    for (i, j) in (0..rows).flat_map(|i| (0..vectors).map(move |j| (i, j))) {
        let column = first + j * V::LEN;
        let count = product.columns.saturating_sub(column).min(V::LEN);
        let at = (row + i) * product.out_stride + column;
        // SAFETY: the caller's promise; parts do not leave the columns of the result, and `sums` holds the tile.
        unsafe {
            let mut value = V::load(sums.as_ptr().add((i * vectors + j) * V::LEN));
            if !product.residual.is_null() {
                let from = product.residual.wrapping_add((row + i) * product.residual_stride + column);
                value = value.add(V::load_part(from, count));
            }
            let value = activate(value, product.act);
            if args.out_dtype == DType::Bf16 {
                value.store_rounded(product.out.cast::<u16>().wrapping_add(at), count);
            } else {
                value.store_part(product.out.wrapping_add(at), count);
            }
        }
    }
}
