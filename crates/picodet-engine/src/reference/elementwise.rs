//! Operations that treat each cell, or each channel, by itself.

use picodet_graph::{Activation, BATCH_NORM_EPSILON, Tensor4};

use crate::Real;

pub(super) fn map<T: Real>(x: &Tensor4<T>, function: impl Fn(T) -> T) -> Tensor4<T> {
    Tensor4 { shape: x.shape, data: x.data.iter().map(|&value| function(value)).collect() }
}

fn clip<T: Real>(x: T, low: T, high: T) -> T {
    x.larger(low).smaller(high)
}

/// The functions of SPEC §0.
pub(super) fn activation<T: Real>(x: &Tensor4<T>, activation: Activation) -> Tensor4<T> {
    let (zero, one, three, six) = (T::ZERO, T::ONE, T::from_f64(3.0), T::from_f64(6.0));
    // The slopes are decimal constants: the nearest f32 of 0.1666667 is another number than its nearest f64.
    let constant = |slope: f32| T::from_f64((f64::from(slope) * 1e7).round() / 1e7);
    match activation {
        Activation::HardSwish => map(x, |x| x * clip(x + three, zero, six) / six),
        Activation::Relu => map(x, |x| x.larger(zero)),
        Activation::Relu6 => map(x, |x| clip(x, zero, six)),
        Activation::LeakyRelu { slope } => {
            let slope = constant(slope);
            map(x, |x| if x < zero { x * slope } else { x })
        }
        Activation::HardSigmoid { slope } => {
            let (slope, half) = (constant(slope), T::from_f64(0.5));
            map(x, |x| clip(slope * x + half, zero, one))
        }
        Activation::Sigmoid => map(x, sigmoid),
    }
}

fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (T::ZERO - x).exp())
}

/// `statistics` are gamma, beta, mean, variance.
pub(super) fn batch_norm<T: Real>(x: &Tensor4<T>, statistics: [&[T]; 4]) -> Tensor4<T> {
    let [gamma, beta, mean, variance] = statistics;
    let mut out = x.clone();
    let plane = x.plane();
    for (index, values) in out.data.chunks_mut(plane).enumerate() {
        let c = index % x.shape[1];
        let factor = gamma[c] / (variance[c] + T::from_f64(BATCH_NORM_EPSILON)).sqrt();
        values.iter_mut().for_each(|value| *value = (*value - mean[c]) * factor + beta[c]);
    }
    out
}

pub(super) fn add<T: Real>(a: &Tensor4<T>, b: &Tensor4<T>) -> Tensor4<T> {
    Tensor4 { shape: a.shape, data: a.data.iter().zip(&b.data).map(|(&a, &b)| a + b).collect() }
}

pub(super) fn scale<T: Real>(x: &Tensor4<T>, factors: &Tensor4<T>) -> Tensor4<T> {
    let mut out = x.clone();
    for (values, &factor) in out.data.chunks_mut(x.plane()).zip(&factors.data) {
        values.iter_mut().for_each(|value| *value = *value * factor);
    }
    out
}

/// Class probabilities `[n, c, h, w]` and one alignment `[n, 1, h, w]`.
pub(super) fn geometric_mean<T: Real>(
    probabilities: &Tensor4<T>,
    alignment: &Tensor4<T>,
    epsilon: f32,
) -> Tensor4<T> {
    let mut out = probabilities.clone();
    let plane = out.plane();
    // 1e-9 as a decimal constant, whichever the type.
    let epsilon = T::from_f64(if epsilon == 1e-9 { 1e-9 } else { f64::from(epsilon) });
    for (index, values) in out.data.chunks_mut(plane).enumerate() {
        let image = index / probabilities.shape[1];
        for (value, &align) in values.iter_mut().zip(&alignment.data[image * plane..]) {
            *value = (*value * align + epsilon).sqrt();
        }
    }
    out
}

/// Copies channels: for each output channel, the input feature and the channel there.
fn gather<T: Real>(inputs: &[&Tensor4<T>], channels: &[(usize, usize)]) -> Tensor4<T> {
    let [batch, _, height, width] = inputs[0].shape;
    let plane = height * width;
    let mut data = Vec::with_capacity(batch * channels.len() * plane);
    for n in 0..batch {
        for &(input, channel) in channels {
            let input = inputs[input];
            data.extend_from_slice(&input.data[(n * input.shape[1] + channel) * plane..][..plane]);
        }
    }
    Tensor4 { shape: [batch, channels.len(), height, width], data }
}

pub(super) fn concat<T: Real>(inputs: &[&Tensor4<T>]) -> Tensor4<T> {
    let of_input =
        |(index, input): (usize, &&Tensor4<T>)| (0..input.shape[1]).map(move |channel| (index, channel));
    gather(inputs, &inputs.iter().enumerate().flat_map(of_input).collect::<Vec<_>>())
}

pub(super) fn slice<T: Real>(x: &Tensor4<T>, start: usize, len: usize) -> Tensor4<T> {
    gather(&[x], &(start..start + len).map(|channel| (0, channel)).collect::<Vec<_>>())
}

pub(super) fn channel_shuffle<T: Real>(x: &Tensor4<T>) -> Tensor4<T> {
    let half = x.shape[1] / 2;
    gather(&[x], &(0..half).flat_map(|channel| [(0, channel), (0, half + channel)]).collect::<Vec<_>>())
}
