//! The 3×3 convolution of step 2 over a planar image: what every backbone begins with.
//!
//! Its sums are so short (27 products) that the general product of `gemm.rs` would spend its time between them. A
//! tile is some cells of one row by one panel of channels; the window's columns are unrolled.
#![allow(unsafe_code)]

use picodet_graph::Activation;

use super::activate::activate;
use super::gemm::{MOST, panels};
use super::lanes::Lanes;
use super::{dispatch, prefetch};
use crate::fast::Isa;

/// Side of the window.
pub(crate) const KERNEL: usize = 3;
/// Step of the window.
pub(crate) const STRIDE: usize = 2;

/// Channels of an image.
pub(crate) const CHANNELS: usize = 3;

/// What [`stem`] convolves: one row of the result.
pub(crate) struct Stem<'a> {
    /// `[CHANNELS, height, width]`.
    pub(crate) image: *const f32,
    /// Height and width of the image.
    pub(crate) size: (usize, usize),
    /// Row of the result, of `height / STRIDE` rounded up.
    pub(crate) row: usize,
    /// Whether half vectors are used, as [`half`] says.
    pub(crate) half: bool,
    /// `[CHANNELS · KERNEL · KERNEL][columns]`, packed as [`panels`] says, for [`lanes`].
    pub(crate) weights: &'a [f32],
    /// Channels of the result.
    pub(crate) columns: usize,
    /// One number a column, padded with zeros to whole vectors.
    pub(crate) bias: &'a [f32],
    /// First cell of the result.
    pub(crate) out: *mut f32,
    /// Numbers from one result cell to the next.
    pub(crate) out_stride: usize,
    /// Applied last.
    pub(crate) act: Option<Activation>,
}

/// Whether half vectors are faster: where the last whole one would be half empty and whole ones take twice the time.
pub(crate) fn half(isa: Isa, columns: usize) -> bool {
    isa == Isa::Avx512 && (1..=8).contains(&(columns % 16)) && isa.splits_vectors()
}

/// The lanes that [`Stem::weights`] are packed for.
pub(crate) fn lanes(isa: Isa, half: bool) -> usize {
    if half { isa.lanes() / 2 } else { isa.lanes() }
}

dispatch!(
    /// Convolves.
    stem, stem_lanes, Stem<'_>
);

/// # Safety
/// As [`stem`].
#[inline(always)]
unsafe fn stem_lanes<V: Lanes>(args: &Stem<'_>) {
    debug_assert!(args.columns <= args.bias.len());
    debug_assert_eq!(args.weights.len(), CHANNELS * KERNEL * KERNEL * args.bias.len());
    debug_assert!(!args.half || V::LEN == 16, "only whole vectors of sixteen have halves");
    // SAFETY: the caller's promise, handed on; whoever has AVX-512 has AVX2.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        if args.half && V::LEN == 16 {
            // Half vectors, but all 32 registers.
            return panels_of::<super::lanes::Avx2, 12, 12, 6>(args);
        }
        match V::LEN {
            16 => panels_of::<V, 12, 12, 8>(args),
            8 => panels_of::<V, 8, 5, 3>(args),
            _ => panels_of::<V, 8, 4, 3>(args),
        }
    }
}

/// All panels, in tiles of so many cells as there are registers for panels of one, two and three vectors.
///
/// # Safety
/// As [`stem`].
#[inline(always)]
unsafe fn panels_of<V: Lanes, const P1: usize, const P2: usize, const P3: usize>(args: &Stem<'_>) {
    for (first, vectors) in panels(args.columns, V::LEN) {
        // SAFETY: the caller's promise, handed on.
        unsafe {
            match vectors {
                1 => row::<V, P1, 1>(args, first),
                2 => row::<V, P2, 2>(args, first),
                _ => row::<V, P3, 3>(args, first),
            }
        }
    }
}

/// The window's rows of every channel.
type Rows = [*const f32; CHANNELS * KERNEL];

/// Columns below the windows of the largest tile.
const PATCH: usize = 11 * STRIDE + KERNEL;

