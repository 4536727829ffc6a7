//! Translates quantised networks to ONNX with QuantizeLinear and DequantizeLinear.
//!
//! Engines compute a convolution in 8 bits only if its input has one scale and one zero point. So every map is multiplied by
//! the reciprocals of its scales before it is rounded with scale 1, the weights behind it contain the scales, and maps
//! that meet in a concat share a zero point. The zero points differ from those of the model, so that weights are rounded again.
//!
//! A network whose maps have one symmetric scale each is translated as it is: maps are signed bytes around zero, and integers and
//! scales are those of the model.

use std::collections::HashMap;

use picodet_graph::pass::{Block, Fusion, fuse};
use picodet_graph::quantised::maps_of;
use picodet_graph::{
    Convolution, Graph, MapQuantisation, NodeId, Op, Quantisation, QuantisedConvolution, Weights,
};

use crate::lower::{Lowering, convolution_attributes};
use crate::message::{byte_tensor, float_tensor, integer32_tensor};

/// Largest integer of a weight.
const LARGEST: f32 = 127.0;
/// The constant 1, the scale of all maps that are divided by theirs.
const ONE: &str = "quantised.one";

/// A value in the exported model.
#[derive(Clone, Debug)]
struct Value {
    name: String,
    /// The scales by which the values are divided; `None` for numbers.
    scales: Option<Vec<f32>>,
}

/// The translation of a quantised network.
pub(crate) struct QuantisedLowering<'a> {
    lowering: &'a mut Lowering,
    graph: &'a Graph,
    weights: &'a Weights,
    quantisation: &'a Quantisation,
    fusion: Fusion,
    /// The scales of the model, by node.
    maps: Vec<Option<MapQuantisation>>,
    /// Those of the exported model.
    shared: Vec<Option<MapQuantisation>>,
    values: Vec<Value>,
    /// Whether each map has one symmetric scale.
    is_symmetric: bool,
}

impl<'a> QuantisedLowering<'a> {
    pub(crate) fn new(
        lowering: &'a mut Lowering,
        graph: &'a Graph,
        weights: &'a Weights,
        quantisation: &'a Quantisation,
    ) -> Self {
        let fusion = fuse(graph);
        let maps = maps_of(graph, &fusion, quantisation);
        let is_symmetric = quantisation.has_symmetric_maps(graph);
        let shared = if is_symmetric {
            maps.clone()
        } else {
            maps_of(graph, &fusion, &with_shared_zeros(graph, quantisation))
        };
        let values = Vec::new();
        Self { lowering, graph, weights, quantisation, fusion, maps, shared, values, is_symmetric }
    }

    /// Translates every node; returns the name of the value of each, in numbers for outputs. `names` are those of outputs.
    pub(crate) fn run(mut self, names: &HashMap<NodeId, String>) -> Vec<String> {
        if !self.is_symmetric {
            self.lowering.constants.push(float_tensor(ONE, &[], &[1.0]));
        }
        for index in 0..self.graph.nodes.len() {
            let id = NodeId(index);
            let name = names.get(&id).unwrap_or(&self.graph.node(id).scope).clone();
            let block = self.fusion.block(id).copied();
            let quantised = block.and_then(|block| {
                let scope = &self.graph.node(block.convolution?).scope;
                Some((block, self.quantisation.convolutions.get(scope)?))
            });
            let value = match quantised {
                Some((block, _)) if block.last != id => Value { name: String::new(), scales: None },
                Some((block, convolution)) => self.block(&block, convolution, &name),
                None => self.step(id, &name),
            };
            self.values.push(value);
        }
        let outputs: Vec<NodeId> = self.graph.outputs.iter().map(|output| output.node).collect();
        for output in outputs {
            self.values[output.0].name = self.real(output);
        }
        self.values.into_iter().map(|value| value.name).collect()
    }

    /// The name of a node's value in numbers.
    fn real(&mut self, id: NodeId) -> String {
        let value = self.values[id.0].clone();
        match &value.scales {
            Some(scales) => {
                self.multiply(&format!("{}.real.{}", value.name, self.values.len()), &value.name, scales)
            }
            None => value.name,
        }
    }

    /// Multiplies each channel by a factor.
    fn multiply(&mut self, name: &str, x: &str, factors: &[f32]) -> String {
        let factors = self.lowering.floats(&format!("{name}.factors"), &[1, factors.len(), 1, 1], factors);
        self.lowering.push("Mul", name, &[x, &factors], &[])
    }

