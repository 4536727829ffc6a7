//! Half precision in plain Rust: the definition of every operation of [`SimdF16`].

use std::ops::{Add, Mul};

use crate::f16::{HalfVector, SimdF16, from_f16, to_f16};
use crate::portable::{Portable, PortableF32};
use crate::vector::Sealed;

/// Eight f16 in plain Rust.
#[derive(Clone, Copy, Debug)]
pub struct PortableF16([u16; 8]);

impl Sealed for PortableF16 {}

impl PortableF16 {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| to_f16(f(from_f16(self.0[i]), from_f16(other.0[i])))))
    }
}

impl Add for PortableF16 {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // Two roundings, of the sum to f32 and of that to f16, are one: f32 has more than twice the digits.
        self.zip(other, |a, b| a + b)
    }
}

impl Mul for PortableF16 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        // The product is exact in f32.
        self.zip(other, |a, b| a * b)
    }
}

/// Rounds to the nearest f16.
fn round(value: f64) -> u16 {
    let near = value as f32;
    // To odd, if f32 cannot hold the value: the second rounding then gives the result of a single rounding.
    if f64::from(near) == value || !near.is_finite() || near.to_bits() & 1 == 1 {
        return to_f16(near);
    }
    let away = (f64::from(near) < value) == (value > 0.0);
    to_f16(f32::from_bits(if away { near.to_bits() + 1 } else { near.to_bits() - 1 }))
}

impl HalfVector for PortableF16 {
    #[inline(always)]
    fn splat(self, value: f32) -> Self {
        Self([to_f16(value); 8])
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        let [a, b, c] = [self, factor, addend].map(|half| half.0.map(|bits| f64::from(from_f16(bits))));
        Self(std::array::from_fn(|i| round(a[i] * b[i] + c[i])))
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        // Zeros differ: -0 is less than 0.
        self.zip(other, |a, b| if a > b || a.is_nan() || (a == b && a.is_sign_positive()) { a } else { b })
    }
    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b || a.is_nan() || (a == b && a.is_sign_negative()) { a } else { b })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut u16) {
        // SAFETY: `to` is valid for eight values; an array of u16 is as aligned as a u16.
        unsafe { *to.cast() = self.0 }
    }
}

impl SimdF16 for Portable {
    type F16 = PortableF16;
    #[inline(always)]
    fn splat_bits(self, bits: u16) -> PortableF16 {
        PortableF16([bits; 8])
    }
    #[inline(always)]
    unsafe fn load_half(self, from: *const u16) -> PortableF16 {
        // SAFETY: `from` is valid for eight values; an array of u16 is as aligned as a u16.
        PortableF16(unsafe { *from.cast() })
    }
    #[inline(always)]
    fn widen(self, half: PortableF16) -> [PortableF32; 2] {
        [0, 4].map(|first| PortableF32(std::array::from_fn(|i| from_f16(half.0[first + i]))))
    }
    #[inline(always)]
    fn narrow(self, values: [PortableF32; 2]) -> PortableF16 {
        PortableF16(std::array::from_fn(|i| to_f16(values[i / 4].0[i % 4])))
    }
}
