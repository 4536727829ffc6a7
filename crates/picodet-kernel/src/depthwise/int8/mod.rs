//! Depthwise convolution of bytes, summed in i32.
//!
//! The processor multiplies four bytes per lane and adds the products: here a value of the map and the three below it.
//! As for bf16, a strip of columns is computed two rows at a time, from a copy of its source in a small scratch memory
//! whose rows are quads: the bytes of four neighbouring rows of one channel. Quads begin at every second row, so that
//! one of them contains the windows of 3 rows of two rows of the result, and two of them windows of 5 rows. Rows and
//! columns outside of the map are the zero points of the channels.

mod arguments;
mod pack;
mod tile;

use std::mem::MaybeUninit;
use std::ops::Range;

use picodet_simd::{Int8Isa, IsaKind, KernelInt8, Outlined, SimdInt8, dispatch_int8, prefetch};

use super::arguments::tile_width;
use crate::quantised::FIELDS;
use crate::tuning;
pub use arguments::DepthwiseInt8;
use arguments::{quads, units, variants};
use pack::vectors;
pub use pack::{pack_depthwise_columns, pack_depthwise_int8};
use tile::Tile;

/// Returns whether [`depthwise_int8`] supports a window.
#[must_use]
pub fn fits(kernel: usize, stride: usize) -> bool {
    (kernel == 3 || kernel == 5) && (stride == 1 || stride == 2)
}

/// Convolves each channel of a map of bytes.
///
/// # Safety
/// * `source` is valid for reads of the ranges in all pixels of the map,
/// * `out` is valid for writes of the ranges in `rows` of the result,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If the convolution does not [`fits`], or weights, constants or sizes do not agree.
pub unsafe fn depthwise_int8(isa: Int8Isa, args: &DepthwiseInt8<'_>) {
    let lanes = isa.lanes();
    let vectors = vectors(isa, args.ranges).count();
    let units = 4 / isa.depth() * lanes;
    let offsets = if isa.subtracted().is_some() { lanes } else { 0 };
    let weights = vectors * variants(args.stride) * (offsets + quads(args.kernel) * args.kernel * units);
    let inside = args.ranges.iter().all(|range| range.destination + range.len <= args.zeros.len());
    let sizes = args.rows.end <= args.size.0.div_ceil(args.stride)
        && (1..=args.size.1.div_ceil(args.stride)).contains(&args.out_width);
    let complete = args.weights.len() >= weights && args.constants.len() >= vectors * FIELDS * lanes;
    assert!(inside && sizes && complete, "weights, constants, runs and sizes agree");
    assert!(fits(args.kernel, args.stride), "windows of 3 or 5 at stride 1 or 2");
    dispatch_int8(isa, args);
}

/// Widths of tiles of several columns.
const fn widths<S: SimdInt8>() -> &'static [usize] {
    match S::REGISTERS {
        _ if tuning::compact::<S>() => &[],
        32 => &[13, 10, 7, 5],
        // Short code, as in `tuning::depthwise_widths`.
        _ if matches!(S::KIND, IsaKind::Simd128) => &[4],
        _ => &[4, 3],
    }
}

/// Whether a width is compiled.
const fn has_width<S: SimdInt8>(width: usize) -> bool {
    tuning::contains(widths::<S>(), width)
}

/// Bytes of a strip's source: half of a level-1 cache.
const SCRATCH: usize = 24 << 10;

/// Vectors of channels of a strip: more of short vectors, whose bytes are interleaved together.
const fn strip_vectors<S: SimdInt8>() -> usize {
    if S::TOGETHER > 2 { S::TOGETHER } else { 2 }
}

/// Channels of a strip at most.
const STRIP_CHANNELS: usize = 32;

/// The source of a strip.
#[repr(align(64))]
struct Scratch {
    /// For each vector of channels some rows of quads; quad `q` is at `q % QUADS`.
    pixels: [MaybeUninit<u32>; SCRATCH / 4],
    /// The zero points of the strip's channels.
    zeros: [u8; STRIP_CHANNELS],
}

/// One strip.
struct Strip {
    /// First channel in a source pixel, and of the result.
    channels: (usize, usize),
    /// Number of channels, [`strip_vectors`] at most.
    count: usize,
    /// Index of its first vector among those of all ranges.
    vector: usize,
    /// Columns of the result.
    columns: Range<usize>,
}

impl Strip {
    /// Returns its vectors: index and number of channels.
    fn vectors<S: SimdInt8>(&self) -> impl Iterator<Item = (usize, usize)> {
        let count = self.count;
        (0..count.div_ceil(S::LEN)).map(move |vector| (vector, (count - vector * S::LEN).min(S::LEN)))
    }
}

