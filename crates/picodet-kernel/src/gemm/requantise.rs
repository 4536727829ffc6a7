//! The end of a product of bytes: scale, bias, residual, activation, and the bytes of the result.

use picodet_graph::{Activation, DType};
use picodet_simd::{Dot, IntVector, Outlined, SimdInt8, Vector, prefetch};

use super::epilogue::{Epilogue, MOST, unrolled};
use crate::quantised::{Columns, FIELDS, Operand, activate, byte, real, to_map};
use crate::tuning;

/// `out = requantise(act(sum · scale + bias + residual))`, or without requantisation if the result is f32.
#[derive(Clone, Copy, Debug)]
pub struct Requantise<'a> {
    /// Number of columns.
    pub columns: usize,
    /// Packed by [`crate::quantised::pack_columns`].
    pub constants: &'a [u32],
    /// Added before the activation.
    pub residual: Option<Operand<'a>>,
    /// Applied last.
    pub act: Option<Activation>,
    /// First element of the result, of type `out_dtype`.
    pub out: *mut u8,
    /// Elements from one row of the result to the next.
    pub out_stride: usize,
    /// The type of the result: bytes or f32.
    pub out_dtype: DType,
}

impl Requantise<'_> {
    /// Whether constants and residual are packed in whole vectors.
    pub(super) fn is_packed(&self, lanes: usize) -> bool {
        let padded = self.columns.next_multiple_of(lanes);
        self.constants.len() >= padded * FIELDS
            && self.residual.is_none_or(|residual| residual.covers(padded))
    }
}

impl<S: SimdInt8, D: Dot<Simd = S, Sum = S::I32>> Epilogue<D> for Requantise<'_> {
    #[inline(always)]
    unsafe fn start(&self, dot: D, column: usize) -> S::I32 {
        // SAFETY: the constants are packed in whole vectors.
        unsafe { Columns::new::<S>(self.constants.as_ptr(), column / S::LEN).start(dot.simd()) }
    }

    #[inline(always)]
    fn prefetch(&self, row: usize, rows: usize, (first, _): (usize, usize)) {
        for row in row..row + rows {
            prefetch(self.out.wrapping_add(row * self.out_stride + first).cast_const());
        }
    }

    #[inline(always)]
    unsafe fn store<const MR: usize, const NV: usize>(
        &self,
        dot: D,
        (row, first): (usize, usize),
        sums: &[[S::I32; NV]; MR],
    ) {
        let s = dot.simd();
        let whole = !tuning::compact::<S>() && self.residual.is_none() && self.columns - first >= NV * S::LEN;
        let usual = self.act.is_none() || self.act == Some(Activation::HardSwish);
        // SAFETY: the tile's rows exist and, in the first case, all of its columns; `stored` holds the largest
        // tile.
        unsafe {
            if whole && self.act.is_none() && self.out_dtype == DType::F32 {
                let to = self.out.cast::<f32>().add(row * self.out_stride + first);
                return self.store_floats::<S, MR, NV>(s, to, first, sums);
            }
            if whole && usual && self.out_dtype != DType::F32 {
                let to = self.out.add(row * self.out_stride + first);
                if self.act.is_none() {
                    self.store_whole::<S, MR, NV>(s, to, first, sums, None);
                } else {
                    self.store_whole::<S, MR, NV>(s, to, first, sums, Some(Activation::HardSwish));
                }
                return;
            }
            let mut stored = [0i32; MOST];
            unrolled!(i < MR, {
                for j in 0..NV {
                    sums[i][j].store(stored.as_mut_ptr().add((i * NV + j) * S::LEN));
                }
            });
            s.outlined(Finish { to: self, s, rows: (row, MR), columns: (first, NV), sums: &stored });
        }
    }
}

