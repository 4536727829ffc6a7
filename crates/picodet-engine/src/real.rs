//! The floating-point types of the reference engine.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

use picodet_graph::Tensor4;

/// The floating-point type of a computation: `f32`, or `f64` where rounding must not matter.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Rounds to the nearest value of this type.
    fn from_f64(value: f64) -> Self;
    /// Returns the value as `f64`.
    fn to_f64(self) -> f64;
    /// Returns e raised to this power.
    fn exp(self) -> Self;
    /// Returns the square root.
    fn sqrt(self) -> Self;
    /// Returns the larger of two values; NaN if either is NaN.
    fn larger(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }
    /// Returns the smaller of two values; NaN if either is NaN.
    fn smaller(self, other: Self) -> Self {
        if self < other || self.is_nan() { self } else { other }
    }
    /// Returns whether the value is NaN.
    fn is_nan(self) -> bool;
}

macro_rules! real {
    ($t:ident) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            #[allow(clippy::cast_possible_truncation)]
            fn from_f64(value: f64) -> Self {
                value as $t
            }
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            fn exp(self) -> Self {
                $t::exp(self)
            }
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            fn is_nan(self) -> bool {
                $t::is_nan(self)
            }
        }
    };
}

real!(f32);
real!(f64);

/// Converts the values of a feature map to another floating-point type.
pub fn convert<T: Real, U: Real>(map: &Tensor4<T>) -> Tensor4<U> {
    map.map(|value| U::from_f64(value.to_f64()))
}
