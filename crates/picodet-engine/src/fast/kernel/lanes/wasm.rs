//! WebAssembly's 128-bit vectors. A module either uses them or not, so this is decided when it is compiled:
//! `-C target-feature=+simd128`, and `+relaxed-simd` for fused multiply-add.

use std::arch::wasm32::*;

use super::Lanes;

/// Four numbers; fused multiply-add where the module may use relaxed instructions.
#[derive(Clone, Copy)]
pub(crate) struct Simd128(v128);

// SAFETY: the module is compiled only where its target has the instructions; pointers are used for exactly the numbers
// that the trait promises.
#[allow(clippy::undocumented_unsafe_blocks)]
unsafe impl Lanes for Simd128 {
    const LEN: usize = 4;
    // Engines compile for processors of 16 registers (x86) as well as of 32; larger tiles would spill on the former.
    const ROWS: [usize; 3] = [8, 4, 3];
    const STRIPS: bool = false;
    const CELLS: &'static [usize] = &[8, 7, 5];
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self(f32x4_splat(value))
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { v128_load(from.cast()) })
    }
    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        Self(unsafe {
            match count {
                0 => f32x4_splat(0.0),
                1 => v128_load32_zero(from.cast()),
                2 => v128_load64_zero(from.cast()),
                3 => v128_load32_lane::<2>(v128_load64_zero(from.cast()), from.add(2).cast()),
                _ => v128_load(from.cast()),
            }
        })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { v128_store(to.cast(), self.0) }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        unsafe {
            match count {
                0 => {}
                1 => v128_store32_lane::<0>(self.0, to.cast()),
                2 => v128_store64_lane::<0>(self.0, to.cast()),
                3 => {
                    v128_store64_lane::<0>(self.0, to.cast());
                    v128_store32_lane::<2>(self.0, to.add(2).cast());
                }
                _ => v128_store(to.cast(), self.0),
            }
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(f32x4_sub(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        Self(f32x4_mul(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        Self(f32x4_div(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(f32x4_relaxed_madd(self.0, factor.0, addend.0));
        #[cfg(not(target_feature = "relaxed-simd"))]
        Self(f32x4_add(f32x4_mul(self.0, factor.0), addend.0))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // Where instructions may be relaxed, the compiler takes a relaxed one for this, which may lose NaN.
        #[cfg(target_feature = "relaxed-simd")]
        return Self(v128_bitselect(self.0, other.0, f32x4_gt(self.0, other.0)));
        // pmax(a, b) is `if a < b { b } else { a }`.
        #[cfg(not(target_feature = "relaxed-simd"))]
        Self(f32x4_pmax(other.0, self.0))
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        #[cfg(target_feature = "relaxed-simd")]
        return Self(v128_bitselect(self.0, other.0, f32x4_lt(self.0, other.0)));
        // pmin(a, b) is `if b < a { b } else { a }`.
        #[cfg(not(target_feature = "relaxed-simd"))]
        Self(f32x4_pmin(other.0, self.0))
    }
    #[inline(always)]
    unsafe fn larger(self, other: Self) -> Self {
        Self(f32x4_max(self.0, other.0))
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(f32x4_sqrt(self.0))
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        // 1.5 · 2^23 more, the number stands in the low bits; the shift leaves it and the exponent's bias only.
        // Conversion to integers would cost several instructions, because it has to clip.
        Self(i32x4_shl(f32x4_add(self.0, f32x4_splat(12_582_912.0 + 127.0)), 23))
    }
}
