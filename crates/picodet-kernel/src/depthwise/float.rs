//! Depthwise convolution of f32 maps, by the kernel for window, stride and instruction set.

use picodet_simd::{Isa, Kernel, Simd, dispatch};

use super::arguments::Depthwise;
use super::{direct, strips};
use crate::tuning;

/// Convolves each channel of an f32 map.
///
/// # Safety
/// * `source` is valid for reads of the ranges in all pixels of the map, `zeros` for reads of `source_stride`
///   zeros,
/// * `out` is valid for writes of the ranges in `rows` of the result,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If weights, bias or sizes do not agree.
pub unsafe fn depthwise(isa: Isa, args: &Depthwise<'_>) {
    assert!(args.is_consistent(true), "weights, bias, runs and sizes agree");
    dispatch(isa, args);
}

impl Kernel for &Depthwise<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: the caller of `depthwise` vouches for the pointers, and `depthwise` has checked weights and
        // bias.
        unsafe {
            if const { tuning::strips::<S>() } && strips::fits(self.kernel, self.stride, self.out_width) {
                strips::strips(s, self);
                return;
            }
            match (self.kernel, self.stride) {
                (3, 1) if const { !tuning::strips::<S>() } => direct::rows::<S, 3, 1, 10>(s, self),
                (3, 2) => direct::rows::<S, 3, 2, 17>(s, self),
                (5, 1) if const { !tuning::strips::<S>() } => direct::rows::<S, 5, 1, 12>(s, self),
                (5, 2) => direct::rows::<S, 5, 2, 19>(s, self),
                _ => direct::any_window(s, self),
            }
        }
    }
}
