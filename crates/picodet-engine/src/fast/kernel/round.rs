//! Numbers of 32 bits to such of 16 (bf16), for kernels that make the former only.
#![allow(unsafe_code)]

use super::dispatch_pairs;
use super::lanes::pairs::Pairs;

/// What [`round`] rounds.
pub(crate) struct Round {
    /// The first cell.
    pub(crate) source: *const f32,
    /// Numbers from one source cell to the next.
    pub(crate) source_stride: usize,
    /// Number of cells.
    pub(crate) cells: usize,
    /// Numbers of a cell.
    pub(crate) columns: usize,
    /// The first cell of the result.
    pub(crate) out: *mut u16,
    /// Numbers from one result cell to the next.
    pub(crate) out_stride: usize,
}

dispatch_pairs!(
    /// Rounds to the nearest.
    round, round_lanes, Round
);

/// # Safety
/// As [`round`].
#[inline(always)]
unsafe fn round_lanes<V: Pairs>(args: &Round) {
    for cell in 0..args.cells {
        for done in (0..args.columns).step_by(V::LEN) {
            let count = (args.columns - done).min(V::LEN);
            // SAFETY: the caller's promise.
            unsafe {
                let from = args.source.add(cell * args.source_stride + done);
                let to = args.out.add(cell * args.out_stride + done);
                if count == V::LEN {
                    V::load(from).store_bf16(to);
                } else {
                    V::load_part(from, count).store_rounded(to, count);
                }
            }
        }
    }
}
