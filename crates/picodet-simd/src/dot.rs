//! Dot products of neighbouring values along the depth of a matrix product, for all element types.

use std::fmt::Debug;

use crate::simd::{Simd, SimdBf16};
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
    /// Whether the units of each packed vector of columns come after a vector of i32, which [`Dot::offset`] adds to the sums.
    const HAS_OFFSETS: bool = false;

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
    /// Returns `sum` plus the vector of offsets at `from`, or `sum` if there are none ([`Dot::HAS_OFFSETS`]).
    ///
    /// # Safety
    /// `from` is valid for the read of a vector if there are offsets.
    #[inline(always)]
    unsafe fn offset(self, sum: Self::Sum, from: *const Self::Unit) -> Self::Sum {
        let _ = from;
        sum
    }
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

/// i16 · i16: two products per lane, summed in i32.
#[derive(Clone, Copy, Debug)]
pub struct DotInt16<S>(pub S);

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

/// Instruction sets with sums of two products i16 · i16 per i32 lane.
pub trait SimdInt16: Simd {
    /// Adds the two products of each lane, whose pairs of i16 are the bits of an i32, to `sum`; the sum wraps.
    fn dot2(self, sum: Self::I32, lhs: Self::I32, rhs: Self::I32) -> Self::I32;
}

impl<S: SimdInt16> Dot for DotInt16<S> {
    type Simd = S;
    type Unit = u32;
    type Units = S::I32;
    type Sum = S::I32;
    const DEPTH: usize = 2;
    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    fn splat(self, unit: u32) -> S::I32 {
        self.0.splat_i32(unit.cast_signed())
    }
    #[inline(always)]
    fn zero_units(self) -> S::I32 {
        self.0.splat_i32(0)
    }
    #[inline(always)]
    fn zero(self) -> S::I32 {
        self.0.splat_i32(0)
    }
    #[inline(always)]
    unsafe fn load_units(self, from: *const u32) -> S::I32 {
        // SAFETY: `from` is valid for a vector.
        unsafe { self.0.load_i32(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load_sum(self, from: *const u32) -> S::I32 {
        // SAFETY: `from` is valid for a vector.
        unsafe { self.0.load_i32(from.cast()) }
    }
    #[inline(always)]
    fn dot(self, sum: S::I32, lhs: S::I32, rhs: S::I32) -> S::I32 {
        self.0.dot2(sum, lhs, rhs)
    }
}

/// Copies bytes as i16.
///
/// # Safety
/// `from` is valid for reads of `count` bytes, `to` for writes of as many i16; they do not overlap.
#[allow(dead_code, reason = "not every target has products of i16")]
#[inline(always)]
pub(crate) unsafe fn widen(from: *const u8, count: usize, to: *mut u16) {
    for i in 0..count {
        // SAFETY: `i` is below `count`.
        unsafe { to.add(i).write(u16::from(*from.add(i))) }
    }
}

/// Instruction sets with exact sums of four products u8 · s8 per i32 lane.
pub trait SimdInt8: Simd {
    /// A vector of [`Simd::LEN`] quads of bytes; the first byte of a quad is its lowest.
    type Quads: Copy + Debug;
    /// The products that matrix products of bytes are made of: of quads of bytes, or of other units, which
    /// [`SimdInt8::copy_units`] writes.
    type Product: Dot<Simd = Self, Unit = u32, Sum = Self::I32>;
    /// Whether left rows are copied, as units of [`SimdInt8::Product`], before they are multiplied.
    const COPIES: bool = false;
    /// Whether the units of [`SimdInt8::Product`] are in pairs, and left rows too: the first two units of two rows, then the
    /// next two. Only [`Dot::tile`] multiplies them, in tiles that begin with the first row of a pair.
    const PAIRS: bool = false;

    /// Returns the products.
    fn product(self) -> Self::Product;

    /// Copies quads of bytes of a left row as units of [`SimdInt8::Product`], `4 / DEPTH` for each quad.
    ///
    /// # Safety
    /// `from` is valid for reads of `quads` quads, `to` for writes of their units; they do not overlap.
    #[inline(always)]
    unsafe fn copy_units(self, from: *const u32, quads: usize, to: *mut u32) {
        // SAFETY: both are valid for `quads` quads.
        unsafe { std::ptr::copy_nonoverlapping(from, to, quads) }
    }

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
    /// Stores [`Simd::LEN`] quads, which stay in their lanes, as units of [`SimdInt8::Product`]; pairs are a vector of the
    /// pairs of even bytes and one of the odd ones.
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
    /// Whole vectors that [`SimdInt8::store_interleaved`] takes together.
    const TOGETHER: usize = 1;
    /// Interleaves [`SimdInt8::TOGETHER`] whole vectors of bytes as [`SimdInt8::interleave_rows`] does and stores their
    /// units, those of a vector `apart` from those of the one before it.
    ///
    /// # Safety
    /// Each of `rows` is valid for reads of the vectors' bytes, each destination for writes of `4 / DEPTH` vectors.
    #[inline(always)]
    unsafe fn store_interleaved(self, rows: [*const u8; 4], to: *mut u32, apart: usize) {
        for vector in 0..Self::TOGETHER {
            // SAFETY: the caller vouches for the same accesses.
            unsafe {
                let rows = rows.map(|row| row.add(vector * Self::LEN));
                self.store_units(self.interleave_rows(rows, Self::LEN), to.add(vector * apart));
            }
        }
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
