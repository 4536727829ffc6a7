//! The order of channels that suits narrower networks: the most important ones first.
//!
//! The result of a convolution can have its channels in any order, if everything that reads it follows. [`slice_map`] keeps the
//! first channels, so that a narrow network begins with those that matter most when they are sorted by importance (as in
//! Once-for-all, Cai et al., 2020, §3.3).
//!
//! [`slice_map`]: super::slice_map

use std::collections::HashMap;

use crate::{Graph, Node, Op, ParamId, Role, Weights};

/// The convolution that a channel comes from, by its node, and the channel of its result.
type Label = (usize, usize);

/// Sorts the channels of those convolutions that are narrower in `narrow`, a network of the same blocks. The network computes the
/// same as before, up to the order of additions.
///
/// The importance of a channel is the sum of the absolute weights that read it, times its magnitude by the batch norm before.
/// Channels keep their order where they are outputs, halves of a split, or are added to channels in another order.
///
/// Returns the number of convolutions whose channels were sorted. Weights of another shape do not change.
pub fn sort_channels(graph: &Graph, narrow: &Graph, weights: &mut Weights) -> usize {
    let flow = Flow::of(graph);
    let orders = flow.orders(graph, narrow, weights);
    for (index, node) in graph.nodes.iter().enumerate() {
        let outputs = flow.sources(index, &orders);
        let inputs = match node.op {
            Op::Convolution(convolution) if convolution.groups == 1 => {
                Some(flow.sources(node.inputs[0].0, &orders))
            }
            _ => None,
        };
        for &ParamId(id) in &node.params {
            let param = &graph.params[id];
            let Some(tensor) = weights.get_mut(&param.name).filter(|tensor| tensor.shape == param.shape)
            else {
                continue;
            };
            // Linear layers have their outputs in the last axis; their channels are not sorted.
            if matches!(node.op, Op::Linear { .. }) {
                continue;
            }
            permute(&mut tensor.data, 1, &outputs);
            if let (Some(inputs), Role::Weight) = (&inputs, param.role) {
                permute(&mut tensor.data, outputs.len(), inputs);
            }
        }
    }
    orders.iter().flatten().count()
}

/// Moves the entries of the axis behind an axis of `outer` entries: entry `p` becomes that of `sources[p]`.
fn permute(data: &mut [f32], outer: usize, sources: &[usize]) {
    let size = data.len() / (outer * sources.len()).max(1);
    if size == 0 || sources.iter().enumerate().all(|(to, &from)| to == from) {
        return;
    }
    for rows in data.chunks_exact_mut(sources.len() * size) {
        let old = rows.to_vec();
        for (row, &from) in rows.chunks_exact_mut(size).zip(sources) {
            row.copy_from_slice(&old[from * size..(from + 1) * size]);
        }
    }
}

/// Where the channels of each map come from.
struct Flow {
    /// For each node, the labels of its channels.
    labels: Vec<Vec<Label>>,
    /// For each node, a node whose channels have the same order, towards the first of them.
    joined: Vec<usize>,
    /// For each node, whether its channels keep their order; valid for the first of joined ones.
    is_fixed: Vec<bool>,
}

impl Flow {
    fn of(graph: &Graph) -> Self {
        let count = graph.nodes.len();
        let mut flow = Self {
            labels: Vec::with_capacity(count),
            joined: (0..count).collect(),
            is_fixed: vec![false; count],
        };
        for (index, node) in graph.nodes.iter().enumerate() {
            let labels = flow.result(index, node);
            flow.labels.push(labels);
            flow.fix_parts(graph, index);
        }
        for output in &graph.outputs {
            flow.fix(output.node.0);
        }
        flow
    }

    /// The labels of a node's result.
    fn result(&mut self, index: usize, node: &Node) -> Vec<Label> {
        let channels = node.shape.channels;
        let own = || (0..channels).map(|channel| (index, channel)).collect();
        let Some(input) = node.inputs.first().map(|input| input.0) else {
            self.is_fixed[index] = true;
            return own();
        };
        match node.op {
            Op::Convolution(convolution) if convolution.groups == 1 => own(),
            Op::Convolution(convolution) if convolution.is_depthwise(self.labels[input].len()) => {
                self.labels[input].clone()
            }
            Op::Convolution(_) | Op::Linear { .. } | Op::GeometricMean { .. } | Op::Input => {
                node.inputs.iter().for_each(|input| self.fix(input.0));
                self.is_fixed[index] = true;
                own()
            }
            Op::Add | Op::Scale => {
                self.join(input, node.inputs[1].0);
                self.labels[input].clone()
            }
            Op::Concat
            | Op::Slice { .. }
            | Op::ChannelShuffle
            | Op::BatchNorm
            | Op::Activation(_)
            | Op::MaxPool
            | Op::AveragePool
            | Op::GlobalAveragePool
            | Op::UpsampleNearest
            | Op::ResizeBilinear(_)
            | Op::Dropout { .. } => moved(node, &self.labels),
        }
    }

