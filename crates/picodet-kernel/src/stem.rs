//! The 3×3 convolution of stride 2 over a planar image: the first layer of every backbone.
//!
//! Its sums are so short (27 products) that the general matrix product would spend its time between them. A
//! tile is some pixels of one row by one panel of channels; the window's columns are unrolled.

use picodet_graph::Activation;
use picodet_simd::{Isa, IsaKind, Kernel, Outlined, Simd, Vector, dispatch, prefetch};

use crate::activation::activate;
use crate::gemm::{MOST, panels};
use crate::tuning;

/// Side of the kernel window.
pub const KERNEL: usize = 3;
/// Stride of the kernel window.
pub const STRIDE: usize = 2;
/// Channels of an image.
pub const CHANNELS: usize = 3;

/// Arguments of [`stem`]: one row of the result.
#[derive(Clone, Copy, Debug)]
pub struct Stem<'a> {
    /// `[CHANNELS, height, width]`.
    pub image: *const f32,
    /// Height and width of the image.
    pub size: (usize, usize),
    /// Row of the result, of `height / STRIDE` rounded up.
    pub row: usize,
    /// Whether half vectors are used, see [`half`].
    pub half: bool,
    /// `[CHANNELS · KERNEL · KERNEL][columns]`, packed for [`lanes`] by [`crate::gemm::pack()`].
    pub weights: &'a [f32],
    /// Channels of the result.
    pub columns: usize,
    /// One value per column, zeros up to whole vectors.
    pub bias: &'a [f32],
    /// First pixel of the row of the result.
    pub out: *mut f32,
    /// Elements from one result pixel to the next.
    pub out_stride: usize,
    /// Applied last.
    pub act: Option<Activation>,
}

/// Returns whether half vectors are faster: where the last whole one would be half empty and whole ones take
/// twice the time.
#[must_use]
pub fn half(isa: Isa, columns: usize) -> bool {
    isa.kind() == IsaKind::Avx512 && (1..=8).contains(&(columns % 16)) && isa.splits_vectors()
}

/// Returns the lanes that [`Stem::weights`] are packed for.
#[must_use]
pub fn lanes(isa: Isa, half: bool) -> usize {
    if half { isa.lanes() / 2 } else { isa.lanes() }
}

/// Convolves one row.
///
/// # Safety
/// * `image` is valid for reads of `CHANNELS` planes, `out` for writes of `columns` elements in each pixel of
///   the row,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If weights or bias are not packed in whole vectors, the row does not exist, or half vectors do not.
pub unsafe fn stem(isa: Isa, args: &Stem<'_>) {
    let padded = args.columns.next_multiple_of(lanes(isa, args.half));
    assert!(
        args.bias.len() >= padded && args.weights.len() >= CHANNELS * KERNEL * KERNEL * padded,
        "packed weights"
    );
    assert!(args.row * STRIDE < args.size.0 && args.size.1 > 0, "a row of the result");
    assert!(!args.half || isa.kind() == IsaKind::Avx512, "half vectors of AVX-512");
    dispatch(isa, args);
}

impl Kernel for &Stem<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if const { S::LEN == 16 } {
            if self.half {
                // Half vectors, but all 32 registers.
                panels_of::<S, S::Half, 12, 12, 6>(s, s.half(), self);
            } else {
                panels_of::<S, S, 12, 12, 8>(s, s, self);
            }
        } else if const { S::LEN == 8 } {
            panels_of::<S, S, 8, 5, 3>(s, s, self);
        } else {
            panels_of::<S, S, 8, 4, 3>(s, s, self);
        }
    }
}

/// Computes all panels, in tiles of `P1`, `P2` and `P3` pixels for panels of one, two and three vectors, which fit the
/// registers; half vectors are compiled with the instructions, and so the registers, of the `outer` set.
#[inline(always)]
fn panels_of<O: Simd, S: Simd, const P1: usize, const P2: usize, const P3: usize>(
    outer: O,
    s: S,
    args: &Stem<'_>,
) {
    for (first, vectors) in panels(args.columns, S::LEN) {
        match vectors {
            1 => outer.outlined(Row::<_, P1, 1> { s, args, first }),
            2 => outer.outlined(Row::<_, P2, 2> { s, args, first }),
            _ => outer.outlined(Row::<_, P3, 3> { s, args, first }),
        }
    }
}

/// The window's rows of every channel.
type Rows = [*const f32; CHANNELS * KERNEL];

/// Columns below the windows of the largest tile.
const PATCH: usize = 11 * STRIDE + KERNEL;

/// Computes one panel of `NV` vectors, whose first column is `first`, of all pixels, in tiles of `P`; the last tile
/// reaches back over pixels that are done already. [`stem`]'s caller vouches for `args`.
struct Row<'a, S, const P: usize, const NV: usize> {
    s: S,
    args: &'a Stem<'a>,
    first: usize,
}

