//! Pooling: maxima of 3×3 windows and sums over all pixels.

use picodet_graph::DType;
use picodet_simd::{Isa, Kernel, Simd, Vector, dispatch};

use crate::elementwise::{Elementwise, each};
use crate::map::Run;

/// Computes one row of a max pool: a vector of channels moves along the row and keeps the maximum of each
/// column of three.
///
/// # Safety
/// As [`crate::elementwise::elementwise`] of [`crate::elementwise::Kind::MaxPool`]; `y` is a row of the
/// result.
#[inline(always)]
pub(crate) unsafe fn max_pool_row<S: Simd>(s: S, args: &Elementwise<'_>, y: usize) {
    let (height, width) = args.size;
    // Rows and columns beside the map are replaced by the nearest inside, which is in the window as well.
    let above = (2 * y).saturating_sub(1);
    let below = (2 * y + 1).min(height - 1);
    for run in args.runs {
        for done in (0..run.len).step_by(S::LEN) {
            let n = (run.len - done).min(S::LEN);
            let row =
                |row: usize| args.source.wrapping_add(row * width * args.source_stride + run.source + done);
            let (top, middle, bottom) = (row(above), row(2 * y), row(below));
            let out = args.out.wrapping_add(y * args.out_width * args.out_stride + run.destination + done);
            // SAFETY: the rows and, limited to `width - 1`, the columns are in the map; `n` columns of the
            // run remain.
            unsafe {
                if n == S::LEN {
                    let column = |x: usize| {
                        let x = x * args.source_stride;
                        s.load(middle.add(x)).maximum(s.load(top.add(x))).maximum(s.load(bottom.add(x)))
                    };
                    let mut last = column(0);
                    for x in 0..args.out_width {
                        let next = column((2 * x + 1).min(width - 1));
                        last.maximum(column(2 * x)).maximum(next).store(out.add(x * args.out_stride));
                        last = next;
                    }
                } else {
                    let column = |x: usize| {
                        let x = x * args.source_stride;
                        let load = |row: *const f32| s.load_part(row.add(x), n);
                        load(middle).maximum(load(top)).maximum(load(bottom))
                    };
                    let mut last = column(0);
                    for x in 0..args.out_width {
                        let next = column((2 * x + 1).min(width - 1));
                        last.maximum(column(2 * x)).maximum(next).store_part(out.add(x * args.out_stride), n);
                        last = next;
                    }
                }
            }
        }
    }
}

/// Arguments of [`sum_pixels`].
#[derive(Clone, Copy, Debug)]
pub struct SumPixels<'a> {
    /// First pixel, of type `dtype`.
    pub source: *const f32,
    /// Elements from one pixel to the next.
    pub source_stride: usize,
    /// The type of the source.
    pub dtype: DType,
    /// Number of pixels.
    pub pixels: usize,
    /// Channels to be summed.
    pub runs: &'a [Run],
    /// Sums by the runs' destination.
    pub out: *mut f32,
}

/// Sums each channel over all pixels.
///
/// # Safety
/// * `source` is valid for reads of the runs in `pixels` pixels, `out` for writes of the runs' destinations,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn sum_pixels(isa: Isa, args: &SumPixels<'_>) {
    dispatch(isa, args);
}

impl Kernel for &SumPixels<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: pixels are below `pixels`, and runs inside pixels.
        unsafe {
            each(s, self.runs, self.out, |run, done, n| {
                // Four sums at once hide the latency of the addition.
                let mut sums = [s.splat(0.0); 4];
                let at = |pixel: usize| pixel * self.source_stride + run.source + done;
                let load = |pixel: usize| match self.dtype {
                    DType::Bf16 => s.load_bf16_part(self.source.cast::<u16>().add(at(pixel)), n),
                    DType::F32 => s.load_part(self.source.add(at(pixel)), n),
                };
                let whole = self.pixels / 4 * 4;
                for pixel in (0..whole).step_by(4) {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = *sum + load(pixel + i);
                    }
                }
                for pixel in whole..self.pixels {
                    sums[0] = sums[0] + load(pixel);
                }
                (sums[0] + sums[1]) + (sums[2] + sums[3])
            });
        }
    }
}
