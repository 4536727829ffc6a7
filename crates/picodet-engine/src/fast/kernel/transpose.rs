//! Between the engine's channels-last maps and the `[n, c, h, w]` of [`crate::Feature`].
#![allow(unsafe_code)]

use picodet_graph::Activation;

use super::activate::activate;
#[cfg(target_arch = "x86_64")]
use super::lanes::Avx2;
use super::lanes::Lanes;
use super::{dispatch, prefetch};

/// Cells that go from one side to the other at a time: a cache line of each plane.
const BLOCK: usize = 16;

/// What [`to_planes`] copies: `out[c · plane + p] = act(source[p · stride + columns[c]])`.
pub(crate) struct ToPlanes<'a> {
    /// First cell.
    pub(crate) source: *const f32,
    /// Numbers from one cell to the next.
    pub(crate) stride: usize,
    /// The column of each plane, below `stride`.
    pub(crate) columns: &'a [usize],
    /// Number of cells.
    pub(crate) cells: usize,
    /// First number of the first plane, valid for `cells` numbers at each of the planes.
    pub(crate) out: *mut f32,
    /// Numbers from one plane to the next.
    pub(crate) plane: usize,
    /// Applied on the way.
    pub(crate) act: Option<Activation>,
}

dispatch!(
    /// Copies channels to planes.
    to_planes, to_planes_lanes, ToPlanes<'_>
);

/// # Safety
/// As [`to_planes`].
#[inline(always)]
unsafe fn to_planes_lanes<V: Lanes>(args: &ToPlanes<'_>) {
    let in_order = args.columns.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    let lines = if in_order { args.columns.len() } else { 0 };
    for first in (0..args.cells).step_by(BLOCK) {
        let count = (args.cells - first).min(BLOCK);
        // So many rows and planes are more than the processor looks ahead in by itself.
        for cell in first + BLOCK..first + 2 * BLOCK {
            for column in (0..lines).step_by(BLOCK) {
                prefetch(args.source.wrapping_add(cell * args.stride + args.columns[0] + column));
            }
        }
        let mut c = 0;
        while c < args.columns.len() {
            // SAFETY: the caller's promise; blocks end where the cells do.
            unsafe {
                let from = args.source.add(first * args.stride + args.columns[c]);
                let to = args.out.add(c * args.plane + first);
                let eight = in_order && count == BLOCK && c + 8 <= args.columns.len();
                let planes = square::<V>(args, eight, count, from, to);
                for plane in 0..planes {
                    prefetch(to.wrapping_add(plane * args.plane + BLOCK));
                }
                // Blocks of eight planes have it behind them.
                if args.act.is_some() && planes == 1 {
                    for done in (0..count).step_by(V::LEN) {
                        let n = (count - done).min(V::LEN);
                        let value = activate(V::load_part(to.add(done), n), args.act);
                        value.store_part(to.add(done), n);
                    }
                }
                c += planes;
            }
        }
    }
}

/// Copies `count` cells of one plane or, if `eight`, on x86, a whole block of eight planes that lie side by side, these
/// activated too; returns how many planes.
///
/// # Safety
/// As [`to_planes`]; `from` and `to` are the first numbers of the first plane.
#[inline(always)]
unsafe fn square<V: Lanes>(
    args: &ToPlanes<'_>,
    eight: bool,
    count: usize,
    from: *const f32,
    to: *mut f32,
) -> usize {
    #[cfg(target_arch = "x86_64")]
    if V::LEN >= 8 && eight {
        for half in [0, 8] {
            // SAFETY: the caller's promise; vectors of eight or more mean AVX.
            unsafe {
                let (from, to) = (from.add(half * args.stride), to.add(half));
                let Some(act) = args.act else {
                    x86::transpose8(from, args.stride, to, args.plane);
                    continue;
                };
                let mut rows = [0.0f32; 64];
                if act == Activation::Sigmoid {
                    // The usual one, decided on once.
                    for i in 0..8 {
                        let value =
                            activate(Avx2::load(from.add(i * args.stride)), Some(Activation::Sigmoid));
                        value.store(rows.as_mut_ptr().add(8 * i));
                    }
                } else {
                    for i in 0..8 {
                        let value = activate(Avx2::load(from.add(i * args.stride)), Some(act));
                        value.store(rows.as_mut_ptr().add(8 * i));
                    }
                }
                x86::transpose8(rows.as_ptr(), 8, to, args.plane);
            }
        }
        return 8;
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = eight;
    for p in 0..count {
        // SAFETY: the caller's promise.
        unsafe { *to.add(p) = *from.add(p * args.stride) };
    }
    1
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// Eight rows of eight numbers to eight columns.
    ///
    /// # Safety
    /// The processor has AVX; `from` and `to` are valid for eight numbers at eight multiples of their strides.
    #[inline(always)]
    pub(super) unsafe fn transpose8(from: *const f32, stride: usize, to: *mut f32, plane: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            // Rows 0 and 4, 1 and 5, ... lie side by side in halves, so that the rest stays within halves. Loops, not
            // closures: those would not take over the instruction set.
            for half in 0..2 {
                let from = from.add(4 * half);
                let mut rows = [_mm256_setzero_ps(); 4];
                for (i, row) in rows.iter_mut().enumerate() {
                    let low = _mm256_castps128_ps256(_mm_loadu_ps(from.add(i * stride)));
                    *row = _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from.add((i + 4) * stride)));
                }
                let to = to.add(4 * half * plane);
                let [a, b, c, d] = rows;
                let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                _mm256_storeu_ps(to, _mm256_shuffle_ps::<0x44>(ab, cd));
                _mm256_storeu_ps(to.add(plane), _mm256_shuffle_ps::<0xee>(ab, cd));
                let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                _mm256_storeu_ps(to.add(2 * plane), _mm256_shuffle_ps::<0x44>(ab, cd));
                _mm256_storeu_ps(to.add(3 * plane), _mm256_shuffle_ps::<0xee>(ab, cd));
            }
        }
    }
}

/// The other way: `out[p · stride + columns[c]] = source[c · plane + p]`.
///
/// # Safety
/// `out` is valid for `cells` cells of `stride` numbers, every column is below `stride`, and `source` is valid for
/// `cells` numbers at each multiple of `plane` below `columns.len()`.
pub(crate) unsafe fn from_planes(
    source: *const f32,
    plane: usize,
    columns: &[usize],
    cells: usize,
    out: *mut f32,
    stride: usize,
) {
    for (c, &column) in columns.iter().enumerate() {
        for p in 0..cells {
            // SAFETY: the caller's promise.
            unsafe { *out.add(p * stride + column) = *source.add(c * plane + p) };
        }
    }
}
