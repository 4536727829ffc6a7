//! The traits of instruction set tokens.

use std::fmt::Debug;

use crate::bf16::from_bf16;
use crate::isa::IsaKind;
use crate::vector::{IntVector, Sealed, Vector};

/// A part of a kernel, with its token and arguments, for [`Simd::outlined`].
///
/// Mark `run` and everything it calls that uses vectors `#[inline(always)]`.
pub trait Outlined {
    /// The result.
    type Output;
    /// Computes.
    fn run(self) -> Self::Output;
}

/// Implements [`Simd::outlined`] for a token; `features` are those that the token is proof of, if the target does not
/// have them anyway.
macro_rules! outlined {
    ($($features:literal)?) => {
        #[inline(always)]
        fn outlined<F: $crate::simd::Outlined>(self, function: F) -> F::Output {
            $(#[target_feature(enable = $features)])?
            #[inline(never)]
            fn run<F: $crate::simd::Outlined>(function: F) -> F::Output {
                function.run()
            }
            #[allow(unused_unsafe, reason = "safe without target features")]
            // SAFETY: the token exists only where detection found these features.
            unsafe {
                run(function)
            }
        }
    };
}
pub(crate) use outlined;

/// A token of an instruction set: a zero-sized value that exists only where the processor has the
/// instructions.
///
/// Vectors come from a token ([`Simd::splat`], [`Simd::load`]). A token comes from [`crate::dispatch`], which
/// passes it to a kernel compiled for its instruction set.
pub trait Simd: Copy + Debug + Send + Sync + 'static + Sealed {
    /// The f32 vector.
    type F32: Vector<I32 = Self::I32>;
    /// The i32 vector.
    type I32: IntVector<F32 = Self::F32>;
    /// Sixteen bytes.
    type Bytes16: Copy + Debug;
    /// The instruction set with vectors of half the length, or the same one if there is none.
    type Half: Simd;
    /// The instruction set.
    const KIND: IsaKind;
    /// Lanes of a vector of 32-bit values, at most 16.
    const LEN: usize = <Self::F32 as Vector>::LEN;
    /// Number of vector registers.
    const REGISTERS: usize;
    /// Whether [`Vector::mul_add`] rounds once.
    const FUSED: bool;
    /// Side of the square that [`Simd::transpose`] transposes.
    const SQUARE: usize = 1;

    /// Calls `function.run()` in a function compiled for this instruction set that is not inlined into its caller.
    ///
    /// Kernels of many variants are cut with it: the compiler takes much longer for one long function than for
    /// several short ones.
    fn outlined<F: Outlined>(self, function: F) -> F::Output;
    /// Returns the token of [`Simd::Half`].
    fn half(self) -> Self::Half;
    /// Returns a vector with all lanes `value`.
    fn splat(self, value: f32) -> Self::F32;
    /// Returns an i32 vector with all lanes `value`.
    fn splat_i32(self, value: i32) -> Self::I32;

    /// Loads [`Simd::LEN`] values.
    ///
    /// # Safety
    /// `from` is valid for reads of `LEN` values; any alignment of an f32 will do.
    unsafe fn load(self, from: *const f32) -> Self::F32;
    /// Loads `count` values, zeros after them; memory after them is not touched.
    ///
    /// # Safety
    /// `from` is valid for reads of `count` values, `count <= LEN`.
    unsafe fn load_part(self, from: *const f32, count: usize) -> Self::F32;
    /// Loads `count` bf16 values, zeros after them; memory after them is not touched.
    ///
    /// # Safety
    /// `from` is valid for reads of `count` values, `count <= LEN`.
    #[inline(always)]
    unsafe fn load_bf16_part(self, from: *const u16, count: usize) -> Self::F32 {
        let mut lanes = [0.0f32; 16];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: `i < count`, for which `from` is valid.
            *lane = from_bf16(unsafe { *from.add(i) });
        }
        self.load_slice(&lanes)
    }
    /// Loads `count` bytes as f32, zeros after them; memory after them is not touched.
    ///
    /// # Safety
    /// `from` is valid for reads of `count` bytes, `count <= LEN`.
    #[inline(always)]
    unsafe fn load_u8_part(self, from: *const u8, count: usize) -> Self::F32 {
        let mut bytes = [0u8; 16];
        // SAFETY: `count` bytes are valid, and no vector has more than sixteen lanes.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), count.min(16)) };
        let mut lanes = [0.0f32; 16];
        for (lane, byte) in lanes.iter_mut().zip(bytes) {
            *lane = f32::from(byte);
        }
        self.load_slice(&lanes)
    }
    /// Loads [`Simd::LEN`] i32 values.
    ///
    /// # Safety
    /// `from` is valid for reads of `LEN` values; any alignment of an i32 will do.
    unsafe fn load_i32(self, from: *const i32) -> Self::I32;

    /// Loads sixteen bytes.
    ///
    /// # Safety
    /// `from` is valid for reads of sixteen bytes.
    unsafe fn load_bytes16(self, from: *const u8) -> Self::Bytes16;
    /// Stores sixteen bytes.
    ///
    /// # Safety
    /// `to` is valid for writes of sixteen bytes.
    unsafe fn store_bytes16(self, bytes: Self::Bytes16, to: *mut u8);
    /// Returns the larger of each two bytes.
    fn max_bytes16(self, first: Self::Bytes16, second: Self::Bytes16) -> Self::Bytes16;

    /// As [`crate::Dot::tile`], of f32.
    ///
    /// # Safety
    /// As [`crate::Dot::tile`].
    #[inline(always)]
    unsafe fn tile_f32<const ROWS: usize, const VECTORS: usize>(
        self,
        sums: &mut [[Self::F32; VECTORS]; ROWS],
        lhs: *const f32,
        stride: usize,
        rhs: *const f32,
        units: usize,
    ) -> bool {
        let _ = (sums, lhs, stride, rhs, units);
        false
    }

    /// Loads the first values of a slice, [`Simd::LEN`] at most, zeros after them.
    #[inline(always)]
    fn load_slice(self, from: &[f32]) -> Self::F32 {
        // SAFETY: the count is at most the length of the slice and at most `LEN`.
        unsafe {
            if from.len() >= Self::LEN {
                self.load(from.as_ptr())
            } else {
                self.load_part(from.as_ptr(), from.len())
            }
        }
    }

    /// Transposes `SQUARE` rows of `SQUARE` values: `to[i · to_stride + j] = from[j · from_stride + i]`.
    ///
    /// # Safety
    /// `from` and `to` are valid for `SQUARE` values at each of `SQUARE` multiples of their strides.
    #[inline(always)]
    unsafe fn transpose(self, from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for (i, j) in (0..Self::SQUARE).flat_map(|i| (0..Self::SQUARE).map(move |j| (i, j))) {
            // SAFETY: `i` and `j` are below `SQUARE`.
            unsafe { *to.add(i * to_stride + j) = *from.add(j * from_stride + i) };
        }
    }
}

