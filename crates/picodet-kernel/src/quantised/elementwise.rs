//! Operations on one pixel of bytes after the other: sums, factors, conversion to f32 and from it.

use std::ops::Range;

use picodet_graph::Activation;
use picodet_simd::{Int8Isa, KernelInt8, Simd, SimdInt8, Vector, dispatch_int8};

use super::constants::to_map;
use crate::map::ChannelRange;

/// A map of bytes whose real values are `(q - zero) · scale`, by column.
#[derive(Clone, Copy, Debug)]
pub struct Operand<'a> {
    /// First byte of the first pixel, or of the column that constants begin with. The source of [`ByteKind::Quantise`] is f32.
    pub map: *const u8,
    /// Elements from one pixel to the next.
    pub stride: usize,
    /// One scale per column, padded to whole vectors.
    pub scale: &'a [f32],
    /// One zero point per column, padded to whole vectors.
    pub zero: &'a [f32],
}

impl Operand<'_> {
    /// Whether there are constants for `columns` columns.
    pub(crate) fn covers(&self, columns: usize) -> bool {
        self.scale.len() >= columns && self.zero.len() >= columns
    }

    /// Loads `q - zero` of `count` columns of a pixel.
    ///
    /// # Safety
    /// The map is valid for these columns, and the zero points for a vector from `column` on.
    #[inline(always)]
    pub(crate) unsafe fn load<S: Simd>(&self, s: S, pixel: usize, column: usize, count: usize) -> S::F32 {
        // SAFETY: see above.
        unsafe {
            let bytes = s.load_u8_part(self.map.wrapping_add(pixel * self.stride + column), count);
            bytes - s.load(self.zero.as_ptr().add(column))
        }
    }

    /// Loads a vector of scales.
    ///
    /// # Safety
    /// There are scales for a vector from `column` on.
    #[inline(always)]
    pub(crate) unsafe fn scale_at<S: Simd>(&self, s: S, column: usize) -> S::F32 {
        // SAFETY: see above.
        unsafe { s.load(self.scale.as_ptr().add(column)) }
    }
}

/// The computation on each column of [`bytes`].
#[derive(Clone, Copy, Debug)]
pub enum ByteKind<'a> {
    /// `(q - zero) · scale`, stored as f32.
    Dequantise,
    /// `x · scale + out_zero` of an f32 source.
    Quantise,
    /// `(q - zero) · (factors · scale) + out_zero`.
    Scale {
        /// One factor per column, by the ranges' `other`.
        factors: *const f32,
    },
    /// `act((q - zero) · scale + (other - other.zero) · other.scale) · factor + out_zero`.
    Add {
        /// The second source, by the ranges' `other`; its constants by destination.
        other: Operand<'a>,
        /// Applied before the requantisation.
        act: Option<Activation>,
        /// One factor per column: 1 / scale of the result, for hard-swish 1 / (6 · scale).
        factor: &'a [f32],
    },
}

/// Arguments of [`bytes`]. Constants are by the ranges' destination.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    /// The computation.
    pub kind: ByteKind<'a>,
    /// The source and its zero points; its scales are the factors that the kind names.
    pub source: Operand<'a>,
    /// First element of the first pixel of the result: f32 if the kind is [`ByteKind::Dequantise`], else bytes.
    pub out: *mut u8,
    /// Elements from one result pixel to the next.
    pub out_stride: usize,
    /// Number of pixels.
    pub pixels: usize,
    /// The channels.
    pub ranges: &'a [ChannelRange],
    /// Zero points of the result; not read by [`ByteKind::Dequantise`].
    pub out_zero: &'a [f32],
}

/// Computes an elementwise function of a map of bytes.
///
/// # Safety
/// * the sources are valid for reads of the ranges in all pixels, factors for reads of the ranges' `other` columns,
/// * `out` is valid for writes of the ranges in all pixels,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If a column has no constants.
pub unsafe fn bytes(isa: Int8Isa, args: &Bytes<'_>) {
    let columns = args.ranges.iter().map(|range| range.destination + range.len).max().unwrap_or(0);
    let complete = match args.kind {
        ByteKind::Dequantise => true,
        ByteKind::Quantise | ByteKind::Scale { .. } => args.out_zero.len() >= columns,
        ByteKind::Add { other, factor, .. } => {
            other.covers(columns) && factor.len() >= columns && args.out_zero.len() >= columns
        }
    };
    assert!(complete && args.source.covers(columns), "constants of every column");
    dispatch_int8(isa, args);
}

/// Pixels of which all channels are computed before the next ones: a part of a level-1 cache.
const PART: usize = 64;

