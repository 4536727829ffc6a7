//! Sums of the bytes of each channel over pixels.

use picodet_simd::{IntVector, Isa, Kernel, Simd, Vector, dispatch};

use crate::map::ChannelRange;

/// Arguments of [`sum_bytes`].
#[derive(Clone, Copy, Debug)]
pub struct SumBytes<'a> {
    /// First pixel.
    pub source: *const u8,
    /// Bytes from one pixel to the next.
    pub stride: usize,
    /// Number of pixels.
    pub pixels: usize,
    /// Channels to be summed.
    pub ranges: &'a [ChannelRange],
    /// Sums by the ranges' destination.
    pub out: *mut u32,
}

/// Sums each channel over all pixels; sums wrap after 2^24 pixels.
///
/// # Safety
/// * `source` is valid for reads of the ranges in all pixels, `out` for writes of the ranges' destinations,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn sum_bytes(isa: Isa, args: &SumBytes<'_>) {
    dispatch(isa, args);
}

/// Pixels whose sums are exact in f32: 65,536 · 255 is below 2^24.
const EXACT: usize = 1 << 16;

impl Kernel for &SumBytes<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Several sums at once hide the latency of the additions.
        const SUMS: usize = 4;
        for range in self.ranges {
            for done in (0..range.len).step_by(S::LEN) {
                let count = (range.len - done).min(S::LEN);
                let mut total = [0u32; 16];
                for first in (0..self.pixels).step_by(EXACT) {
                    let pixels = EXACT.min(self.pixels - first);
                    // SAFETY: the pixels exist, and `count` channels of the range remain.
                    unsafe {
                        let from = self.source.add(first * self.stride + range.source + done);
                        let mut sums = [s.splat(0.0); SUMS];
                        for pixel in (0..pixels / SUMS * SUMS).step_by(SUMS) {
                            for (i, sum) in sums.iter_mut().enumerate() {
                                *sum = *sum + s.load_u8_part(from.add((pixel + i) * self.stride), count);
                            }
                        }
                        for pixel in pixels / SUMS * SUMS..pixels {
                            sums[0] = sums[0] + s.load_u8_part(from.add(pixel * self.stride), count);
                        }
                        let mut lanes = [0i32; 16];
                        ((sums[0] + sums[1]) + (sums[2] + sums[3])).round().store(lanes.as_mut_ptr());
                        for (total, lane) in total.iter_mut().zip(lanes) {
                            *total = total.wrapping_add(lane.cast_unsigned());
                        }
                    }
                }
                // SAFETY: `count` sums of the range remain.
                unsafe {
                    let to = self.out.add(range.destination + done);
                    std::ptr::copy_nonoverlapping(total.as_ptr(), to, count);
                }
            }
        }
    }
}
