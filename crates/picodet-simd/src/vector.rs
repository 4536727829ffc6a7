//! The traits of float and integer vectors.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Sub};

use crate::bf16::to_bf16;

/// Restricts the traits of this crate to its own types, so that their contracts can be relied on.
pub trait Sealed {}

/// A vector of [`Vector::LEN`] f32 lanes.
///
/// A value of such a type exists only where its instruction set does, because only a token ([`crate::Simd`])
/// creates the first one. Arithmetic is therefore safe; only memory accesses through raw pointers are not.
pub trait Vector:
    Copy
    + Debug
    + Send
    + Sync
    + 'static
    + Sealed
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    /// The result of a comparison, one flag per lane.
    type Mask: Copy;
    /// The i32 vector with the same number of lanes.
    type I32: IntVector<F32 = Self>;
    /// Number of lanes.
    const LEN: usize;

    /// Returns a vector of the same instruction set with all lanes `value`.
    fn splat(self, value: f32) -> Self;
    /// Returns `self · factor + addend`, rounded once where [`crate::Simd::FUSED`].
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// Returns `self · factor + addend`, rounded once on every instruction set; slow where not
    /// [`crate::Simd::FUSED`].
    fn fused_mul_add(self, factor: Self, addend: Self) -> Self;
    /// Converts each lane to the nearest integer, ties to even; lanes outside of the i32 range give any value.
    fn round(self) -> Self::I32;
    /// Returns the larger value per lane; `other` where either is NaN.
    fn max(self, other: Self) -> Self;
    /// Returns the smaller value per lane; `other` where either is NaN.
    fn min(self, other: Self) -> Self;
    /// Clamps each lane to `-most..=most`; `most` is positive.
    #[inline(always)]
    fn clamp_magnitude(self, most: f32) -> Self {
        self.splat(most).min(self.splat(-most).max(self))
    }
    /// Clamps each lane to `low..=high`; NaN gives any value.
    #[inline(always)]
    fn clamp_number(self, low: Self, high: Self) -> Self {
        high.min(low.max(self))
    }
    /// Returns the larger number per lane, either of two zeros; NaN gives any value.
    #[inline(always)]
    fn max_number(self, other: Self) -> Self {
        self.max(other)
    }
    /// Returns the larger value per lane; NaN where either is NaN (IEEE 754-2019 `maximum`).
    fn maximum(self, other: Self) -> Self;
    /// Returns the square root per lane.
    fn sqrt(self) -> Self;
    /// Returns `2^self` for integral lanes from -126 to 127.
    fn power_of_two(self) -> Self;
    /// Returns the exponent `e` of each positive normal lane: `2^e <= self < 2^(e + 1)`.
    fn exponent(self) -> Self;
    /// Returns where `self > other`; false where either is NaN.
    fn greater(self, other: Self) -> Self::Mask;
    /// Returns `yes` in the lanes where `mask` is set, `no` in the others.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// Returns `yes` in the lanes where `self > limit`, `no` in the others.
    #[inline(always)]
    fn select_greater(self, limit: Self, yes: Self, no: Self) -> Self {
        Self::select(self.greater(limit), yes, no)
    }
    /// Applies a scalar function to each lane.
    fn map(self, function: impl Fn(f32) -> f32) -> Self;

    /// Stores all lanes.
    ///
    /// # Safety
    /// `to` is valid for writes of [`Vector::LEN`] values; any alignment of an f32 will do.
    unsafe fn store(self, to: *mut f32);
    /// Stores the first `count` lanes; memory after them is not touched.
    ///
    /// # Safety
    /// `to` is valid for writes of `count` values, `count <= LEN`.
    unsafe fn store_part(self, to: *mut f32, count: usize);
    /// Stores the first `count` lanes rounded to bf16 (nearest, ties to even); memory after them is not
    /// touched.
    ///
    /// # Safety
    /// `to` is valid for writes of `count` values, `count <= LEN`.
    #[inline(always)]
    unsafe fn store_bf16_part(self, to: *mut u16, count: usize) {
        for (i, &lane) in self.to_array().iter().enumerate().take(count) {
            // SAFETY: `i < count`, for which `to` is valid.
            unsafe { *to.add(i) = to_bf16(lane) }
        }
    }
    /// Stores the first `count` lanes rounded to the nearest integer (ties to even) and clamped to 0..=255;
    /// NaN gives 0.
    ///
    /// # Safety
    /// `to` is valid for writes of `count` values, `count <= LEN`.
    unsafe fn store_u8_part(self, to: *mut u8, count: usize);

    /// Stores the first lanes, at most `to.len()`.
    #[inline(always)]
    fn store_slice(self, to: &mut [f32]) {
        // SAFETY: the count is at most the length of the slice and at most `LEN`.
        unsafe {
            if to.len() >= Self::LEN {
                self.store(to.as_mut_ptr());
            } else {
                self.store_part(to.as_mut_ptr(), to.len());
            }
        }
    }
    /// Stores the first lanes, at most `to.len()`, as [`Vector::store_u8_part`] does.
    #[inline(always)]
    fn store_u8_slice(self, to: &mut [u8]) {
        // SAFETY: the count is at most the length of the slice and at most `LEN`.
        unsafe { self.store_u8_part(to.as_mut_ptr(), to.len().min(Self::LEN)) }
    }
    /// Returns the lanes, zeros after the last one.
    #[inline(always)]
    fn to_array(self) -> [f32; 16] {
        let mut lanes = [0.0; 16];
        // SAFETY: no vector has more than sixteen lanes.
        unsafe { self.store(lanes.as_mut_ptr()) }
        lanes
    }
}

