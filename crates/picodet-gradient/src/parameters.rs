//! Parameters and their gradients in the layouts of the kernels.

use std::collections::BTreeMap;

use picodet_graph::{Activation, Graph, MapQuantisation, Op, Tensor, Weights};
use picodet_kernel::training::depthwise;
use picodet_kernel::training::fake_quantise::FakeQuantise;

/// The memory layout of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    /// As in the weights.
    Same,
    /// Depthwise, `[c, 1, k, k]` in the weights: `[k · k][c]`.
    Depthwise { window: usize },
    /// Dense, `[out, in / groups, k, k]` in the weights: `[group][k · k][in / groups][out / groups]`.
    Dense { groups: usize, inputs: usize, outputs: usize, window: usize },
}

impl Order {
    /// Calls `pair(index in the weights, index for the kernels)` for every element.
    fn each(self, len: usize, mut pair: impl FnMut(usize, usize)) {
        match self {
            Self::Same => (0..len).for_each(|index| pair(index, index)),
            Self::Depthwise { window } => {
                let channels = len / window;
                for channel in 0..channels {
                    for tap in 0..window {
                        pair(channel * window + tap, tap * channels + channel);
                    }
                }
            }
            Self::Dense { groups, inputs, outputs, window } => {
                for index in 0..groups * outputs * inputs * window {
                    let (tap, rest) = (index % window, index / window);
                    let (input, rest) = (rest % inputs, rest / inputs);
                    let (output, group) = (rest % outputs, rest / outputs);
                    pair(index, ((group * window + tap) * inputs + input) * outputs + output);
                }
            }
        }
    }
}

/// One parameter.
struct Parameter {
    name: String,
    shape: Vec<usize>,
    order: Order,
    value: Vec<f32>,
    /// The transpose of a matrix in [`Order::Same`]: products read it along its rows.
    transposed: Vec<f32>,
    gradient: Vec<f32>,
    /// Whether the last backward pass computed the gradient.
    reached: bool,
}

/// The rounding of a map to bytes.
pub(crate) struct Rounding {
    /// The scope of the node.
    pub(crate) scope: String,
    scale: Vec<f32>,
    inverse: Vec<f32>,
    zero: Vec<f32>,
    /// The gradient of the logarithm of each scale.
    pub(crate) gradient: Vec<f32>,
    /// Whether the last backward pass computed the gradient.
    pub(crate) is_reached: bool,
}

impl Rounding {
    /// Returns the rounding after an activation.
    pub(crate) fn quantise(&self, activation: Option<Activation>) -> FakeQuantise<'_> {
        let Self { scale, inverse, zero, .. } = self;
        FakeQuantise { scale, inverse, zero, activation }
    }
}

/// All parameters of a graph, by its indices.
pub(crate) struct Parameters {
    all: Vec<Parameter>,
    /// The roundings by node.
    roundings: BTreeMap<usize, Rounding>,
}

impl Parameters {
    pub(crate) fn new(graph: &Graph) -> Self {
        let mut orders = vec![Order::Same; graph.params.len()];
        for node in &graph.nodes {
            let Op::Convolution(op) = node.op else { continue };
            let in_channels = graph.node(node.inputs[0]).shape.channels;
            let window = op.kernel * op.kernel;
            orders[node.params[0].0] = if op.is_pointwise() {
                Order::Same
            } else if depthwise::is_supported(&op, in_channels) {
                Order::Depthwise { window }
            } else {
                let (inputs, outputs) = (in_channels / op.groups, op.out_channels / op.groups);
                Order::Dense { groups: op.groups, inputs, outputs, window }
            };
        }
        let parameter = |(param, order): (&picodet_graph::Param, Order)| Parameter {
            name: param.name.clone(),
            shape: param.shape.clone(),
            order,
            value: vec![0.0; param.len()],
            transposed: Vec::new(),
            gradient: if param.role.is_learned() { vec![0.0; param.len()] } else { Vec::new() },
            reached: false,
        };
        let all = graph.params.iter().zip(orders).map(parameter).collect();
        Self { all, roundings: BTreeMap::new() }
    }

