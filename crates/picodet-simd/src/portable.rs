//! Plain Rust: four lanes per vector, on every target; the compiler vectorises them where the target has
//! vectors.

use std::ops::{Add, Div, Mul, Sub};

use crate::bf16::{from_bf16, to_bf16};
use crate::dot::{DotInt8, SimdInt8};
use crate::isa::IsaKind;
use crate::simd::{Simd, SimdBf16};
use crate::vector::{IntVector, Sealed, Vector};

/// The token of plain Rust, which every processor runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Portable;

/// Four f32 in plain Rust.
#[derive(Clone, Copy, Debug)]
pub struct PortableF32(pub(crate) [f32; 4]);

/// Four i32 in plain Rust.
#[derive(Clone, Copy, Debug)]
pub struct PortableI32(pub(crate) [i32; 4]);

impl Sealed for Portable {}
impl Sealed for PortableF32 {}
impl Sealed for PortableI32 {}

impl PortableF32 {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self([0, 1, 2, 3].map(|i| f(self.0[i], other.0[i])))
    }
}

/// Implements an operator lane by lane.
macro_rules! lanewise {
    ($Trait:ident $method:ident $operator:tt) => {
        impl $Trait for PortableF32 {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, |a, b| a $operator b)
            }
        }
    };
}
lanewise!(Add add +);
lanewise!(Sub sub -);
lanewise!(Mul mul *);
lanewise!(Div div /);

impl Add for PortableI32 {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].wrapping_add(other.0[i])))
    }
}

/// Rounds to the nearest integer in 0..=255, ties to even; NaN gives 0.
pub(crate) fn to_u8(value: f32) -> u8 {
    value.round_ties_even() as u8
}

impl Vector for PortableF32 {
    type Mask = [bool; 4];
    type I32 = PortableI32;
    const LEN: usize = 4;
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self([value; 4])
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Not `f32::mul_add`: without the instruction it is a slow function call.
        self * factor + addend
    }
    #[inline(always)]
    fn fused_mul_add(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].mul_add(factor.0[i], addend.0[i])))
    }
    #[inline(always)]
    fn round(self) -> PortableI32 {
        PortableI32(self.0.map(|lane| lane.round_ties_even() as i32))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b || a.is_nan() { a } else { b })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn power_of_two(self) -> Self {
        Self(self.0.map(|exponent| f32::from_bits(((exponent as i32).wrapping_add(127) as u32) << 23)))
    }
    #[inline(always)]
    fn exponent(self) -> Self {
        Self(self.0.map(|value| ((value.to_bits() >> 23) as i32 - 127) as f32))
    }
    #[inline(always)]
    fn greater(self, other: Self) -> [bool; 4] {
        std::array::from_fn(|i| self.0[i] > other.0[i])
    }
    #[inline(always)]
    fn select(mask: [bool; 4], yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|i| if mask[i] { yes.0[i] } else { no.0[i] }))
    }
    #[inline(always)]
    fn map(self, function: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(function))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: `to` is valid for four values; an array of f32 is as aligned as an f32.
        unsafe { *to.cast() = self.0 }
    }
    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        for (i, lane) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: `i < count`, for which `to` is valid.
            unsafe { *to.add(i) = lane }
        }
    }
    #[inline(always)]
    unsafe fn store_u8_part(self, to: *mut u8, count: usize) {
        for (i, lane) in self.0.into_iter().enumerate().take(count) {
            // SAFETY: `i < count`, for which `to` is valid.
            unsafe { *to.add(i) = to_u8(lane) }
        }
    }
}

impl IntVector for PortableI32 {
    type F32 = PortableF32;
    #[inline(always)]
    fn to_f32(self) -> PortableF32 {
        PortableF32(self.0.map(|lane| lane as f32))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut i32) {
        // SAFETY: `to` is valid for four values; an array of i32 is as aligned as an i32.
        unsafe { *to.cast() = self.0 }
    }
}