    /// Convolutions of which a map has some channels only, or some twice, keep their order.
    fn fix_parts(&mut self, graph: &Graph, index: usize) {
        let mut counts: HashMap<usize, usize> = HashMap::new();
        self.labels[index].iter().for_each(|&(node, _)| *counts.entry(node).or_default() += 1);
        for (node, count) in counts {
            if count != graph.nodes[node].shape.channels {
                let first = self.first(node);
                self.is_fixed[first] = true;
            }
        }
    }

    /// The first of the nodes that are joined with a node.
    fn first(&self, mut node: usize) -> usize {
        while self.joined[node] != node {
            node = self.joined[node];
        }
        node
    }

    /// The channels of a map keep their order.
    fn fix(&mut self, index: usize) {
        for at in 0..self.labels[index].len() {
            let first = self.first(self.labels[index][at].0);
            self.is_fixed[first] = true;
        }
    }

    /// The channels of two maps that are added or multiplied have the same order.
    fn join(&mut self, left: usize, right: usize) {
        for at in 0..self.labels[left].len().min(self.labels[right].len()) {
            let ((a, i), (b, j)) = (self.labels[left][at], self.labels[right][at]);
            let (a, b) = (self.first(a), self.first(b));
            let is_fixed = self.is_fixed[a] || self.is_fixed[b] || i != j;
            let (low, high) = (a.min(b), a.max(b));
            self.joined[high] = low;
            self.is_fixed[low] = is_fixed;
        }
    }

    /// For each node that is the first of joined ones, the order of its channels; `None` where it stays.
    fn orders(&self, graph: &Graph, narrow: &Graph, weights: &Weights) -> Vec<Option<Vec<usize>>> {
        let widths: HashMap<&str, usize> =
            narrow.nodes.iter().map(|node| (node.scope.as_str(), node.shape.channels)).collect();
        let scores = self.scores(graph, weights);
        let order = |(index, node): (usize, &Node)| {
            let is_narrower =
                widths.get(node.scope.as_str()).is_some_and(|&width| width < node.shape.channels);
            let is_sorted = matches!(node.op, Op::Convolution(_)) && self.first(index) == index;
            let scores = &scores[index];
            if !is_sorted || !is_narrower || self.is_fixed[index] || scores.is_empty() {
                return None;
            }
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            Some(order)
        };
        graph.nodes.iter().enumerate().map(order).collect()
    }

    /// For each node that is the first of joined ones, the importance of its channels. Each reader adds up to 1.
    fn scores(&self, graph: &Graph, weights: &Weights) -> Vec<Vec<f64>> {
        let magnitudes = magnitudes(graph, weights);
        let mut scores: Vec<Vec<f64>> = vec![Vec::new(); graph.nodes.len()];
        for node in &graph.nodes {
            let Op::Convolution(convolution) = node.op else { continue };
            let Some(weight) = node.params.first().and_then(|id| weights.get(&graph.params[id.0].name))
            else {
                continue;
            };
            let input = node.inputs[0].0;
            let width = self.labels[input].len();
            let area = convolution.kernel * convolution.kernel;
            if convolution.groups != 1 || weight.data.len() != convolution.out_channels * width * area {
                continue;
            }
            let mut read = vec![0.0f64; width];
            for (at, window) in weight.data.chunks_exact(area).enumerate() {
                let sum: f64 = window.iter().map(|value| f64::from(value.abs())).sum();
                read[at % width] += sum * magnitudes[input][at % width];
            }
            let all: f64 = read.iter().sum();
            for (&(from, channel), value) in self.labels[input].iter().zip(read) {
                let sums = &mut scores[self.first(from)];
                sums.resize(graph.nodes[from].shape.channels.max(sums.len()), 0.0);
                sums[channel] += value / all.max(f64::MIN_POSITIVE);
            }
        }
        scores
    }

    /// For each channel of a node's result, the position that its values come from.
    fn sources(&self, index: usize, orders: &[Option<Vec<usize>>]) -> Vec<usize> {
        let labels = &self.labels[index];
        let places: HashMap<Label, usize> =
            labels.iter().enumerate().map(|(place, &label)| (label, place)).collect();
        let source = |(place, &(node, channel)): (usize, &Label)| match &orders[self.first(node)] {
            Some(order) => places.get(&(node, order[channel])).copied().unwrap_or(place),
            None => place,
        };
        labels.iter().enumerate().map(source).collect()
    }
}

/// The values of the channels of a node that only moves or keeps the channels of its inputs, given those of all earlier nodes.
fn moved<T: Copy>(node: &Node, values: &[Vec<T>]) -> Vec<T> {
    let input = |number: usize| &values[node.inputs[number].0];
    match node.op {
        Op::Concat => node.inputs.iter().flat_map(|input| values[input.0].iter().copied()).collect(),
        Op::Slice { start, len } => input(0)[start..start + len].to_vec(),
        Op::ChannelShuffle => {
            let half = node.shape.channels / 2;
            (0..2 * half).map(|place| input(0)[place / 2 + place % 2 * half]).collect()
        }
        _ => input(0).clone(),
    }
}

