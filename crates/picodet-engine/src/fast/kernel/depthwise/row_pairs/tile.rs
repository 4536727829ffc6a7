//! A tile of the result: what is summed up in registers.
#![allow(unsafe_code)]

use std::ops::Range;

use picodet_graph::{Activation, DType};

use super::RowPairs;
use crate::fast::kernel::activate::activate;
use crate::fast::kernel::lanes::pairs::Pairs;

/// Some columns of two rows of the result, one vector of channels.
pub(super) struct Tile<'a> {
    /// Pairs of source rows in the scratch memory, from the top of the window.
    pub(super) rows: &'a [*const u32],
    /// Those that lie in the map.
    pub(super) window: Range<usize>,
    /// Where the window begins in a row of the scratch memory.
    pub(super) column: usize,
    pub(super) weights: *const u32,
    pub(super) bias: *const f32,
    /// Row and column in the result.
    pub(super) cell: (usize, usize),
    /// Which of the two rows are to be made.
    pub(super) made: [bool; 2],
    /// First channel and number of them.
    pub(super) channels: (usize, usize),
}

impl Tile<'_> {
    /// # Safety
    /// As [`super::rows`]; the tile lies inside the strip.
    #[inline(always)]
    pub(super) unsafe fn run<V: Pairs, const K: usize, const S: usize, const P: usize>(
        &self,
        args: &RowPairs<'_>,
    ) {
        let (start, end) = (self.window.start, self.window.end);
        let pairs = K.div_ceil(2);
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [[V::load(self.bias); P]; 2];
            let weights = |pair: usize| self.weights.wrapping_add(pair * K * V::LEN);
            macro_rules! lines {
                ($pairs:expr, $upper:literal, $lower:literal) => {
                    for pair in $pairs {
                        let source = self.rows[pair].add(self.column);
                        let upper = weights(pair);
                        // The row below has weights of its own, or the same ones a pair further down.
                        let lower =
                            if S == 1 { weights(pairs + pair) } else { upper.wrapping_sub(K * V::LEN) };
                        for column in 0..K {
                            let zero = V::splat_pair(0);
                            let above = if $upper { V::load_pairs(upper.add(column * V::LEN)) } else { zero };
                            let below = if $lower { V::load_pairs(lower.add(column * V::LEN)) } else { zero };
                            for p in 0..P {
                                let value = V::load_pairs(source.add((p * S + column) * V::LEN));
                                if $upper {
                                    sums[0][p] = sums[0][p].add_products(value, above);
                                }
                                if $lower {
                                    sums[1][p] = sums[1][p].add_products(value, below);
                                }
                            }
                        }
                    }
                };
            }
            if S == 1 {
                lines!(start..end, true, true);
            } else {
                lines!(start..end.min(1), true, false);
                lines!(start.max(1)..end.min(pairs), true, true);
                lines!(start.max(pairs)..end, false, true);
            }
            let (y, x) = self.cell;
            if self.made[0] {
                finish(args, &sums[0], (y, x), self.channels);
            }
            if self.made[1] {
                finish(args, &sums[1], (y + 1, x), self.channels);
            }
        }
    }
}

/// Activates the sums of the cells from column `x` of row `y` on and puts them to column `to` and those behind it.
///
/// # Safety
/// As [`super::row_pairs`]; there are that many cells and columns.
#[inline(always)]
unsafe fn finish<V: Pairs, const P: usize>(
    args: &RowPairs<'_>,
    sums: &[V; P],
    (y, x): (usize, usize),
    (to, count): (usize, usize),
) {
    let convolution = &args.convolution;
    let at = |p: usize| (y * convolution.out_width + x + p) * convolution.out_stride + to;
    let rounded = |p: usize| convolution.out.cast::<u16>().wrapping_add(at(p));
    // SAFETY: the caller's promise.
    unsafe {
        // What is usual does not leave the registers.
        if args.out_dtype == DType::Bf16 && count == V::LEN {
            match convolution.act {
                None => {
                    for p in 0..P {
                        sums[p].store_bf16(rounded(p));
                    }
                    return;
                }
                Some(Activation::HardSwish) => {
                    for p in 0..P {
                        activate(sums[p], Some(Activation::HardSwish)).store_bf16(rounded(p));
                    }
                    return;
                }
                _ => {}
            }
        }
        let mut memory = [0.0f32; 10 * 16];
        for (p, sum) in sums.iter().enumerate() {
            sum.store(memory.as_mut_ptr().add(p * V::LEN));
        }
        for p in 0..P {
            let value = activate(V::load(memory.as_ptr().add(p * V::LEN)), convolution.act);
            if args.out_dtype == DType::Bf16 {
                value.store_rounded(rounded(p), count);
            } else {
                value.store_part(convolution.out.wrapping_add(at(p)), count);
            }
        }
    }
}
