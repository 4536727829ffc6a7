//! The backward pass of each kind of step, which adds to the gradients of its inputs.

use picodet_graph::Activation;
use picodet_kernel::training::resample::{self, Interpolation};
use picodet_kernel::training::{
    Elementwise, Factors, Map, MapMut, Region, bias_gradient, deinterleave, dense, depthwise, elementwise,
    fake_quantise, for_each_pixel, normalise, pointwise, sum_images,
};

use crate::context::{Context, uniform};
use crate::forward::Statistics;
use crate::gradients::State;
use crate::program::{Kind, Step};

/// Runs the backward pass of one step, if it has a gradient.
pub(crate) fn run(
    ctx: &Context<'_>,
    index: usize,
    step: &Step,
    statistics: &Statistics,
    state: &mut State<'_>,
) {
    if !step.differentiates() || !state.written.complete(ctx, state.arena, step.output) {
        return;
    }
    let dy = ctx.gradient(step.output);
    match step.kind {
        Kind::Import => {}
        Kind::Pointwise | Kind::Linear | Kind::Depthwise(_) | Kind::Dense(_) => {
            convolution(ctx, step, dy, state);
        }
        Kind::Norm(activation) => norm(ctx, step, activation, statistics, dy, state),
        Kind::Activate(activation) => {
            if let Some((dx, accumulate)) = state.target(ctx, step, 0) {
                let ([x, dy], [dx]) = state.arena.claim([ctx.value(step.inputs[0]), dy], [dx]);
                let operation = Elementwise::ActivateBackward(activation, x, dy);
                elementwise(ctx.executor, &operation, dx, accumulate);
            }
        }
        Kind::Quantise(activation) => quantise(ctx, step, activation, dy, state),
        Kind::Add | Kind::Copy => {
            for number in 0..step.inputs.len() {
                if let Some((dx, accumulate)) = state.target(ctx, step, number) {
                    let ([dy], [dx]) = state.arena.claim([dy], [dx]);
                    elementwise(ctx.executor, &Elementwise::Copy(dy), dx, accumulate);
                }
            }
        }
        Kind::Scale => scale(ctx, step, dy, state),
        Kind::GlobalAveragePool => global_average_pool(ctx, step, dy, state),
        Kind::Interleave => {
            for parity in 0..2 {
                if let Some((dx, accumulate)) = state.target(ctx, step, parity) {
                    let ([dy], [dx]) = state.arena.claim([dy], [dx]);
                    deinterleave(ctx.executor, dy, parity, dx, accumulate);
                }
            }
        }
        Kind::MaxPool | Kind::Upsample | Kind::AveragePool | Kind::Bilinear => {
            resampling(ctx, index, step, dy, state);
        }
        Kind::Dropout(rate) => dropout(ctx, step, rate, dy, state),
        Kind::GeometricMean(epsilon) => geometric_mean(ctx, step, epsilon, dy, state),
    }
}

/// Convolutions and linear layers: the gradients of weights, bias and input.
fn convolution(ctx: &Context<'_>, step: &Step, dy: Region, state: &mut State<'_>) {
    let executor = ctx.executor;
    let x = ctx.value(step.inputs[0]);
    if step.learns[0] {
        let ([x, dy], []) = state.arena.claim([x, dy], []);
        let (scratch, out) = (&mut *state.scratch, state.parameters.gradient(step.params[0]));
        match &step.kind {
            Kind::Depthwise(op) => depthwise::weight_gradient(executor, op, x, dy, scratch, out),
            Kind::Dense(op) => dense::weight_gradient(executor, op, x, dy, scratch, out),
            Kind::Linear => pointwise::weight_gradient(executor, x, dy, scratch, out),
            _ => pointwise::weight_gradient(executor, dy, x, scratch, out),
        }
    }
    if step.learns.get(1) == Some(&true) {
        let ([dy], []) = state.arena.claim([dy], []);
        bias_gradient(executor, dy, state.scratch, state.parameters.gradient(step.params[1]));
    }
    if let Some((dx, accumulate)) = state.target(ctx, step, 0) {
        let ([dy], [dx]) = state.arena.claim([dy], [dx]);
        let weights = state.parameters.value(step.params[0]);
        match &step.kind {
            Kind::Depthwise(op) => depthwise::input_gradient(executor, op, weights, dy, dx, accumulate),
            Kind::Dense(op) => dense::input_gradient(executor, op, weights, dy, dx, accumulate),
            // A linear layer has its weights as `[inputs][outputs]`, a convolution as `[outputs][inputs]`.
            Kind::Linear => {
                let weights = state.parameters.transposed(step.params[0]);
                pointwise::product(executor, dy, weights, dx, accumulate);
            }
            _ => pointwise::product(executor, dy, weights, dx, accumulate),
        }
    }
}

