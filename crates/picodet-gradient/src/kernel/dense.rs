//! Convolutions over all channels of a group as matrix products: windows become rows, and rows become windows again.
#![allow(unsafe_code)]

use super::Map;

/// Windows of a band of rows of the result.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    /// The input, the channels of the group.
    pub(crate) x: Map,
    /// Side of the window.
    pub(crate) kernel: usize,
    /// Step of the window.
    pub(crate) stride: usize,
    /// Width of the result.
    pub(crate) out_width: usize,
    /// The image.
    pub(crate) image: usize,
    /// First row of the result, and the row after the last.
    pub(crate) rows: (usize, usize),
}

impl Windows {
    /// Numbers of one window.
    pub(crate) fn len(&self) -> usize {
        self.kernel * self.kernel * self.x.channels
    }

    /// Calls `visit(window, tap, cell)` for every tap; `cell` is `None` beside the map.
    #[inline(always)]
    fn each(&self, mut visit: impl FnMut(usize, usize, Option<usize>)) {
        let [_, height, width] = self.x.size;
        let pad = self.kernel / 2;
        let inside = |at: usize, extent: usize| at.checked_sub(pad).filter(|&at| at < extent);
        for y in self.rows.0..self.rows.1 {
            for x in 0..self.out_width {
                let window = (y - self.rows.0) * self.out_width + x;
                for ky in 0..self.kernel {
                    let row = inside(y * self.stride + ky, height);
                    for kx in 0..self.kernel {
                        let column = inside(x * self.stride + kx, width);
                        let cell =
                            row.zip(column).map(|(row, column)| (self.image * height + row) * width + column);
                        visit(window, ky * self.kernel + kx, cell);
                    }
                }
            }
        }
    }
}

/// Writes each window as a row `[kernel · kernel][channels]` of `out`.
///
/// # Safety
/// The map is valid; `out` holds a row for every window of the band.
pub(crate) unsafe fn gather(windows: &Windows, out: *mut f32) {
    let (len, channels) = (windows.len(), windows.x.channels);
    if windows.x.stride == channels {
        // SAFETY: the caller's promise.
        unsafe { gather_rows(windows, out) }
        return;
    }
    windows.each(|window, tap, cell| {
        let to = out.wrapping_add(window * len + tap * channels);
        // SAFETY: the caller's promise; `cell` is a cell of the map.
        unsafe {
            match cell {
                Some(cell) => std::ptr::copy_nonoverlapping(windows.x.at(cell), to, channels),
                None => std::ptr::write_bytes(to, 0, channels),
            }
        }
    });
}

/// [`gather`] where the cells of a row are contiguous: a row of the window is one copy.
///
/// # Safety
/// As [`gather`].
unsafe fn gather_rows(windows: &Windows, out: *mut f32) {
    let [_, height, width] = windows.x.size;
    let (k, channels, pad) = (windows.kernel, windows.x.channels, windows.kernel / 2);
    let row_len = k * channels;
    for y in windows.rows.0..windows.rows.1 {
        for x in 0..windows.out_width {
            let window = (y - windows.rows.0) * windows.out_width + x;
            let column = x * windows.stride;
            // Columns of the window that lie inside the map.
            let from = pad.saturating_sub(column).min(k);
            let to = (width + pad).saturating_sub(column).clamp(from, k);
            for ky in 0..k {
                let out = out.wrapping_add(window * k * row_len + ky * row_len);
                let row = (y * windows.stride + ky).checked_sub(pad).filter(|&row| row < height);
                // SAFETY: the caller's promise; the columns from `from` to `to` are cells of the row.
                unsafe {
                    let Some(row) = row.filter(|_| from < to) else {
                        std::ptr::write_bytes(out, 0, row_len);
                        continue;
                    };
                    let cell = (windows.image * height + row) * width + column + from - pad;
                    std::ptr::write_bytes(out, 0, from * channels);
                    copy(windows.x.at(cell), out.add(from * channels), (to - from) * channels);
                    std::ptr::write_bytes(out.add(to * channels), 0, (k - to) * channels);
                }
            }
        }
    }
}

/// Copies `len` numbers.
///
/// # Safety
/// Both are valid for them and do not overlap.
#[inline(always)]
unsafe fn copy(from: *const f32, to: *mut f32, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if len == 9 {
            // The stem's: three cells of three channels, moved in registers instead of by a call.
            *to.cast::<[f32; 9]>() = *from.cast();
        } else {
            std::ptr::copy_nonoverlapping(from, to, len);
        }
    }
}

/// Adds each row of `from` to the cells of its window.
///
/// # Safety
/// As [`gather`]; nobody else writes to the image.
pub(crate) unsafe fn scatter(windows: &Windows, from: *const f32) {
    let (len, channels) = (windows.len(), windows.x.channels);
    windows.each(|window, tap, cell| {
        let Some(cell) = cell else { return };
        // SAFETY: the caller's promise; `cell` is a cell of the map.
        let (to, from) = unsafe {
            (
                std::slice::from_raw_parts_mut(windows.x.at(cell), channels),
                std::slice::from_raw_parts(from.add(window * len + tap * channels), channels),
            )
        };
        to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
    });
}