impl KernelInt8 for &DepthwiseInt8<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdInt8>(self, s: S) {
        // SAFETY: the caller of `depthwise_int8` vouches for the pointers; it has checked window, stride and
        // lengths.
        unsafe {
            match (self.kernel, self.stride) {
                (3, 1) => channels::<S, 3, 1, 1>(s, self),
                (3, _) => channels::<S, 3, 2, 2>(s, self),
                (_, 1) => channels::<S, 5, 1, 3>(s, self),
                _ => channels::<S, 5, 2, 4>(s, self),
            }
        }
    }
}

/// Computes all channels and columns; `QUADS` is the number of quads of source rows below two rows.
///
/// # Safety
/// As [`depthwise_int8`]; `K` and `STRIDE` are those of the convolution.
#[inline(always)]
unsafe fn channels<S: SimdInt8, const K: usize, const STRIDE: usize, const QUADS: usize>(
    s: S,
    args: &DepthwiseInt8<'_>,
) {
    let width = args.out_width;
    let tile = tile_width(widths::<S>(), width).unwrap_or(1);
    // The largest number of whole tiles that fits into the scratch memory.
    let most = ((SCRATCH / 4 / (strip_vectors::<S>() * QUADS * units::<S>()) - K) / STRIDE + 1) / tile * tile;
    let mut scratch =
        Scratch { pixels: [const { MaybeUninit::uninit() }; SCRATCH / 4], zeros: [0; STRIP_CHANNELS] };
    let mut vector = 0;
    for range in args.ranges {
        for done in (0..range.len).step_by(strip_vectors::<S>() * S::LEN) {
            let channels = (range.source + done, range.destination + done);
            let count = (range.len - done).min(strip_vectors::<S>() * S::LEN);
            let mut strip = Strip { channels, count, vector, columns: 0..0 };
            scratch.zeros[..count].copy_from_slice(&args.zeros[channels.1..channels.1 + count]);
            vector += count.div_ceil(S::LEN);
            for first in (0..width).step_by(most) {
                let last = (first + most).min(width);
                // The last tile reaches back over columns that are done already; they get the same values again.
                strip.columns = first.min(last - tile)..last;
                let (strip, scratch) = (&strip, &mut scratch);
                match tile {
                    13 if const { has_width::<S>(13) } => {
                        s.outlined(Rows::<_, K, STRIDE, QUADS, 13> { s, args, strip, scratch });
                    }
                    10 if const { has_width::<S>(10) } => {
                        s.outlined(Rows::<_, K, STRIDE, QUADS, 10> { s, args, strip, scratch });
                    }
                    7 if const { has_width::<S>(7) } => {
                        s.outlined(Rows::<_, K, STRIDE, QUADS, 7> { s, args, strip, scratch });
                    }
                    5 if const { has_width::<S>(5) } => {
                        s.outlined(Rows::<_, K, STRIDE, QUADS, 5> { s, args, strip, scratch });
                    }
                    4 if const { has_width::<S>(4) } => {
                        s.outlined(Rows::<_, K, STRIDE, QUADS, 4> { s, args, strip, scratch });
                    }
                    3 if const { has_width::<S>(3) } => {
                        s.outlined(Rows::<_, K, STRIDE, QUADS, 3> { s, args, strip, scratch });
                    }
                    _ => s.outlined(Rows::<_, K, STRIDE, QUADS, 1> { s, args, strip, scratch }),
                }
            }
        }
    }
}

/// Computes the rows of a strip, two at a time, in tiles of `P` columns.
///
/// [`channels`] vouches for `args`, for the zero points in the scratch memory and for its room for the source rows of
/// the strip, which is inside the map and at least `P` columns wide unless `P` is 1.
struct Rows<'a, S, const K: usize, const STRIDE: usize, const QUADS: usize, const P: usize> {
    s: S,
    args: &'a DepthwiseInt8<'a>,
    strip: &'a Strip,
    scratch: &'a mut Scratch,
}

impl<S: SimdInt8, const K: usize, const STRIDE: usize, const QUADS: usize, const P: usize> Outlined
    for Rows<'_, S, K, STRIDE, QUADS, P>
{
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { s, args, strip, scratch } = self;
        let Range { start, end } = args.rows;
        // Quads of a strip's row.
        let row_len = SCRATCH / 4 / (strip_vectors::<S>() * QUADS) / units::<S>() * units::<S>();
        let mut copied = 0;
        // Pairs of rows start at even rows.
        for y in (start / 2 * 2..end).step_by(2) {
            let computed = [y >= start, y + 1 < end];
            let first = y * STRIDE / 2;
            // SAFETY: `QUADS` rows of the scratch memory hold all quads of a window, for both vectors; tiles end
            // inside the strip.
            unsafe {
                copied = copied.max(first);
                while copied < first + QUADS {
                    // Windows of 5 at stride 1 do not read the second quad of a pair, but the next pair does.
                    let to = scratch.pixels.as_mut_ptr().cast::<u32>().add(copied % QUADS * row_len);
                    let zeros = scratch.zeros.as_ptr();
                    copy_quad::<S, K, STRIDE>(s, args, strip, copied, (to, QUADS * row_len), zeros);
                    copied += 1;
                }
                for (vector, count) in strip.vectors::<S>() {
                    let mut rows = [std::ptr::null(); QUADS];
                    for (quad, row) in rows.iter_mut().enumerate() {
                        let at = vector * QUADS + (first + quad) % QUADS;
                        *row = scratch.pixels.as_ptr().cast::<u32>().add(at * row_len);
                    }
                    for x in strip.columns.clone().step_by(P) {
                        let x = x.min(strip.columns.end - P);
                        let tile = Tile {
                            rows: &rows,
                            column: (x - strip.columns.start) * STRIDE * units::<S>(),
                            vector: strip.vector + vector,
                            pixel: (y, x),
                            computed,
                            channels: (strip.channels.1 + vector * S::LEN, count),
                        };
                        tile.run::<S, K, STRIDE, P>(s, args);
                    }
                }
            }
        }
    }
}

