//! Cubic resize of RGB images, the fast path of every image into the network.
//!
//! Value for value the result of `float`, but row by row: a source row is widened to floats and resized along its columns
//! once, and four such rows are blended to a target row while they are still in the first-level cache.

use picodet_simd::{Isa, dispatch};

use super::coefficients::{Axis, Coefficients, Kernel, coefficients};
use super::kernel::{BlendRows, Column, MARGIN, ResizeColumns};

/// Red, green, blue.
const CHANNELS: usize = 3;

/// Resizes `[height, width, 3]` bytes and passes each finished row, `[width, 3]`, to `finish` with its index.
///
/// `source` holds `from.0 · from.1 · 3` bytes; all sides are positive.
pub(crate) fn resize(
    source: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    mut finish: impl FnMut(usize, &[u8]),
) {
    let isa = Isa::best();
    let columns: Vec<Column> =
        coefficients(Kernel::Cubic, Axis::Columns, from.1, to.1).iter().map(column).collect();
    // Three channels are moved four at a time, so every row needs room for one more value.
    let mut widened = vec![0.0; (from.1 + 2 * MARGIN) * CHANNELS + 1];
    let width = to.1 * CHANNELS;
    let mut rows: [Vec<f32>; 4] = std::array::from_fn(|_| vec![0.0; width + 1]);
    let mut held = [usize::MAX; 4];
    let mut finished = vec![0; width];
    for (y, coefficients) in coefficients(Kernel::Cubic, Axis::Rows, from.0, to.0).iter().enumerate() {
        // The pixels of a target row are neighbours, so no two of them share a row buffer.
        for &pixel in &coefficients.pixels[..4] {
            if held[pixel % 4] != pixel {
                held[pixel % 4] = pixel;
                let row = &source[pixel * from.1 * CHANNELS..][..from.1 * CHANNELS];
                let (widened, target) = (&mut widened, &mut rows[pixel % 4]);
                dispatch(isa, ResizeColumns { source: row, columns: &columns, widened, target });
            }
        }
        let row = |i: usize| &rows[coefficients.pixels[i] % 4][..width];
        let weights = [0, 1, 2, 3].map(|i| coefficients.weights[i]);
        let rows = [row(0), row(1), row(2), row(3)];
        dispatch(isa, BlendRows { rows, weights, target: &mut finished });
        finish(y, &finished);
    }
}

/// Coefficients repeat the index of a border pixel; here the margins repeat its value, so that pixels are neighbours.
fn column(coefficients: &Coefficients) -> Column {
    Column {
        first: (coefficients.first + MARGIN as isize).max(0) as usize * CHANNELS,
        weights: [0, 1, 2, 3].map(|i| coefficients.weights[i]),
    }
}
