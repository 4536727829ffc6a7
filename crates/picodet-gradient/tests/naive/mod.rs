//! The reference for the tape: a graph in training mode in f64, channels first, element by element.

use std::collections::BTreeMap;

use picodet_graph::{Activation, Convolution, Graph, Node, Op, Weights};

/// A map `[n, c, h, w]`.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) shape: [usize; 4],
    pub(crate) data: Vec<f64>,
}

impl Map {
    pub(crate) fn zeros(shape: [usize; 4]) -> Self {
        Self { shape, data: vec![0.0; shape.iter().product()] }
    }

    fn index(&self, [n, c, y, x]: [usize; 4]) -> usize {
        let [_, channels, height, width] = self.shape;
        ((n * channels + c) * height + y) * width + x
    }

    fn at(&self, place: [usize; 4]) -> f64 {
        self.data[self.index(place)]
    }

    fn add(&mut self, place: [usize; 4], value: f64) {
        let index = self.index(place);
        self.data[index] += value;
    }

    fn places(&self) -> impl Iterator<Item = [usize; 4]> + use<> {
        let [n, c, h, w] = self.shape;
        (0..n * c * h * w).map(move |i| [i / (c * h * w), i / (h * w) % c, i / w % h, i % w])
    }

    fn of_channel(&self, channel: usize) -> impl Iterator<Item = [usize; 4]> + use<> {
        let [n, _, h, w] = self.shape;
        (0..n * h * w).map(move |i| [i / (h * w), channel, i / w % h, i % w])
    }
}

pub(crate) type Values = BTreeMap<String, Vec<f64>>;

pub(crate) fn values(weights: &Weights) -> Values {
    weights.iter().map(|(name, t)| (name.clone(), t.data.iter().map(|&v| f64::from(v)).collect())).collect()
}

pub(crate) fn activate(function: Activation, z: f64) -> (f64, f64) {
    let step = |inside: bool| f64::from(u8::from(inside));
    match function {
        Activation::HardSwish => {
            let slope = if z <= -3.0 {
                0.0
            } else if z >= 3.0 {
                1.0
            } else {
                (2.0 * z + 3.0) / 6.0
            };
            (z * (z + 3.0).clamp(0.0, 6.0) / 6.0, slope)
        }
        Activation::Relu => (z.max(0.0), step(z > 0.0)),
        Activation::Relu6 => (z.clamp(0.0, 6.0), step(z > 0.0 && z < 6.0)),
        Activation::LeakyRelu { slope } => {
            let slope = if z > 0.0 { 1.0 } else { f64::from(slope) };
            (z * slope, slope)
        }
        Activation::HardSigmoid { slope } => {
            let line = z * f64::from(slope) + 0.5;
            (line.clamp(0.0, 1.0), f64::from(slope) * step(line > 0.0 && line < 1.0))
        }
        Activation::Sigmoid => {
            let value = 1.0 / (1.0 + (-z).exp());
            (value, value * (1.0 - value))
        }
    }
}

/// For every product of a convolution: indices of the output, the weight and the input.
fn taps(op: &Convolution, x: [usize; 4], y: [usize; 4], mut visit: impl FnMut(usize, usize, usize)) {
    let [_, channels, height, width] = x;
    let (per_group, k) = (channels / op.groups, op.kernel);
    let out_per_group = op.out_channels / op.groups;
    let at = |place: usize, tap: usize| (place * op.stride + tap).checked_sub(k / 2);
    let planes = (0..y[0]).flat_map(|n| (0..y[1]).map(move |o| (n, o)));
    for ((n, o), i) in planes.flat_map(|plane| (0..per_group).map(move |i| (plane, i))) {
        let input = (n * channels + o / out_per_group * per_group + i) * height;
        let output = (n * y[1] + o) * y[2];
        for (row, tap) in (0..y[2]).flat_map(|row| (0..k * k).map(move |tap| (row, tap))) {
            let Some(r) = at(row, tap / k).filter(|&r| r < height) else { continue };
            let weight = (o * per_group + i) * k * k + tap;
            for column in 0..y[3] {
                if let Some(c) = at(column, tap % k).filter(|&c| c < width) {
                    visit((output + row) * y[3] + column, weight, (input + r) * width + c);
                }
            }
        }
    }
}

