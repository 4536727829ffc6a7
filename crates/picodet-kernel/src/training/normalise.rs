//! Batch norm with the activation after it, forward and backward.
//!
//! `z = scale · x + shift` with `scale = γ / σ` and `shift = β - scale · mean`; the gradient of `x` is
//! `scale · f'(z) · dy + p · x + q`, where `p` and `q` follow from the sums of [`gradient_sums`].
#![allow(unsafe_code)]

use picodet_graph::Activation;
use picodet_simd::{Kernel, Simd, Vector, dispatch};

use super::activation::{Function, with_function};
use super::map::{Map, MapMut};
use super::split::block_pixels;
use super::{Executor, Lanes, Scratch, for_each_vector};

/// A batch norm as a linear function of each channel, and the activation after it.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// `γ / σ` per channel.
    pub scale: &'a [f32],
    /// `β - scale · mean` per channel.
    pub shift: &'a [f32],
    /// The activation.
    pub activation: Option<Activation>,
}

impl BatchNorm<'_> {
    fn check(&self, channels: usize) {
        assert!(self.scale.len() == channels && self.shift.len() == channels, "one factor per channel");
    }
}

/// Runs `task(first pixel, pixels, partial sums)` for blocks of pixels; each writes two values per channel, which are
/// returned block after block.
fn partial_sums<'s>(
    executor: &Executor,
    x: &Map<'_>,
    scratch: &'s mut Scratch,
    task: impl Fn(usize, usize, [&mut [f32]; 2]) + Sync + Send,
) -> (usize, &'s [f32]) {
    let (pixels, channels) = (x.pixels(), x.channels());
    let block = block_pixels(channels);
    let sums = scratch.lend(2 * pixels.div_ceil(block) * channels);
    let blocks = sums.chunks_exact_mut(2 * channels).enumerate().collect();
    executor.pool.for_each(blocks, |(index, sums): (usize, &mut [f32])| {
        let first = index * block;
        task(first, block.min(pixels - first), sums.split_at_mut(channels).into());
    });
    (block, sums)
}

/// Mean and biased variance of each channel over all pixels, joined from blocks in f64.
///
/// # Panics
/// If the map is empty.
#[must_use]
pub fn moments(executor: &Executor, x: Map<'_>, scratch: &mut Scratch) -> [Vec<f64>; 2] {
    let (pixels, channels) = (x.pixels(), x.channels());
    assert!(pixels > 0 && channels > 0, "moments of an empty map");
    let (block, partial) = partial_sums(executor, &x, scratch, |first, count, [mean, squares]| {
        dispatch(executor.isa, Moments { x: x.part(first, [1, 1, count]), mean, squares });
    });
    let count = |index: usize| block.min(pixels - index * block) as f64;
    let mut moments = [vec![0.0f64; channels], vec![0.0f64; channels]];
    let [means, variances] = &mut moments;
    for c in 0..channels {
        let parts = || partial.chunks_exact(2 * channels).map(|part| f64::from(part[c])).enumerate();
        let mean = parts().map(|(index, mean)| mean * count(index)).sum::<f64>() / pixels as f64;
        let between = parts().map(|(index, part)| count(index) * (part - mean) * (part - mean)).sum::<f64>();
        let within =
            partial.chunks_exact(2 * channels).map(|part| f64::from(part[channels + c])).sum::<f64>();
        means[c] = mean;
        variances[c] = (between + within) / pixels as f64;
    }
    moments
}

/// Mean of each channel of a block, and the sum of squared deviations from it; slices of one element per channel.
struct Moments<'a, 'o> {
    x: Map<'a>,
    mean: &'o mut [f32],
    squares: &'o mut [f32],
}

impl Kernel for Moments<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, mean: means, squares } = self;
        assert!(means.len() == x.channels() && squares.len() == x.channels(), "one value per channel");
        let (pixels, means, squares) = (x.pixels(), means.as_mut_ptr(), squares.as_mut_ptr());
        let fraction = s.splat(1.0 / pixels as f32);
        let whole = pixels / 4 * 4;
        for_each_vector!(S, x.channels(), |c, n| {
            // SAFETY: pixels are below those of `x`; `c` and the lanes from it are channels.
            unsafe {
                let mut sums = [s.splat(0.0); 4];
                let mut pixel = 0;
                while pixel < whole {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = *sum + n.load(s, x.at(pixel + i).add(c));
                    }
                    pixel += 4;
                }
                while pixel < pixels {
                    sums[0] = sums[0] + n.load(s, x.at(pixel).add(c));
                    pixel += 1;
                }
                let mean = ((sums[0] + sums[1]) + (sums[2] + sums[3])) * fraction;
                n.store(mean, means.add(c));
                let mut sums = [s.splat(0.0); 4];
                pixel = 0;
                while pixel < whole {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let deviation = n.load(s, x.at(pixel + i).add(c)) - mean;
                        *sum = deviation.mul_add(deviation, *sum);
                    }
                    pixel += 4;
                }
                while pixel < pixels {
                    let deviation = n.load(s, x.at(pixel).add(c)) - mean;
                    sums[0] = deviation.mul_add(deviation, sums[0]);
                    pixel += 1;
                }
                n.store((sums[0] + sums[1]) + (sums[2] + sums[3]), squares.add(c));
            }
        });
    }
}

