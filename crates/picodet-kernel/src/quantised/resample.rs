//! Max pools and nearest upsampling of bytes, which keep the scale of every channel.

use picodet_simd::{Isa, Kernel, Simd, dispatch};

use crate::map::ChannelRange;

/// Arguments of [`pool_row`]: one row of a max pool of 3×3 windows at stride 2.
#[derive(Clone, Copy, Debug)]
pub struct PoolRow<'a> {
    /// The rows of the window; a row outside of the map is replaced by a neighbour.
    pub rows: [*const u8; 3],
    /// Pixels of a row.
    pub width: usize,
    /// Bytes from one pixel to the next.
    pub stride: usize,
    /// First pixel of the row of the result, of `width / 2` rounded up.
    pub out: *mut u8,
    /// Bytes from one result pixel to the next.
    pub out_stride: usize,
    /// The channels.
    pub ranges: &'a [ChannelRange],
}

/// Computes a row of a max pool.
///
/// # Safety
/// * `rows` are valid for reads, and `out` for writes, of the ranges in the pixels of a row,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn pool_row(isa: Isa, args: &PoolRow<'_>) {
    dispatch(isa, args);
}

impl Kernel for &PoolRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for x in 0..self.width.div_ceil(2) {
            let columns = [(2 * x).saturating_sub(1), 2 * x, (2 * x + 1).min(self.width - 1)];
            for range in self.ranges {
                let mut done = 0;
                // SAFETY: the columns are in the rows, the pixel is in the row of the result, and `PART` channels of
                // the range remain.
                unsafe {
                    while range.len - done >= 32 {
                        self.most::<32>(columns, x, (range.source + done, range.destination + done));
                        done += 32;
                    }
                    while range.len - done >= 16 {
                        self.most::<16>(columns, x, (range.source + done, range.destination + done));
                        done += 16;
                    }
                    while range.len - done >= 8 {
                        self.most::<8>(columns, x, (range.source + done, range.destination + done));
                        done += 8;
                    }
                    while done < range.len {
                        self.most::<1>(columns, x, (range.source + done, range.destination + done));
                        done += 1;
                    }
                }
            }
        }
    }
}

impl PoolRow<'_> {
    /// Stores the maxima of `PART` channels of a window's columns at pixel `x`; the compiler vectorises the loop over them.
    ///
    /// # Safety
    /// The columns and channels exist in the rows and in the result.
    #[inline(always)]
    unsafe fn most<const PART: usize>(
        &self,
        columns: [usize; 3],
        x: usize,
        (source, destination): (usize, usize),
    ) {
        let mut most = [0u8; PART];
        for row in self.rows {
            for column in columns {
                // SAFETY: the pixel has these channels.
                let pixel: [u8; PART] =
                    unsafe { row.add(column * self.stride + source).cast::<[u8; PART]>().read() };
                for i in 0..PART {
                    most[i] = most[i].max(pixel[i]);
                }
            }
        }
        // SAFETY: the pixel of the result has these channels.
        unsafe { self.out.add(x * self.out_stride + destination).cast::<[u8; PART]>().write(most) }
    }
}

/// Copies the ranges of each of `width / 2` rounded up pixels to the two above which it is.
///
/// # Safety
/// * `row` is valid for reads of the ranges in `width / 2` rounded up pixels of `stride` bytes, `out` for writes in
///   `width` pixels of `out_stride` bytes,
/// * no other thread writes what is read or accesses what is written.
pub unsafe fn upsample_row(
    (row, stride): (*const u8, usize),
    (out, out_stride): (*mut u8, usize),
    width: usize,
    ranges: &[ChannelRange],
) {
    for x in 0..width {
        for range in ranges {
            // SAFETY: the pixels exist, and the ranges are inside of them.
            unsafe {
                let from = row.add(x / 2 * stride + range.source);
                std::ptr::copy_nonoverlapping(from, out.add(x * out_stride + range.destination), range.len);
            }
        }
    }
}
