//! Dot products of neighbouring values along the depth of a matrix product, for all element types.

use std::fmt::Debug;

use crate::simd::{Simd, SimdBf16, SimdInt8};
use crate::vector::Vector;

/// An operation `sum[lane] += Σ lhs[lane][d] · rhs[lane][d]` over [`Dot::DEPTH`] neighbours `d`.
///
/// A matrix product reads its operands in units: one f32, two bf16, four bytes or one f16.
pub trait Dot: Copy + Debug {
    /// The instruction set of the sums.
    type Simd: Simd;
    /// A unit: 32 bits, or one f16.
    type Unit: Copy + Debug + Default;
    /// A vector of units.
    type Units: Copy + Debug;
    /// A vector of sums.
    type Sum: Copy + Debug;
    /// Values in a unit.
    const DEPTH: usize;
    /// Lanes of a vector of units and of one of sums.
    const LEN: usize = <Self::Simd as Simd>::LEN;

    /// Returns the token of the sums.
    fn simd(self) -> Self::Simd;
    /// Returns a vector with all lanes `unit`.
    fn splat(self, unit: Self::Unit) -> Self::Units;
    /// Returns zeros, as units.
    fn zero_units(self) -> Self::Units;
    /// Returns zeros, as sums.
    fn zero(self) -> Self::Sum;
    /// Loads a unit.
    ///
    /// # Safety
    /// `from` is valid for the read of a unit; it need not be aligned.
    #[inline(always)]
    unsafe fn load_unit(self, from: *const Self::Unit) -> Self::Unit {
        // SAFETY: `from` is valid for the read.
        unsafe { from.read_unaligned() }
    }
    /// Loads [`Simd::LEN`] units.
    ///
    /// # Safety
    /// `from` is valid for reads of `LEN` units.
    unsafe fn load_units(self, from: *const Self::Unit) -> Self::Units;
    /// Loads `count` units, zeros after them; memory after them is not touched.
    ///
    /// # Safety
    /// `from` is valid for reads of `count` units, `count <= LEN`.
    #[inline(always)]
    unsafe fn load_units_part(self, from: *const Self::Unit, count: usize) -> Self::Units {
        let mut units = [Self::Unit::default(); 16];
        for (i, unit) in units.iter_mut().enumerate().take(count) {
            // SAFETY: `i < count`, for which `from` is valid.
            *unit = unsafe { self.load_unit(from.add(i)) };
        }
        // SAFETY: no vector has more than sixteen lanes.
        unsafe { self.load_units(units.as_ptr()) }
    }
    /// Loads [`Simd::LEN`] sums.
    ///
    /// # Safety
    /// `from` is valid for reads of `LEN` 32-bit values, f32 or i32.
    unsafe fn load_sum(self, from: *const u32) -> Self::Sum;
    /// Returns `sum` plus the products of each lane.
    fn dot(self, sum: Self::Sum, lhs: Self::Units, rhs: Self::Units) -> Self::Sum;
    /// Adds the products of `ROWS` left rows, with a stride of `stride` units, and a packed panel of `VECTORS` vectors over
    /// `units` units to the sums; returns false, and leaves the sums unchanged, if no code exists for a tile of this size.
    ///
    /// # Safety
    /// `lhs` is valid for reads of `units` units of each row, `rhs` of `units · VECTORS` vectors.
    #[inline(always)]
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
        self,
        sums: &mut [[Self::Sum; VECTORS]; ROWS],
        lhs: *const Self::Unit,
        stride: usize,
        rhs: *const Self::Unit,
        units: usize,
    ) -> bool {
        let _ = (sums, lhs, stride, rhs, units);
        false
    }
}

/// f32: one product per lane.
#[derive(Clone, Copy, Debug)]
pub struct DotF32<S>(pub S);

/// bf16: two products per lane, summed in f32.
#[derive(Clone, Copy, Debug)]
pub struct DotBf16<S>(pub S);

/// u8 · s8: four products per lane, summed in i32.
#[derive(Clone, Copy, Debug)]
pub struct DotInt8<S>(pub S);

