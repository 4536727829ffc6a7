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
    fn run<S: Simd>(self, s: S) {
        for range in self.ranges {
            // SAFETY: the channels are in the range, which all pixels have.
            unsafe {
                for done in (0..range.len / VECTOR * VECTOR).step_by(VECTOR) {
                    self.vector(s, range.source + done, range.destination + done);
                }
                for done in range.len / VECTOR * VECTOR..range.len {
                    self.channel(range.source + done, range.destination + done);
                }
            }
        }
    }
}

/// Channels of a vector.
const VECTOR: usize = 16;

impl PoolRow<'_> {
    /// Pools [`VECTOR`] channels. Explicit vectors: whether the compiler vectorises a loop over bytes depends on the program.
    ///
    /// # Safety
    /// All pixels of rows and result have the channels.
    #[inline(always)]
    unsafe fn vector<S: Simd>(&self, s: S, source: usize, destination: usize) {
        // SAFETY: the columns are below the width, and each pixel has the channels.
        unsafe {
            let [top, middle, bottom] = self.rows.map(|row| row.add(source));
            let most = |column: usize| {
                let at = column * self.stride;
                let pair = s.max_bytes16(s.load_bytes16(top.add(at)), s.load_bytes16(middle.add(at)));
                s.max_bytes16(pair, s.load_bytes16(bottom.add(at)))
            };
            // The last column of a window is the first one of the next.
            let mut last = most(0);
            for x in 0..self.width.div_ceil(2) {
                let next = most((2 * x + 1).min(self.width - 1));
                let pixel = s.max_bytes16(s.max_bytes16(last, most(2 * x)), next);
                s.store_bytes16(pixel, self.out.add(x * self.out_stride + destination));
                last = next;
            }
        }
    }

    /// Pools one channel.
    ///
    /// # Safety
    /// All pixels of rows and result have the channel.
    unsafe fn channel(&self, source: usize, destination: usize) {
        // SAFETY: the columns are below the width, and each pixel has the channel.
        unsafe {
            let most = |column: usize| {
                let [top, middle, bottom] = self.rows.map(|row| *row.add(column * self.stride + source));
                top.max(middle).max(bottom)
            };
            for x in 0..self.width.div_ceil(2) {
                let pixel = most((2 * x).saturating_sub(1))
                    .max(most(2 * x))
                    .max(most((2 * x + 1).min(self.width - 1)));
                *self.out.add(x * self.out_stride + destination) = pixel;
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
