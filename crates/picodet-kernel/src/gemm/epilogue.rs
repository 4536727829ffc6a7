//! The end of a matrix product: bias, residual and activation, or accumulation, of the sums of a tile.

use picodet_graph::{Activation, DType};
use picodet_simd::{Dot, DotBf16, DotF32, Outlined, Simd, SimdBf16, Vector, prefetch};

use crate::activation::activate;
use crate::tuning;

/// Elements of the largest tile of any instruction set.
pub(crate) const MOST: usize = 12 * 2 * 16;

/// Repeats a block for each index below a constant of at most 13, before the optimiser sees it: sums that are indexed in
/// a loop that the compiler does not unroll would be in memory instead of registers.
macro_rules! unrolled {
    ($index:ident < $end:tt, $body:block) => {
        unrolled!(0 1 2 3 4 5 6 7 8 9 10 11 12, $index < $end, $body)
    };
    ($($value:literal)*, $index:ident < $end:tt, $body:block) => {$(
        if const { $value < $end } {
            let $index: usize = $value;
            $body
        }
    )*};
}

pub(crate) use unrolled;

/// Starts and stores the sums of a tile.
pub(super) trait Epilogue<D: Dot> {
    /// Returns the value that the sums of the columns from `column` on start with.
    ///
    /// # Safety
    /// `column` is the first one of a vector with at least one column of the result.
    unsafe fn start(&self, dot: D, column: usize) -> D::Sum;
    /// Prefetches `rows` rows of the result from `row` on, columns from `first` on; none of them need exist.
    fn prefetch(&self, row: usize, rows: usize, columns: (usize, usize));
    /// Stores a tile whose first row and column in the result are `at`.
    ///
    /// # Safety
    /// Rows `at.0..at.0 + MR` of the result exist, and so does column `at.1`; sums after the last column are
    /// left out.
    unsafe fn store<const MR: usize, const NV: usize>(
        &self,
        dot: D,
        at: (usize, usize),
        sums: &[[D::Sum; NV]; MR],
    );
}

/// Products with f32 sums.
pub(super) trait FloatDot: Dot {
    /// Whether results may be bf16.
    const BF16_OUT: bool;
    /// Returns the sum, whose type the compiler does not know to be f32.
    fn float(self, sum: Self::Sum) -> <Self::Simd as Simd>::F32;
    /// Stores a vector rounded to bf16.
    ///
    /// # Safety
    /// `to` is valid for writes of a vector of values.
    unsafe fn store_bf16(self, value: <Self::Simd as Simd>::F32, to: *mut u16);
}

impl<S: Simd> FloatDot for DotF32<S> {
    const BF16_OUT: bool = false;
    #[inline(always)]
    fn float(self, sum: S::F32) -> S::F32 {
        sum
    }
    #[inline(always)]
    unsafe fn store_bf16(self, value: S::F32, to: *mut u16) {
        // SAFETY: `to` is valid for a vector.
        unsafe { value.store_bf16_part(to, S::LEN) }
    }
}

impl<S: SimdBf16> FloatDot for DotBf16<S> {
    const BF16_OUT: bool = true;
    #[inline(always)]
    fn float(self, sum: S::F32) -> S::F32 {
        sum
    }
    #[inline(always)]
    unsafe fn store_bf16(self, value: S::F32, to: *mut u16) {
        // SAFETY: `to` is valid for a vector.
        unsafe { self.0.store_bf16(value, to) }
    }
}

/// `out = act(bias + sum + residual)`.
#[derive(Clone, Copy, Debug)]
pub struct Activate<'a> {
    /// Number of columns.
    pub columns: usize,
    /// One value per column, zeros up to whole vectors.
    pub bias: &'a [f32],
    /// Added before the activation; null for none.
    pub residual: *const f32,
    /// Elements from one residual row to the next.
    pub residual_stride: usize,
    /// Applied last.
    pub act: Option<Activation>,
    /// First element of the result, of type `out_dtype`.
    pub out: *mut f32,
    /// Elements from one row of the result to the next.
    pub out_stride: usize,
    /// The type of the result; bf16 only for products of bf16.
    pub out_dtype: DType,
}

impl<'a, D: FloatDot> Epilogue<D> for Activate<'a> {
    #[inline(always)]
    unsafe fn start(&self, dot: D, column: usize) -> D::Sum {
        debug_assert!(column + D::Simd::LEN <= self.bias.len());
        // SAFETY: the bias is padded to whole vectors.
        unsafe { dot.load_sum(self.bias.as_ptr().add(column).cast()) }
    }

    #[inline(always)]
    fn prefetch(&self, row: usize, rows: usize, (first, len): (usize, usize)) {
        let at = row * self.out_stride + first;
        let bf16 = D::BF16_OUT && self.out_dtype == DType::Bf16;
        let (mut target, stride) = if bf16 {
            (self.out.cast::<u16>().wrapping_add(at).cast::<f32>(), self.out_stride / 2)
        } else {
            (self.out.wrapping_add(at), self.out_stride)
        };
        for _ in 0..rows {
            for line in (0..len).step_by(16) {
                if !bf16 || line < len.div_ceil(2) {
                    prefetch(target.wrapping_add(line).cast_const());
                }
            }
            target = target.wrapping_add(stride);
        }
    }

