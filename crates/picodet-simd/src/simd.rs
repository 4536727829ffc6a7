//! The traits of instruction set tokens.

use std::fmt::Debug;

use crate::bf16::from_bf16;
use crate::dot::Dot;
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

/// Instruction sets with exact sums of four products u8 · s8 per i32 lane.
pub trait SimdInt8: Simd {
    /// A vector of [`Simd::LEN`] quads of bytes; the first byte of a quad is its lowest.
    type Quads: Copy + Debug;
    /// The products that matrix products of bytes are made of: of quads of bytes, or of pairs of i16 where left rows
    /// are widened first.
    type Product: Dot<Simd = Self, Unit = u32, Sum = Self::I32>;

    /// Returns the products.
    fn product(self) -> Self::Product;

    /// Returns a vector with all lanes `quad`.
    fn splat_quad(self, quad: u32) -> Self::Quads;
    /// Loads [`Simd::LEN`] quads.
    ///
    /// # Safety
    /// `from` is valid for reads of `LEN` values; any alignment of a u32 will do.
    unsafe fn load_quads(self, from: *const u32) -> Self::Quads;
    /// Stores [`Simd::LEN`] quads.
    ///
    /// # Safety
    /// `to` is valid for writes of `LEN` values.
    unsafe fn store_quads(self, quads: Self::Quads, to: *mut u32);
    /// Stores [`Simd::LEN`] quads as the units of [`SimdInt8::Product`]: as they are, or a vector of the pairs of their even
    /// bytes and one of the odd ones.
    ///
    /// # Safety
    /// `to` is valid for writes of `4 / DEPTH` vectors.
    #[inline(always)]
    unsafe fn store_units(self, quads: Self::Quads, to: *mut u32) {
        // SAFETY: `to` is valid for a vector.
        unsafe { self.store_quads(quads, to) }
    }
    /// Loads `count` bytes at each of four addresses and returns quads of the bytes at equal positions, zeros after
    /// them; memory after them is not touched.
    ///
    /// # Safety
    /// Each of `rows` is valid for reads of `count` bytes, `count <= LEN`.
    #[inline(always)]
    unsafe fn interleave_rows(self, rows: [*const u8; 4], count: usize) -> Self::Quads {
        let mut quads = [0u32; 16];
        for (i, quad) in quads.iter_mut().enumerate().take(count) {
            // SAFETY: `i < count`, for which the rows are valid.
            *quad = unsafe { u32::from_le_bytes(rows.map(|row| *row.add(i))) };
        }
        // SAFETY: no vector has more than sixteen lanes.
        unsafe { self.load_quads(quads.as_ptr()) }
    }
    /// Stores four vectors of values, each rounded to the nearest integer (ties to even), clamped to 0..=255 and at its
    /// own address; NaN gives any byte.
    ///
    /// # Safety
    /// Each of `to` is valid for writes of `LEN` bytes.
    #[inline(always)]
    unsafe fn store_bytes(self, values: [Self::F32; 4], to: [*mut u8; 4]) {
        for i in 0..4 {
            // SAFETY: each address is valid for a vector.
            unsafe { values[i].store_u8_part(to[i], Self::LEN) }
        }
    }
    /// Stores two vectors, one after the other, at each of two addresses, as [`SimdInt8::store_bytes`] does.
    ///
    /// # Safety
    /// Each of `to` is valid for writes of `2 · LEN` bytes.
    #[inline(always)]
    unsafe fn store_byte_pairs(self, values: [[Self::F32; 2]; 2], to: [*mut u8; 2]) {
        let ([[a, b], [c, d]], [first, second]) = (values, to);
        // SAFETY: each address is valid for two vectors.
        unsafe {
            let to = [first, first.add(Self::LEN), second, second.add(Self::LEN)];
            self.store_bytes([a, b, c, d], to);
        }
    }
    /// Adds the four products of each lane to `sum`, `lhs` unsigned and `rhs` signed, without saturation; the
    /// sum wraps.
    fn dot4(self, sum: Self::I32, lhs: Self::Quads, rhs: Self::Quads) -> Self::I32;
}
