//! Rounding of maps to bytes in training, after an activation: values of the quantised network, and gradients that pass the
//! rounding unchanged.
//!
//! `out = (clamp(round(f(x) / s + z), 0, 255) - z) · s` with a scale `s` and a zero point `z` per channel. With `a = f(x)`,
//! the gradient by `a` is that of `out` where the byte is not clamped and 0 elsewhere; the gradient by `log s` is
//! `(out - a) · dy` where it is not clamped and `out · dy` elsewhere (LSQ).
#![allow(unsafe_code)]

use picodet_graph::Activation;
use picodet_simd::{IntVector, Kernel, Simd, Vector, dispatch};

use super::activation::{Function, with_function};
use super::map::{Map, MapMut};
use super::reduce::sum_partial;
use super::split::{block_pixels, partial_sums};
use super::{Executor, Lanes, Scratch, for_each_vector};

/// Largest byte.
const LARGEST: f32 = 255.0;

/// Scales and zero points of a map, and the activation before the rounding.
#[derive(Clone, Copy, Debug)]
pub struct FakeQuantise<'a> {
    /// Scale of each channel; positive.
    pub scale: &'a [f32],
    /// `1 / scale` of each channel.
    pub inverse: &'a [f32],
    /// Zero point of each channel, an integer from 0 to 255.
    pub zero: &'a [f32],
    /// The activation.
    pub activation: Option<Activation>,
}

impl FakeQuantise<'_> {
    fn check(&self, channels: usize) {
        let lengths = [self.scale, self.inverse, self.zero].map(<[f32]>::len);
        assert_eq!(lengths, [channels; 3], "one scale and zero point per channel");
    }
}

/// The activated values rounded to bytes and back.
///
/// # Panics
/// If the extents do not agree.
pub fn forward(executor: &Executor, x: Map<'_>, quantise: &FakeQuantise<'_>, out: MapMut<'_>) {
    quantise.check(x.channels());
    assert_eq!((x.pixels(), x.channels()), (out.pixels(), out.channels()), "result of another size");
    let block = block_pixels(x.channels());
    executor.pool.for_each(out.blocks(block), |(first, out)| {
        dispatch(executor.isa, Forward { x: x.part(first, [1, 1, out.pixels()]), quantise, out });
    });
}

/// The gradient of the input, added to `dx` if `accumulate`.
///
/// # Panics
/// If the extents do not agree.
pub fn input_gradient(
    executor: &Executor,
    x: Map<'_>,
    dy: Map<'_>,
    quantise: &FakeQuantise<'_>,
    dx: MapMut<'_>,
    accumulate: bool,
) {
    quantise.check(x.channels());
    let extents = (dx.pixels(), dx.channels());
    assert_eq!((x.pixels(), x.channels()), extents, "gradient of another size");
    assert_eq!((dy.pixels(), dy.channels()), extents, "gradient of another size");
    let block = block_pixels(x.channels());
    executor.pool.for_each(dx.blocks(block), |(first, dx)| {
        let size = [1, 1, dx.pixels()];
        let (x, dy) = (x.part(first, size), dy.part(first, size));
        dispatch(executor.isa, InputGradient { x, dy, quantise, dx, accumulate });
    });
}

/// The gradient of the logarithm of each scale.
///
/// # Panics
/// If the extents do not agree.
pub fn scale_gradient(
    executor: &Executor,
    x: Map<'_>,
    dy: Map<'_>,
    quantise: &FakeQuantise<'_>,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    quantise.check(x.channels());
    assert_eq!((x.pixels(), x.channels()), (dy.pixels(), dy.channels()), "gradient of another size");
    assert_eq!(out.len(), x.channels(), "one sum per channel");
    let pixels = x.pixels();
    let count = partial_sums(pixels);
    sum_partial(executor, count, scratch, out, |piece, out| {
        let (from, to) = (pixels * piece / count, pixels * (piece + 1) / count);
        let (x, dy) = (x.part(from, [1, 1, to - from]), dy.part(from, [1, 1, to - from]));
        dispatch(executor.isa, ScaleGradient { x, dy, quantise, out });
    });
}

/// The scale, its inverse and the zero point of some channels.
#[derive(Clone, Copy)]
struct Channels<V> {
    scale: V,
    inverse: V,
    zero: V,
}

impl<V: Vector> Channels<V> {
    /// # Safety
    /// `c` and the lanes from it are channels of the checked `quantise`.
    #[inline(always)]
    unsafe fn load<S: Simd<F32 = V>, N: Lanes>(s: S, quantise: &FakeQuantise<'_>, c: usize, n: N) -> Self {
        let load = |values: &[f32]| {
            // SAFETY: there is a value for each channel, by the contract of this function.
            unsafe { n.load(s, values.as_ptr().add(c)) }
        };
        Self { scale: load(quantise.scale), inverse: load(quantise.inverse), zero: load(quantise.zero) }
    }