    /// Rounds a value to the bytes of a map; `is_scaled` states whether it is divided by the scales of the map.
    fn round(&mut self, name: &str, x: &str, map: MapQuantisation, is_scaled: bool) -> Value {
        let point = format!("{name}.zero");
        let (scale, scales) = match map.symmetric_scale().filter(|_| self.is_symmetric) {
            Some(scale) => {
                self.lowering.constants.push(byte_tensor(&point, &[], 3, &[0]));
                (self.lowering.floats(&format!("{name}.scale"), &[], &[scale]), None)
            }
            None => {
                let zero = map.zero.first().copied().unwrap_or(0);
                self.lowering.constants.push(byte_tensor(&point, &[], 2, &[zero]));
                (ONE.to_owned(), Some(map.scale))
            }
        };
        let x = match &scales {
            Some(scales) if !is_scaled => self.multiply(&format!("{name}.scaled"), x, &reciprocals(scales)),
            _ => x.to_owned(),
        };
        let bytes =
            self.lowering.push("QuantizeLinear", &format!("{name}.bytes"), &[&x, &scale, &point], &[]);
        let name = self.lowering.push("DequantizeLinear", name, &[&bytes, &scale, &point], &[]);
        Value { name, scales }
    }

    fn block(&mut self, block: &Block, quantised: &QuantisedConvolution, name: &str) -> Value {
        let Some(id) = block.convolution else { return Value { name: name.to_owned(), scales: None } };
        let node = self.graph.node(id);
        let Op::Convolution(op) = node.op else { return Value { name: name.to_owned(), scales: None } };
        let map = self.shared[block.last.0].clone();
        let is_linear = block.sum.is_none() && block.activation.is_none() && block.pool.is_none();
        // Without an operation between them the reciprocals of the scales are multiplied into the weights.
        let is_scaled = is_linear && !self.is_symmetric;
        let factors = map.as_ref().filter(|_| is_scaled).map(|map| reciprocals(&map.scale));
        let input = node.inputs[0];
        let with_result = |suffix: &str, is_last: bool| {
            if is_last && map.is_none() { name.to_owned() } else { format!("{name}.{suffix}") }
        };
        let inputs = self.parameters(id, &op, quantised, factors.as_deref(), name);
        let x = self.values[input.0].name.clone();
        let inputs: Vec<&str> =
            std::iter::once(x.as_str()).chain(inputs.iter().map(String::as_str)).collect();
        let attributes = convolution_attributes(&op);
        let is_last = block.sum.is_none() && block.activation.is_none() && block.pool.is_none();
        let mut x = self.lowering.push("Conv", &with_result("sum", is_last), &inputs, &attributes);
        if let Some(sum) = block.sum {
            let addend = self.real(sum.addend);
            let is_last = block.activation.is_none() && block.pool.is_none();
            x = self.lowering.push("Add", &with_result("residual", is_last), &[&x, &addend], &[]);
        }
        if let Some(function) = block.function(self.graph) {
            x = self.lowering.activation(&with_result("activated", block.pool.is_none()), &x, function);
        }
        if let Some(pool) = block.pool {
            x = self.lowering.node(self.graph, self.graph.node(pool), &with_result("pooled", true), &[&x]);
        }
        match map {
            Some(map) => self.round(name, &x, map, is_scaled),
            None => Value { name: x, scales: None },
        }
    }

    /// Adds weights and bias of a convolution, and returns their names. Rows are multiplied by `factors`.
    fn parameters(
        &mut self,
        id: NodeId,
        op: &Convolution,
        quantised: &QuantisedConvolution,
        factors: Option<&[f32]>,
        name: &str,
    ) -> [String; 2] {
        let node = self.graph.node(id);
        let input = node.inputs[0];
        let channels = self.graph.node(input).shape.channels;
        let window = op.kernel * op.kernel;
        let (inputs, outputs) = (channels / op.groups, op.out_channels / op.groups);
        let shape = [op.out_channels, inputs, op.kernel, op.kernel];
        let factor = |o: usize| factors.map_or(1.0, |factors| factors[o]);
        let row = inputs * window;
        let (before, after) = (self.maps[input.0].as_ref(), self.shared[input.0].as_ref());
        let (Some(before), Some(after)) = (before, after) else {
            // The image, whose padding is no byte: a convolution of floats.
            let weight = self.weights[&self.graph.params[node.params[0].0].name].data.iter().enumerate();
            let weight: Vec<f32> = weight.map(|(index, &weight)| weight * factor(index / row)).collect();
            let bias: Vec<f32> =
                quantised.bias.iter().enumerate().map(|(o, &bias)| bias * factor(o)).collect();
            return [
                self.lowering.floats(&format!("{name}.weight"), &shape, &weight),
                self.lowering.floats(&format!("{name}.bias"), &[op.out_channels], &bias),
            ];
        };
        let mut rows = Rows::default();
        for (o, weights) in quantised.weight.chunks_exact(row).enumerate() {
            match before.symmetric_scale().filter(|_| self.is_symmetric) {
                Some(input) => {
                    let bias = quantised.bias[o] / quantised.scale[o];
                    rows.add(
                        weights.iter().map(|&weight| f32::from(weight)),
                        quantised.scale[o] / input,
                        bias,
                    );
                }
                None => {
                    let value = |(index, &weight): (usize, &i8)| {
                        let c = o / outputs * inputs + index / window;
                        f32::from(weight)
                            * quantised.scale[o]
                            * factor(o)
                            * (after.scale[c] / before.scale[c])
                    };
                    let values: Vec<f32> = weights.iter().enumerate().map(value).collect();
                    let tiny = f32::MIN_POSITIVE * LARGEST;
                    let scale = values.iter().fold(tiny, |largest, v| largest.max(v.abs())) / LARGEST;
                    let bias = quantised.bias[o] * factor(o) / scale;
                    rows.add(values.into_iter().map(|value| value / scale), scale, bias);
                }
            }
        }
        let count = op.out_channels;
        let input_scale = after.symmetric_scale().filter(|_| self.is_symmetric).unwrap_or(1.0);
        let bias_scales: Vec<f32> = rows.scales.iter().map(|scale| scale * input_scale).collect();
        let scales = [("weight", &rows.scales), ("bias", &bias_scales)]
            .map(|(part, scales)| self.lowering.floats(&format!("{name}.{part}.scale"), &[count], scales));
        let constants = &mut self.lowering.constants;
        constants.push(byte_tensor(&format!("{name}.weight.integers"), &shape, 3, &rows.integers));
        constants.push(byte_tensor(&format!("{name}.weight.zero"), &[count], 3, &vec![0; count]));
        constants.push(integer32_tensor(&format!("{name}.bias.integers"), &rows.biases));
        constants.push(integer32_tensor(&format!("{name}.bias.zero"), &vec![0; count]));
        let parts = [("weight", &scales[0]), ("bias", &scales[1])];
        parts.map(|(part, scale)| {
            let of = |suffix: &str| format!("{name}.{part}.{suffix}");
            let inputs = [&of("integers"), scale, &of("zero")];
            let axis = [("axis", crate::message::Attribute::Integer(0))];
            self.lowering.push(
                "DequantizeLinear",
                &format!("{name}.{part}"),
                &inputs.map(String::as_str),
                &axis,
            )
        })
    }