/// Shares of input cells that make a cell of a pool or a resize: (row, column, share).
fn shares(op: &Op, x: [usize; 4], y: [usize; 4], row: usize, column: usize) -> Vec<(usize, usize, f64)> {
    match op {
        Op::AveragePool => {
            let cells: Vec<_> = (0..4)
                .map(|tap| (2 * row + tap / 2, 2 * column + tap % 2))
                .filter(|&(r, c)| r < x[2] && c < x[3])
                .collect();
            cells.iter().map(|&(r, c)| (r, c, 1.0 / cells.len() as f64)).collect()
        }
        Op::GlobalAveragePool => {
            let all = (x[2] * x[3]) as f64;
            (0..x[2] * x[3]).map(|i| (i / x[3], i % x[3], 1.0 / all)).collect()
        }
        Op::UpsampleNearest => vec![(row / 2, column / 2, 1.0)],
        _ => {
            let sample = |out: usize, extent: usize, out_extent: usize| {
                let at = ((out as f64 + 0.5) * extent as f64 / out_extent as f64 - 0.5).max(0.0);
                let first = (at.floor() as usize).min(extent - 1);
                (first, (first + 1).min(extent - 1), at - first as f64)
            };
            let (r0, r1, fr) = sample(row, x[2], y[2]);
            let (c0, c1, fc) = sample(column, x[3], y[3]);
            vec![
                (r0, c0, (1.0 - fr) * (1.0 - fc)),
                (r0, c1, (1.0 - fr) * fc),
                (r1, c0, fr * (1.0 - fc)),
                (r1, c1, fr * fc),
            ]
        }
    }
}

fn largest(x: &Map, [n, c, row, column]: [usize; 4]) -> [usize; 4] {
    let mut best: Option<[usize; 4]> = None;
    for tap in 0..9 {
        let (r, q) = ((2 * row + tap / 3).wrapping_sub(1), (2 * column + tap % 3).wrapping_sub(1));
        if r < x.shape[2] && q < x.shape[3] && best.is_none_or(|best| x.at([n, c, r, q]) > x.at(best)) {
            best = Some([n, c, r, q]);
        }
    }
    best.expect("a window has a cell")
}

fn moments(x: &Map, channel: usize) -> (f64, f64) {
    let all: Vec<f64> = x.of_channel(channel).map(|place| x.at(place)).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    (mean, all.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / all.len() as f64)
}

fn source(op: &Op, channels: usize, channel: usize) -> usize {
    match op {
        Op::Slice { start, .. } => start + channel,
        _ => channel % 2 * (channels / 2) + channel / 2,
    }
}

fn resolve(node: &Node, [n, _, h, w]: [usize; 4]) -> [usize; 4] {
    let [c, h, w] = node.shape.resolve((h, w));
    [n, c, h, w]
}

/// The results of all nodes.
pub(crate) fn forward(graph: &Graph, values: &Values, image: &Map) -> Vec<Map> {
    let mut maps: Vec<Map> = Vec::new();
    for node in &graph.nodes {
        let shape = match node.op {
            Op::Input => image.shape,
            _ => resolve(node, image.shape),
        };
        let inputs: Vec<&Map> = node.inputs.iter().map(|input| &maps[input.0]).collect();
        let param = |index: usize| &values[&graph.params[node.params[index].0].name];
        let mut y = Map::zeros(shape);
        match node.op {
            Op::Input => y = image.clone(),
            Op::Convolution(op) => {
                let (weights, x) = (param(0), &inputs[0].data);
                taps(&op, inputs[0].shape, shape, |out, weight, from| {
                    y.data[out] += weights[weight] * x[from];
                });
                if op.bias {
                    y.places().for_each(|place| y.add(place, param(1)[place[1]]));
                }
            }
            Op::BatchNorm => {
                for c in 0..shape[1] {
                    let (mean, variance) = moments(inputs[0], c);
                    let factor = param(0)[c] / (variance + 1e-5).sqrt();
                    for place in y.of_channel(c) {
                        y.add(place, (inputs[0].at(place) - mean) * factor + param(1)[c]);
                    }
                }
            }
            Op::MaxPool => y.places().for_each(|place| y.add(place, inputs[0].at(largest(inputs[0], place)))),
            Op::AveragePool | Op::GlobalAveragePool | Op::UpsampleNearest | Op::ResizeBilinear(_) => {
                for place in y.places() {
                    let [n, c, row, column] = place;
                    for (r, q, share) in shares(&node.op, inputs[0].shape, shape, row, column) {
                        y.add(place, share * inputs[0].at([n, c, r, q]));
                    }
                }
            }
            Op::Concat => {
                let mut first = 0;
                for x in inputs {
                    x.places().for_each(|p| y.add([p[0], first + p[1], p[2], p[3]], x.at(p)));
                    first += x.shape[1];
                }
            }
            Op::Linear { out_features } => {
                for place in y.places() {
                    let [n, o, ..] = place;
                    let terms = (0..inputs[0].shape[1])
                        .map(|i| inputs[0].at([n, i, 0, 0]) * param(0)[i * out_features + o]);
                    let sum = terms.sum::<f64>() + param(1)[o];
                    y.add(place, sum);
                }
            }
            _ => {
                for place in y.places() {
                    let [n, c, row, column] = place;
                    let value = match node.op {
                        Op::Activation(function) => activate(function, inputs[0].at(place)).0,
                        Op::Add => inputs[0].at(place) + inputs[1].at(place),
                        Op::Scale => inputs[0].at(place) * inputs[1].at([n, c, 0, 0]),
                        Op::Slice { .. } | Op::ChannelShuffle => {
                            inputs[0].at([n, source(&node.op, shape[1], c), row, column])
                        }
                        Op::GeometricMean { epsilon } => {
                            (inputs[0].at(place) * inputs[1].at([n, 0, row, column]) + f64::from(epsilon))
                                .sqrt()
                        }
                        // Compared at rate 0 only: which numbers are dropped is the tape's affair.
                        Op::Dropout { .. } => inputs[0].at(place),
                        other => panic!("{other}"),
                    };
                    y.add(place, value);
                }
            }
        }
        maps.push(y);
    }
    maps
}

