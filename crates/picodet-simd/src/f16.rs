//! Half precision (IEEE 754 binary16): conversions, vectors of f16 and the sets that have them.

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::ops::{Add, Mul};

use crate::dot::Dot;
use crate::isa::Isa;
#[cfg(any(has_f16, test))]
use crate::isa::IsaKind;
use crate::simd::Simd;
use crate::vector::Sealed;

/// Rounds to the nearest f16, ties to even; returns its bits. NaN stays NaN, and values beyond 65520 become infinite.
#[inline]
#[must_use]
pub fn to_f16(value: f32) -> u16 {
    half::f16::from_f32_const(value).to_bits()
}

/// Returns the value of an f16.
#[inline]
#[must_use]
pub fn from_f16(bits: u16) -> f32 {
    half::f16::from_bits(bits).to_f32_const()
}

/// Lanes of a vector of f16.
const LANES: usize = 8;

/// A vector of eight f16 lanes, whose operations round to f16.
///
/// A value exists only where its instruction set does, as with [`crate::Vector`].
pub trait HalfVector:
    Copy + Debug + Send + Sync + 'static + Sealed + Add<Output = Self> + Mul<Output = Self>
{
    /// Returns a vector of the same instruction set with all lanes `value`, rounded.
    fn splat(self, value: f32) -> Self;
    /// Returns `self · factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Returns the larger value per lane; NaN where either is NaN.
    fn maximum(self, other: Self) -> Self;
    /// Returns the smaller value per lane; NaN where either is NaN.
    fn minimum(self, other: Self) -> Self;
    /// Stores all lanes.
    ///
    /// # Safety
    /// `to` is valid for writes of eight values.
    unsafe fn store(self, to: *mut u16);
    /// Stores the first `count` lanes; memory after them is not touched.
    ///
    /// # Safety
    /// `to` is valid for writes of `count` values, `count <= 8`.
    #[inline(always)]
    unsafe fn store_part(self, to: *mut u16, count: usize) {
        let mut lanes = [0u16; LANES];
        // SAFETY: the array has eight values, of which `count` are copied to `to`, which is valid for `count`.
        unsafe {
            if count == LANES {
                return self.store(to);
            }
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count.min(LANES));
        }
    }
}

/// Instruction sets with arithmetic in f16: eight lanes, where an f32 vector has four.
pub trait SimdF16: Simd {
    /// The vector of eight f16.
    type F16: HalfVector;
    /// Lanes of a vector of f16: twice those of a vector of f32.
    const HALF_LEN: usize = LANES;

    /// Returns a vector with all lanes the f16 of these bits.
    fn splat_bits(self, bits: u16) -> Self::F16;
    /// Loads eight values.
    ///
    /// # Safety
    /// `from` is valid for reads of eight values; any alignment of a u16 will do.
    unsafe fn load_half(self, from: *const u16) -> Self::F16;
    /// Loads `count` values, zeros after them; memory after them is not touched.
    ///
    /// # Safety
    /// `from` is valid for reads of `count` values, `count <= 8`.
    #[inline(always)]
    unsafe fn load_half_part(self, from: *const u16, count: usize) -> Self::F16 {
        let mut lanes = [0u16; LANES];
        // SAFETY: `count` values are valid, and the array has eight.
        unsafe {
            if count == LANES {
                return self.load_half(from);
            }
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count.min(LANES));
            self.load_half(lanes.as_ptr())
        }
    }
    /// Converts to two f32 vectors, the first lanes in the first one.
    fn widen(self, half: Self::F16) -> [Self::F32; 2];
    /// Rounds two f32 vectors to f16, nearest, ties to even.
    fn narrow(self, values: [Self::F32; 2]) -> Self::F16;
    /// As [`Dot::tile`], of f16.
    ///
    /// # Safety
    /// As [`Dot::tile`].
    #[inline(always)]
    unsafe fn tile_f16<const ROWS: usize, const VECTORS: usize>(
        self,
        sums: &mut [[Self::F16; VECTORS]; ROWS],
        lhs: *const u16,
        stride: usize,
        rhs: *const u16,
        units: usize,
    ) -> bool {
        let _ = (sums, lhs, stride, rhs, units);
        false
    }
}

/// f16: one product per lane, summed in f16.
#[derive(Clone, Copy, Debug)]
pub struct DotF16<S>(pub S);

impl<S: SimdF16> Dot for DotF16<S> {
    type Simd = S;
    type Unit = u16;
    type Units = S::F16;
    type Sum = S::F16;
    const DEPTH: usize = 1;
    const LEN: usize = S::HALF_LEN;
    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    fn splat(self, unit: u16) -> S::F16 {
        self.0.splat_bits(unit)
    }
    #[inline(always)]
    fn zero_units(self) -> S::F16 {
        self.0.splat_bits(0)
    }
    #[inline(always)]
    fn zero(self) -> S::F16 {
        self.0.splat_bits(0)
    }
    #[inline(always)]
    unsafe fn load_units(self, from: *const u16) -> S::F16 {
        // SAFETY: `from` is valid for a vector.
        unsafe { self.0.load_half(from) }
    }
    #[inline(always)]
    unsafe fn load_sum(self, from: *const u32) -> S::F16 {
        // SAFETY: `from` is valid for `HALF_LEN` values.
        unsafe { self.0.load_half(from.cast()) }
    }
    #[inline(always)]
    fn dot(self, sum: S::F16, lhs: S::F16, rhs: S::F16) -> S::F16 {
        lhs.mul_add(rhs, sum)
    }
    #[inline(always)]
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
        self,
        sums: &mut [[S::F16; VECTORS]; ROWS],
        lhs: *const u16,
        stride: usize,
        rhs: *const u16,
        units: usize,
    ) -> bool {
        // SAFETY: the caller vouches for the same accesses.
        unsafe { self.0.tile_f16(sums, lhs, stride, rhs, units) }
    }
}

/// An instruction set with arithmetic in f16 ([`SimdF16`]).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct F16Isa {
    isa: Isa,
    /// Only 64-bit ARM has such a set, but for tests; Android's library has none, as its interface has no precision.
    #[cfg(not(any(has_f16, test)))]
    pub(crate) absent: std::convert::Infallible,
}

impl F16Isa {
    /// Returns the instruction set.
    #[must_use]
    pub fn isa(self) -> Isa {
        self.isa
    }
}

impl Debug for F16Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} f16", self.isa)
    }
}

impl Isa {
    /// Returns proof that this set has arithmetic in f16 (FEAT_FP16 of ARM), or `None` if it has not. Plain Rust has it
    /// as a reference for tests; it is slow.
    #[inline]
    #[must_use]
    pub fn f16(self) -> Option<F16Isa> {
        #[cfg(any(has_f16, test))]
        {
            let found = match self.kind() {
                #[cfg(target_arch = "aarch64")]
                IsaKind::Neon => std::arch::is_aarch64_feature_detected!("fp16"),
                IsaKind::Portable => true,
                _ => false,
            };
            found.then_some(F16Isa { isa: self })
        }
        #[cfg(not(any(has_f16, test)))]
        None
    }
}
