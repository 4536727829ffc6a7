//! f32 maps rounded to bf16, for kernels whose results are f32 only.

use picodet_simd::{Bf16Isa, KernelBf16, SimdBf16, Vector, dispatch_bf16};

/// Arguments of [`round`].
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// The first pixel.
    pub source: *const f32,
    /// Elements from one source pixel to the next.
    pub source_stride: usize,
    /// Number of pixels.
    pub pixels: usize,
    /// Elements of a pixel.
    pub columns: usize,
    /// The first pixel of the result.
    pub out: *mut u16,
    /// Elements from one result pixel to the next.
    pub out_stride: usize,
}

/// Rounds to the nearest bf16, ties to even.
///
/// # Safety
/// * `source` is valid for reads and `out` for writes of `columns` elements of `pixels` pixels,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn round(isa: Bf16Isa, args: &Round) {
    dispatch_bf16(isa, args);
}

impl KernelBf16 for &Round {
    type Output = ();
    #[inline(always)]
    fn run<S: SimdBf16>(self, s: S) {
        for pixel in 0..self.pixels {
            for done in (0..self.columns).step_by(S::LEN) {
                let count = (self.columns - done).min(S::LEN);
                // SAFETY: `count` columns remain in the pixel, which is below `pixels`.
                unsafe {
                    let from = self.source.add(pixel * self.source_stride + done);
                    let to = self.out.add(pixel * self.out_stride + done);
                    if count == S::LEN {
                        s.store_bf16(s.load(from), to);
                    } else {
                        s.load_part(from, count).store_bf16_part(to, count);
                    }
                }
            }
        }
    }
}
