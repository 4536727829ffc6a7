//! A tile of the result, summed in registers.

use picodet_graph::Activation;
use picodet_simd::{Dot, IntVector, Outlined, SimdInt8, Vector};

use super::arguments::{DepthwiseInt8, offsets, quads, units, variants};
use crate::gemm::{MOST, unrolled};
use crate::quantised::{Columns, byte};
use crate::tuning;

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
    /// As `Rows::run`; the tile is inside the strip, and its window's rows are in the scratch memory.
    #[inline(always)]
    pub(super) unsafe fn run<S: SimdInt8, const K: usize, const STRIDE: usize, const P: usize>(
        &self,
        s: S,
        args: &DepthwiseInt8<'_>,
    ) {
        let units = const { units::<S>() };
        let len = const { offsets::<S>() } + const { quads(K) } * K * units;
        let dot = s.product();
        // SAFETY: weights and constants are packed for each vector; `self.rows` are valid for the strip's columns.
        unsafe {
            let columns = Columns::new::<S>(args.constants.as_ptr(), self.vector);
            let upper = args.weights.as_ptr().add(self.vector * variants(STRIDE) * len);
            let lower = if STRIDE == 1 { upper.add(len) } else { upper };
            let start = columns.start(s);
            let mut sums = [[dot.offset(start, upper); P], [dot.offset(start, lower); P]];
            let (upper, lower) = (upper.add(offsets::<S>()), lower.add(offsets::<S>()));
            for quad in 0..quads(K) {
                // At stride 1 both rows read the same quads.
                let above = self.rows[2 * quad].add(self.column);
                let below = self.rows[2 * quad + STRIDE - 1].add(self.column);
                // A number that the compiler does not know: it would unroll the loop and spill what it reorders.
                for at in (0..args.kernel * units).step_by(S::LEN) {
                    let tap = quad * K * units + at;
                    let (first, second) = (dot.load_units(upper.add(tap)), dot.load_units(lower.add(tap)));
                    for p in 0..P {
                        let at = p * STRIDE * units + at;
                        let value = dot.load_units(above.add(at));
                        sums[0][p] = dot.dot(sums[0][p], value, first);
                        let value = if STRIDE == 1 { value } else { dot.load_units(below.add(at)) };
                        sums[1][p] = dot.dot(sums[1][p], value, second);
                    }
                }
            }
            let (y, x) = self.pixel;
            let pixel = y * args.out_width + x;
            if self.computed[0] {
                self.finish(s, args, columns, sums[0], pixel);
            }
            if self.computed[1] {
                self.finish(s, args, columns, sums[1], pixel + args.out_width);
            }
        }
    }

    /// Activates, requantises and stores the sums of the pixels from `pixel` on.
    ///
    /// # Safety
    /// As `depthwise_int8`; the pixels and channels exist.
    #[inline(always)]
    unsafe fn finish<S: SimdInt8, const P: usize>(
        &self,
        s: S,
        args: &DepthwiseInt8<'_>,
        columns: Columns,
        sums: [S::I32; P],
        pixel: usize,
    ) {
        let (channel, count) = self.channels;
        let to = (args.out.wrapping_add(pixel * args.out_stride + channel), args.out_stride);
        // SAFETY: constants are packed for each vector; `count` channels of the pixels exist.
        unsafe {
            // The usual cases do not leave the registers.
            if count == S::LEN && !tuning::compact::<S>() {
                match args.act {
                    None => return store::<S, P>(s, columns, sums, None, to),
                    Some(Activation::HardSwish) => {
                        return store::<S, P>(s, columns, sums, Some(Activation::HardSwish), to);
                    }
                    _ => {}
                }
            }
            let mut memory = [0i32; MOST];
            unrolled!(p < P, {
                sums[p].store(memory.as_mut_ptr().add(p * S::LEN));
            });
            s.outlined(Finish { s, act: args.act, columns, pixels: P, count, sums: &memory, to });
        }
    }
}

/// Stores `P` pixels straight from the registers.
///
/// # Safety
/// As [`Tile::finish`]; a whole vector of channels exists.
#[inline(always)]
unsafe fn store<S: SimdInt8, const P: usize>(
    s: S,
    columns: Columns,
    sums: [S::I32; P],
    act: Option<Activation>,
    (to, stride): (*mut u8, usize),
) {
    // SAFETY: `P` pixels exist.
    unsafe {
        let columns = columns.rest(s);
        let at = |p: usize| to.wrapping_add(p * stride);
        unrolled!(four < (P / 4), {
            let p = 4 * four;
            let values = [
                byte(sums[p], columns, act),
                byte(sums[p + 1], columns, act),
                byte(sums[p + 2], columns, act),
                byte(sums[p + 3], columns, act),
            ];
            s.store_bytes(values, [at(p), at(p + 1), at(p + 2), at(p + 3)]);
        });
        unrolled!(p < P, {
            if p >= P / 4 * 4 {
                byte(sums[p], columns, act).store_u8_part(at(p), S::LEN);
            }
        });
    }
}

/// Stores `count` channels of pixels whose sums have left the registers; [`Tile::finish`] vouches for the arguments.
struct Finish<'a, S> {
    s: S,
    act: Option<Activation>,
    columns: Columns,
    pixels: usize,
    count: usize,
    sums: &'a [i32; MOST],
    to: (*mut u8, usize),
}

impl<S: SimdInt8> Outlined for Finish<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        // SAFETY: `sums` holds a vector for each pixel, and `count` channels of the pixels exist.
        unsafe {
            let columns = self.columns.rest(self.s);
            for p in 0..self.pixels {
                let sum = self.s.load_i32(self.sums.as_ptr().add(p * S::LEN));
                byte(sum, columns, self.act).store_u8_part(self.to.0.wrapping_add(p * self.to.1), self.count);
            }
        }
    }
}