/// A batch norm with its activation.
fn norm(
    ctx: &Context<'_>,
    step: &Step,
    activation: Option<Activation>,
    statistics: &Statistics,
    dy: Region,
    state: &mut State<'_>,
) {
    let executor = ctx.executor;
    let (x, norm) = (ctx.value(step.inputs[0]), statistics.norm(activation));
    let dx = state.target(ctx, step, 0);
    let channels = x.channels;
    let sums = {
        let ([x, dy], []) = state.arena.claim([x, dy], []);
        normalise::gradient_sums(executor, x, dy, &norm, &statistics.mean, state.scratch)
    };
    let affine = [
        (0..channels).map(|c| (sums[1][c] * f64::from(statistics.inverse[c])) as f32).collect(),
        sums[0].iter().map(|&sum| sum as f32).collect::<Vec<_>>(),
    ];
    for (number, values) in affine.iter().enumerate() {
        if step.learns[number] {
            state.parameters.gradient(step.params[number]).copy_from_slice(values);
        }
    }
    let Some((dx, accumulate)) = dx else { return };
    // Gradients of parameters are those of this shard, summed over the ranks later with all others; the gradient of
    // the input depends on the sums of the whole batch.
    let mut totals = sums.concat();
    if let Some(shard) = ctx.shard {
        (shard.all_reduce)(&mut totals);
    }
    let (mut p, mut q) = (vec![0.0f32; channels], vec![0.0f32; channels]);
    for c in 0..channels {
        let (sum, product) = (totals[c], totals[channels + c]);
        let (inverse, scale) = (f64::from(statistics.inverse[c]), f64::from(statistics.scale[c]));
        let slope = -scale * inverse * inverse * product / statistics.pixels;
        p[c] = slope as f32;
        q[c] = (-scale * sum / statistics.pixels - slope * f64::from(statistics.mean[c])) as f32;
    }
    if dx == dy {
        let ([x], [dx]) = state.arena.claim([x], [dx]);
        normalise::input_gradient(executor, x, None, &norm, [&p, &q], dx, false);
    } else {
        let ([x, dy], [dx]) = state.arena.claim([x, dy], [dx]);
        normalise::input_gradient(executor, x, Some(dy), &norm, [&p, &q], dx, accumulate);
    }
}

/// The rounding of a map to bytes, after an activation: the gradients of the scales and of the input.
fn quantise(
    ctx: &Context<'_>,
    step: &Step,
    activation: Option<Activation>,
    dy: Region,
    state: &mut State<'_>,
) {
    let target = state.target(ctx, step, 0);
    let x = ctx.value(step.inputs[0]);
    let Some(rounding) = state.parameters.rounding_mut(step.node) else { return };
    let mut gradient = std::mem::take(&mut rounding.gradient);
    let quantise = rounding.quantise(activation);
    {
        let ([x, dy], []) = state.arena.claim([x, dy], []);
        fake_quantise::scale_gradient(ctx.executor, x, dy, &quantise, state.scratch, &mut gradient);
    }
    if let Some((dx, accumulate)) = target {
        let ([x, dy], [dx]) = state.arena.claim([x, dy], [dx]);
        fake_quantise::input_gradient(ctx.executor, x, dy, &quantise, dx, accumulate);
    }
    (rounding.gradient, rounding.is_reached) = (gradient, true);
}

/// A map times one factor per image and channel.
fn scale(ctx: &Context<'_>, step: &Step, dy: Region, state: &mut State<'_>) {
    let [x, factors] = [0, 1].map(|number| ctx.value(step.inputs[number]));
    if let Some((dx, accumulate)) = state.target(ctx, step, 0) {
        let ([dy, factors], [dx]) = state.arena.claim([dy, factors], [dx]);
        elementwise(ctx.executor, &Elementwise::Scale(dy, Factors::PerImage(factors)), dx, accumulate);
    }
    if let Some((target, accumulate)) = state.target(ctx, step, 1) {
        let sums = state.scratch.lend(target.size[0] * target.channels);
        let ([dy, x], []) = state.arena.claim([dy, x], []);
        let to = MapMut::new(sums, target.channels, target.size);
        sum_images(ctx.executor, dy, Some(x), 1.0, to);
        let ([], [out]) = state.arena.claim([], [target]);
        let sums = Map::new(sums, target.channels, target.size);
        elementwise(ctx.executor, &Elementwise::Copy(sums), out, accumulate);
    }
}

