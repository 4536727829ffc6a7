//! Between the engine's channels-last maps and the `[n, c, h, w]` of [`crate::Feature`].
#![allow(unsafe_code)]

/// Copies channels of `cells` cells to planes: `out[c · plane + p] = source[p · stride + columns[c]]`.
///
/// # Safety
/// `source` is valid for `cells` cells of `stride` numbers, every column is below `stride`, and `out` is valid for
/// `cells` numbers at each multiple of `plane` below `columns.len()`.
pub(crate) unsafe fn to_planes(
    source: *const f32,
    stride: usize,
    columns: &[usize],
    cells: usize,
    out: *mut f32,
    plane: usize,
) {
    const BLOCK: usize = 16;
    for first in (0..cells).step_by(BLOCK) {
        let last = (first + BLOCK).min(cells);
        for (c, &column) in columns.iter().enumerate() {
            let to = out.wrapping_add(c * plane + first);
            let from = source.wrapping_add(first * stride + column);
            // A block of constant length is unrolled.
            if last - first == BLOCK {
                // SAFETY: the caller's promise.
                let values: [f32; BLOCK] = std::array::from_fn(|p| unsafe { *from.add(p * stride) });
                // SAFETY: as above.
                unsafe { to.cast::<[f32; BLOCK]>().write_unaligned(values) };
                continue;
            }
            for p in 0..last - first {
                // SAFETY: the caller's promise.
                unsafe { *to.add(p) = *from.add(p * stride) };
            }
        }
    }
}

/// The other way: `out[p · stride + columns[c]] = source[c · plane + p]`.
///
/// # Safety
/// As [`to_planes`] with the two sides exchanged.
pub(crate) unsafe fn from_planes(
    source: *const f32,
    plane: usize,
    columns: &[usize],
    cells: usize,
    out: *mut f32,
    stride: usize,
) {
    for (c, &column) in columns.iter().enumerate() {
        for p in 0..cells {
            // SAFETY: the caller's promise.
            unsafe { *out.add(p * stride + column) = *source.add(c * plane + p) };
        }
    }
}
