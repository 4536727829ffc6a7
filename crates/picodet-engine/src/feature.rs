//! Feature maps and the numbers in them.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

/// A number that the reference computes with: `f32`, or `f64` where rounding must not matter.
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
    /// The number 0.
    const ZERO: Self;
    /// The number 1.
    const ONE: Self;
    /// Rounds to the nearest number of this type.
    fn from_f64(value: f64) -> Self;
    /// Widens or keeps.
    fn to_f64(self) -> f64;
    /// `e` to the power of the number.
    fn exp(self) -> Self;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The larger of two numbers; NaN if either is NaN.
    fn larger(self, other: Self) -> Self {
        if self > other || self.is_nan() { self } else { other }
    }
    /// The smaller of two numbers; NaN if either is NaN.
    fn smaller(self, other: Self) -> Self {
        if self < other || self.is_nan() { self } else { other }
    }
    /// Whether it is not a number.
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

/// A batch of feature maps, `[n, c, h, w]`, row-major.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Feature<T = f32> {
    /// Batch, channels, height, width.
    pub shape: [usize; 4],
    /// The values, w innermost.
    pub data: Vec<T>,
}

impl<T: Real> Feature<T> {
    /// A map of zeros.
    pub fn zeros(shape: [usize; 4]) -> Self {
        Self { shape, data: vec![T::ZERO; shape.iter().product()] }
    }

    /// Wraps values, or `None` when their number is not that of `shape`.
    pub fn new(shape: [usize; 4], data: Vec<T>) -> Option<Self> {
        (shape.iter().product::<usize>() == data.len()).then_some(Self { shape, data })
    }

    /// Cells of one channel: height times width.
    pub fn plane(&self) -> usize {
        self.shape[2] * self.shape[3]
    }

    /// The values converted to another type of number.
    pub fn convert<U: Real>(&self) -> Feature<U> {
        Feature {
            shape: self.shape,
            data: self.data.iter().map(|value| U::from_f64(value.to_f64())).collect(),
        }
    }
}
