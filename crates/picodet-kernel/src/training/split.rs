//! How the work of a kernel is cut into tasks.
//!
//! Cuts depend on the sizes of maps only, so that sums, and with them all results, do not depend on the number of
//! threads.

/// Elements that a task should touch at least.
const TASK: usize = 16 * 1024;

/// Rows of a band of a map `width` pixels wide.
pub(super) fn band_rows(width: usize, channels: usize) -> usize {
    (TASK / (width * channels).max(1)).max(1)
}

/// Pixels of a block.
pub(super) fn block_pixels(channels: usize) -> usize {
    (TASK / channels.max(1)).clamp(32, 512)
}

/// Pixels that one task multiplies by a matrix.
pub(super) fn product_pixels(pixels: usize) -> usize {
    pixels.div_ceil(16).next_multiple_of(64).max(256)
}

/// Output rows of a convolution whose windows of `window_len` elements are gathered at once.
pub(super) fn window_rows(window_len: usize, width: usize) -> usize {
    (4 * TASK / (window_len * width).max(1)).max(1)
}

/// Partial sums of a sum over `pixels`.
pub(super) fn partial_sums(pixels: usize) -> usize {
    (pixels / 1024).clamp(1, 8)
}