/// `out = f(scale · x + shift)`.
///
/// # Panics
/// If the extents do not agree.
pub fn apply(executor: &Executor, x: Map<'_>, norm: &BatchNorm<'_>, out: MapMut<'_>) {
    norm.check(x.channels());
    assert_eq!((x.pixels(), x.channels()), (out.pixels(), out.channels()), "result of another size");
    let block = block_pixels(x.channels());
    executor.pool.for_each(out.blocks(block), |(first, out)| {
        dispatch(executor.isa, Apply { x: x.part(first, [1, 1, out.pixels()]), norm, out });
    });
}

/// [`apply`] on a block: `x` has the extents of `out`, `norm` its channels.
struct Apply<'a, 'o> {
    x: Map<'a>,
    norm: &'a BatchNorm<'a>,
    out: MapMut<'o>,
}

impl Kernel for Apply<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        with_function!(self.norm.activation, |f| self.run_with(s, f));
    }
}

impl Apply<'_, '_> {
    #[inline(always)]
    fn run_with<S: Simd>(&self, s: S, f: impl Function) {
        let (scale, shift) = (self.norm.scale.as_ptr(), self.norm.shift.as_ptr());
        for pixel in 0..self.out.pixels() {
            let (x, out) = (self.x.at(pixel), self.out.at(pixel));
            for_each_vector!(S, self.out.channels(), |c, n| {
                // SAFETY: the pixel is one of `x` and `out`; `c` and the lanes from it are channels.
                unsafe {
                    let z = n.load(s, x.add(c)).mul_add(n.load(s, scale.add(c)), n.load(s, shift.add(c)));
                    n.store(f.value(z), out.add(c));
                }
            });
        }
    }
}

/// The sums of `dz` and of `dz · (x - mean)` of each channel over all pixels, where `dz = f'(scale · x + shift) · dy`.
///
/// # Panics
/// If the extents do not agree.
#[must_use]
pub fn gradient_sums(
    executor: &Executor,
    x: Map<'_>,
    dy: Map<'_>,
    norm: &BatchNorm<'_>,
    mean: &[f32],
    scratch: &mut Scratch,
) -> [Vec<f64>; 2] {
    let channels = x.channels();
    norm.check(channels);
    assert_eq!(mean.len(), channels, "one mean per channel");
    assert_eq!((x.pixels(), channels), (dy.pixels(), dy.channels()), "gradient of another size");
    let (_, partial) = partial_sums(executor, &x, scratch, |first, count, [sum, product]| {
        let (x, dy) = (x.part(first, [1, 1, count]), dy.part(first, [1, 1, count]));
        dispatch(executor.isa, Sums { x, dy, norm, mean, sum, product });
    });
    let total =
        |column: usize| partial.chunks_exact(2 * channels).map(|part| f64::from(part[column])).sum::<f64>();
    [(0..channels).map(total).collect(), (channels..2 * channels).map(total).collect()]
}

/// [`gradient_sums`] of a block: `dy` has the extents of `x`, everything else one element per channel.
struct Sums<'a, 'o> {
    x: Map<'a>,
    dy: Map<'a>,
    norm: &'a BatchNorm<'a>,
    mean: &'a [f32],
    sum: &'o mut [f32],
    product: &'o mut [f32],
}

impl Kernel for Sums<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        with_function!(self.norm.activation, |f| self.run_with(s, f));
    }
}