fn global_average_pool(ctx: &Context<'_>, step: &Step, dy: Region, state: &mut State<'_>) {
    let Some((dx, accumulate)) = state.target(ctx, step, 0) else { return };
    let plane = (dx.size[1] * dx.size[2]) as f32;
    let ([dy], [dx]) = state.arena.claim([dy], [dx]);
    let factors = state.scratch.lend(dy.pixels() * dy.channels());
    for (image, factors) in factors.chunks_mut(dy.channels()).enumerate() {
        factors.iter_mut().zip(dy.pixel(image)).for_each(|(factor, dy)| *factor = dy / plane);
    }
    let factors = Factors::PerImage(Map::new(factors, dy.channels(), dy.size()));
    elementwise(ctx.executor, &Elementwise::Broadcast(factors), dx, accumulate);
}

/// Pooling and resizing.
fn resampling(ctx: &Context<'_>, index: usize, step: &Step, dy: Region, state: &mut State<'_>) {
    let executor = ctx.executor;
    let Some((dx, accumulate)) = state.target(ctx, step, 0) else { return };
    if step.kind == Kind::MaxPool {
        let saved = ctx.argmax(index, step);
        let ([dy, saved], [dx]) = state.arena.claim([dy, saved], [dx]);
        resample::max_pool_gradient(executor, dy, saved.bytes(), dx, accumulate);
        return;
    }
    let ([dy], [dx]) = state.arena.claim([dy], [dx]);
    match step.kind {
        Kind::Upsample => resample::upsample_gradient(executor, dy, dx, accumulate),
        Kind::AveragePool => {
            resample::interpolate_gradient(executor, Interpolation::Average, dy, dx, accumulate);
        }
        _ => resample::interpolate_gradient(executor, Interpolation::Bilinear, dy, dx, accumulate),
    }
}

fn dropout(ctx: &Context<'_>, step: &Step, rate: f32, dy: Region, state: &mut State<'_>) {
    let Some((dx, accumulate)) = state.target(ctx, step, 0) else { return };
    let first = ctx.first_pixel(&dx);
    let ([dy], [dx]) = state.arena.claim([dy], [dx]);
    for_each_pixel(ctx.executor, dx, |pixel, dx| {
        let start = (first + pixel) * dx.len();
        for (channel, (dx, dy)) in dx.iter_mut().zip(dy.pixel(pixel)).enumerate() {
            let keep = uniform(ctx.seed, step.node, start + channel) >= rate;
            let before = if accumulate { *dx } else { 0.0 };
            *dx = before + if keep { *dy } else { 0.0 };
        }
    });
}

/// `sqrt(x · align + epsilon)` with one `align` per pixel.
fn geometric_mean(ctx: &Context<'_>, step: &Step, epsilon: f32, dy: Region, state: &mut State<'_>) {
    let values = [0, 1].map(|number| ctx.value(step.inputs[number]));
    let targets = [0, 1].map(|number| state.target(ctx, step, number));
    // One after the other, in case both gradients are those of one map.
    for (number, target) in targets.into_iter().enumerate() {
        let Some((target, accumulate)) = target else { continue };
        let ([x, align, dy], [out]) = state.arena.claim([values[0], values[1], dy], [target]);
        for_each_pixel(ctx.executor, out, |pixel, out| {
            let (x, align, dy) = (x.pixel(pixel), align.pixel(pixel)[0], dy.pixel(pixel));
            let half = |x: f32, dy: f32| 0.5 * dy / (x * align + epsilon).sqrt();
            let before = |out: f32| if accumulate { out } else { 0.0 };
            if number == 0 {
                for ((out, x), dy) in out.iter_mut().zip(x).zip(dy) {
                    *out = half(*x, *dy) * align + before(*out);
                }
            } else {
                let mut sum = 0.0;
                x.iter().zip(dy).for_each(|(x, dy)| sum += half(*x, *dy) * x);
                out[0] = sum + before(out[0]);
            }
        });
    }
}