impl<S: Simd> Dot for DotF32<S> {
    type Simd = S;
    type Unit = f32;
    type Units = S::F32;
    type Sum = S::F32;
    const DEPTH: usize = 1;
    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    fn splat(self, unit: f32) -> S::F32 {
        self.0.splat(unit)
    }
    #[inline(always)]
    fn zero_units(self) -> S::F32 {
        self.0.splat(0.0)
    }
    #[inline(always)]
    fn zero(self) -> S::F32 {
        self.0.splat(0.0)
    }
    #[inline(always)]
    unsafe fn load_units(self, from: *const f32) -> S::F32 {
        // SAFETY: `from` is valid for a vector.
        unsafe { self.0.load(from) }
    }
    #[inline(always)]
    unsafe fn load_units_part(self, from: *const f32, count: usize) -> S::F32 {
        // SAFETY: `from` is valid for `count` values.
        unsafe { self.0.load_part(from, count) }
    }
    #[inline(always)]
    unsafe fn load_sum(self, from: *const u32) -> S::F32 {
        // SAFETY: `from` is valid for a vector of f32.
        unsafe { self.0.load(from.cast()) }
    }
    #[inline(always)]
    fn dot(self, sum: S::F32, lhs: S::F32, rhs: S::F32) -> S::F32 {
        lhs.mul_add(rhs, sum)
    }
    #[inline(always)]
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(
        self,
        sums: &mut [[S::F32; VECTORS]; ROWS],
        lhs: *const f32,
        stride: usize,
        rhs: *const f32,
        units: usize,
    ) -> bool {
        // SAFETY: the caller vouches for the same accesses.
        unsafe { self.0.tile_f32(sums, lhs, stride, rhs, units) }
    }
}

impl<S: SimdBf16> Dot for DotBf16<S> {
    type Simd = S;
    type Unit = u32;
    type Units = S::Pairs;
    type Sum = S::F32;
    const DEPTH: usize = 2;
    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    fn splat(self, unit: u32) -> S::Pairs {
        self.0.splat_pair(unit)
    }
    #[inline(always)]
    fn zero_units(self) -> S::Pairs {
        self.0.splat_pair(0)
    }
    #[inline(always)]
    fn zero(self) -> S::F32 {
        self.0.splat(0.0)
    }
    #[inline(always)]
    unsafe fn load_units(self, from: *const u32) -> S::Pairs {
        // SAFETY: `from` is valid for a vector.
        unsafe { self.0.load_pairs(from) }
    }
    #[inline(always)]
    unsafe fn load_sum(self, from: *const u32) -> S::F32 {
        // SAFETY: `from` is valid for a vector of f32.
        unsafe { self.0.load(from.cast()) }
    }
    #[inline(always)]
    fn dot(self, sum: S::F32, lhs: S::Pairs, rhs: S::Pairs) -> S::F32 {
        self.0.dot2(sum, lhs, rhs)
    }
}

impl<S: SimdInt8> Dot for DotInt8<S> {
    type Simd = S;
    type Unit = u32;
    type Units = S::Quads;
    type Sum = S::I32;
    const DEPTH: usize = 4;
    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    fn splat(self, unit: u32) -> S::Quads {
        self.0.splat_quad(unit)
    }
    #[inline(always)]
    fn zero_units(self) -> S::Quads {
        self.0.splat_quad(0)
    }
    #[inline(always)]
    fn zero(self) -> S::I32 {
        self.0.splat_i32(0)
    }
    #[inline(always)]
    unsafe fn load_units(self, from: *const u32) -> S::Quads {
        // SAFETY: `from` is valid for a vector.
        unsafe { self.0.load_quads(from) }
    }
    #[inline(always)]
    unsafe fn load_sum(self, from: *const u32) -> S::I32 {
        // SAFETY: `from` is valid for a vector of i32.
        unsafe { self.0.load_i32(from.cast()) }
    }
    #[inline(always)]
    fn dot(self, sum: S::I32, lhs: S::Quads, rhs: S::Quads) -> S::I32 {
        self.0.dot4(sum, lhs, rhs)
    }
}