/// Instruction sets that multiply pairs of bf16 and add both products to an f32.
pub trait SimdBf16: Simd {
    /// A vector of [`Simd::LEN`] pairs; the first value of a pair is its lower half.
    type Pairs: Copy + Debug;

    /// Returns a vector with all lanes `pair`.
    fn splat_pair(self, pair: u32) -> Self::Pairs;
    /// Loads [`Simd::LEN`] pairs.
    ///
    /// # Safety
    /// `from` is valid for reads of `LEN` values; any alignment of a u32 will do.
    unsafe fn load_pairs(self, from: *const u32) -> Self::Pairs;
    /// Stores [`Simd::LEN`] pairs.
    ///
    /// # Safety
    /// `to` is valid for writes of `LEN` values.
    unsafe fn store_pairs(self, pairs: Self::Pairs, to: *mut u32);
    /// Adds both products of each lane to `sum`.
    fn dot2(self, sum: Self::F32, lhs: Self::Pairs, rhs: Self::Pairs) -> Self::F32;
    /// Stores [`Simd::LEN`] values rounded to bf16 (nearest, ties to even).
    ///
    /// # Safety
    /// `to` is valid for writes of `LEN` values.
    unsafe fn store_bf16(self, values: Self::F32, to: *mut u16);
    /// Copies [`Simd::LEN`] bf16 values.
    ///
    /// # Safety
    /// `from` is valid for reads and `to` for writes of `LEN` values; they do not overlap.
    unsafe fn copy_bf16(self, from: *const u16, to: *mut u16);
    /// Pairs the first `counts.0` values of `first` with the first `counts.1` values of `second`, zeros after
    /// them; memory after them is not touched.
    ///
    /// # Safety
    /// `first` and `second` are valid for reads of `counts.0` and `counts.1` values, each `<= LEN`.
    unsafe fn interleave(self, first: *const u16, second: *const u16, counts: (usize, usize)) -> Self::Pairs;
    /// Rounds both values of each lane to bf16 and pairs them.
    fn round_pairs(self, first: Self::F32, second: Self::F32) -> Self::Pairs;
}