    /// The byte before it is clamped, rounded, and the byte, both less the zero point.
    #[inline(always)]
    fn bytes(&self, a: V) -> [V; 2] {
        // Values far outside are clamped before they are rounded, since large ones have no integer.
        let limit = a.splat(1e6);
        let y = a.mul_add(self.inverse, self.zero).max(a.splat(-1e6)).min(limit).round().to_f32();
        let byte = y.max(a.splat(0.0)).min(a.splat(LARGEST));
        [y - self.zero, byte - self.zero]
    }
}

/// [`forward`] of a block: `x` has the extents of `out`.
struct Forward<'a, 'o> {
    x: Map<'a>,
    quantise: &'a FakeQuantise<'a>,
    out: MapMut<'o>,
}

impl Kernel for Forward<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        with_function!(self.quantise.activation, |f| self.run_with(s, f));
    }
}

impl Forward<'_, '_> {
    #[inline(always)]
    fn run_with<S: Simd>(&self, s: S, f: impl Function) {
        for pixel in 0..self.out.pixels() {
            let (x, out) = (self.x.at(pixel), self.out.at(pixel));
            for_each_vector!(S, self.out.channels(), |c, n| {
                // SAFETY: the pixel is one of `x` and `out`; `c` and the lanes from it are channels.
                unsafe {
                    let channels = Channels::load(s, self.quantise, c, n);
                    let [_, byte] = channels.bytes(f.value(n.load(s, x.add(c))));
                    n.store(byte * channels.scale, out.add(c));
                }
            });
        }
    }
}

/// [`input_gradient`] of a block: maps have the extents of `dx`.
struct InputGradient<'a, 'o> {
    x: Map<'a>,
    dy: Map<'a>,
    quantise: &'a FakeQuantise<'a>,
    dx: MapMut<'o>,
    accumulate: bool,
}

impl Kernel for InputGradient<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        with_function!(self.quantise.activation, |f| self.run_with(s, f));
    }
}

impl InputGradient<'_, '_> {
    #[inline(always)]
    fn run_with<S: Simd>(&self, s: S, f: impl Function) {
        for pixel in 0..self.dx.pixels() {
            let (x, dy, dx) = (self.x.at(pixel), self.dy.at(pixel), self.dx.at(pixel));
            for_each_vector!(S, self.dx.channels(), |c, n| {
                // SAFETY: the pixel is one of all maps; `c` and the lanes from it are channels.
                unsafe {
                    let channels = Channels::load(s, self.quantise, c, n);
                    let x = n.load(s, x.add(c));
                    let [y, byte] = channels.bytes(f.value(x));
                    let slope = f.slope(x) * n.load(s, dy.add(c));
                    let zero = s.splat(0.0);
                    // The two are equal where the byte is not clamped.
                    let below = byte.select_greater(y, zero, slope);
                    let mut value = y.select_greater(byte, zero, below);
                    if self.accumulate {
                        value = value + n.load(s, dx.add(c));
                    }
                    n.store(value, dx.add(c));
                }
            });
        }
    }
}

/// [`scale_gradient`] of some pixels: `dy` has the extents of `x`, `out` one element per channel.
struct ScaleGradient<'a, 'o> {
    x: Map<'a>,
    dy: Map<'a>,
    quantise: &'a FakeQuantise<'a>,
    out: &'o mut [f32],
}

impl Kernel for ScaleGradient<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        with_function!(self.quantise.activation, |f| self.run_with(s, f));
    }
}

impl ScaleGradient<'_, '_> {
    #[inline(always)]
    fn run_with<S: Simd>(&mut self, s: S, f: impl Function) {
        assert_eq!(self.out.len(), self.x.channels(), "one sum per channel");
        let (pixels, out) = (self.x.pixels(), self.out.as_mut_ptr());
        for_each_vector!(S, self.x.channels(), |c, n| {
            // SAFETY: pixels are below those of `x` and `dy`; `c` and the lanes from it are channels.
            unsafe {
                let channels = Channels::load(s, self.quantise, c, n);
                let mut sum = s.splat(0.0);
                for pixel in 0..pixels {
                    let a = f.value(n.load(s, self.x.at(pixel).add(c)));
                    let [y, byte] = channels.bytes(a);
                    let rounded = byte * channels.scale;
                    let below = byte.select_greater(y, rounded, rounded - a);
                    let slope = y.select_greater(byte, rounded, below);
                    sum = slope.mul_add(n.load(s, self.dy.at(pixel).add(c)), sum);
                }
                n.store(sum, out.add(c));
            }
        });
    }
}