impl<S: Simd, const P: usize, const NV: usize> Outlined for Row<'_, S, P, NV> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { s, args, first } = self;
        let (height, width) = args.size;
        let pixels = width.div_ceil(STRIDE);
        let mut rows: [Option<*const f32>; CHANNELS * KERNEL] = [None; CHANNELS * KERNEL];
        let mut pointers: Rows = [std::ptr::null(); CHANNELS * KERNEL];
        for (index, (row, pointer)) in rows.iter_mut().zip(&mut pointers).enumerate() {
            // Rows outside the image stay `None`.
            let y = (args.row * STRIDE + index % KERNEL).checked_sub(KERNEL / 2).filter(|&y| y < height);
            *row = y.map(|y| args.image.wrapping_add((index / KERNEL * height + y) * width));
            *pointer = row.unwrap_or(std::ptr::null());
        }
        let complete = rows.iter().all(Option::is_some);
        let mut patch = [[0.0; PATCH]; CHANNELS * KERNEL];
        let tall = if pixels < P { 1 } else { P };
        for pixel in (0..pixels).step_by(tall) {
            let pixel = pixel.min(pixels - tall);
            let begin = pixel * STRIDE;
            let columns = (tall - 1) * STRIDE + KERNEL;
            if first == 0 {
                // The rows that the next row of the result reads besides these.
                for row in rows.iter().skip(1).flatten() {
                    for line in (0..columns).step_by(16) {
                        prefetch(row.wrapping_add(STRIDE * width + begin + line));
                    }
                }
            }
            // SAFETY: pixels `pixel..pixel + tall` are inside the row. Where their windows leave the image, a
            // copy with zeros outside it is read: `count` columns from `from` on are in the image, and `before +
            // count` is at most `PATCH`.
            unsafe {
                if complete && begin > 0 && begin - 1 + columns <= width && tall == P {
                    tile::<S, P, NV>(s, args, first, &pointers, begin - 1, pixel);
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
                    tile::<S, P, NV>(s, args, first, &patched, 0, pixel);
                } else {
                    tile::<S, 1, NV>(s, args, first, &patched, 0, pixel);
                }
            }
        }
    }
}

/// Computes `P` pixels from `pixel` on.
///
/// # Safety
/// As [`Row`]; the pixels exist, and `rows` are valid for their windows from `offset` on.
#[inline(always)]
unsafe fn tile<S: Simd, const P: usize, const NV: usize>(
    s: S,
    args: &Stem<'_>,
    first: usize,
    rows: &Rows,
    offset: usize,
    pixel: usize,
) {
    // SAFETY: bias and weights are packed for panels of whole vectors; the windows of the pixels are inside
    // `rows`; columns after the last one are not stored, and `stored` holds the largest tile.
    unsafe {
        let mut sums = [[s.splat(0.0); NV]; P];
        for j in 0..NV {
            let bias = s.load(args.bias.as_ptr().add(first + j * S::LEN));
            for line in &mut sums {
                line[j] = bias;
            }
        }
        let mut weights = args.weights.as_ptr().add(first * CHANNELS * KERNEL * KERNEL);
        // WebAssembly's instructions have no order besides that of their operands: without a loop, all products of a sum come
        // one after the other, each waiting for the one before.
        let count = if tuning::rolls::<S>() { std::hint::black_box(rows.len()) } else { rows.len() };
        for row in rows.iter().take(count) {
            let source = row.add(offset);
            let columns = if tuning::rolls_columns::<S>() { std::hint::black_box(KERNEL) } else { KERNEL };
            for column in 0..columns {
                let mut right = [s.splat(0.0); NV];
                for (j, right) in right.iter_mut().enumerate() {
                    *right = s.load(weights.add((column * NV + j) * S::LEN));
                }
                for p in 0..P {
                    let left = s.splat(*source.add(p * STRIDE + column));
                    for j in 0..NV {
                        sums[p][j] = left.mul_add(right[j], sums[p][j]);
                    }
                }
            }
            weights = weights.add(KERNEL * NV * S::LEN);
        }
        let out = args.out.add(pixel * args.out_stride + first);
        let hard_swish = Some(Activation::HardSwish);
        if !tuning::compact::<S>() && args.columns - first >= NV * S::LEN && args.act == hard_swish {
            for p in 0..P {
                for j in 0..NV {
                    let sum = activate(sums[p][j], hard_swish);
                    sum.store(out.add(p * args.out_stride + j * S::LEN));
                }
            }
            return;
        }
        // As in `gemm`, the sums leave the registers all at once.
        let mut stored = [0.0f32; MOST];
        for p in 0..P {
            for j in 0..NV {
                sums[p][j].store(stored.as_mut_ptr().add((p * NV + j) * S::LEN));
            }
        }
        // One loop keeps the code of all activations short where loops remain.
        let vectors = if tuning::rolls::<S>() { std::hint::black_box(P * NV) } else { P * NV };
        for i in 0..vectors {
            let (p, j) = (i / NV, i % NV);
            let count = (args.columns - first).saturating_sub(j * S::LEN).min(S::LEN);
            let sum = s.load(stored.as_ptr().add(i * S::LEN));
            activate(sum, args.act).store_part(out.wrapping_add(p * args.out_stride + j * S::LEN), count);
        }
    }
}