impl Requantise<'_> {
    /// Stores a tile of bytes straight from the registers.
    ///
    /// # Safety
    /// The rows and columns of the tile exist; `to` is its first byte.
    #[inline(always)]
    unsafe fn store_whole<S: SimdInt8, const MR: usize, const NV: usize>(
        &self,
        s: S,
        to: *mut u8,
        first: usize,
        sums: &[[S::I32; NV]; MR],
        act: Option<Activation>,
    ) {
        if NV == 2 {
            // SAFETY: the constants are packed in whole vectors; rows and columns of the tile exist.
            unsafe {
                let columns = Columns::new::<S>(self.constants.as_ptr(), first / S::LEN).rest(s);
                let next = Columns::new::<S>(self.constants.as_ptr(), first / S::LEN + 1).rest(s);
                let at = |i: usize| to.wrapping_add(i * self.out_stride);
                unrolled!(pair < (MR / 2), {
                    let i = 2 * pair;
                    let values = [
                        [byte(sums[i][0], columns, act), byte(sums[i][1], next, act)],
                        [byte(sums[i + 1][0], columns, act), byte(sums[i + 1][1], next, act)],
                    ];
                    s.store_byte_pairs(values, [at(i), at(i + 1)]);
                });
                if MR % 2 == 1 {
                    byte(sums[MR - 1][0], columns, act).store_u8_part(at(MR - 1), S::LEN);
                    byte(sums[MR - 1][1], next, act).store_u8_part(at(MR - 1).add(S::LEN), S::LEN);
                }
            }
            return;
        }
        for j in 0..NV {
            // SAFETY: the constants are packed in whole vectors; rows and columns of the tile exist.
            unsafe {
                let columns = Columns::new::<S>(self.constants.as_ptr(), first / S::LEN + j);
                let columns = columns.rest(s);
                let at = |i: usize| to.wrapping_add(i * self.out_stride + j * S::LEN);
                unrolled!(group < (MR / 4), {
                    let i = 4 * group;
                    let values = [
                        byte(sums[i][j], columns, act),
                        byte(sums[i + 1][j], columns, act),
                        byte(sums[i + 2][j], columns, act),
                        byte(sums[i + 3][j], columns, act),
                    ];
                    s.store_bytes(values, [at(i), at(i + 1), at(i + 2), at(i + 3)]);
                });
                unrolled!(i < MR, {
                    if i >= MR / 4 * 4 {
                        byte(sums[i][j], columns, act).store_u8_part(at(i), S::LEN);
                    }
                });
            }
        }
    }

    /// Stores a tile of f32 straight from the registers.
    ///
    /// # Safety
    /// As [`Requantise::store_whole`].
    #[inline(always)]
    unsafe fn store_floats<S: SimdInt8, const MR: usize, const NV: usize>(
        &self,
        s: S,
        to: *mut f32,
        first: usize,
        sums: &[[S::I32; NV]; MR],
    ) {
        for j in 0..NV {
            // SAFETY: the constants are packed in whole vectors; rows and columns of the tile exist.
            unsafe {
                let columns = Columns::new::<S>(self.constants.as_ptr(), first / S::LEN + j);
                let [scale, bias, ..] = columns.rest(s);
                unrolled!(i < MR, {
                    real(sums[i][j], scale, bias).store(to.wrapping_add(i * self.out_stride + j * S::LEN));
                });
            }
        }
    }
}

/// Stores a tile of (first row, rows) by (first column, vectors), which exist in the result and in the residual.
pub(super) struct Finish<'a, S> {
    pub(super) to: &'a Requantise<'a>,
    pub(super) s: S,
    pub(super) rows: (usize, usize),
    pub(super) columns: (usize, usize),
    pub(super) sums: &'a [i32; MOST],
}

impl<S: SimdInt8> Outlined for Finish<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { to, s, rows: (row, rows), columns: (first, vectors), sums } = self;
        for j in 0..vectors {
            let column = first + j * S::LEN;
            let count = to.columns.saturating_sub(column).min(S::LEN);
            // SAFETY: constants and residual are packed in whole vectors; `count` columns remain in this vector of
            // the rows; `sums` holds `rows · vectors` vectors.
            unsafe {
                let columns = Columns::new::<S>(to.constants.as_ptr(), column / S::LEN);
                let [scale, bias, factor, zero] = columns.rest(s);
                for i in 0..rows {
                    let sum = s.load_i32(sums.as_ptr().add((i * vectors + j) * S::LEN));
                    let mut x = real(sum, scale, bias);
                    if let Some(residual) = &to.residual {
                        x = residual
                            .load(s, row + i, column, count)
                            .fused_mul_add(residual.scale_at(s, column), x);
                    }
                    let at = (row + i) * to.out_stride + column;
                    if to.out_dtype == DType::F32 {
                        activate(x, to.act).store_part(to.out.cast::<f32>().wrapping_add(at), count);
                    } else {
                        to_map(x, to.act, factor, zero).store_u8_part(to.out.wrapping_add(at), count);
                    }
                }
            }
        }
    }
}