/// Copies the part of source rows `2 · quad - K / 2` to the third one below that a strip reads, its vectors `distance`
/// units from each other.
///
/// # Safety
/// As [`Rows`]; `to` has room for the strip's columns; `zeros` has the zero points of the strip's channels.
#[inline(always)]
unsafe fn copy_quad<S: SimdInt8, const K: usize, const STRIDE: usize>(
    s: S,
    args: &DepthwiseInt8<'_>,
    strip: &Strip,
    quad: usize,
    (to, apart): (*mut u32, usize),
    zeros: *const u8,
) {
    let (pad, (height, width)) = (K / 2, args.size);
    let first = strip.columns.start * STRIDE;
    let columns = (strip.columns.len() - 1) * STRIDE + K;
    let (left, right) = (pad.saturating_sub(first), (width + pad - first).min(columns));
    // A row outside of the map is a vector of zero points that is read at every column.
    let mut rows = [(zeros, 0usize); 4];
    for (i, row) in rows.iter_mut().enumerate() {
        if let Some(y) = (2 * quad + i).checked_sub(pad).filter(|&y| y < height) {
            let pixel = y * width + first + left - pad;
            let at = pixel * args.source_stride + strip.channels.0;
            *row = (args.source.wrapping_add(at), args.source_stride);
        }
    }
    let ahead = 2 * width * args.source_stride;
    let whole = S::TOGETHER * S::LEN;
    let mut skipped = 0;
    while skipped < strip.count {
        let count = strip.count - skipped;
        let together = S::TOGETHER > 1 && count >= whole;
        let at = rows.map(|(row, _)| row.wrapping_add(skipped));
        let columns = (left..right, columns);
        // SAFETY: columns `left..right` are inside the map, and `count` channels remain after those that are skipped.
        unsafe {
            let copy = Copy { at, strides: rows.map(|row| row.1), zeros: zeros.add(skipped), columns, ahead };
            let to = to.add(skipped / S::LEN * apart);
            if together {
                copy.run::<S, true>(s, whole, (to, apart));
            } else {
                copy.run::<S, false>(s, count.min(S::LEN), (to, apart));
            }
        }
        skipped += if together { whole } else { S::LEN };
    }
}

/// The copy of some vectors of channels of four rows.
struct Copy {
    /// The first byte of each row.
    at: [*const u8; 4],
    /// Bytes from one pixel of a row to the next.
    strides: [usize; 4],
    /// The zero points of the channels.
    zeros: *const u8,
    /// Columns that are inside the map, and the number of columns.
    columns: (Range<usize>, usize),
    /// Bytes from a row to the one that is prefetched.
    ahead: usize,
}

impl Copy {
    /// Copies `count` channels, which are [`SimdInt8::TOGETHER`] whole vectors or one vector and fewer channels.
    ///
    /// # Safety
    /// The channels exist in all pixels; `to` has room for the columns of each vector.
    #[inline(always)]
    unsafe fn run<S: SimdInt8, const WHOLE: bool>(
        mut self,
        s: S,
        count: usize,
        (to, apart): (*mut u32, usize),
    ) {
        let (inside, columns) = self.columns;
        // SAFETY: the caller vouches for the channels and for the room.
        unsafe {
            let outside = s.interleave_rows([self.zeros; 4], count.min(S::LEN));
            for column in (0..inside.start).chain(inside.end..columns) {
                let to = to.add(column * units::<S>());
                if WHOLE {
                    s.store_interleaved([self.zeros; 4], to, apart);
                } else {
                    s.store_units(outside, to);
                }
            }
            for column in inside {
                let to = to.add(column * units::<S>());
                if WHOLE {
                    s.store_interleaved(self.at, to, apart);
                } else {
                    s.store_units(s.interleave_rows(self.at, count), to);
                }
                prefetch(self.at[2].wrapping_add(self.ahead));
                prefetch(self.at[3].wrapping_add(self.ahead));
                for (at, stride) in self.at.iter_mut().zip(self.strides) {
                    *at = at.wrapping_add(stride);
                }
            }
        }
    }
}