    fn step(&mut self, id: NodeId, name: &str) -> Value {
        let node = self.graph.node(id);
        let map = self.shared[id.0].clone();
        let is_moved = map.is_some() && !self.quantisation.maps.contains_key(&node.scope);
        let inputs: Vec<String> = if is_moved {
            node.inputs.iter().map(|input| self.values[input.0].name.clone()).collect()
        } else {
            node.inputs.iter().map(|&input| self.real(input)).collect()
        };
        for param in self.graph.params_of(node) {
            let tensor = &self.weights[&param.name];
            self.lowering.constants.push(float_tensor(&param.name, &tensor.shape, &tensor.data));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let Some(map) = map else {
            return Value { name: self.lowering.node(self.graph, node, name, &inputs), scales: None };
        };
        let x = self.lowering.node(self.graph, node, &format!("{name}.moved"), &inputs);
        self.round(name, &x, map, is_moved)
    }
}

/// The integers of a convolution.
#[derive(Debug, Default)]
struct Rows {
    /// Bytes of signed integers.
    integers: Vec<u8>,
    scales: Vec<f32>,
    /// In units of the products of weights and bytes.
    biases: Vec<i32>,
}

impl Rows {
    /// Adds an output channel; weights and bias are given in integers.
    fn add(&mut self, weights: impl Iterator<Item = f32>, scale: f32, bias: f32) {
        // Between -127 and 127: the scale is that of the largest.
        self.integers.extend(weights.map(|weight| (weight.round_ties_even() as i8).cast_unsigned()));
        self.scales.push(scale);
        self.biases.push(bias.round_ties_even() as i32);
    }
}

fn reciprocals(scales: &[f32]) -> Vec<f32> {
    scales.iter().map(|scale| 1.0 / scale).collect()
}

/// Returns a quantisation whose maps have one zero point in each group of maps that meet, and scales that contain their
/// ranges.
fn with_shared_zeros(graph: &Graph, quantisation: &Quantisation) -> Quantisation {
    let mut shared = quantisation.clone();
    for stored in quantisation.joined_maps(graph) {
        let channels = || {
            let maps = stored.iter().map(|scope| &quantisation.maps[scope]);
            maps.flat_map(|map| map.scale.iter().zip(&map.zero))
        };
        let loss = |zero: u8| -> f64 {
            channels().map(|(&scale, &own)| f64::from(widened(scale, own, zero) / scale).powi(2)).sum()
        };
        let best = (0..=u8::MAX).min_by(|&a, &b| loss(a).total_cmp(&loss(b))).unwrap_or(128);
        for scope in stored {
            let map = &quantisation.maps[&scope];
            let scale =
                map.scale.iter().zip(&map.zero).map(|(&scale, &own)| widened(scale, own, best)).collect();
            let map = MapQuantisation { scale, zero: vec![best; map.channels()] };
            shared.maps.insert(scope, map);
        }
    }
    shared
}

/// The scale with which bytes around `zero` contain the range of those around `own`.
fn widened(scale: f32, own: u8, zero: u8) -> f32 {
    let part = |steps: u8, of: u8| match (steps, of) {
        (0, _) => 0.0,
        (_, 0) => f32::INFINITY,
        _ => scale * f32::from(steps) / f32::from(of),
    };
    part(own, zero).max(part(u8::MAX - own, u8::MAX - zero))
}
