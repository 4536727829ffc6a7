//! The most multiply-accumulates that a core of this processor does, to measure kernels against.
#![allow(unsafe_code)]

use super::dispatch;
use super::lanes::Lanes;

/// What [`accumulate`] does: so many rounds of fused multiply-adds that wait for nothing but themselves.
pub(crate) struct Rounds {
    pub(crate) rounds: usize,
    /// Where the sum of everything goes, so that nothing can be left out.
    pub(crate) sum: *mut f32,
}

/// Independent sums: as many as the longest latency and the widest processor need, and registers allow.
const SUMS: usize = 12;

/// Multiply-accumulates of a round.
pub(crate) fn macs(lanes: usize, rounds: usize) -> usize {
    SUMS * lanes * rounds
}

dispatch!(
    /// Multiplies and adds in registers alone.
    accumulate, accumulate_lanes, Rounds
);

/// # Safety
/// As [`accumulate`]; `sum` takes one number.
#[inline(always)]
unsafe fn accumulate_lanes<V: Lanes>(args: &Rounds) {
    // SAFETY: the caller's promise.
    unsafe {
        let factor = V::splat(std::hint::black_box(0.5));
        let addend = V::splat(std::hint::black_box(1.0));
        let mut sums = [addend; SUMS];
        for _ in 0..args.rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, addend);
            }
        }
        let total = sums.into_iter().fold(V::splat(0.0), |total, sum| total.add(sum));
        total.store_part(args.sum, 1);
    }
}
