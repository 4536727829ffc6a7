//! Convolution with "same" padding, and the linear layer.

use picodet_graph::{Convolution, Tensor4};

use super::matrix::multiply;
use crate::Real;

/// `weight` is `[out, in / groups, k, k]`.
pub(super) fn convolution<T: Real>(
    x: &Tensor4<T>,
    weight: &[T],
    bias: Option<&[T]>,
    op: &Convolution,
) -> Tensor4<T> {
    let [batch, channels, height, width] = x.shape;
    let (out_height, out_width) = (height.div_ceil(op.stride), width.div_ceil(op.stride));
    let mut out = Tensor4::zeros([batch, op.out_channels, out_height, out_width]);
    let plane = out.plane();
    let in_group = channels / op.groups;
    let out_group = op.out_channels / op.groups;
    let window = in_group * op.kernel * op.kernel;
    let mut columns = vec![T::ZERO; window * plane];
    let group_inputs = x.data.chunks(in_group * height * width);
    let group_outputs = out.data.chunks_mut(out_group * plane);
    for (index, (input, output)) in group_inputs.zip(group_outputs).enumerate() {
        let group = index % op.groups;
        let rows = &weight[group * out_group * window..(group + 1) * out_group * window];
        if in_group == 1 && out_group == 1 {
            depthwise(output, input, rows, (height, width), (out_height, out_width), op);
        } else if op.kernel == 1 && op.stride == 1 {
            multiply(output, rows, input, out_group, window, plane);
        } else {
            im2col(&mut columns, input, (height, width), (out_height, out_width), op);
            multiply(output, rows, &columns, out_group, window, plane);
        }
    }
    if let Some(bias) = bias {
        for (values, &bias) in out.data.chunks_mut(plane).zip(bias.iter().cycle()) {
            values.iter_mut().for_each(|value| *value += bias);
        }
    }
    out
}

/// The range of output positions whose window cell `offset` lies inside the input.
fn valid(offset: usize, pad: usize, stride: usize, extent: usize, out: usize) -> std::ops::Range<usize> {
    let first = pad.saturating_sub(offset).div_ceil(stride);
    let last = (extent + pad).saturating_sub(offset).div_ceil(stride).min(out);
    first..last.max(first)
}

/// One channel by its own window.
fn depthwise<T: Real>(
    output: &mut [T],
    input: &[T],
    window: &[T],
    (height, width): (usize, usize),
    (out_height, out_width): (usize, usize),
    op: &Convolution,
) {
    let pad = (op.kernel - 1) / 2;
    for ky in 0..op.kernel {
        for kx in 0..op.kernel {
            let weight = window[ky * op.kernel + kx];
            let columns = valid(kx, pad, op.stride, width, out_width);
            for y in valid(ky, pad, op.stride, height, out_height) {
                let row = &input[(y * op.stride + ky - pad) * width..][..width];
                for x in columns.clone() {
                    output[y * out_width + x] += weight * row[x * op.stride + kx - pad];
                }
            }
        }
    }
}

/// Lays the windows out as a matrix `[in · k · k, out height · out width]`, with zeros where they leave the map.
fn im2col<T: Real>(
    columns: &mut [T],
    input: &[T],
    (height, width): (usize, usize),
    (out_height, out_width): (usize, usize),
    op: &Convolution,
) {
    let pad = (op.kernel - 1) / 2;
    let plane = out_height * out_width;
    columns.fill(T::ZERO);
    for (row, target) in columns.chunks_mut(plane).enumerate() {
        let (channel, cell) = (row / (op.kernel * op.kernel), row % (op.kernel * op.kernel));
        let (ky, kx) = (cell / op.kernel, cell % op.kernel);
        let map = &input[channel * height * width..][..height * width];
        for y in valid(ky, pad, op.stride, height, out_height) {
            let source = &map[(y * op.stride + ky - pad) * width..][..width];
            for x in valid(kx, pad, op.stride, width, out_width) {
                target[y * out_width + x] = source[x * op.stride + kx - pad];
            }
        }
    }
}

/// `weight` is `[in, out]`.
pub(super) fn linear<T: Real>(x: &Tensor4<T>, weight: &[T], bias: &[T], out_features: usize) -> Tensor4<T> {
    let [batch, in_features, ..] = x.shape;
    let mut out = Tensor4::zeros([batch, out_features, 1, 1]);
    multiply(&mut out.data, &x.data, weight, batch, in_features, out_features);
    for (value, &bias) in out.data.iter_mut().zip(bias.iter().cycle()) {
        *value += bias;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, one output at a time.
    fn naive(x: &Tensor4<f64>, weight: &[f64], op: &Convolution) -> Vec<f64> {
        let [batch, channels, height, width] = x.shape;
        let (in_group, out_group) = (channels / op.groups, op.out_channels / op.groups);
        let pad = (op.kernel as isize - 1) / 2;
        let mut out = Vec::new();
        for n in 0..batch {
            for o in 0..op.out_channels {
                for y in 0..height.div_ceil(op.stride) {
                    for z in 0..width.div_ceil(op.stride) {
                        let mut sum = 0.0;
                        for i in 0..in_group {
                            for ky in 0..op.kernel {
                                for kx in 0..op.kernel {
                                    let sy = (y * op.stride + ky) as isize - pad;
                                    let sx = (z * op.stride + kx) as isize - pad;
                                    if sy < 0 || sx < 0 || sy >= height as isize || sx >= width as isize {
                                        continue;
                                    }
                                    let channel = o / out_group * in_group + i;
                                    let at = ((n * channels + channel) * height + sy as usize) * width
                                        + sx as usize;
                                    sum += x.data[at]
                                        * weight[((o * in_group + i) * op.kernel + ky) * op.kernel + kx];
                                }
                            }
                        }
                        out.push(sum);
                    }
                }
            }
        }
        out
    }

    #[test]
    fn convolutions_equal_their_definition_on_odd_sizes() {
        let mut noise = picodet_testing::Noise::new(1);
        let mut random = || noise.unit() - 0.5;
        let mut wrong = Vec::new();
        for kernel in [1, 3, 5] {
            for stride in [1, 2] {
                for groups in [1, 2, 6] {
                    for (height, width) in [(1, 1), (1, 7), (2, 3), (5, 4), (9, 9)] {
                        let op = Convolution { out_channels: 6, kernel, stride, groups, bias: false };
                        let data = (0..2 * 6 * height * width).map(|_| random()).collect();
                        let x = Tensor4 { shape: [2, 6, height, width], data };
                        let weight: Vec<f64> =
                            (0..6 * 6 / groups * kernel * kernel).map(|_| random()).collect();
                        let got = convolution(&x, &weight, None, &op).data;
                        let expected = naive(&x, &weight, &op);
                        let same = got.len() == expected.len()
                            && got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12);
                        if !same {
                            wrong.push(format!("{op:?} on {height}x{width}"));
                        }
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
