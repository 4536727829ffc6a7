//! Quantised networks by the definition of each step, one after the other: the bytes that every engine computes.

mod channels;
mod convolution;
mod steps;
#[cfg(test)]
mod tests;

use picodet_graph::pass::{Fusion, fuse};
use picodet_graph::quantised::{maps_of, to_byte};
use picodet_graph::{Graph, MapQuantisation, NodeId, Op, Quantisation, Tensor4, Weights};

use self::channels::{LARGEST, per_channel};
use self::convolution::{Prepared, prepare};
use super::step::remaining_readers;
use crate::{Plan, PlanError, RunError, check_plan};

/// A quantised network prepared for one input size.
///
/// Sums of products are exact. Every operation on f32 values is one rounding of its result, in this order:
/// * The image becomes bytes, `round(fma(x, 255 std, 255 mean))`.
/// * A convolution sums `weight (q - zero)` over the taps inside the map; `x = fma(sum, scale, bias)`. The convolution of
///   the image sums `weight q`, and its bias is `bias - scale Σ weight 255 mean`, computed in f64 over the taps inside the
///   image in the order channel, row, column, and rounded once.
/// * A residual of bytes adds `fma(q - zero, scale, x)`.
/// * `ByteStore` applies the activation and rounds.
/// * The global mean is `(Σ q - n zero) (scale / n)`; squeeze-excite's convolutions start with the bias and add one
///   fused product after the other.
/// * A scale of the factors `f` is `round(fma(q - zero, f (scale / scale'), zero'))`.
#[derive(Debug)]
pub struct QuantisedReference {
    graph: Graph,
    fusion: Fusion,
    /// By parameter index of the graph.
    params: Vec<Vec<f32>>,
    quantisation: Quantisation,
    /// By node.
    maps: Vec<Option<MapQuantisation>>,
    /// The quantised convolution of each node that is one.
    convolutions: Vec<Option<Prepared>>,
    input_size: (usize, usize),
}

/// The value of a node.
#[derive(Clone, Debug, PartialEq)]
pub enum QuantisedValue {
    /// Bytes, with the scales of [`maps_of`].
    Bytes(Tensor4<u8>),
    /// Numbers.
    Real(Tensor4),
}

/// Values while they are computed. Bytes are whole numbers in f32, so that the operations of the float reference can move
/// them.
type Values = Vec<Option<Tensor4>>;

impl QuantisedReference {
    /// Prepares a network whose batch norms are folded. `weights` are used for the operations that are not quantised.
    ///
    /// # Errors
    /// [`PlanError`] as [`crate::Engine::plan`], and when the quantisation does not match the graph.
    pub fn new(
        graph: &Graph,
        weights: &Weights,
        quantisation: &Quantisation,
        input_size: (usize, usize),
    ) -> Result<Self, PlanError> {
        check_plan(graph, weights, input_size)?;
        quantisation.check(graph).map_err(PlanError::Quantisation)?;
        let fusion = fuse(graph);
        let convolutions = (0..graph.nodes.len())
            .map(|index| prepare(graph, NodeId(index), quantisation, input_size))
            .collect();
        Ok(Self {
            params: graph.params.iter().map(|param| weights[&param.name].data.clone()).collect(),
            maps: maps_of(graph, &fusion, quantisation),
            quantisation: quantisation.clone(),
            graph: graph.clone(),
            fusion,
            convolutions,
            input_size,
        })
    }

    /// Returns the value of each node in the order of the graph, `None` for nodes inside a block.
    ///
    /// # Errors
    /// [`RunError`] when `image` has another shape.
    pub fn run_values(&self, image: &Tensor4) -> Result<Vec<Option<QuantisedValue>>, RunError> {
        let values = self.compute(image, true)?;
        let convert = |(index, value): (usize, Option<Tensor4>)| {
            let value = value?;
            let is_bytes = self.is_bytes(NodeId(index));
            Some(if is_bytes {
                QuantisedValue::Bytes(value.map(|&q| to_byte(q)))
            } else {
                QuantisedValue::Real(value)
            })
        };
        Ok(values.into_iter().enumerate().map(convert).collect())
    }

    fn is_bytes(&self, id: NodeId) -> bool {
        self.maps[id.0].is_some() || self.graph.node(id).op == Op::Input
    }

    fn compute(&self, image: &Tensor4, keeps_all: bool) -> Result<Values, RunError> {
        let [_, channels, height, width] = image.shape;
        if channels != 3 || (height, width) != self.input_size {
            return Err(RunError::Shape { found: image.shape, size: self.input_size });
        }
        let mut remaining = remaining_readers(&self.graph);
        let mut values: Values = vec![None; self.graph.nodes.len()];
        for index in 0..self.graph.nodes.len() {
            let id = NodeId(index);
            let block = self.fusion.block(id);
            let quantised = block.and_then(|block| self.convolutions[block.convolution?.0].as_ref());
            let (value, read) = match (block, quantised) {
                (Some(block), Some(_)) if block.last != id => continue,
                (Some(block), Some(convolution)) => {
                    (self.block(block, convolution, &values), block.nodes().collect())
                }
                _ => (self.step(id, &values, image), vec![id]),
            };
            values[index] = value;
            if keeps_all {
                continue;
            }
            for input in read.iter().flat_map(|&id| &self.graph.node(id).inputs) {
                remaining[input.0] -= 1;
                if remaining[input.0] == 0 {
                    values[input.0] = None;
                }
            }
        }
        Ok(values)
    }

    /// The value of a node in numbers.
    fn real(&self, id: NodeId, values: &Values) -> Option<Tensor4> {
        let value = values[id.0].as_ref()?;
        Some(match &self.maps[id.0] {
            Some(map) => per_channel(value, |c, q| map.dequantise(to_byte(q), c)),
            None => value.clone(),
        })
    }

    /// Stores values as the bytes of a node, or unchanged if the node is not quantised.
    fn store(&self, id: NodeId, value: Tensor4) -> Tensor4 {
        let Some(map) = &self.maps[id.0] else { return value };
        let stores = map.stores(None);
        per_channel(&value, |c, x| f32::from(stores[c].byte(x)))
    }

    /// The image in bytes.
    fn image_bytes(&self, image: &Tensor4) -> Tensor4 {
        let Quantisation { mean, std, .. } = &self.quantisation;
        per_channel(image, |c, x| f32::from(to_byte(x.mul_add(LARGEST * std[c], LARGEST * mean[c]))))
    }
}

impl Plan for QuantisedReference {
    fn input_size(&self) -> (usize, usize) {
        self.input_size
    }

    fn run(&self, image: &Tensor4) -> Result<Vec<(String, Tensor4)>, RunError> {
        let values = self.compute(image, false)?;
        let outputs = self.graph.outputs.iter();
        Ok(outputs.filter_map(|out| Some((out.name.clone(), self.real(out.node, &values)?))).collect())
    }
}
