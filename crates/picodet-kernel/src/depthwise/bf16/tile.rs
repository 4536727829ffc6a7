//! A tile of the result, summed in registers.

use std::ops::Range;

use picodet_graph::{Activation, DType};
use picodet_simd::{SimdBf16, Vector};

use crate::activation::activate;
use crate::depthwise::arguments::DepthwiseBf16;

/// Some columns of two rows of the result, one vector of channels.
pub(super) struct Tile<'a> {
    /// Pairs of source rows in the scratch memory, from the top of the window.
    pub(super) rows: &'a [*const u32],
    /// The pairs of the window that are in the map.
    pub(super) window: Range<usize>,
    /// First element of the window in a row of the scratch memory.
    pub(super) column: usize,
    /// The packed weights of this vector of channels.
    pub(super) weights: *const u32,
    /// Its bias.
    pub(super) bias: *const f32,
    /// Row and column in the result.
    pub(super) pixel: (usize, usize),
    /// Which of the two rows are computed.
    pub(super) computed: [bool; 2],
    /// First channel and number of them.
    pub(super) channels: (usize, usize),
}

impl Tile<'_> {
    /// Sums, activates and stores.
    ///
    /// # Safety
    /// As [`super::Rows`]; the tile is inside the strip, and its window's rows are in the scratch memory.
    #[inline(always)]
    pub(super) unsafe fn run<S: SimdBf16, const K: usize, const STRIDE: usize, const P: usize>(
        &self,
        s: S,
        args: &DepthwiseBf16<'_>,
    ) {
        let (start, end) = (self.window.start, self.window.end);
        let pairs = K.div_ceil(2);
        // SAFETY: `self.rows` are valid for the strip's columns in the pairs of the window; weights and bias
        // are those of a vector of channels.
        unsafe {
            let mut sums = [[s.load(self.bias); P]; 2];
            let weights = |pair: usize| self.weights.wrapping_add(pair * K * S::LEN);
            macro_rules! lines {
                ($pairs:expr, $upper:literal, $lower:literal) => {
                    for pair in $pairs {
                        let source = self.rows[pair].add(self.column);
                        let upper = weights(pair);
                        // The row below has other weights, or the same ones a pair further down.
                        let lower =
                            if STRIDE == 1 { weights(pairs + pair) } else { upper.wrapping_sub(K * S::LEN) };
                        for column in 0..K {
                            let zero = s.splat_pair(0);
                            let above = if $upper { s.load_pairs(upper.add(column * S::LEN)) } else { zero };
                            let below = if $lower { s.load_pairs(lower.add(column * S::LEN)) } else { zero };
                            for p in 0..P {
                                let value = s.load_pairs(source.add((p * STRIDE + column) * S::LEN));
                                if $upper {
                                    sums[0][p] = s.dot2(sums[0][p], value, above);
                                }
                                if $lower {
                                    sums[1][p] = s.dot2(sums[1][p], value, below);
                                }
                            }
                        }
                    }
                };
            }
            if STRIDE == 1 {
                lines!(start..end, true, true);
            } else {
                lines!(start..end.min(1), true, false);
                lines!(start.max(1)..end.min(pairs), true, true);
                lines!(start.max(pairs)..end, false, true);
            }
            let (y, x) = self.pixel;
            if self.computed[0] {
                finish(s, args, &sums[0], (y, x), self.channels);
            }
            if self.computed[1] {
                finish(s, args, &sums[1], (y + 1, x), self.channels);
            }
        }
    }
}

/// Activates the sums of the pixels from column `x` of row `y` on and stores them to `count` channels from
/// `to` on.
///
/// # Safety
/// As [`super::depthwise_bf16`]; the pixels and channels exist.
#[inline(always)]
unsafe fn finish<S: SimdBf16, const P: usize>(
    s: S,
    args: &DepthwiseBf16<'_>,
    sums: &[S::F32; P],
    (y, x): (usize, usize),
    (to, count): (usize, usize),
) {
    let convolution = &args.convolution;
    let at = |p: usize| (y * convolution.out_width + x + p) * convolution.out_stride + to;
    let rounded = |p: usize| convolution.out.cast::<u16>().wrapping_add(at(p));
    // SAFETY: `count` channels of the pixels exist; the array holds the sums of ten pixels.
    unsafe {
        // The usual cases do not leave the registers.
        if args.out_dtype == DType::Bf16 && count == S::LEN {
            match convolution.act {
                None => {
                    for p in 0..P {
                        s.store_bf16(sums[p], rounded(p));
                    }
                    return;
                }
                Some(Activation::HardSwish) => {
                    for p in 0..P {
                        s.store_bf16(activate(sums[p], Some(Activation::HardSwish)), rounded(p));
                    }
                    return;
                }
                _ => {}
            }
        }
        let mut memory = [0.0f32; 10 * 16];
        for (p, sum) in sums.iter().enumerate() {
            sum.store(memory.as_mut_ptr().add(p * S::LEN));
        }
        for p in 0..P {
            let value = activate(s.load(memory.as_ptr().add(p * S::LEN)), convolution.act);
            if args.out_dtype == DType::Bf16 {
                value.store_bf16_part(rounded(p), count);
            } else {
                value.store_part(convolution.out.wrapping_add(at(p)), count);
            }
        }
    }
}
