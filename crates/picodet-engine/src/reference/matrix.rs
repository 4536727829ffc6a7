//! Matrix multiplication on the `gemm` crate.

use crate::Real;

/// `out = left · right` with `left` `[m, k]`, `right` `[k, n]` and `out` `[m, n]`, all row-major.
///
/// # Panics
/// When a slice does not have the length that its shape says.
#[allow(unsafe_code)]
pub(super) fn multiply<T: Real>(out: &mut [T], left: &[T], right: &[T], m: usize, k: usize, n: usize) {
    assert!(out.len() == m * n && left.len() == m * k && right.len() == k * n, "matrix shapes do not fit");
    // SAFETY: the assertion above makes every index that the strides reach lie inside its slice; `out` is borrowed
    // mutably and overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            left.as_ptr(),
            1,
            k as isize,
            right.as_ptr(),
            1,
            n as isize,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::multiply;

    #[test]
    fn a_product_done_by_hand() {
        let mut out = [0.0f64; 4];
        multiply(&mut out, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1.0, 0.0, 0.0, 1.0, 2.0, 3.0], 2, 3, 2);
        assert_eq!(out, [7.0, 11.0, 16.0, 23.0]);
    }
}
