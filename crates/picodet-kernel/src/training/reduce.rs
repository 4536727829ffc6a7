//! Sums over pixels.
#![allow(unsafe_code)]

use picodet_simd::{Kernel, Simd, Vector, dispatch};

use super::map::{Map, MapMut};
use super::split::partial_sums;
use super::{Executor, Lanes, Scratch, for_each_vector};

/// For each image, `scale · Σ a` or `scale · Σ a · b` of each channel, into `out`, a map of one pixel per image.
///
/// # Panics
/// If the extents do not agree.
pub fn sum_images(executor: &Executor, a: Map<'_>, b: Option<Map<'_>>, scale: f32, out: MapMut<'_>) {
    assert_eq!((out.pixels(), out.channels()), (a.size()[0], a.channels()), "one pixel per image");
    assert!(
        b.is_none_or(|b| (b.size(), b.channels()) == (a.size(), a.channels())),
        "factors of another size"
    );
    executor.pool.for_each(out.blocks(1), |(image, mut out)| {
        let (a, b) = (a.image(image), b.map(|b| b.image(image)));
        dispatch(executor.isa, SumPixels { a, b, scale, out: out.pixel(0) });
    });
}

/// The gradient of a bias: the sum of each channel of `dy` over all pixels.
///
/// # Panics
/// If `out` has not one element per channel.
pub fn bias_gradient(executor: &Executor, dy: Map<'_>, scratch: &mut Scratch, out: &mut [f32]) {
    assert_eq!(out.len(), dy.channels(), "one sum per channel");
    let pixels = dy.pixels();
    let count = partial_sums(pixels);
    sum_partial(executor, count, scratch, out, |piece, out| {
        let (from, to) = (pixels * piece / count, pixels * (piece + 1) / count);
        let a = dy.part(from, [1, 1, to - from]);
        dispatch(executor.isa, SumPixels { a, b: None, scale: 1.0, out });
    });
}

/// Runs `task(piece, sum)` for `count` pieces that each write a sum as long as `out`, and adds the sums in order.
pub(super) fn sum_partial(
    executor: &Executor,
    count: usize,
    scratch: &mut Scratch,
    out: &mut [f32],
    task: impl Fn(usize, &mut [f32]) + Sync + Send,
) {
    let len = out.len();
    if len == 0 {
        return;
    }
    let others = scratch.lend((count - 1) * len);
    let pieces = std::iter::once(&mut *out).chain(others.chunks_exact_mut(len)).enumerate().collect();
    executor.pool.for_each(pieces, |(piece, sum)| task(piece, sum));
    for piece in others.chunks_exact(len) {
        out.iter_mut().zip(piece).for_each(|(out, value)| *out += value);
    }
}

/// The sum of each channel over the pixels of `a`; `b` has the same extents, `out` one element per channel.
struct SumPixels<'a, 'o> {
    a: Map<'a>,
    b: Option<Map<'a>>,
    scale: f32,
    out: &'o mut [f32],
}

impl Kernel for SumPixels<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { a, b, scale, out } = self;
        assert_eq!(out.len(), a.channels(), "one sum per channel");
        let (pixels, out) = (a.pixels(), out.as_mut_ptr());
        let whole = pixels / 4 * 4;
        for_each_vector!(S, a.channels(), |c, n| {
            // SAFETY: pixels are below those of `a`, which `b` shares; `c` and the lanes from it are channels.
            unsafe {
                let mut sums = [s.splat(0.0); 4];
                match b {
                    None => {
                        for pixel in (0..whole).step_by(4) {
                            for (i, sum) in sums.iter_mut().enumerate() {
                                *sum = *sum + n.load(s, a.at(pixel + i).add(c));
                            }
                        }
                        for pixel in whole..pixels {
                            sums[0] = sums[0] + n.load(s, a.at(pixel).add(c));
                        }
                    }
                    Some(b) => {
                        for pixel in (0..whole).step_by(4) {
                            for (i, sum) in sums.iter_mut().enumerate() {
                                let value = n.load(s, a.at(pixel + i).add(c));
                                *sum = value.mul_add(n.load(s, b.at(pixel + i).add(c)), *sum);
                            }
                        }
                        for pixel in whole..pixels {
                            let value = n.load(s, a.at(pixel).add(c));
                            sums[0] = value.mul_add(n.load(s, b.at(pixel).add(c)), sums[0]);
                        }
                    }
                }
                let sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
                n.store(sum * s.splat(scale), out.add(c));
            }
        });
    }
}
