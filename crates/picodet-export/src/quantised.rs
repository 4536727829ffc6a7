//! Translates quantised networks to ONNX with QuantizeLinear and DequantizeLinear.
//!
//! Engines compute a convolution in 8 bits only if its input has one scale and one zero point. So every map is multiplied by
//! the reciprocals of its scales before it is rounded with scale 1, the weights behind it contain the scales, and maps
//! that meet in a concat share a zero point. The zero points differ from those of the model, so that weights are rounded again.

use std::collections::HashMap;

use picodet_graph::pass::{Block, Fusion, fuse};
use picodet_graph::quantised::{maps_of, moved_map};
use picodet_graph::{
    Convolution, Graph, MapQuantisation, NodeId, Op, Quantisation, QuantisedConvolution, Weights,
};

use crate::lower::{Lowering, convolution_attributes};
use crate::message::{byte_tensor, float_tensor, integer32_tensor};

/// Largest integer of a weight.
const LARGEST: f32 = 127.0;
/// The constant 1, the scale of all maps.
const ONE: &str = "quantised.one";

/// A value in the exported model.
#[derive(Clone, Debug)]
struct Value {
    name: String,
    /// The scales by which the values are divided, and their common zero point.
    scales: Option<(Vec<f32>, u8)>,
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
        let shared = maps_of(graph, &fusion, &with_shared_zeros(graph, &fusion, &maps, quantisation));
        Self { lowering, graph, weights, quantisation, fusion, maps, shared, values: Vec::new() }
    }

    /// Translates every node; returns the name of the value of each, in numbers for outputs. `names` are those of outputs.
    pub(crate) fn run(mut self, names: &HashMap<NodeId, String>) -> Vec<String> {
        self.lowering.constants.push(float_tensor(ONE, &[], &[1.0]));
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
            Some((scales, _)) => {
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

    /// Rounds a value to bytes of scale 1.
    fn round(&mut self, name: &str, x: &str, scales: Vec<f32>, zero: u8) -> Value {
        let point = format!("{name}.zero");
        self.lowering.constants.push(byte_tensor(&point, &[], 2, &[zero]));
        let bytes = self.lowering.push("QuantizeLinear", &format!("{name}.bytes"), &[x, ONE, &point], &[]);
        let name = self.lowering.push("DequantizeLinear", name, &[&bytes, ONE, &point], &[]);
        Value { name, scales: Some((scales, zero)) }
    }

    fn block(&mut self, block: &Block, quantised: &QuantisedConvolution, name: &str) -> Value {
        let Some(id) = block.convolution else { return Value { name: name.to_owned(), scales: None } };
        let node = self.graph.node(id);
        let Op::Convolution(op) = node.op else { return Value { name: name.to_owned(), scales: None } };
        let map = self.shared[block.last.0].clone();
        let is_linear = block.sum.is_none() && block.activation.is_none() && block.pool.is_none();
        // Without an operation between them the reciprocals of the scales are multiplied into the weights.
        let factors = map.as_ref().filter(|_| is_linear).map(|map| reciprocals(&map.scale));
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
            Some(map) => {
                if !is_linear {
                    x = self.multiply(&format!("{name}.scaled"), &x, &reciprocals(&map.scale));
                }
                self.round(name, &x, map.scale, map.zero.first().copied().unwrap_or(0))
            }
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
        let (mut integers, mut scales, mut biases) = (Vec::new(), Vec::new(), Vec::new());
        for (o, weights) in quantised.weight.chunks_exact(row).enumerate() {
            let value = |(index, &weight): (usize, &i8)| {
                let c = o / outputs * inputs + index / window;
                f32::from(weight) * quantised.scale[o] * factor(o) * (after.scale[c] / before.scale[c])
            };
            let values: Vec<f32> = weights.iter().enumerate().map(value).collect();
            let largest = values.iter().fold(f32::MIN_POSITIVE * LARGEST, |largest, v| largest.max(v.abs()));
            let scale = largest / LARGEST;
            // Between -127 and 127: the scale is that of the largest.
            integers
                .extend(values.iter().map(|value| ((value / scale).round_ties_even() as i8).cast_unsigned()));
            biases.push((quantised.bias[o] * factor(o) / scale).round_ties_even() as i32);
            scales.push(scale);
        }
        let count = op.out_channels;
        let scale = self.lowering.floats(&format!("{name}.weight.scale"), &[count], &scales);
        let constants = &mut self.lowering.constants;
        constants.push(byte_tensor(&format!("{name}.weight.integers"), &shape, 3, &integers));
        constants.push(byte_tensor(&format!("{name}.weight.zero"), &[count], 3, &vec![0; count]));
        constants.push(integer32_tensor(&format!("{name}.bias.integers"), &biases));
        constants.push(integer32_tensor(&format!("{name}.bias.zero"), &vec![0; count]));
        ["weight", "bias"].map(|part| {
            let of = |suffix: &str| format!("{name}.{part}.{suffix}");
            let inputs = [&of("integers"), &scale, &of("zero")];
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
        let zero = map.zero.first().copied().unwrap_or(0);
        let mut x = self.lowering.node(self.graph, node, &format!("{name}.moved"), &inputs);
        if !is_moved {
            x = self.multiply(&format!("{name}.scaled"), &x, &reciprocals(&map.scale));
        }
        self.round(name, &x, map.scale, zero)
    }
}

fn reciprocals(scales: &[f32]) -> Vec<f32> {
    scales.iter().map(|scale| 1.0 / scale).collect()
}

/// Returns a quantisation whose maps have one zero point in each group of maps that meet, and scales that contain their
/// ranges.
fn with_shared_zeros(
    graph: &Graph,
    fusion: &Fusion,
    maps: &[Option<MapQuantisation>],
    quantisation: &Quantisation,
) -> Quantisation {
    let mut group: Vec<usize> = (0..graph.nodes.len()).collect();
    for (index, node) in graph.nodes.iter().enumerate() {
        if moved_map(graph, fusion, NodeId(index), maps).is_none() {
            continue;
        }
        for input in &node.inputs {
            let (from, to) = (group[index], group[input.0]);
            group.iter_mut().filter(|group| **group == from).for_each(|group| *group = to);
        }
    }
    let mut shared = quantisation.clone();
    for root in 0..graph.nodes.len() {
        let stored: Vec<&String> = (0..graph.nodes.len())
            .filter(|&index| group[index] == root)
            .map(|index| &graph.nodes[index].scope)
            .filter(|scope| quantisation.maps.contains_key(*scope))
            .collect();
        let channels = || {
            let maps = stored.iter().map(|scope| &quantisation.maps[*scope]);
            maps.flat_map(|map| map.scale.iter().zip(&map.zero))
        };
        let loss = |zero: u8| -> f64 {
            channels().map(|(&scale, &own)| f64::from(widened(scale, own, zero) / scale).powi(2)).sum()
        };
        let best = (0..=u8::MAX).min_by(|&a, &b| loss(a).total_cmp(&loss(b))).unwrap_or(128);
        for scope in stored {
            let map = &quantisation.maps[scope];
            let scale =
                map.scale.iter().zip(&map.zero).map(|(&scale, &own)| widened(scale, own, best)).collect();
            let map = MapQuantisation { scale, zero: vec![best; map.channels()] };
            shared.maps.insert(scope.clone(), map);
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