/// One panel of all cells, in tiles of `P`; the last tile reaches back over cells that are done already.
///
/// # Safety
/// As [`stem`].
#[inline(always)]
unsafe fn row<V: Lanes, const P: usize, const NV: usize>(args: &Stem<'_>, first: usize) {
    let (height, width) = args.size;
    let cells = width.div_ceil(STRIDE);
    let mut rows: [Option<*const f32>; CHANNELS * KERNEL] = [None; CHANNELS * KERNEL];
    let mut pointers: Rows = [std::ptr::null(); CHANNELS * KERNEL];
    for (index, (row, pointer)) in rows.iter_mut().zip(&mut pointers).enumerate() {
        // Rows beside the image stay away.
        let y = (args.row * STRIDE + index % KERNEL).checked_sub(KERNEL / 2).filter(|&y| y < height);
        *row = y.map(|y| args.image.wrapping_add((index / KERNEL * height + y) * width));
        *pointer = row.unwrap_or(std::ptr::null());
    }
    let complete = rows.iter().all(Option::is_some);
    let mut patch = [[0.0; PATCH]; CHANNELS * KERNEL];
    let tall = if cells < P { 1 } else { P };
    for cell in (0..cells).step_by(tall) {
        let cell = cell.min(cells - tall);
        let begin = cell * STRIDE;
        let columns = (tall - 1) * STRIDE + KERNEL;
        // SAFETY: the caller's promise; tiles lie inside the row, and where their windows leave the image a copy with
        // zeros beside it is read.
        unsafe {
            if first == 0 {
                // The rows that the next row of cells reads besides these come into the cache meanwhile.
                for row in rows.iter().skip(1).flatten() {
                    for line in (0..columns).step_by(16) {
                        prefetch(row.wrapping_add(STRIDE * width + begin + line));
                    }
                }
            }
            if complete && begin > 0 && begin - 1 + columns <= width && tall == P {
                tile::<V, P, NV>(args, first, &pointers, begin - 1, cell);
                continue;
            }
            let (before, from) = (usize::from(begin == 0), begin.saturating_sub(1));
            let count = (columns - before).min(width - from);
            for (row, patch) in rows.iter().zip(&mut patch) {
                patch.fill(0.0);
                if let Some(row) = row {
                    std::ptr::copy_nonoverlapping(row.add(from), patch.as_mut_ptr().add(before), count);
                }
            }
            let patched: Rows = std::array::from_fn(|row| patch[row].as_ptr());
            if tall == P {
                tile::<V, P, NV>(args, first, &patched, 0, cell);
            } else {
                tile::<V, 1, NV>(args, first, &patched, 0, cell);
            }
        }
    }
}

/// # Safety
/// As [`stem`]; cells `cell..cell + P` exist, and `rows` are valid for their windows from `offset` on.
#[inline(always)]
unsafe fn tile<V: Lanes, const P: usize, const NV: usize>(
    args: &Stem<'_>,
    first: usize,
    rows: &Rows,
    offset: usize,
    cell: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[V::splat(0.0); NV]; P];
        for j in 0..NV {
            let bias = V::load(args.bias.as_ptr().add(first + j * V::LEN));
            sums.iter_mut().for_each(|sums| sums[j] = bias);
        }
        let mut weights = args.weights.as_ptr().add(first * CHANNELS * KERNEL * KERNEL);
        for row in rows {
            let source = row.add(offset);
            for column in 0..KERNEL {
                let mut right = [V::splat(0.0); NV];
                for (j, right) in right.iter_mut().enumerate() {
                    *right = V::load(weights.add((column * NV + j) * V::LEN));
                }
                for p in 0..P {
                    let left = V::splat(*source.add(p * STRIDE + column));
                    for j in 0..NV {
                        sums[p][j] = left.mul_add(right[j], sums[p][j]);
                    }
                }
            }
            weights = weights.add(KERNEL * NV * V::LEN);
        }
        let out = args.out.add(cell * args.out_stride + first);
        if !V::COMPACT && args.columns - first >= NV * V::LEN && args.act == Some(Activation::HardSwish) {
            for p in 0..P {
                for j in 0..NV {
                    let sum = activate(sums[p][j], Some(Activation::HardSwish));
                    sum.store(out.add(p * args.out_stride + j * V::LEN));
                }
            }
            return;
        }
        // As in `gemm.rs`, the sums leave the registers in one go.
        let mut stored = [0.0f32; MOST];
        for p in 0..P {
            for j in 0..NV {
                sums[p][j].store(stored.as_mut_ptr().add((p * NV + j) * V::LEN));
            }
        }
        for p in 0..P {
            for j in 0..NV {
                let count = (args.columns - first).saturating_sub(j * V::LEN).min(V::LEN);
                let sum = V::load(stored.as_ptr().add((p * NV + j) * V::LEN));
                activate(sum, args.act).store_part(out.add(p * args.out_stride + j * V::LEN), count);
            }
        }
    }
}
