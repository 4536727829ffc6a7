//! f32 convolutions of one pixel: the two of a squeeze-excite gate.

use picodet_graph::Activation;
use picodet_simd::{Isa, Kernel, Simd, Vector, dispatch};

use super::constants::activate;

/// Arguments of [`gate`].
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// The input channels.
    pub source: *const f32,
    /// `[inputs][columns]`, rows padded to a multiple of sixteen columns.
    pub weights: &'a [f32],
    /// One value per column, padded as `weights`.
    pub bias: &'a [f32],
    /// Number of columns.
    pub columns: usize,
    /// Applied last.
    pub act: Option<Activation>,
    /// The result.
    pub out: *mut f32,
}

/// Computes `out = act(bias + Σ source · weights)`, with the products added in the order of the inputs.
///
/// # Safety
/// * `source` is valid for reads of one value per row of `weights`, `out` for writes of `columns` values,
/// * no other thread writes what is read or accesses what is written.
///
/// # Panics
/// If weights or bias are not padded.
pub unsafe fn gate(isa: Isa, args: &Gate<'_>) {
    let padded = args.columns.next_multiple_of(16);
    assert!(args.bias.len() == padded && args.weights.len().is_multiple_of(padded.max(1)), "padded weights");
    dispatch(isa, args);
}

impl Kernel for &Gate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let padded = self.bias.len();
        let mut first = 0;
        // Several sums at once hide the latency of the products.
        while padded - first >= 4 * S::LEN {
            // SAFETY: four vectors of columns remain.
            unsafe { self.columns::<S, 4>(s, first) };
            first += 4 * S::LEN;
        }
        while first < padded {
            // SAFETY: columns are padded to whole vectors.
            unsafe { self.columns::<S, 1>(s, first) };
            first += S::LEN;
        }
    }
}

impl Gate<'_> {
    /// Computes `N` vectors of columns.
    ///
    /// # Safety
    /// As [`gate`]; the padded columns exist.
    #[inline(always)]
    unsafe fn columns<S: Simd, const N: usize>(&self, s: S, first: usize) {
        let padded = self.bias.len();
        // SAFETY: `gate` has checked that bias and rows of weights have `padded` columns.
        unsafe {
            let mut sums = [s.splat(0.0); N];
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = s.load(self.bias.as_ptr().add(first + i * S::LEN));
            }
            for row in 0..self.weights.len() / padded {
                let value = s.splat(*self.source.add(row));
                let weights = self.weights.as_ptr().add(row * padded + first);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = value.fused_mul_add(s.load(weights.add(i * S::LEN)), *sum);
                }
            }
            for (i, sum) in sums.into_iter().enumerate() {
                let column = first + i * S::LEN;
                let count = self.columns.saturating_sub(column).min(S::LEN);
                activate(sum, self.act).store_part(self.out.wrapping_add(column), count);
            }
        }
    }
}
