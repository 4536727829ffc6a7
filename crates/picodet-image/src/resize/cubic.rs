//! Pictures of red, green and blue bytes by cubic: the way of every picture into the network, so it is quick.
//!
//! Value for value what `float` gives, but row by row: a source row is widened to floats and resized along its
//! columns once, four such rows make a target row while they are still in the first cache, and whoever wants the row
//! takes it from there.

use super::kernel::{Column, Isa, MARGIN};
use super::taps::{Axis, Kernel, Taps, taps};

/// Red, green, blue.
const CHANNELS: usize = 3;

/// Resizes `[height, width, 3]` bytes and hands each finished row, `[width, 3]`, to `finish` with its index.
///
/// `source` holds `from.0 · from.1 · 3` bytes; all sides are positive.
pub(crate) fn resize(
    source: &[u8],
    from: (usize, usize),
    to: (usize, usize),
    mut finish: impl FnMut(usize, &[u8]),
) {
    let isa = Isa::best();
    let columns: Vec<Column> = taps(Kernel::Cubic, Axis::Columns, from.1, to.1).iter().map(column).collect();
    // Three channels are moved four at a time, so that every row needs room for one value more.
    let mut widened = vec![0.0; (from.1 + 2 * MARGIN) * CHANNELS + 1];
    let width = to.1 * CHANNELS;
    let mut rows: [Vec<f32>; 4] = std::array::from_fn(|_| vec![0.0; width + 1]);
    let mut held = [usize::MAX; 4];
    let mut finished = vec![0; width];
    for (y, taps) in taps(Kernel::Cubic, Axis::Rows, from.0, to.0).iter().enumerate() {
        // The cells of a target row are neighbours, so no two of them want the same place.
        for &cell in &taps.cells[..4] {
            if held[cell % 4] != cell {
                held[cell % 4] = cell;
                let row = &source[cell * from.1 * CHANNELS..][..from.1 * CHANNELS];
                isa.columns(row, &columns, &mut widened, &mut rows[cell % 4]);
            }
        }
        let row = |tap: usize| &rows[taps.cells[tap] % 4][..width];
        let shares = [0, 1, 2, 3].map(|tap| taps.shares[tap]);
        isa.rows([row(0), row(1), row(2), row(3)], shares, &mut finished);
        finish(y, &finished);
    }
}

/// `taps` repeats the border by naming its cell again; here the margins repeat it, so that cells are neighbours.
fn column(taps: &Taps) -> Column {
    Column {
        first: (taps.first + MARGIN as isize).max(0) as usize * CHANNELS,
        shares: [0, 1, 2, 3].map(|tap| taps.shares[tap]),
    }
}
