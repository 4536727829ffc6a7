//! The forward pass of each kind of step.

use picodet_graph::{Activation, BATCH_NORM_EPSILON};
use picodet_kernel::training::normalise::{self, BatchNorm};
use picodet_kernel::training::resample::{self, Interpolation};
use picodet_kernel::training::{
    Arena, Elementwise, Factors, Map, Scratch, dense, depthwise, elementwise, fake_quantise, for_each_pixel,
    interleave, pointwise, sum_images,
};

use crate::context::{Context, uniform};
use crate::parameters::Parameters;
use crate::program::{Kind, Step};
use crate::shard::whole_moments;

/// The statistics of a batch norm, per channel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics {
    /// Pixels of the whole batch.
    pub(crate) pixels: f64,
    pub(crate) mean: Vec<f32>,
    /// Biased.
    pub(crate) variance: Vec<f32>,
    /// `1 / sqrt(variance + epsilon)`.
    pub(crate) inverse: Vec<f32>,
    /// `gamma · inverse`.
    pub(crate) scale: Vec<f32>,
    /// `beta - scale · mean`.
    pub(crate) shift: Vec<f32>,
}

impl Statistics {
    /// The batch norm with these statistics, and the activation after it.
    pub(crate) fn norm(&self, activation: Option<Activation>) -> BatchNorm<'_> {
        BatchNorm { scale: &self.scale, shift: &self.shift, activation }
    }

    /// Measures `x`; every tape of a group gets the statistics of the whole batch.
    fn measure(&mut self, ctx: &Context<'_>, x: Map<'_>, gamma: &[f32], beta: &[f32], scratch: &mut Scratch) {
        let [mut means, mut variances] = normalise::moments(ctx.executor, x, scratch);
        self.pixels = match ctx.shard {
            Some(shard) => whole_moments(shard, x.pixels(), &mut means, &mut variances),
            None => x.pixels() as f64,
        };
        for list in [&mut self.mean, &mut self.variance, &mut self.inverse, &mut self.scale, &mut self.shift]
        {
            list.resize(x.channels(), 0.0);
        }
        for c in 0..x.channels() {
            let (mean, variance) = (means[c], variances[c]);
            let inverse = 1.0 / (variance + BATCH_NORM_EPSILON).sqrt();
            let scale = f64::from(gamma[c]) * inverse;
            self.mean[c] = mean as f32;
            self.variance[c] = variance as f32;
            self.inverse[c] = inverse as f32;
            self.scale[c] = scale as f32;
            self.shift[c] = (f64::from(beta[c]) - scale * mean) as f32;
        }
    }
}

/// Runs one step.
pub(crate) fn run(
    ctx: &Context<'_>,
    arena: &mut Arena,
    index: usize,
    step: &Step,
    parameters: &Parameters,
    statistics: &mut Statistics,
    scratch: &mut Scratch,
) {
    let executor = ctx.executor;
    let input = |number: usize| ctx.value(step.inputs[number]);
    let output = ctx.value(step.output);
    match step.kind {
        Kind::Import => {}
        Kind::Pointwise | Kind::Linear | Kind::Depthwise(_) | Kind::Dense(_) => {
            convolve(ctx, arena, step, parameters);
        }
        Kind::Norm(activation) => {
            let ([x], [out]) = arena.claim([input(0)], [output]);
            let [gamma, beta] = [0, 1].map(|number| parameters.value(step.params[number]));
            statistics.measure(ctx, x, gamma, beta, scratch);
            normalise::apply(executor, x, &statistics.norm(activation), out);
        }
        Kind::Activate(_) | Kind::Copy => {
            let ([x], [out]) = arena.claim([input(0)], [output]);
            let operation = match step.kind {
                Kind::Activate(activation) => Elementwise::Activate(activation, x),
                _ => Elementwise::Copy(x),
            };
            elementwise(executor, &operation, out, false);
        }
        Kind::Quantise(activation) => {
            let ([x], [out]) = arena.claim([input(0)], [output]);
            fake_quantise::forward(executor, x, &parameters.rounding(step.node).quantise(activation), out);
        }
        Kind::Add | Kind::Scale => {
            let ([a, b], [out]) = arena.claim([input(0), input(1)], [output]);
            let operation = match step.kind {
                Kind::Add => Elementwise::Add(a, b),
                _ => Elementwise::Scale(a, Factors::PerImage(b)),
            };
            elementwise(executor, &operation, out, false);
        }
        Kind::GlobalAveragePool => {
            let ([x], [out]) = arena.claim([input(0)], [output]);
            sum_images(executor, x, None, 1.0 / x.plane() as f32, out);
        }
        Kind::Interleave => {
            let ([even, odd], [out]) = arena.claim([input(0), input(1)], [output]);
            interleave(executor, even, odd, out);
        }
        Kind::MaxPool if step.differentiates() => {
            let saved = ctx.argmax(index, step);
            let ([x], [out, saved]) = arena.claim([input(0)], [output, saved]);
            resample::max_pool(executor, x, out, Some(saved.into_bytes()));
        }
        Kind::MaxPool | Kind::Upsample | Kind::AveragePool | Kind::Bilinear => {
            let ([x], [out]) = arena.claim([input(0)], [output]);
            match step.kind {
                Kind::MaxPool => resample::max_pool(executor, x, out, None),
                Kind::Upsample => resample::upsample(executor, x, out),
                Kind::AveragePool => resample::interpolate(executor, Interpolation::Average, x, out),
                _ => resample::interpolate(executor, Interpolation::Bilinear, x, out),
            }
        }
        Kind::Dropout(rate) => {
            let first = ctx.first_pixel(&input(0));
            let ([x], [out]) = arena.claim([input(0)], [output]);
            for_each_pixel(executor, out, |pixel, out| {
                let start = (first + pixel) * out.len();
                for (channel, (out, value)) in out.iter_mut().zip(x.pixel(pixel)).enumerate() {
                    let keep = uniform(ctx.seed, step.node, start + channel) >= rate;
                    *out = if keep { *value } else { 0.0 };
                }
            });
        }
        Kind::GeometricMean(epsilon) => {
            let ([x, y], [out]) = arena.claim([input(0), input(1)], [output]);
            for_each_pixel(executor, out, |pixel, out| {
                let y = y.pixel(pixel)[0];
                out.iter_mut().zip(x.pixel(pixel)).for_each(|(out, x)| *out = (x * y + epsilon).sqrt());
            });
        }
    }
}

/// Convolutions and linear layers.
fn convolve(ctx: &Context<'_>, arena: &mut Arena, step: &Step, parameters: &Parameters) {
    let executor = ctx.executor;
    let weights = parameters.value(step.params[0]);
    let bias = step.params.get(1).map(|&index| parameters.value(index));
    let ([x], [out]) = arena.claim([ctx.value(step.inputs[0])], [ctx.value(step.output)]);
    match &step.kind {
        Kind::Depthwise(op) => depthwise::forward(executor, op, x, weights, bias, out),
        Kind::Dense(op) => dense::forward(executor, op, x, weights, bias, out),
        // A linear layer has its weights as `[inputs][outputs]`, a convolution as `[outputs][inputs]`.
        Kind::Linear => pointwise::forward(executor, x, weights, bias, out),
        _ => pointwise::forward(executor, x, parameters.transposed(step.params[0]), bias, out),
    }
}
