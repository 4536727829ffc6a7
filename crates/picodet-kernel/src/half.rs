//! f32 maps rounded to f16 and sums of f16 channels, for kernels whose results are f32 only.

use picodet_simd::{F16Isa, HalfVector, KernelF16, SimdF16, Vector, dispatch_f16};

use crate::map::ChannelRange;
use crate::pool::SumPixels;
use crate::round::Round;

/// Rounds to the nearest f16, ties to even.
///
/// # Safety
/// As [`crate::round::round`].
#[inline]
pub unsafe fn round_f16(isa: F16Isa, args: &Round) {
    dispatch_f16(isa, args);
}

impl KernelF16 for &Round {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdF16>(self, s: S) {
        for pixel in 0..self.pixels {
            for done in (0..self.columns).step_by(S::HALF_LEN) {
                let count = (self.columns - done).min(S::HALF_LEN);
                // SAFETY: `count` columns remain in the pixel, which is below `pixels`.
                unsafe {
                    let from = self.source.add(pixel * self.source_stride + done);
                    let to = self.out.add(pixel * self.out_stride + done);
                    s.narrow(load_wide(s, from, count)).store_part(to, count);
                }
            }
        }
    }
}

/// Loads `count` values as two vectors, zeros after them.
///
/// # Safety
/// `from` is valid for reads of `count` values, `count <= 8`.
#[inline(always)]
pub(crate) unsafe fn load_wide<S: SimdF16>(s: S, from: *const f32, count: usize) -> [S::F32; 2] {
    // SAFETY: the first vector has the first values, and the second one what remains of `count`.
    unsafe {
        if count == S::HALF_LEN {
            return [s.load(from), s.load(from.add(S::LEN))];
        }
        let low = s.load_part(from, count.min(S::LEN));
        [low, s.load_part(from.wrapping_add(S::LEN), count.saturating_sub(S::LEN))]
    }
}

/// Stores the first `count` values of two vectors.
///
/// # Safety
/// `to` is valid for writes of `count` values, `count <= 8`.
#[inline(always)]
pub(crate) unsafe fn store_wide<S: SimdF16>(_: S, [low, high]: [S::F32; 2], to: *mut f32, count: usize) {
    // SAFETY: the first vector has the first values, and the second one what remains of `count`.
    unsafe {
        if count == S::HALF_LEN {
            low.store(to);
            high.store(to.add(S::LEN));
            return;
        }
        low.store_part(to, count.min(S::LEN));
        high.store_part(to.wrapping_add(S::LEN), count.saturating_sub(S::LEN));
    }
}

/// Sums each channel of an f16 map over all pixels, in f32; `args.dtype` is not read.
///
/// # Safety
/// As [`crate::pool::sum_pixels`].
#[inline]
pub unsafe fn sum_pixels_f16(isa: F16Isa, args: &SumPixels<'_>) {
    dispatch_f16(isa, args);
}

impl KernelF16 for &SumPixels<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdF16>(self, s: S) {
        for &ChannelRange { source, destination, len, .. } in self.ranges {
            for done in (0..len).step_by(S::HALF_LEN) {
                let count = (len - done).min(S::HALF_LEN);
                let at = |pixel: usize| {
                    self.source.cast::<u16>().wrapping_add(pixel * self.source_stride + source + done)
                };
                let add = |sum: [S::F32; 2], value: [S::F32; 2]| [sum[0] + value[0], sum[1] + value[1]];
                // SAFETY: pixels are below `pixels`, and `count` channels of the range remain.
                unsafe {
                    // Two sums of two vectors hide the latency of the addition.
                    let mut sums = [[s.splat(0.0); 2]; 2];
                    let load = |pixel: usize| s.widen(s.load_half_part(at(pixel), count));
                    for pixel in (0..self.pixels / 2 * 2).step_by(2) {
                        sums[0] = add(sums[0], load(pixel));
                        sums[1] = add(sums[1], load(pixel + 1));
                    }
                    if self.pixels % 2 == 1 {
                        sums[0] = add(sums[0], load(self.pixels - 1));
                    }
                    store_wide(s, add(sums[0], sums[1]), self.out.add(destination + done), count);
                }
            }
        }
    }
}