impl Simd for Portable {
    type F32 = PortableF32;
    type I32 = PortableI32;
    type Bytes16 = [u8; 16];
    type Half = Self;
    const KIND: IsaKind = IsaKind::Portable;
    const REGISTERS: usize = 16;
    const FUSED: bool = false;
    crate::simd::outlined!();
    #[inline(always)]
    fn half(self) -> Self {
        self
    }
    #[inline(always)]
    fn splat(self, value: f32) -> PortableF32 {
        PortableF32([value; 4])
    }
    #[inline(always)]
    fn splat_i32(self, value: i32) -> PortableI32 {
        PortableI32([value; 4])
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> PortableF32 {
        // SAFETY: `from` is valid for four values; an array of f32 is as aligned as an f32.
        PortableF32(unsafe { *from.cast() })
    }
    #[inline(always)]
    unsafe fn load_part(self, from: *const f32, count: usize) -> PortableF32 {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: `i < count`, for which `from` is valid.
            *lane = unsafe { *from.add(i) };
        }
        PortableF32(lanes)
    }
    #[inline(always)]
    unsafe fn load_i32(self, from: *const i32) -> PortableI32 {
        // SAFETY: `from` is valid for four values; an array of i32 is as aligned as an i32.
        PortableI32(unsafe { *from.cast() })
    }
    #[inline(always)]
    unsafe fn load_bytes16(self, from: *const u8) -> [u8; 16] {
        // SAFETY: `from` is valid for sixteen bytes.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn store_bytes16(self, bytes: [u8; 16], to: *mut u8) {
        // SAFETY: `to` is valid for sixteen bytes.
        unsafe { *to.cast() = bytes }
    }
    #[inline(always)]
    fn max_bytes16(self, first: [u8; 16], second: [u8; 16]) -> [u8; 16] {
        std::array::from_fn(|i| first[i].max(second[i]))
    }
}

impl SimdBf16 for Portable {
    type Pairs = [u32; 4];
    #[inline(always)]
    fn splat_pair(self, pair: u32) -> [u32; 4] {
        [pair; 4]
    }
    #[inline(always)]
    unsafe fn load_pairs(self, from: *const u32) -> [u32; 4] {
        // SAFETY: `from` is valid for four values; an array of u32 is as aligned as a u32.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn store_pairs(self, pairs: [u32; 4], to: *mut u32) {
        // SAFETY: `to` is valid for four values; an array of u32 is as aligned as a u32.
        unsafe { *to.cast() = pairs }
    }
    #[inline(always)]
    fn dot2(self, sum: PortableF32, lhs: [u32; 4], rhs: [u32; 4]) -> PortableF32 {
        let halves = |pair: u32| (from_bf16(pair as u16), from_bf16((pair >> 16) as u16));
        PortableF32(std::array::from_fn(|i| {
            let ((a, b), (c, d)) = (halves(lhs[i]), halves(rhs[i]));
            sum.0[i] + a * c + b * d
        }))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, values: PortableF32, to: *mut u16) {
        // SAFETY: `to` is valid for four values.
        unsafe { values.store_bf16_part(to, 4) }
    }
    #[inline(always)]
    unsafe fn copy_bf16(self, from: *const u16, to: *mut u16) {
        // SAFETY: `from` and `to` are valid for four values and do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(from, to, 4) }
    }
    #[inline(always)]
    unsafe fn interleave(self, first: *const u16, second: *const u16, counts: (usize, usize)) -> [u32; 4] {
        std::array::from_fn(|i| {
            // SAFETY: `i < count`, for which `from` is valid.
            let at = |from: *const u16, count| if i < count { u32::from(unsafe { *from.add(i) }) } else { 0 };
            at(first, counts.0) | at(second, counts.1) << 16
        })
    }
    #[inline(always)]
    fn round_pairs(self, first: PortableF32, second: PortableF32) -> [u32; 4] {
        std::array::from_fn(|i| u32::from(to_bf16(first.0[i])) | u32::from(to_bf16(second.0[i])) << 16)
    }
}

impl SimdInt8 for Portable {
    type Quads = [u32; 4];
    type Product = DotInt8<Self>;
    #[inline(always)]
    fn product(self) -> DotInt8<Self> {
        DotInt8(self)
    }
    #[inline(always)]
    fn splat_quad(self, quad: u32) -> [u32; 4] {
        [quad; 4]
    }
    #[inline(always)]
    unsafe fn load_quads(self, from: *const u32) -> [u32; 4] {
        // SAFETY: `from` is valid for four values; an array of u32 is as aligned as a u32.
        unsafe { *from.cast() }
    }
    #[inline(always)]
    unsafe fn store_quads(self, quads: [u32; 4], to: *mut u32) {
        // SAFETY: `to` is valid for four values; an array of u32 is as aligned as a u32.
        unsafe { *to.cast() = quads }
    }
    #[inline(always)]
    fn dot4(self, sum: PortableI32, lhs: [u32; 4], rhs: [u32; 4]) -> PortableI32 {
        PortableI32(std::array::from_fn(|i| {
            let products = lhs[i].to_le_bytes().into_iter().zip(rhs[i].to_le_bytes());
            let products = products.map(|(a, b)| i32::from(a) * i32::from(b.cast_signed()));
            sum.0[i].wrapping_add(products.sum::<i32>())
        }))
    }
}
