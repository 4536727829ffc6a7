//! The image as bytes: the pixels that normalisation came from.

use picodet_simd::{IntVector, Isa, Kernel, Simd, Vector, dispatch};

/// Arguments of [`import_bytes`].
#[derive(Clone, Copy, Debug)]
pub struct ImportBytes {
    /// First value of the first row; the next channel begins `plane` values after it.
    pub image: *const f32,
    /// Values of a plane.
    pub plane: usize,
    /// Number of pixels.
    pub pixels: usize,
    /// `255 · std` and `255 · mean` of each channel.
    pub levels: [(f32, f32); 3],
    /// The result: three bytes and a zero per pixel.
    pub out: *mut u32,
}

/// Converts normalised values `x` to bytes: `round(x · 255 std + 255 mean)`, clamped.
///
/// # Safety
/// * `image` is valid for reads of `pixels` values in each of three planes, `out` for writes of `pixels` values,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn import_bytes(isa: Isa, args: &ImportBytes) {
    dispatch(isa, args);
}

impl Kernel for &ImportBytes {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (zero, most) = (s.splat(0.0), s.splat(255.0));
        // Adding and subtracting 1.5 · 2^23 rounds to an integer.
        let magic = s.splat(12_582_912.0);
        for done in (0..self.pixels).step_by(S::LEN) {
            let count = (self.pixels - done).min(S::LEN);
            let mut packed = zero;
            for (c, weight) in [1.0, 256.0, 65536.0].into_iter().enumerate() {
                let (factor, addend) = self.levels[c];
                // SAFETY: `count` pixels remain after `done` in each plane.
                let value = unsafe { s.load_part(self.image.add(c * self.plane + done), count) };
                let value = value.fused_mul_add(s.splat(factor), s.splat(addend));
                // NaN becomes 0.
                let byte = value.max(zero).min(most) + magic - magic;
                // Exact: integers below 2^24.
                packed = packed + byte * s.splat(weight);
            }
            // SAFETY: no vector has more than sixteen lanes, and `count` pixels remain.
            unsafe {
                let to = self.out.add(done).cast();
                if count == S::LEN {
                    packed.round().store(to);
                } else {
                    let mut pixels = [0i32; 16];
                    packed.round().store(pixels.as_mut_ptr());
                    std::ptr::copy_nonoverlapping(pixels.as_ptr(), to, count);
                }
            }
        }
    }
}
