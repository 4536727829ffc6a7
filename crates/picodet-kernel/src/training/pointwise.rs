//! Pointwise convolutions and linear layers: every pixel times a matrix, forward and backward.

use super::elementwise::{Elementwise, elementwise};
use super::map::{Map, MapMut};
use super::matrix::{Left, multiply};
use super::reduce::sum_partial;
use super::split::{partial_sums, product_pixels};
use super::{Executor, Scratch};

/// `out = x · weights + bias` for every pixel, with `weights` `[inputs][outputs]`.
///
/// # Panics
/// If the extents do not agree.
pub fn forward(executor: &Executor, x: Map<'_>, weights: &[f32], bias: Option<&[f32]>, mut out: MapMut<'_>) {
    if let Some(bias) = bias {
        elementwise(executor, &Elementwise::Broadcast(bias.into()), out.reborrow(), false);
    }
    product(executor, x, weights, out, bias.is_some());
}

/// `out = x · weights` for every pixel, added to `out` if `accumulate`; with `weights` `[outputs][inputs]` of the layer
/// this is the gradient of its input from that of its result, `x`.
///
/// # Panics
/// If the extents do not agree.
pub fn product(executor: &Executor, x: Map<'_>, weights: &[f32], out: MapMut<'_>, accumulate: bool) {
    assert_eq!(x.pixels(), out.pixels(), "maps of another size");
    let right = Map::new(weights, out.channels(), [1, 1, x.channels()]);
    let block = product_pixels(x.pixels());
    executor.pool.for_each(out.blocks(block), |(first, out)| {
        let left = Left::Rows(x.part(first, [1, 1, out.pixels()]));
        multiply(executor.isa, left, right, out, accumulate);
    });
}

/// `out = Σ lhs ᵀ · rhs` over all pixels: the gradient of weights `[lhs channels][rhs channels]`.
///
/// # Panics
/// If the extents do not agree.
pub fn weight_gradient(
    executor: &Executor,
    lhs: Map<'_>,
    rhs: Map<'_>,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let pixels = lhs.pixels();
    assert_eq!(pixels, rhs.pixels(), "maps of another size");
    let count = partial_sums(pixels);
    sum_partial(executor, count, scratch, out, |piece, out| {
        let (from, to) = (pixels * piece / count, pixels * (piece + 1) / count);
        let [lhs, rhs] = [lhs, rhs].map(|map| map.part(from, [1, 1, to - from]));
        let out = MapMut::new(out, rhs.channels(), [1, 1, lhs.channels()]);
        multiply(executor.isa, Left::Transposed(lhs), rhs, out, false);
    });
}