    /// Copies the values of `weights`, which match the graph.
    pub(crate) fn read(&mut self, weights: &Weights) {
        for parameter in &mut self.all {
            let Some(tensor) = weights.get(&parameter.name) else { continue };
            let (value, data) = (&mut parameter.value, &tensor.data);
            match parameter.order {
                Order::Same => value.copy_from_slice(data),
                order => order.each(data.len(), |outside, inside| value[inside] = data[outside]),
            }
            if let ([rows, columns, ..], Order::Same) = (&parameter.shape[..], parameter.order) {
                parameter.transposed.resize(data.len(), 0.0);
                for (row, values) in data.chunks(*columns).enumerate() {
                    for (column, value) in values.iter().enumerate() {
                        parameter.transposed[column * rows + row] = *value;
                    }
                }
            }
        }
    }

    /// Replaces the rounding of maps, given by node.
    pub(crate) fn set_roundings<'a>(
        &mut self,
        maps: impl Iterator<Item = (usize, &'a String, &'a MapQuantisation)>,
    ) {
        let rounding = |(node, scope, map): (usize, &String, &MapQuantisation)| {
            let rounding = Rounding {
                scope: scope.clone(),
                scale: map.scale.clone(),
                inverse: map.scale.iter().map(|scale| 1.0 / scale).collect(),
                zero: map.zero.iter().map(|&zero| f32::from(zero)).collect(),
                gradient: vec![0.0; map.scale.len()],
                is_reached: false,
            };
            (node, rounding)
        };
        self.roundings = maps.map(rounding).collect();
    }

    /// Returns whether the map of a node is rounded.
    pub(crate) fn is_rounded(&self, node: usize) -> bool {
        self.roundings.contains_key(&node)
    }

    /// Returns the rounding of a node, which has one.
    pub(crate) fn rounding(&self, node: usize) -> &Rounding {
        &self.roundings[&node]
    }

    /// Returns the rounding of a node.
    pub(crate) fn rounding_mut(&mut self, node: usize) -> Option<&mut Rounding> {
        self.roundings.get_mut(&node)
    }

    /// Returns the gradients of the scales that the last backward pass computed.
    pub(crate) fn roundings(&self) -> impl Iterator<Item = &Rounding> {
        self.roundings.values().filter(|rounding| rounding.is_reached)
    }

    /// Returns the values of a parameter.
    pub(crate) fn value(&self, index: usize) -> &[f32] {
        &self.all[index].value
    }

    /// Returns the transposed weights of a pointwise convolution or a linear layer.
    pub(crate) fn transposed(&self, index: usize) -> &[f32] {
        &self.all[index].transposed
    }

    /// Returns the name of a parameter.
    pub(crate) fn name(&self, index: usize) -> &str {
        &self.all[index].name
    }

    /// Returns the gradient of a parameter, all of which the caller writes.
    pub(crate) fn gradient(&mut self, index: usize) -> &mut [f32] {
        self.all[index].reached = true;
        &mut self.all[index].gradient
    }

    /// Marks all gradients as not computed.
    pub(crate) fn clear(&mut self) {
        self.all.iter_mut().for_each(|parameter| parameter.reached = false);
        self.roundings.values_mut().for_each(|rounding| rounding.is_reached = false);
    }

    /// Returns the computed gradients in the layout of the weights.
    pub(crate) fn gradients(&self) -> Weights {
        let tensor = |parameter: &Parameter| {
            let inside = &parameter.gradient;
            let data = match parameter.order {
                Order::Same => inside.clone(),
                order => {
                    let mut data = vec![0.0; inside.len()];
                    order.each(inside.len(), |outside, index| data[outside] = inside[index]);
                    data
                }
            };
            (parameter.name.clone(), Tensor { shape: parameter.shape.clone(), data })
        };
        self.all.iter().filter(|parameter| parameter.reached).map(tensor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Order;

    #[test]
    fn orders_are_permutations() {
        let dense = Order::Dense { groups: 2, inputs: 3, outputs: 5, window: 9 };
        for (order, len) in [(Order::Depthwise { window: 9 }, 63), (dense, 270)] {
            let mut seen = vec![0; len];
            order.each(len, |outside, inside| {
                seen[inside] += 1;
                assert!(outside < len);
            });
            assert!(seen.iter().all(|&count| count == 1), "{order:?}");
        }
    }
}
