//! Pooling over all pixels: sums of channels.

use picodet_graph::DType;
use picodet_simd::{Isa, Kernel, Simd, dispatch};

use crate::elementwise::each;
use crate::map::ChannelRange;

/// Arguments of [`sum_pixels`].
#[derive(Clone, Copy, Debug)]
pub struct SumPixels<'a> {
    /// First pixel, of type `dtype`.
    pub source: *const f32,
    /// Elements from one pixel to the next.
    pub source_stride: usize,
    /// The type of the source: f32 or bf16.
    pub dtype: DType,
    /// Number of pixels.
    pub pixels: usize,
    /// Channels to be summed.
    pub ranges: &'a [ChannelRange],
    /// Sums by the ranges' destination.
    pub out: *mut f32,
}

/// Sums each channel over all pixels.
///
/// # Safety
/// * `source` is valid for reads of the ranges in `pixels` pixels, `out` for writes of the ranges' destinations,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn sum_pixels(isa: Isa, args: &SumPixels<'_>) {
    dispatch(isa, args);
}

impl Kernel for &SumPixels<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: pixels are below `pixels`, and ranges inside pixels.
        unsafe {
            each(s, self.ranges, self.out, |range, done, n| {
                // Four sums at once hide the latency of the addition.
                let mut sums = [s.splat(0.0); 4];
                let at = |pixel: usize| pixel * self.source_stride + range.source + done;
                let load = |pixel: usize| {
                    if self.dtype == DType::Bf16 {
                        s.load_bf16_part(self.source.cast::<u16>().add(at(pixel)), n)
                    } else {
                        s.load_part(self.source.add(at(pixel)), n)
                    }
                };
                let whole = self.pixels / 4 * 4;
                for pixel in (0..whole).step_by(4) {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = *sum + load(pixel + i);
                    }
                }
                for pixel in whole..self.pixels {
                    sums[0] = sums[0] + load(pixel);
                }
                (sums[0] + sums[1]) + (sums[2] + sums[3])
            });
        }
    }
}
