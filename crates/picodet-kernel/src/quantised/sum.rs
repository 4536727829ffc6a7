//! Sums of the bytes of each channel over pixels.

use picodet_simd::{Isa, Kernel, Simd, dispatch};

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

impl Kernel for &SumBytes<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        // A vector of the widest set; the compiler vectorises the loops over it.
        const PART: usize = 16;
        for range in self.ranges {
            for done in (0..range.len).step_by(PART) {
                let count = (range.len - done).min(PART);
                let mut sums = [0u32; PART];
                for pixel in 0..self.pixels {
                    // SAFETY: the pixel exists, and `count` channels of the range remain.
                    let from = unsafe {
                        let from = self.source.add(pixel * self.stride + range.source + done);
                        std::slice::from_raw_parts(from, count)
                    };
                    if let Ok(whole) = <&[u8; PART]>::try_from(from) {
                        sums.iter_mut()
                            .zip(whole)
                            .for_each(|(sum, &byte)| *sum = sum.wrapping_add(byte.into()));
                    } else {
                        sums.iter_mut()
                            .zip(from)
                            .for_each(|(sum, &byte)| *sum = sum.wrapping_add(byte.into()));
                    }
                }
                // SAFETY: `count` sums of the range remain.
                unsafe {
                    let to = self.out.add(range.destination + done);
                    std::ptr::copy_nonoverlapping(sums.as_ptr(), to, count);
                }
            }
        }
    }
}