/// The magnitude of each channel of each map: that of the last batch norm, 1 before the first.
fn magnitudes(graph: &Graph, weights: &Weights) -> Vec<Vec<f64>> {
    let mut found: Vec<Vec<f64>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let channels = node.shape.channels;
        let input = |number: usize| &found[node.inputs[number].0];
        let magnitude = match node.op {
            Op::BatchNorm => {
                let values = |number: usize| weights.get(&graph.params[node.params[number].0].name);
                match (values(0), values(1)) {
                    (Some(gamma), Some(beta)) => {
                        let pairs = gamma.data.iter().zip(&beta.data);
                        pairs.map(|(&gamma, &beta)| f64::from(gamma).hypot(f64::from(beta))).collect()
                    }
                    _ => vec![1.0; channels],
                }
            }
            Op::Input | Op::Convolution(_) | Op::Linear { .. } | Op::GeometricMean { .. } => {
                vec![1.0; channels]
            }
            Op::Add => input(0).iter().zip(input(1)).map(|(a, b)| a.hypot(*b)).collect(),
            _ => moved(node, &found),
        };
        // A parameter of another length belongs to another network.
        found.push(if magnitude.len() == channels { magnitude } else { vec![1.0; channels] });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Builder, Param, Tensor};

    /// A convolution of `width` channels that is added to its depthwise convolution, shuffled with another one and read by two
    /// convolutions; a split convolution keeps its order.
    fn network(width: usize) -> Graph {
        let mut g = Builder::new();
        let image = g.input();
        let first = g.scope("first", |g| {
            let x = g.convolution(image, width, 1, 1, 1);
            let x = g.batch_norm(x);
            g.activation(x, Activation::Relu)
        });
        let cheap = g.scope("cheap", |g| g.depthwise(first, 3, 1));
        let sum = g.add(first, cheap);
        let other = g.scope("other", |g| g.convolution(image, width, 1, 1, 1));
        let both = g.concat(&[sum, other]);
        let shuffled = g.channel_shuffle(both);
        let last = g.scope("last", |g| g.convolution(shuffled, 4, 1, 1, 1));
        let split = g.scope("split", |g| g.convolution(last, 2 * width, 1, 1, 1));
        let half = g.slice(split, width, width);
        let result = g.scope("project", |g| g.convolution(half, 4, 1, 1, 1));
        g.output("result", result);
        g.finish()
    }

    fn weights(graph: &Graph) -> Weights {
        let value = |at: usize| ((at * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
        let values = |param: &Param| Tensor {
            shape: param.shape.clone(),
            data: (0..param.len()).map(|at| value(at + param.name.len())).collect(),
        };
        graph.params.iter().map(|param| (param.name.clone(), values(param))).collect()
    }

    #[test]
    fn the_channels_that_are_read_most_come_first() {
        let (graph, narrow) = (network(4), network(2));
        let mut found = weights(&graph);
        let last = found.get_mut("last.conv.weight").expect("a parameter");
        // After the shuffle the channels of the sum are 0, 2, 4, 6.
        last.data
            .iter_mut()
            .enumerate()
            .for_each(|(at, value)| *value = [1.0, 0.0, 2.0, 9.0, 4.0, 1.0, 3.0, 5.0][at % 8]);
        for name in ["first.norm.gamma", "first.norm.beta"] {
            found.get_mut(name).expect("a parameter").data.fill(1.0);
        }
        let before = found.clone();
        // `first`, `other` and `cheap`, which has no order besides that of `first`.
        assert_eq!(sort_channels(&graph, &narrow, &mut found), 2);
        assert_eq!(found["last.conv.weight"].data[..8], [4.0, 9.0, 3.0, 5.0, 2.0, 1.0, 1.0, 0.0]);
        let rows = |weights: &Weights, name: &str, order: &[usize]| -> Vec<f32> {
            let tensor = &weights[name];
            let size = tensor.data.len() / tensor.shape[0];
            order.iter().flat_map(|&row| tensor.data[row * size..(row + 1) * size].to_vec()).collect()
        };
        for name in ["first.conv.weight", "cheap.conv.weight"] {
            assert_eq!(found[name].data, rows(&before, name, &[2, 3, 1, 0]), "{name}");
        }
        assert_eq!(found["other.conv.weight"].data, rows(&before, "other.conv.weight", &[1, 3, 2, 0]));
        for name in ["split.conv.weight", "project.conv.weight"] {
            assert_eq!(found[name], before[name], "{name}");
        }
    }

    #[test]
    fn a_network_that_is_nowhere_narrower_keeps_its_weights() {
        let graph = network(4);
        let mut found = weights(&graph);
        assert_eq!(sort_channels(&graph, &graph, &mut found), 0);
        assert_eq!(found, weights(&graph));
    }
}