impl Sums<'_, '_> {
    #[inline(always)]
    fn run_with<S: Simd>(&mut self, s: S, f: impl Function) {
        let (x, dy, pixels) = (self.x, self.dy, self.x.pixels());
        assert!(self.sum.len() == x.channels() && self.product.len() == x.channels(), "one sum per channel");
        let (scale, shift, mean) = (self.norm.scale.as_ptr(), self.norm.shift.as_ptr(), self.mean.as_ptr());
        let (sums, products) = (self.sum.as_mut_ptr(), self.product.as_mut_ptr());
        for_each_vector!(S, x.channels(), |c, n| {
            // SAFETY: pixels are below those of `x` and `dy`; `c` and the lanes from it are channels.
            unsafe {
                let (scale, shift) = (n.load(s, scale.add(c)), n.load(s, shift.add(c)));
                let mean = n.load(s, mean.add(c));
                let mut sum = [s.splat(0.0); 2];
                let mut product = [s.splat(0.0); 2];
                let mut pixel = 0;
                while pixel + 2 <= pixels {
                    for i in 0..2 {
                        let x = n.load(s, x.at(pixel + i).add(c));
                        let dz = f.slope(x.mul_add(scale, shift)) * n.load(s, dy.at(pixel + i).add(c));
                        sum[i] = sum[i] + dz;
                        product[i] = dz.mul_add(x - mean, product[i]);
                    }
                    pixel += 2;
                }
                if pixel < pixels {
                    let x = n.load(s, x.at(pixel).add(c));
                    let dz = f.slope(x.mul_add(scale, shift)) * n.load(s, dy.at(pixel).add(c));
                    sum[0] = sum[0] + dz;
                    product[0] = dz.mul_add(x - mean, product[0]);
                }
                n.store(sum[0] + sum[1], sums.add(c));
                n.store(product[0] + product[1], products.add(c));
            }
        });
    }
}

/// `dx = scale · f'(scale · x + shift) · dy + p · x + q`, added to `dx` if `accumulate`. Without `dy`, `dx` holds it and
/// is overwritten.
///
/// # Panics
/// If the extents do not agree.
pub fn input_gradient(
    executor: &Executor,
    x: Map<'_>,
    dy: Option<Map<'_>>,
    norm: &BatchNorm<'_>,
    [p, q]: [&[f32]; 2],
    dx: MapMut<'_>,
    accumulate: bool,
) {
    norm.check(x.channels());
    assert!(p.len() == x.channels() && q.len() == x.channels(), "one coefficient per channel");
    let extents = (dx.pixels(), dx.channels());
    assert_eq!((x.pixels(), x.channels()), extents, "gradient of another size");
    assert!(dy.is_none_or(|dy| (dy.pixels(), dy.channels()) == extents), "gradient of another size");
    let accumulate = accumulate && dy.is_some();
    let block = block_pixels(x.channels());
    executor.pool.for_each(dx.blocks(block), |(first, dx)| {
        let size = [1, 1, dx.pixels()];
        let (x, dy) = (x.part(first, size), dy.map(|dy| dy.part(first, size)));
        dispatch(executor.isa, InputGradient { x, dy, norm, p, q, dx, accumulate });
    });
}

/// [`input_gradient`] of a block: maps have the extents of `dx`, slices one element per channel.
struct InputGradient<'a, 'o> {
    x: Map<'a>,
    dy: Option<Map<'a>>,
    norm: &'a BatchNorm<'a>,
    p: &'a [f32],
    q: &'a [f32],
    dx: MapMut<'o>,
    accumulate: bool,
}

impl Kernel for InputGradient<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        with_function!(self.norm.activation, |f| self.run_with(s, f));
    }
}

impl InputGradient<'_, '_> {
    #[inline(always)]
    fn run_with<S: Simd>(&self, s: S, f: impl Function) {
        let (scale, shift) = (self.norm.scale.as_ptr(), self.norm.shift.as_ptr());
        let (p, q) = (self.p.as_ptr(), self.q.as_ptr());
        let (dy, dy_stride) = match self.dy {
            Some(dy) => (dy.at(0), dy.stride()),
            None => (self.dx.at(0).cast_const(), self.dx.stride()),
        };
        for pixel in 0..self.dx.pixels() {
            let (x, dx) = (self.x.at(pixel), self.dx.at(pixel));
            let dy = dy.wrapping_add(pixel * dy_stride);
            for_each_vector!(S, self.dx.channels(), |c, n| {
                // SAFETY: the pixel is one of all maps; `c` and the lanes from it are channels.
                unsafe {
                    let (scale, shift) = (n.load(s, scale.add(c)), n.load(s, shift.add(c)));
                    let (p, q) = (n.load(s, p.add(c)), n.load(s, q.add(c)));
                    let x = n.load(s, x.add(c));
                    let slope = f.slope(x.mul_add(scale, shift)) * scale;
                    let mut value = slope.mul_add(n.load(s, dy.add(c)), x.mul_add(p, q));
                    if self.accumulate {
                        value = value + n.load(s, dx.add(c));
                    }
                    n.store(value, dx.add(c));
                }
            });
        }
    }
}
