//! A tile of the result, summed in registers.

use picodet_graph::Activation;
use picodet_simd::{SimdInt8, Vector};

use super::{DepthwiseInt8, quads, variants};
use crate::quantised::{Columns, real, to_map};

/// Some columns of two rows of the result, one vector of channels.
pub(super) struct Tile<'a> {
    /// Quads of source rows in the scratch memory, from the top of the window.
    pub(super) rows: &'a [*const u32],
    /// First element of the window in a row of the scratch memory.
    pub(super) column: usize,
    /// Index of the vector among those of all ranges.
    pub(super) vector: usize,
    /// Row and column in the result.
    pub(super) pixel: (usize, usize),
    /// Which of the two rows are computed.
    pub(super) computed: [bool; 2],
    /// First channel and number of them.
    pub(super) channels: (usize, usize),
}

impl Tile<'_> {
    /// Sums, activates, requantises and stores.
    ///
    /// # Safety
    /// As [`super::Rows`]; the tile is inside the strip, and its window's rows are in the scratch memory.
    #[inline(always)]
    pub(super) unsafe fn run<S: SimdInt8, const K: usize, const STRIDE: usize, const P: usize>(
        &self,
        s: S,
        args: &DepthwiseInt8<'_>,
    ) {
        let len = const { quads(K) } * K * S::LEN;
        // SAFETY: weights and constants are packed for each vector; `self.rows` are valid for the strip's columns.
        unsafe {
            let columns = Columns::new::<S>(args.constants.as_ptr(), self.vector);
            let upper = args.weights.as_ptr().add(self.vector * variants(STRIDE) * len);
            let lower = if STRIDE == 1 { upper.add(len) } else { upper };
            let mut sums = [[columns.start(s); P]; 2];
            for quad in 0..quads(K) {
                if STRIDE == 1 {
                    // Both rows read the same quads.
                    let source = self.rows[2 * quad].add(self.column);
                    for column in 0..K {
                        let at = (quad * K + column) * S::LEN;
                        let (above, below) = (s.load_quads(upper.add(at)), s.load_quads(lower.add(at)));
                        for p in 0..P {
                            let value = s.load_quads(source.add((p + column) * S::LEN));
                            sums[0][p] = s.dot4(sums[0][p], value, above);
                            sums[1][p] = s.dot4(sums[1][p], value, below);
                        }
                    }
                } else {
                    let above = self.rows[2 * quad].add(self.column);
                    let below = self.rows[2 * quad + 1].add(self.column);
                    for column in 0..K {
                        let weight = s.load_quads(upper.add((quad * K + column) * S::LEN));
                        for p in 0..P {
                            let at = (p * STRIDE + column) * S::LEN;
                            sums[0][p] = s.dot4(sums[0][p], s.load_quads(above.add(at)), weight);
                            sums[1][p] = s.dot4(sums[1][p], s.load_quads(below.add(at)), weight);
                        }
                    }
                }
            }
            let (y, x) = self.pixel;
            for (row, sums) in sums.iter().enumerate() {
                if self.computed[row] {
                    self.finish(s, args, columns, sums, (y + row) * args.out_width + x);
                }
            }
        }
    }

    /// Activates, requantises and stores the sums of the pixels from `pixel` on.
    ///
    /// # Safety
    /// As [`super::depthwise_int8`]; the pixels and channels exist.
    #[inline(always)]
    unsafe fn finish<S: SimdInt8, const P: usize>(
        &self,
        s: S,
        args: &DepthwiseInt8<'_>,
        columns: Columns,
        sums: &[S::I32; P],
        pixel: usize,
    ) {
        let (channel, count) = self.channels;
        let to = args.out.wrapping_add(pixel * args.out_stride + channel);
        // SAFETY: constants are packed for each vector; `count` channels of the pixels exist.
        unsafe {
            match args.act {
                None => store::<S, P>(s, columns, sums, None, (to, args.out_stride), count),
                Some(Activation::HardSwish) => {
                    let act = Some(Activation::HardSwish);
                    store::<S, P>(s, columns, sums, act, (to, args.out_stride), count);
                }
                act => {
                    let [scale, bias, factor, zero] = columns.rest(s);
                    let mut memory = [[0i32; 16]; P];
                    for (sum, memory) in sums.iter().zip(&mut memory) {
                        picodet_simd::IntVector::store(*sum, memory.as_mut_ptr());
                    }
                    for (p, memory) in memory.iter().enumerate() {
                        let value = real(s.load_i32(memory.as_ptr()), scale, bias);
                        let to = to.wrapping_add(p * args.out_stride);
                        to_map(value, act, factor, zero).store_u8_part(to, count);
                    }
                }
            }
        }
    }
}

/// Stores `P` pixels straight from the registers.
///
/// # Safety
/// As [`Tile::finish`].
#[inline(always)]
unsafe fn store<S: SimdInt8, const P: usize>(
    s: S,
    columns: Columns,
    sums: &[S::I32; P],
    act: Option<Activation>,
    (to, stride): (*mut u8, usize),
    count: usize,
) {
    // SAFETY: `count` channels of `P` pixels exist.
    unsafe {
        let [scale, bias, factor, zero] = columns.rest(s);
        let most = s.splat(255.0);
        let value = |sum: S::I32| most.min(to_map(real(sum, scale, bias), act, factor, zero));
        let at = |p: usize| to.wrapping_add(p * stride);
        if count == S::LEN {
            for p in (0..P / 4 * 4).step_by(4) {
                let values = [value(sums[p]), value(sums[p + 1]), value(sums[p + 2]), value(sums[p + 3])];
                s.store_bytes(values, [at(p), at(p + 1), at(p + 2), at(p + 3)]);
            }
            for p in P / 4 * 4..P {
                value(sums[p]).store_u8_part(at(p), S::LEN);
            }
            return;
        }
        for p in 0..P {
            value(sums[p]).store_u8_part(at(p), count);
        }
    }
}