    #[inline(always)]
    unsafe fn store<const MR: usize, const NV: usize>(
        &self,
        dot: D,
        (row, first): (usize, usize),
        sums: &[[D::Sum; NV]; MR],
    ) {
        let len = D::Simd::LEN;
        let hard_swish = Some(Activation::HardSwish);
        let bf16 = D::BF16_OUT && self.out_dtype == DType::Bf16;
        let whole =
            !tuning::compact::<D::Simd>() && self.residual.is_null() && self.columns - first >= NV * len;
        // SAFETY: the tile's rows exist and, in the first two cases, all of its columns; `stored` holds the
        // largest tile.
        unsafe {
            // The usual case, straight from the registers. Masks here would move the sums to memory again.
            if whole && self.act == hard_swish && bf16 {
                unrolled!(i < MR, {
                    for j in 0..NV {
                        let to = self.out.cast::<u16>().add((row + i) * self.out_stride + first + j * len);
                        dot.store_bf16(activate(dot.float(sums[i][j]), hard_swish), to);
                    }
                });
                return;
            }
            if whole && self.act == hard_swish {
                unrolled!(i < MR, {
                    for j in 0..NV {
                        let to = self.out.add((row + i) * self.out_stride + first + j * len);
                        activate(dot.float(sums[i][j]), hard_swish).store(to);
                    }
                });
                return;
            }
            // Elsewhere the call below costs less than the further code.
            if tuning::tiles_at_once::<D::Simd>() && whole && self.act.is_none() && !bf16 {
                unrolled!(i < MR, {
                    for j in 0..NV {
                        let to = self.out.add((row + i) * self.out_stride + first + j * len);
                        dot.float(sums[i][j]).store(to);
                    }
                });
                return;
            }
            // The sums leave the registers here, all at once: an epilogue that kept them there would make the
            // compiler keep them in memory during the loop as well.
            let mut stored = [0.0f32; MOST];
            unrolled!(i < MR, {
                for j in 0..NV {
                    dot.float(sums[i][j]).store(stored.as_mut_ptr().add((i * NV + j) * len));
                }
            });
            self.finish(dot, (row, MR), (first, NV), &stored);
        }
    }
}

impl Activate<'_> {
    /// Adds the residual, activates and stores a tile of (first row, rows) by (first column, vectors).
    ///
    /// # Safety
    /// The rows and the first column exist in the result and in the residual.
    #[inline(always)]
    unsafe fn finish<D: FloatDot>(
        &self,
        dot: D,
        rows: (usize, usize),
        columns: (usize, usize),
        sums: &[f32; MOST],
    ) {
        dot.simd().outlined(Finish { activate: self, dot, rows, columns, sums });
    }
}

/// The arguments of [`Activate::finish`], which vouches for them.
struct Finish<'a, D> {
    activate: &'a Activate<'a>,
    dot: D,
    rows: (usize, usize),
    columns: (usize, usize),
    sums: &'a [f32; MOST],
}

impl<D: FloatDot> Outlined for Finish<'_, D> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        // The usual activations are decided on once per tile, not once per vector.
        match self.activate.act {
            None if !tuning::compact::<D::Simd>() => self.with(None),
            Some(Activation::HardSwish) if !tuning::compact::<D::Simd>() => {
                self.with(Some(Activation::HardSwish));
            }
            act => self.with(act),
        }
    }
}

impl<D: FloatDot> Finish<'_, D> {
    #[inline(always)]
    fn with(self, act: Option<Activation>) {
        let Self { activate: to, dot, rows: (row, rows), columns: (first, vectors), sums } = self;
        let (s, len) = (dot.simd(), D::Simd::LEN);
        for i in 0..rows {
            let (out, residual) = ((row + i) * to.out_stride + first, (row + i) * to.residual_stride + first);
            for j in 0..vectors {
                let count = (to.columns - first).saturating_sub(j * len).min(len);
                // SAFETY: `Activate::finish`'s caller vouches for rows and columns, of which `count` remain in this
                // vector; `sums` holds `rows · vectors` vectors.
                unsafe {
                    let mut value = s.load(sums.as_ptr().add((i * vectors + j) * len));
                    if !to.residual.is_null() {
                        value = value + s.load_part(to.residual.wrapping_add(residual + j * len), count);
                    }
                    let value = activate(value, act);
                    if D::BF16_OUT && to.out_dtype == DType::Bf16 {
                        value.store_bf16_part(to.out.cast::<u16>().wrapping_add(out + j * len), count);
                    } else if count == len {
                        value.store(to.out.wrapping_add(out + j * len));
                    } else {
                        value.store_part(to.out.wrapping_add(out + j * len), count);
                    }
                }
            }
        }
    }
}

/// `out (+)= sum`.
#[derive(Clone, Copy)]
pub(super) struct Accumulate {
    /// First element of the result.
    pub(super) out: *mut f32,
    /// Elements from one row of the result to the next.
    pub(super) out_stride: usize,
    /// Columns in the last vector of a tile.
    pub(super) last: usize,
    /// Whether the sums are added to the result.
    pub(super) add: bool,
}

impl<S: Simd> Epilogue<DotF32<S>> for Accumulate {
    #[inline(always)]
    unsafe fn start(&self, dot: DotF32<S>, _: usize) -> S::F32 {
        dot.zero()
    }

    #[inline(always)]
    fn prefetch(&self, _: usize, _: usize, _: (usize, usize)) {}

    #[inline(always)]
    unsafe fn store<const MR: usize, const NV: usize>(
        &self,
        dot: DotF32<S>,
        (row, first): (usize, usize),
        sums: &[[S::F32; NV]; MR],
    ) {
        let s = dot.simd();
        for i in 0..MR {
            for j in 0..NV {
                let count = if j + 1 < NV { S::LEN } else { self.last };
                // SAFETY: the rows exist, and `count` columns remain in this vector.
                unsafe {
                    let to = self.out.add((row + i) * self.out_stride + first + j * S::LEN);
                    let mut sum = sums[i][j];
                    if self.add {
                        sum = sum + s.load_part(to, count);
                    }
                    sum.store_part(to, count);
                }
            }
        }
    }
}