impl KernelInt8 for &Bytes<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdInt8>(self, s: S) {
        if let ByteKind::Scale { factors } = self.kind {
            for first in (0..self.pixels).step_by(PART) {
                // SAFETY: the pixels exist.
                unsafe { self.scale(s, factors, first..(first + PART).min(self.pixels)) };
            }
            return;
        }
        for pixel in 0..self.pixels {
            for range in self.ranges {
                for done in (0..range.len).step_by(S::LEN) {
                    // SAFETY: `count` columns of the range remain, in pixels that exist.
                    unsafe { self.vector(s, pixel, range, done, (range.len - done).min(S::LEN)) };
                }
            }
        }
    }
}

impl Bytes<'_> {
    /// Multiplies some pixels by factors.
    ///
    /// # Safety
    /// As [`bytes`]; the pixels exist.
    #[inline(always)]
    unsafe fn scale<S: SimdInt8>(&self, s: S, factors: *const f32, pixels: Range<usize>) {
        for range in self.ranges {
            for done in (0..range.len).step_by(S::LEN) {
                let (column, count) = (range.destination + done, (range.len - done).min(S::LEN));
                // SAFETY: `bytes` has checked that the constants have these columns; the pixels have them too.
                unsafe {
                    let zero = s.load_part(self.source.zero.as_ptr().add(column), count);
                    let out_zero = s.load_part(self.out_zero.as_ptr().add(column), count);
                    let factor = s.load_part(factors.add(range.other + done), count)
                        * s.load_part(self.source.scale.as_ptr().add(column), count);
                    // Not closures: they would not be compiled for the instruction set.
                    macro_rules! to {
                        ($pixel:expr) => {
                            self.out.wrapping_add($pixel * self.out_stride + column)
                        };
                    }
                    macro_rules! value {
                        ($pixel:expr) => {{
                            let at = $pixel * self.source.stride + range.source + done;
                            let source = s.load_u8_part(self.source.map.wrapping_add(at), count) - zero;
                            source.fused_mul_add(factor, out_zero)
                        }};
                    }
                    let mut pixel = pixels.start;
                    while count == S::LEN && pixels.end - pixel >= 4 {
                        let values = [value!(pixel), value!(pixel + 1), value!(pixel + 2), value!(pixel + 3)];
                        let to = [to!(pixel), to!(pixel + 1), to!(pixel + 2), to!(pixel + 3)];
                        s.store_bytes(values, to);
                        pixel += 4;
                    }
                    for pixel in pixel..pixels.end {
                        value!(pixel).store_u8_part(to!(pixel), count);
                    }
                }
            }
        }
    }

    /// Computes `count` columns of a range from `done` on.
    ///
    /// # Safety
    /// As [`bytes`]; the columns are in the range.
    #[inline(always)]
    unsafe fn vector<S: Simd>(&self, s: S, pixel: usize, range: &ChannelRange, done: usize, count: usize) {
        let column = range.destination + done;
        // SAFETY: `bytes` has checked that the constants have these columns.
        unsafe {
            // Not a closure: it would not be compiled for the instruction set.
            macro_rules! constant {
                ($values:expr) => {
                    s.load_part($values.as_ptr().add(column), count)
                };
            }
            let at = pixel * self.source.stride + range.source + done;
            let to = pixel * self.out_stride + column;
            if let ByteKind::Quantise = self.kind {
                let source = s.load_part(self.source.map.cast::<f32>().wrapping_add(at), count);
                let value = source.fused_mul_add(constant!(self.source.scale), constant!(self.out_zero));
                return value.store_u8_part(self.out.wrapping_add(to), count);
            }
            let source =
                s.load_u8_part(self.source.map.wrapping_add(at), count) - constant!(self.source.zero);
            let value = match self.kind {
                ByteKind::Dequantise => {
                    let value = source * constant!(self.source.scale);
                    return value.store_part(self.out.cast::<f32>().wrapping_add(to), count);
                }
                // Computed by `scale` and above.
                ByteKind::Scale { .. } | ByteKind::Quantise => return,
                ByteKind::Add { other, act, factor } => {
                    let at = pixel * other.stride + range.other + done;
                    let second = s.load_u8_part(other.map.wrapping_add(at), count) - constant!(other.zero);
                    let sum = source * constant!(self.source.scale);
                    let sum = second.fused_mul_add(constant!(other.scale), sum);
                    to_map(sum, act, constant!(factor), constant!(self.out_zero))
                }
            };
            value.store_u8_part(self.out.wrapping_add(to), count);
        }
    }
}
