//! Quantised convolutions: exact sums of products of bytes and 8-bit weights.

use picodet_graph::{Convolution, Graph, NodeId, Op, Quantisation, Tensor4};

use super::super::convolution::convolution;
use super::channels::{LARGEST, per_channel};
use crate::convert;

/// Most products of `255 · 127` whose sum, in any order, is exact in f32.
const EXACT_IN_F32: usize = (1 << 24) / (255 * 127);

/// A quantised convolution.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    op: Convolution,
    /// Integers.
    weight: Vec<f32>,
    scale: Vec<f32>,
    bias: Bias,
    /// Length of a row of weights.
    row: usize,
}

#[derive(Clone, Debug)]
enum Bias {
    /// One bias per output channel.
    Channels(Vec<f32>),
    /// Biases of a convolution of the image, `[1, out, h, w]`.
    Positions(Tensor4),
}

/// Prepares the convolution of a node; `None` for nodes that are not quantised.
pub(super) fn prepare(
    graph: &Graph,
    id: NodeId,
    quantisation: &Quantisation,
    input_size: (usize, usize),
) -> Option<Prepared> {
    let node = graph.node(id);
    let Op::Convolution(op) = node.op else { return None };
    let quantised = quantisation.convolutions.get(&node.scope)?;
    let mut prepared = Prepared {
        op,
        weight: quantised.weight.iter().map(|&weight| f32::from(weight)).collect(),
        scale: quantised.scale.clone(),
        bias: Bias::Channels(quantised.bias.clone()),
        row: quantised.weight.len() / op.out_channels,
    };
    if graph.node(node.inputs[0]).op == Op::Input {
        let sums = image_sums(&prepared, quantisation.mean, input_size);
        let [_, _, height, width] = sums.shape;
        let plane = height * width;
        let data = sums.data.iter().enumerate().map(|(index, &sum)| {
            let (bias, scale) = (quantised.bias[index / plane], quantised.scale[index / plane]);
            (f64::from(bias) - f64::from(scale) * sum) as f32
        });
        prepared.bias = Bias::Positions(Tensor4 { shape: sums.shape, data: data.collect() });
    }
    Some(prepared)
}

/// The sums of weights times the mean in bytes, over the taps inside the image.
fn image_sums(prepared: &Prepared, mean: [f32; 3], (height, width): (usize, usize)) -> Tensor4<f64> {
    let plane = height * width;
    let means = mean.map(|mean| vec![f64::from(LARGEST) * f64::from(mean); plane]).concat();
    let image = Tensor4 { shape: [1, 3, height, width], data: means };
    let weight: Vec<f64> = prepared.weight.iter().map(|&weight| f64::from(weight)).collect();
    convolution(&image, &weight, None, &prepared.op)
}

impl Prepared {
    /// Returns the results before sum and activation: `fma(sum, scale, bias)`. `x` holds bytes as whole numbers, `zero` the
    /// zero points of its channels; there is none for the image.
    pub(super) fn run(&self, x: &Tensor4, zero: Option<&[u8]>) -> Tensor4 {
        let centred;
        let x = match zero {
            // Padding reads the zero point, which adds zero to the sum.
            Some(zero) => {
                centred = per_channel(x, |c, q| q - f32::from(zero[c]));
                &centred
            }
            None => x,
        };
        let mut sums = if self.row <= EXACT_IN_F32 {
            convolution(x, &self.weight, None, &self.op)
        } else {
            let weight: Vec<f64> = self.weight.iter().map(|&weight| f64::from(weight)).collect();
            convert(&convolution(&convert::<f32, f64>(x), &weight, None, &self.op))
        };
        let (plane, channels) = (sums.plane(), sums.shape[1]);
        for (index, sums) in sums.data.chunks_mut(plane).enumerate() {
            let o = index % channels;
            let scale = self.scale[o];
            match &self.bias {
                Bias::Channels(bias) => sums.iter_mut().for_each(|sum| *sum = sum.mul_add(scale, bias[o])),
                Bias::Positions(bias) => {
                    let bias = &bias.data[o * plane..][..plane];
                    sums.iter_mut().zip(bias).for_each(|(sum, &bias)| *sum = sum.mul_add(scale, bias));
                }
            }
        }
        sums
    }
}