/// Reads `count` bytes, zeros after them; memory after them is not touched. Four bytes are one access.
///
/// # Safety
/// `from` is valid for reads of `count <= 4` bytes.
#[allow(dead_code, reason = "of instruction sets with four lanes")]
#[inline(always)]
pub(crate) unsafe fn read_four(from: *const u8, count: usize) -> [u8; 4] {
    let mut bytes = [0u8; 4];
    // SAFETY: `from` is valid for `count` bytes, and there is room for four.
    unsafe {
        if count == 4 {
            bytes = from.cast::<[u8; 4]>().read();
        } else {
            std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), count);
        }
    }
    bytes
}

/// Writes the first `count` of four bytes, as [`read_four`] reads them.
///
/// # Safety
/// `to` is valid for writes of `count <= 4` bytes.
#[allow(dead_code, reason = "of instruction sets with four lanes")]
#[inline(always)]
pub(crate) unsafe fn write_four(bytes: [u8; 4], to: *mut u8, count: usize) {
    // SAFETY: `to` is valid for `count` bytes, and there are four.
    unsafe {
        if count == 4 {
            to.cast::<[u8; 4]>().write(bytes);
        } else {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, count);
        }
    }
}

/// A vector of [`Vector::LEN`] i32 lanes.
pub trait IntVector: Copy + Debug + Send + Sync + 'static + Sealed + Add<Output = Self> {
    /// The f32 vector with the same number of lanes.
    type F32: Vector<I32 = Self>;

    /// Converts each lane to the nearest f32.
    fn to_f32(self) -> Self::F32;
    /// Stores all lanes.
    ///
    /// # Safety
    /// `to` is valid for writes of `Self::F32::LEN` values.
    unsafe fn store(self, to: *mut i32);
}

/// Implements the arithmetic operators of a vector type by an intrinsic each.
#[allow(unused_macros, reason = "not every target has an instruction set besides plain Rust")]
macro_rules! operators {
    ($vector:ident: $add:ident $sub:ident $mul:ident $div:ident) => {
        $crate::vector::operators!($vector Add add $add);
        $crate::vector::operators!($vector Sub sub $sub);
        $crate::vector::operators!($vector Mul mul $mul);
        $crate::vector::operators!($vector Div div $div);
    };
    ($vector:ident $Trait:ident $method:ident $intrinsic:ident) => {
        impl ::std::ops::$Trait for $vector {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                // SAFETY: a value of this type is proof of its instruction set.
                #[allow(unused_unsafe, reason = "safe on targets that are compiled with the instruction set")]
                Self(unsafe { $intrinsic(self.0, other.0) })
            }
        }
    };
}
#[allow(unused_imports)]
pub(crate) use operators;
