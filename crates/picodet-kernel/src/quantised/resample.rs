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
        // Bytes in a register of the widest set; the compiler vectorises the loops over them.
        const PART: usize = 64;
        for x in 0..self.width.div_ceil(2) {
            let columns = [(2 * x).saturating_sub(1), 2 * x, (2 * x + 1).min(self.width - 1)];
            for range in self.ranges {
                for done in (0..range.len).step_by(PART) {
                    let count = (range.len - done).min(PART);
                    let mut most = [0u8; PART];
                    for row in self.rows {
                        for column in columns {
                            // SAFETY: the column is in the row, and `count` channels of the range remain.
                            let from = unsafe {
                                let pixel = row.add(column * self.stride + range.source + done);
                                std::slice::from_raw_parts(pixel, count)
                            };
                            if let Ok(whole) = <&[u8; PART]>::try_from(from) {
                                most.iter_mut().zip(whole).for_each(|(most, &byte)| *most = byte.max(*most));
                            } else {
                                most.iter_mut().zip(from).for_each(|(most, &byte)| *most = byte.max(*most));
                            }
                        }
                    }
                    // SAFETY: the pixel is in the row of the result, and `count` channels of the range remain.
                    unsafe {
                        let to = self.out.add(x * self.out_stride + range.destination + done);
                        std::ptr::copy_nonoverlapping(most.as_ptr(), to, count);
                    }
                }
            }
        }
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
