//! The highest rate of multiply-accumulates of a core, to compare kernels with.

use picodet_simd::{Isa, Kernel, Simd, Vector, dispatch};

/// Independent sums: enough for the longest latency and the widest processor, few enough for the registers.
const SUMS: usize = 12;

/// Returns the number of multiply-accumulates of [`accumulate`].
#[must_use]
pub fn macs(isa: Isa, rounds: usize) -> usize {
    SUMS * isa.lanes() * rounds
}

/// Computes rounds of independent fused multiply-adds in registers; returns their sum, so that none can be
/// left out.
#[must_use]
pub fn accumulate(isa: Isa, rounds: usize) -> f32 {
    dispatch(isa, Rounds { rounds })
}

struct Rounds {
    rounds: usize,
}

impl Kernel for Rounds {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let factor = s.splat(std::hint::black_box(0.5));
        let addend = s.splat(std::hint::black_box(1.0));
        let mut sums = [addend; SUMS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, addend);
            }
        }
        sums.into_iter().fold(s.splat(0.0), |total, sum| total + sum).to_array()[0]
    }
}