/// The gradients of the parameters.
pub(crate) fn backward(graph: &Graph, values: &Values, maps: &[Map], outputs: &[(String, Map)]) -> Values {
    let mut gradients: Vec<Map> = maps.iter().map(|map| Map::zeros(map.shape)).collect();
    for (name, gradient) in outputs {
        let node = graph.output(name).expect("an output").0;
        gradients[node].data.iter_mut().zip(&gradient.data).for_each(|(to, from)| *to += from);
    }
    let mut result: Values = values.iter().map(|(name, v)| (name.clone(), vec![0.0; v.len()])).collect();
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        let dy = gradients[index].clone();
        let name = |index: usize| graph.params[node.params[index].0].name.clone();
        let Some(&first) = node.inputs.first() else { continue };
        let x = &maps[first.0];
        let mut dx = Map::zeros(x.shape);
        match node.op {
            Op::Convolution(op) => {
                let weights = &values[&name(0)];
                let dw = result.get_mut(&name(0)).expect("a weight");
                taps(&op, x.shape, dy.shape, |out, weight, from| {
                    dw[weight] += dy.data[out] * x.data[from];
                    dx.data[from] += dy.data[out] * weights[weight];
                });
                if op.bias {
                    let db = result.get_mut(&name(1)).expect("a bias");
                    dy.places().for_each(|place| db[place[1]] += dy.at(place));
                }
            }
            Op::BatchNorm => {
                let count = (x.data.len() / x.shape[1]) as f64;
                for c in 0..x.shape[1] {
                    let (mean, variance) = moments(x, c);
                    let inverse = 1.0 / (variance + 1e-5).sqrt();
                    let of_channel = || x.of_channel(c);
                    let normal = |place: [usize; 4]| (x.at(place) - mean) * inverse;
                    let dbeta: f64 = of_channel().map(|place| dy.at(place)).sum();
                    let dgamma: f64 = of_channel().map(|place| dy.at(place) * normal(place)).sum();
                    let gamma = values[&name(0)][c];
                    for place in of_channel() {
                        let centred = dy.at(place) - dbeta / count - normal(place) * dgamma / count;
                        dx.add(place, gamma * inverse * centred);
                    }
                    result.get_mut(&name(0)).expect("gamma")[c] = dgamma;
                    result.get_mut(&name(1)).expect("beta")[c] = dbeta;
                }
            }
            Op::Concat => {
                let mut first = 0;
                for input in &node.inputs {
                    let to = &mut gradients[input.0];
                    to.places().for_each(|p| to.add(p, dy.at([p[0], first + p[1], p[2], p[3]])));
                    first += to.shape[1];
                }
                continue;
            }
            Op::Linear { out_features } => {
                let weights = &values[&name(0)];
                for place in dy.places() {
                    let [n, o, ..] = place;
                    for i in 0..x.shape[1] {
                        let weight = i * out_features + o;
                        result.get_mut(&name(0)).expect("a weight")[weight] +=
                            dy.at(place) * x.at([n, i, 0, 0]);
                        dx.add([n, i, 0, 0], dy.at(place) * weights[weight]);
                    }
                    result.get_mut(&name(1)).expect("a bias")[o] += dy.at(place);
                }
            }
            _ => {
                for place in dy.places() {
                    let ([n, c, row, column], g) = (place, dy.at(place));
                    match node.op {
                        Op::Activation(function) => dx.add(place, g * activate(function, x.at(place)).1),
                        Op::MaxPool => dx.add(largest(x, place), g),
                        Op::Add => {
                            dx.add(place, g);
                            gradients[node.inputs[1].0].add(place, g);
                        }
                        Op::Scale => {
                            dx.add(place, g * maps[node.inputs[1].0].at([n, c, 0, 0]));
                            gradients[node.inputs[1].0].add([n, c, 0, 0], g * x.at(place));
                        }
                        Op::Slice { .. } | Op::ChannelShuffle => {
                            dx.add([n, source(&node.op, dy.shape[1], c), row, column], g);
                        }
                        Op::GeometricMean { .. } => {
                            let half = 0.5 * g / maps[index].at(place);
                            let one = [n, 0, row, column];
                            dx.add(place, half * maps[node.inputs[1].0].at(one));
                            gradients[node.inputs[1].0].add(one, half * x.at(place));
                        }
                        Op::Dropout { .. } => dx.add(place, g),
                        _ => {
                            for (r, q, share) in shares(&node.op, x.shape, dy.shape, row, column) {
                                dx.add([n, c, r, q], share * g);
                            }
                        }
                    }
                }
            }
        }
        let to = &mut gradients[first.0];
        to.data.iter_mut().zip(&dx.data).for_each(|(to, from)| *to += from);
    }
    result
}
