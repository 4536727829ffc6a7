//! The walk through a network: every node for all images, in the float and in the quantised network.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use picodet_graph::pass::{Block, Fusion, fuse};
use picodet_graph::quantised::{byte_nodes, image_scales, is_quantisable, moved_map};
use picodet_graph::{Graph, MapQuantisation, NodeId, Op, Quantisation, Tensor4, Weights};
use picodet_kernel::training::{Executor, ThreadPool};
use picodet_simd::Isa;

use crate::QuantiseError;
use crate::block::{Input, Site};
use crate::moments::Importance;
use crate::options::{Method, Options, Scales};
use crate::step::{Decibels, Ranges, number_of};
use crate::stream::{Packed, Values, compute};

/// An image to quantise with.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The network input, `[1, 3, h, w]`, normalised.
    pub image: &'a Tensor4,
    /// The largest score of the float network at each place, `[1, 1, h, w]` of any size.
    pub scores: Option<&'a Tensor4>,
}

/// How much each place of an image counts: `1 + emphasis · score`.
fn importance(scores: Option<&Tensor4>, emphasis: f32) -> Importance {
    match scores {
        Some(scores) => Importance {
            size: [scores.shape[2], scores.shape[3]],
            values: scores.data.iter().map(|score| score.mul_add(emphasis, 1.0)).collect(),
        },
        None => Importance { size: [1, 1], values: vec![1.0] },
    }
}

/// A stored map or a prediction of the quantised network.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// The node.
    pub scope: String,
    /// Whether the result is bytes.
    pub is_bytes: bool,
    /// Signal-to-noise ratio of the result against the float network, in decibels, over the images of the calibration.
    pub decibels: f64,
}

/// The values of a node for each image, in the float and in the quantised network; the latter are bytes where the node has a
/// map. The quantised image is its bytes less their mean.
#[derive(Debug)]
struct NodeValues {
    float: Vec<Values>,
    quantised: Vec<Values>,
}

