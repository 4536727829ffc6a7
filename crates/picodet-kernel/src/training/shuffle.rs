//! Channel shuffle of two groups.

use super::Executor;
use super::map::{Map, MapMut};
use super::split::block_pixels;

/// `out[2i] = even[i]`, `out[2i + 1] = odd[i]`.
///
/// # Panics
/// If the extents do not agree.
pub fn interleave(executor: &Executor, even: Map<'_>, odd: Map<'_>, out: MapMut<'_>) {
    assert_eq!((even.pixels(), odd.pixels()), (out.pixels(), out.pixels()), "halves of another size");
    assert!(
        even.channels() == odd.channels() && 2 * even.channels() == out.channels(),
        "channels of the halves"
    );
    let block = block_pixels(out.channels());
    executor.pool.for_each(out.blocks(block), |(first, mut out)| {
        for pixel in 0..out.pixels() {
            let halves = even.pixel(first + pixel).iter().zip(odd.pixel(first + pixel));
            for (out, (even, odd)) in out.pixel(pixel).as_chunks_mut::<2>().0.iter_mut().zip(halves) {
                *out = [*even, *odd];
            }
        }
    });
}

/// `out[i] = from[2i + parity]` for a `parity` of 0 or 1, added to `out` if `accumulate`.
///
/// # Panics
/// If the extents do not agree.
pub fn deinterleave(executor: &Executor, from: Map<'_>, parity: usize, out: MapMut<'_>, accumulate: bool) {
    assert_eq!(from.pixels(), out.pixels(), "half of another size");
    assert!(parity < 2 && 2 * out.channels() == from.channels(), "channels of the half");
    let block = block_pixels(from.channels());
    executor.pool.for_each(out.blocks(block), |(first, mut out)| {
        for pixel in 0..out.pixels() {
            let pairs = from.pixel(first + pixel).as_chunks::<2>().0;
            let values = out.pixel(pixel).iter_mut().zip(pairs);
            if accumulate {
                values.for_each(|(out, pair)| *out += pair[parity]);
            } else {
                values.for_each(|(out, pair)| *out = pair[parity]);
            }
        }
    });
}
