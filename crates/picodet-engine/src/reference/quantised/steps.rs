//! The steps of a quantised network.

use picodet_graph::pass::Block;
use picodet_graph::quantised::{activate, to_byte};
use picodet_graph::{Activation, MapQuantisation, NodeId, Op, Tensor4};
use picodet_simd::{Portable, Simd, Vector, sigmoid};

use super::super::step::step;
use super::super::{elementwise, resample};
use super::channels::per_channel;
use super::convolution::Prepared;
use super::{QuantisedReference, Values};

impl QuantisedReference {
    /// Computes a block with a quantised convolution.
    pub(super) fn block(&self, block: &Block, convolution: &Prepared, values: &Values) -> Option<Tensor4> {
        let input = self.graph.node(block.convolution?).inputs[0];
        let zero = self.maps[input.0].as_ref().map(|map| map.zero.as_slice());
        let mut x = convolution.run(values[input.0].as_ref()?, zero);
        if let Some(sum) = block.sum {
            let addend = values[sum.addend.0].as_ref()?;
            x = match &self.maps[sum.addend.0] {
                Some(map) => {
                    let (zero, scale) = (&map.zero, &map.scale);
                    combine(&x, addend, |c, x, q| (q - f32::from(zero[c])).mul_add(scale[c], x))
                }
                None => elementwise::add(&x, addend),
            };
        }
        let function = block.function(&self.graph);
        let Some(map) = &self.maps[block.last.0] else {
            let x = activated(&x, function);
            return Some(if block.pool.is_some() { resample::max_pool(&x) } else { x });
        };
        let stores = map.stores(function);
        let bytes = per_channel(&x, |c, x| f32::from(stores[c].byte(x)));
        Some(if block.pool.is_some() { resample::max_pool(&bytes) } else { bytes })
    }

    /// Computes a node that is no part of a block with a quantised convolution.
    pub(super) fn step(&self, id: NodeId, values: &Values, image: &Tensor4) -> Option<Tensor4> {
        let node = self.graph.node(id);
        let value = |input: usize| values[node.inputs[input].0].as_ref();
        let map = |input: usize| self.maps[node.inputs[input].0].as_ref();
        let is_moved = self.maps[id.0].is_some() && !self.quantisation.maps.contains_key(&node.scope);
        match node.op {
            Op::Input => return Some(self.image_bytes(image)),
            Op::Scale => {
                if let (Some(from), Some(to)) = (map(0), &self.maps[id.0]) {
                    return Some(scaled(value(0)?, value(1)?, from, to));
                }
            }
            Op::Add => {
                if let (Some(a), Some(b), Some(to)) = (map(0), map(1), &self.maps[id.0]) {
                    let stores = to.stores(None);
                    return Some(combine(value(0)?, value(1)?, |c, q1, q2| {
                        let first = a.dequantise(to_byte(q1), c);
                        let sum = (q2 - f32::from(b.zero[c])).mul_add(b.scale[c], first);
                        f32::from(stores[c].byte(sum))
                    }));
                }
            }
            Op::GlobalAveragePool => {
                if let Some(from) = map(0) {
                    return Some(mean(value(0)?, from));
                }
            }
            _ => {}
        }
        // Nodes that only move bytes do so; everything else is computed in numbers.
        let inputs: Vec<Tensor4> = if is_moved {
            node.inputs.iter().map(|input| values[input.0].clone()).collect::<Option<_>>()?
        } else {
            let real = |input: &NodeId| match self.graph.node(*input).op {
                Op::Input => Some(image.clone()),
                _ => self.real(*input, values),
            };
            node.inputs.iter().map(real).collect::<Option<_>>()?
        };
        let result = self.float_step(id, &inputs.iter().collect::<Vec<_>>())?;
        Some(if is_moved { result } else { self.store(id, result) })
    }

    /// Computes a node in f32, gates with the roundings of the engines.
    fn float_step(&self, id: NodeId, inputs: &[&Tensor4]) -> Option<Tensor4> {
        let node = self.graph.node(id);
        let params: Vec<&[f32]> = node.params.iter().map(|param| self.params[param.0].as_slice()).collect();
        match node.op {
            Op::Convolution(op) if op.is_pointwise() => {
                Some(pointwise(inputs[0], params[0], op.bias.then(|| params[1]), op.out_channels))
            }
            Op::Activation(function) => Some(activated(inputs[0], Some(function))),
            op => step(op, &params, inputs),
        }
    }
}

fn activated(x: &Tensor4, function: Option<Activation>) -> Tensor4 {
    match function {
        // The engine's own polynomial, so that gates have its bits.
        Some(Activation::Sigmoid) => elementwise::map(x, |x| sigmoid(Portable.splat(x)).to_array()[0]),
        function => elementwise::map(x, |x| activate(x, function)),
    }
}

/// Combines two maps of one shape by a function of channel and values.
fn combine(a: &Tensor4, b: &Tensor4, function: impl Fn(usize, f32, f32) -> f32) -> Tensor4 {
    let mut out = a.clone();
    let (plane, channels) = (a.plane().max(1), a.shape[1]);
    for (index, (a, b)) in out.data.chunks_mut(plane).zip(b.data.chunks(plane)).enumerate() {
        a.iter_mut().zip(b).for_each(|(a, &b)| *a = function(index % channels, *a, b));
    }
    out
}

/// The factors of squeeze-excite times a map.
fn scaled(x: &Tensor4, factors: &Tensor4, from: &MapQuantisation, to: &MapQuantisation) -> Tensor4 {
    let mut out = x.clone();
    let channels = x.shape[1];
    let planes = out.data.chunks_mut(x.plane().max(1)).zip(&factors.data).enumerate();
    for (index, (values, &factor)) in planes {
        let c = index % channels;
        let multiplier = factor * (from.scale[c] / to.scale[c]);
        let (zero, zero_after) = (f32::from(from.zero[c]), f32::from(to.zero[c]));
        values.iter_mut().for_each(|q| {
            *q = f32::from(to_byte((*q - zero).mul_add(multiplier, zero_after)));
        });
    }
    out
}

/// The mean of each channel of a map of bytes.
fn mean(x: &Tensor4, map: &MapQuantisation) -> Tensor4 {
    let [batch, channels, ..] = x.shape;
    let count = x.plane();
    let means = x.data.chunks(count).enumerate().map(|(index, values)| {
        let c = index % channels;
        // Sums of bytes are exact in f64.
        let sum: f64 = values.iter().map(|&q| f64::from(q)).sum();
        let centred = sum - (count * usize::from(map.zero[c])) as f64;
        centred as f32 * (map.scale[c] / count as f32)
    });
    Tensor4 { shape: [batch, channels, 1, 1], data: means.collect() }
}

/// A pointwise convolution in f32: each sum begins with the bias and adds one fused product after the other.
fn pointwise(x: &Tensor4, weight: &[f32], bias: Option<&[f32]>, out_channels: usize) -> Tensor4 {
    let [batch, channels, height, width] = x.shape;
    let plane = x.plane();
    let mut out = Tensor4::zeros([batch, out_channels, height, width]);
    for (n, out) in out.data.chunks_mut(out_channels * plane).enumerate() {
        for (o, sums) in out.chunks_mut(plane).enumerate() {
            sums.fill(bias.map_or(0.0, |bias| bias[o]));
            for c in 0..channels {
                let values = &x.data[(n * channels + c) * plane..][..plane];
                let weight = weight[o * channels + c];
                sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum = value.mul_add(weight, *sum));
            }
        }
    }
    out
}