/// Quantises a network whose batch norms are folded, with `images`, `[1, 3, h, w]` each, normalised by `mean` and `std`.
/// `progress` is called with the number of nodes that are done and the number of all.
///
/// # Errors
/// [`QuantiseError`] when there is no image, weights or values are not finite, or the network has an operation without a
/// quantised form.
pub fn quantise(
    graph: &Graph,
    weights: &Weights,
    normalisation: ([f32; 3], [f32; 3]),
    images: &[Sample<'_>],
    options: &Options,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<(Quantisation, Vec<StepReport>), QuantiseError> {
    check(graph, weights, images)?;
    match options.scales {
        Scales::Channel => walk(graph, weights, normalisation, images, options, BTreeMap::new(), progress),
        Scales::Map => {
            let ranges = options.clone().with_method(Method::MinMax).with_margin(0.0);
            let mut first = |done: usize, all: usize| progress(done / 2, all);
            let (ranges, _) =
                walk(graph, weights, normalisation, images, &ranges, BTreeMap::new(), &mut first)?;
            let maps = ranges.symmetric_maps(graph);
            let mut second = |done: usize, all: usize| progress((all + done) / 2, all);
            walk(graph, weights, normalisation, images, options, maps, &mut second)
        }
    }
}

/// Quantises a network; maps that are not in `chosen` have the scales that the values need.
fn walk(
    graph: &Graph,
    weights: &Weights,
    normalisation: ([f32; 3], [f32; 3]),
    images: &[Sample<'_>],
    options: &Options,
    chosen: BTreeMap<String, MapQuantisation>,
    progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<(Quantisation, Vec<StepReport>), QuantiseError> {
    let (mean, std) = normalisation;
    let mut walk = Walk {
        graph,
        weights,
        fusion: fuse(graph),
        bytes: byte_nodes(graph),
        executor: Executor { pool: ThreadPool::new(1), isa: Isa::best() },
        options,
        chosen,
        values: (0..graph.nodes.len()).map(|_| None).collect(),
        maps: vec![None; graph.nodes.len()],
        quantisation: Quantisation { mean, std, ..Quantisation::default() },
        report: Vec::new(),
        importance: images.iter().map(|image| importance(image.scores, options.emphasis)).collect(),
    };
    let needed = walk.needed();
    let mut remaining: Vec<usize> = vec![0; graph.nodes.len()];
    for node in graph.nodes.iter().zip(&needed).filter(|(_, needed)| **needed).map(|(node, _)| node) {
        node.inputs.iter().for_each(|input| remaining[input.0] += 1);
    }
    for index in 0..graph.nodes.len() {
        if progress(index, graph.nodes.len()).is_break() {
            return Err(QuantiseError::Cancelled);
        }
        if !needed[index] {
            continue;
        }
        let id = NodeId(index);
        let block = walk.fusion.block(id).copied();
        let site = block.and_then(|block| Some((block, block.convolution?)));
        let read: Vec<NodeId> = match site.filter(|&(_, conv)| is_quantisable(graph, conv)) {
            Some((block, _)) if block.last != id => continue,
            Some((block, convolution)) => {
                walk.block(&block, convolution)?;
                block.nodes().collect()
            }
            None if graph.node(id).op == Op::Input => {
                walk.values[index] = Some(walk.image(images));
                continue;
            }
            None => {
                walk.step(id)?;
                vec![id]
            }
        };
        for input in read.iter().flat_map(|&id| &graph.node(id).inputs) {
            remaining[input.0] = remaining[input.0].saturating_sub(1);
            if remaining[input.0] == 0 {
                walk.values[input.0] = None;
            }
        }
    }
    Ok((walk.quantisation, walk.report))
}

fn check(graph: &Graph, weights: &Weights, images: &[Sample<'_>]) -> Result<(), QuantiseError> {
    graph.check_weights(weights).map_err(QuantiseError::Parameters)?;
    let damaged = weights.iter().find(|(_, tensor)| !tensor.data.iter().all(|value| value.is_finite()));
    if let Some((name, _)) = damaged {
        return Err(QuantiseError::Weights(name.clone()));
    }
    let [_, _, height, width] = images.first().ok_or(QuantiseError::NoImages)?.image.shape;
    match images.iter().find(|sample| sample.image.shape != [1, 3, height, width]) {
        Some(sample) => Err(QuantiseError::ImageShape { found: sample.image.shape, size: (height, width) }),
        None => Ok(()),
    }
}

struct Walk<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    fusion: Fusion,
    /// Whether a node is stored as bytes.
    bytes: Vec<bool>,
    executor: Executor,
    options: &'a Options,
    /// The scales that are chosen already, by scope.
    chosen: BTreeMap<String, MapQuantisation>,
    values: Vec<Option<NodeValues>>,
    maps: Vec<Option<MapQuantisation>>,
    quantisation: Quantisation,
    report: Vec<StepReport>,
    /// By image.
    importance: Vec<Importance>,
}

impl Walk<'_> {
    /// The nodes that a quantised convolution needs, and those of the blocks of these convolutions.
    fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.graph.nodes.len()];
        for block in self.fusion.blocks() {
            if block.convolution.is_some_and(|id| is_quantisable(self.graph, id)) {
                block.nodes().for_each(|id| needed[id.0] = true);
            }
        }
        for index in (0..needed.len()).rev() {
            if needed[index] {
                self.graph.nodes[index].inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        needed
    }

    fn image(&self, images: &[Sample<'_>]) -> NodeValues {
        let std = self.quantisation.std;
        let float: Vec<Values> = images
            .iter()
            .map(|sample| {
                let image = sample.image;
                let [_, channels, height, width] = image.shape;
                let plane = height * width;
                let at = |index: usize| image.data[index % channels * plane + index / channels];
                let data = (0..image.data.len()).map(at).collect();
                Values { data, channels, size: [height, width] }
            })
            .collect();
        let steps = image_scales(std);
        let centred = |image: &Values| image.clone().map_channels(|c, x| x / steps[c]);
        NodeValues { quantised: float.iter().map(centred).collect(), float }
    }

    /// The values of an input; a node is computed after its inputs.
    fn input(&self, id: NodeId) -> Result<&NodeValues, QuantiseError> {
        self.values[id.0].as_ref().ok_or_else(|| self.unsupported(id))
    }

    fn unsupported(&self, id: NodeId) -> QuantiseError {
        let node = self.graph.node(id);
        QuantiseError::Operation { scope: node.scope.clone(), op: node.op.to_string() }
    }

    /// The value of the quantised network in numbers.
    fn real(&self, id: NodeId, values: &Values) -> Values {
        match &self.maps[id.0] {
            Some(map) => values.clone().map_channels(|c, q| number_of(map, c, q)),
            None => values.clone(),
        }
    }

    fn block(&mut self, block: &Block, id: NodeId) -> Result<(), QuantiseError> {
        let node = self.graph.node(id);
        let Op::Convolution(op) = node.op else { return Err(self.unsupported(id)) };
        if block.norm.is_some() {
            return Err(self.unsupported(block.last));
        }
        let input = node.inputs[0];
        let values = self.input(input)?;
        let (scales, zero) = match (&self.maps[input.0], self.graph.node(input).op) {
            (Some(map), _) => (map.scale.clone(), map.zero.clone()),
            (None, Op::Input) => (image_scales(self.quantisation.std).to_vec(), vec![0; 3]),
            _ => return Err(self.unsupported(input)),
        };
        let addend = block.sum.map(|sum| Ok((sum.addend, self.input(sum.addend)?))).transpose()?;
        let inputs = (0..values.float.len()).map(|image| Input {
            float: &values.float[image],
            centred: values.quantised[image].clone().map_channels(|c, q| q - f32::from(zero[c])),
            importance: &self.importance[image],
            addends: addend
                .map(|(id, values)| (&values.float[image], self.real(id, &values.quantised[image]))),
        });
        let param =
            |index: usize| self.weights[&self.graph.params[node.params[index].0].name].data.as_slice();
        let site = Site {
            op,
            in_channels: self.graph.node(input).shape.channels,
            weight: param(0),
            bias: if op.bias { param(1).to_vec() } else { vec![0.0; op.out_channels] },
            scales,
            activation: block.function(self.graph),
            pools: block.pool.is_some(),
            stores: self.bytes[block.last.0],
            map: self.chosen.get(&self.graph.node(block.last).scope).cloned(),
            inputs: inputs.collect(),
        };
        let quantised = site.quantise(block, &self.executor, self.options);
        let (scope, last) = (node.scope.clone(), &self.graph.node(block.last).scope);
        if !quantised.decibels.is_finite() {
            return Err(QuantiseError::Values(scope));
        }
        self.report.push(StepReport {
            scope: last.clone(),
            is_bytes: quantised.map.is_some(),
            decibels: quantised.decibels,
        });
        self.quantisation.convolutions.insert(scope, quantised.convolution);
        if let Some(map) = &quantised.map {
            self.quantisation.maps.insert(last.clone(), map.clone());
        }
        self.maps[block.last.0] = quantised.map;
        let (float, quantised) = quantised.results.into_iter().unzip();
        self.values[block.last.0] = Some(NodeValues { float, quantised });
        Ok(())
    }

    /// Computes a node that is no quantised convolution.
    fn step(&mut self, id: NodeId) -> Result<(), QuantiseError> {
        let node = self.graph.node(id);
        let packed = match node.op {
            Op::Convolution(op) => {
                let param = |index: usize| &self.weights[&self.graph.params[node.params[index].0].name].data;
                let channels = self.graph.node(node.inputs[0]).shape.channels;
                let bias = op.bias.then(|| param(1).as_slice());
                Some((Packed::new(&op, channels, param(0)), bias))
            }
            _ => None,
        };
        let packed = packed.as_ref().map(|(packed, bias)| (packed, *bias));
        let inputs = node.inputs.iter().map(|&input| self.input(input)).collect::<Result<Vec<_>, _>>()?;
        let moved = moved_map(self.graph, &self.fusion, id, &self.maps);
        let count = inputs.first().map_or(0, |values| values.float.len());
        let results = picodet_parallel::map(0..count, self.options.threads, |image| {
            let run = |inputs: &[&Values]| compute(&self.executor, self.graph, node, inputs, packed);
            let float = run(&inputs.iter().map(|values| &values.float[image]).collect::<Vec<_>>());
            let quantised: Vec<Values> = inputs
                .iter()
                .zip(&node.inputs)
                .map(|(values, &input)| {
                    let values = &values.quantised[image];
                    if moved.is_some() { values.clone() } else { self.real(input, values) }
                })
                .collect();
            float.zip(run(&quantised.iter().collect::<Vec<_>>()))
        });
        let results: Option<Vec<(Values, Values)>> = results.into_iter().collect();
        let (float, mut quantised): (Vec<_>, Vec<_>) =
            results.ok_or_else(|| self.unsupported(id))?.into_iter().unzip();
        let mut map = moved;
        if map.is_none() && self.bytes[id.0] {
            let stored = self.store(id, &float, &mut quantised)?;
            self.quantisation.maps.insert(node.scope.clone(), stored.clone());
            map = Some(stored);
        }
        self.maps[id.0] = map;
        self.values[id.0] = Some(NodeValues { float, quantised });
        Ok(())
    }

    /// Finds the scales of a node and rounds its values to bytes.
    fn store(
        &mut self,
        id: NodeId,
        float: &[Values],
        quantised: &mut [Values],
    ) -> Result<MapQuantisation, QuantiseError> {
        let scope = self.graph.node(id).scope.clone();
        let map = self.chosen.get(&scope).cloned().unwrap_or_else(|| {
            let mut ranges = Ranges::new(self.graph.node(id).shape.channels);
            let source = if self.options.method == Method::MinMax { float } else { &*quantised };
            source.iter().for_each(|values| ranges.add(values));
            ranges.map(self.options.margin)
        });
        let mut decibels = Decibels::default();
        for (values, float) in quantised.iter_mut().zip(float) {
            let byte = |c: usize, x: f32| f32::from(map.quantise(x, c));
            *values = std::mem::take(values).map_channels(byte);
            decibels.add(float, values, Some(&map));
        }
        if !decibels.is_finite() {
            return Err(QuantiseError::Values(scope));
        }
        self.report.push(StepReport { scope, is_bytes: true, decibels: decibels.value() });
        Ok(map)
    }
}
