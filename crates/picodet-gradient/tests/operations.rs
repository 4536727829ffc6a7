//! Every operation on every instruction set, forward and backward, on odd sizes: against f64, and f64 against central
//! differences.

mod naive;

use naive::Map;
use picodet_gradient::{Isa, Tape};
use picodet_graph::{
    Activation, Builder, Convolution, Graph, Node, NodeId, Op, Param, ResizeFactor, Role, Tensor, Tensor4,
    Weights,
};
use picodet_testing::noise;

fn weights(graph: &Graph) -> Weights {
    let tensor = |(index, param): (usize, &Param)| {
        let mut data = noise(param.len(), index as u64 + 3);
        if param.role == Role::Gamma {
            data.iter_mut().for_each(|value| *value += 1.5);
        }
        (param.name.clone(), Tensor { shape: param.shape.clone(), data })
    };
    graph.params.iter().enumerate().map(tensor).collect()
}

fn float(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}

/// The largest difference relative to the largest value, or to `floor` where all are smaller.
fn difference(found: &[f32], expected: &[f64], floor: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let size = largest(expected).max(floor);
    let off = found.iter().zip(expected).map(|(&a, b)| (f64::from(a) - b).abs());
    // Not `max`, which would pass over NaN.
    off.fold(0.0f64, |most, off| if off > most || off.is_nan() { off } else { most }) / size
}

/// Runs a graph on the tape and in f64; returns the differences.
fn check(what: &str, graph: &Graph, shape: [usize; 4]) -> Vec<String> {
    let weights = weights(graph);
    let image = noise(shape.iter().product(), 99);
    let mut wrong = Vec::new();
    let values = naive::values(&weights);
    let input = Map { shape, data: float(&image) };
    let maps = naive::forward(graph, &values, &input);
    // All instruction sets, and more than one thread on the fastest.
    let runs = Isa::available().into_iter().map(|isa| (isa, 1)).chain([(Isa::best(), 3)]);
    let mut on_one_thread: Option<Weights> = None;
    for (isa, threads) in runs {
        let what = format!("{what} on {isa}");
        let mut tape = Tape::with_isa(graph, threads, isa).expect("a tape");
        tape.forward(&weights, shape, &image).expect("runs");
        let mut gradients = Vec::new();
        let mut expected = Vec::new();
        for (index, output) in graph.outputs.iter().enumerate() {
            let map = &maps[output.node.0];
            let found = tape.output(&output.name).expect("an output").to_tensor();
            assert_eq!(found.shape, map.shape, "{what}");
            let off = difference(&found.data, &map.data, 1e-3);
            if off > 2e-5 || off.is_nan() {
                wrong.push(format!("{what}: {} differs by {off:.1e}", output.name));
            }
            let gradient = noise(map.data.len(), 1000 + index as u64);
            expected.push((output.name.clone(), Map { shape: map.shape, data: float(&gradient) }));
            gradients.push((output.name.clone(), Tensor4 { shape: map.shape, data: gradient }));
        }
        let found = tape.backward(&gradients).expect("differentiates");
        let expected = naive::backward(graph, &values, &maps, &expected);
        // The exact gradient of a bias before a batch norm is zero; rounding errors remain.
        let floor = 0.1 * expected.values().map(|values| largest(values)).fold(0.0, f64::max);
        for param in graph.params.iter().filter(|param| param.role.is_learned()) {
            let Some(tensor) = found.get(&param.name) else {
                wrong.push(format!("{what}: no gradient of {}", param.name));
                continue;
            };
            assert_eq!(tensor.shape, param.shape);
            let off = difference(&tensor.data, &expected[&param.name], floor);
            if off > 1e-4 || off.is_nan() {
                wrong.push(format!("{what}: gradient of {} differs by {off:.1e}", param.name));
            }
        }
        if isa == Isa::best() {
            match &on_one_thread {
                None => on_one_thread = Some(found),
                Some(first) if *first != found => {
                    wrong.push(format!("{what}: depends on the number of threads"));
                }
                Some(_) => {}
            }
        }
    }
    wrong
}

/// image → 1×1 to `channels` → the block → output.
fn around(channels: usize, block: impl FnOnce(&mut Builder, NodeId) -> NodeId) -> Graph {
    let mut g = Builder::new();
    let image = g.input();
    let x = g.scope("before", |g| g.pointwise_with_bias(image, channels, 0.0));
    let y = g.scope("block", |g| block(g, x));
    g.output("y", y);
    g.finish()
}

/// A convolution that the builder has no function for.
fn convolution(channels: usize, op: Convolution) -> Graph {
    let mut graph = around(channels, |g, x| g.pointwise_with_bias(x, op.out_channels, 0.0));
    let last = graph.nodes.len() - 1;
    let Node { params, inputs, .. } = graph.nodes[last].clone();
    let shape = vec![op.out_channels, channels / op.groups, op.kernel, op.kernel];
    graph.params[params[0].0].shape = shape;
    if !op.bias {
        graph.params.truncate(params[1].0);
        graph.nodes[last].params.truncate(1);
    }
    graph.nodes[last].op = Op::Convolution(op);
    graph.nodes[last].shape = graph.node(inputs[0]).shape.strided(op.stride).with_channels(op.out_channels);
    graph
}

/// Sizes with odd extents, with one column, and smaller than a window.
const SIZES: [[usize; 4]; 4] = [[2, 3, 7, 9], [1, 3, 13, 1], [3, 3, 2, 3], [2, 3, 11, 23]];

fn assert_right(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn convolutions() {
    let mut wrong = Vec::new();
    for kernel in [1, 3, 5, 7] {
        for stride in [1, 2, 3] {
            for (channels, out_channels, groups) in [(19, 19, 19), (8, 8, 8), (5, 7, 1), (6, 4, 2), (4, 8, 4)]
            {
                for bias in [false, true] {
                    let op = Convolution { out_channels, kernel, stride, groups, bias };
                    let graph = convolution(channels, op);
                    for shape in SIZES {
                        wrong.extend(check(&format!("{op:?} {shape:?}"), &graph, shape));
                    }
                }
            }
        }
    }
    assert_right(wrong);
}

/// Matrix products of every width up to some vectors of every instruction set.
#[test]
fn pointwise_convolutions_of_every_width() {
    let mut wrong = Vec::new();
    for out_channels in (1..20).chain([31, 33, 47, 49, 64, 70, 97]) {
        let op = Convolution { out_channels, kernel: 1, stride: 1, groups: 1, bias: out_channels % 2 == 0 };
        let graph = convolution(13, op);
        wrong.extend(check(&format!("{out_channels} channels"), &graph, [1, 3, 5, 9]));
    }
    assert_right(wrong);
}

#[test]
fn convolution_of_the_image_itself() {
    let mut g = Builder::new();
    let image = g.input();
    let x = g.scope("stem", |g| g.convolution(image, 24, 3, 2, 1));
    g.output("y", x);
    let graph = g.finish();
    assert_right(SIZES.iter().flat_map(|&shape| check("stem", &graph, shape)).collect());
}

const ACTIVATIONS: [Activation; 6] = [
    Activation::HardSwish,
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu { slope: 0.01 },
    Activation::HardSigmoid { slope: 0.2 },
    Activation::Sigmoid,
];

#[test]
fn batch_norms_and_activations() {
    let mut wrong = Vec::new();
    for activation in ACTIVATIONS {
        for channels in [1, 16, 21, 40] {
            let fused = around(channels, |g, x| {
                let x = g.batch_norm(x);
                g.activation(x, activation)
            });
            // A second reader of the batch norm separates it from the activation.
            let separate = around(channels, |g, x| {
                let x = g.batch_norm(x);
                let y = g.activation(x, activation);
                g.add(x, y)
            });
            let norm = around(channels, |g, x| g.batch_norm(x));
            let twice = around(channels, |g, x| {
                let x = g.batch_norm(x);
                g.scope("again", |g| g.batch_norm(x))
            });
            for shape in [[2, 3, 7, 9], [3, 3, 2, 3], [4, 3, 13, 17]] {
                for graph in [&fused, &separate, &norm, &twice] {
                    wrong.extend(check(&format!("{activation} {channels} {shape:?}"), graph, shape));
                }
            }
        }
    }
    assert_right(wrong);
}

#[test]
fn pools_and_resizes() {
    let mut wrong = Vec::new();
    for channels in [3, 16, 37] {
        let graphs = [
            around(channels, |g, x| g.max_pool(x)),
            around(channels, |g, x| g.average_pool(x)),
            around(channels, |g, x| g.global_average_pool(x)),
            around(channels, |g, x| g.resize_bilinear(x, ResizeFactor::Half)),
        ];
        for (graph, shape) in graphs.iter().flat_map(|graph| SIZES.map(|shape| (graph, shape))) {
            wrong.extend(check(&format!("pool {shape:?}"), graph, shape));
        }
        let doubled = [
            around(channels, |g, x| {
                let x = g.max_pool(x);
                g.upsample(x)
            }),
            around(channels, |g, x| {
                let x = g.max_pool(x);
                g.resize_bilinear(x, ResizeFactor::Double)
            }),
        ];
        for (graph, shape) in
            doubled.iter().flat_map(|graph| [[2, 3, 6, 10], [1, 3, 2, 2]].map(|s| (graph, s)))
        {
            wrong.extend(check(&format!("resize {shape:?}"), graph, shape));
        }
    }
    assert_right(wrong);
}

#[test]
fn channels_joined_cut_shuffled_and_scaled() {
    let mut wrong = Vec::new();
    for half in [4, 11, 20] {
        let graphs = [
            // The blocks of ESNet: halves, a ghost join in place, a gate, a shuffled join.
            around(2 * half, |g, x| {
                let (passing, x) = g.halves(x);
                let a = g.scope("a", |g| g.pointwise_with_bias(x, half, 0.0));
                let b = g.scope("b", |g| g.depthwise(a, 3, 1));
                let ghost = g.scope("ghost", |g| g.concat(&[a, b]));
                let pooled = g.global_average_pool(ghost);
                let factors = g.scope("factors", |g| g.pointwise_with_bias(pooled, 2 * half, 0.0));
                let x = g.scale(ghost, factors);
                let x = g.scope("c", |g| g.pointwise_with_bias(x, half, 0.0));
                let x = g.scope("join", |g| g.concat(&[passing, x]));
                g.channel_shuffle(x)
            }),
            around(2 * half, |g, x| g.channel_shuffle(x)),
            // One map in two joins, a join in a join, a join of the same map twice, slices that overlap.
            around(half, |g, x| {
                let a = g.scope("a", |g| g.pointwise_with_bias(x, 3, 0.0));
                let b = g.scope("b", |g| g.pointwise_with_bias(x, 5, 0.0));
                let inner = g.scope("inner", |g| g.concat(&[a, b, a]));
                let outer = g.scope("outer", |g| g.concat(&[inner, x, b]));
                let first = g.scope("first", |g| g.slice(outer, 1, 7));
                let second = g.scope("second", |g| g.slice(outer, 4, 7));
                let sum = g.add(first, second);
                g.scope("last", |g| g.concat(&[sum, first]))
            }),
        ];
        for (graph, shape) in graphs.iter().flat_map(|graph| SIZES.map(|shape| (graph, shape))) {
            wrong.extend(check(&format!("channels {half} {shape:?}"), graph, shape));
        }
    }
    assert_right(wrong);
}

#[test]
fn linear_layers_and_scores() {
    let linear = around(19, |g, x| {
        let x = g.global_average_pool(x);
        let x = g.scope("linear", |g| g.linear(x, 10));
        g.dropout(x, 0.0)
    });
    let score = around(7, |g, x| {
        let a = g.scope("a", |g| g.activation(x, Activation::Sigmoid));
        let b = g.scope("b", |g| g.pointwise_with_bias(x, 1, 0.0));
        let b = g.scope("c", |g| g.activation(b, Activation::Sigmoid));
        g.geometric_mean(a, b)
    });
    let graphs = [linear, score];
    let all = graphs.iter().flat_map(|graph| SIZES.map(|shape| check("scores", graph, shape)));
    assert_right(all.flatten().collect());
}

#[test]
fn a_map_without_a_gradient_beside_one_with() {
    let mut g = Builder::new();
    let image = g.input();
    let x = g.scope("x", |g| g.pointwise_with_bias(image, 6, 0.0));
    let a = g.scope("a", |g| g.slice(x, 0, 2));
    let b = g.scope("b", |g| g.slice(x, 2, 4));
    let c = g.scope("c", |g| g.pointwise_with_bias(b, 4, 0.0));
    g.output("a", a);
    g.output("c", c);
    let graph = g.finish();
    let weights = weights(&graph);
    let shape = [2, 3, 5, 3];
    let mut tape = Tape::new(&graph, 1).expect("a tape");
    tape.forward(&weights, shape, &noise(90, 1)).expect("runs");
    let found = tape
        .backward(&[("a".to_owned(), Tensor4 { shape: [2, 2, 5, 3], data: vec![1.0; 60] })])
        .expect("differentiates");
    assert!(!found.contains_key("c.weight"), "no output depends on it");
    assert!(found["x.bias"].data == [30.0, 30.0, 0.0, 0.0, 0.0, 0.0], "{:?}", found["x.bias"].data);
}

#[test]
fn the_reference_itself_against_central_differences() {
    let graph = around(6, |g, x| {
        let (a, b) = g.halves(x);
        let b = g.scope("norm", |g| g.batch_norm(b));
        let b = g.activation(b, Activation::HardSwish);
        let b = g.scope("dw", |g| g.depthwise(b, 3, 1));
        let x = g.scope("join", |g| g.concat(&[a, b]));
        let x = g.channel_shuffle(x);
        let x = g.scope("dense", |g| g.convolution(x, 4, 5, 2, 1));
        let pooled = g.global_average_pool(x);
        let x = g.scale(x, pooled);
        let y = g.scope("up", |g| g.resize_bilinear(x, ResizeFactor::Double));
        let x = g.scope("max", |g| g.max_pool(y));
        let x = g.scope("linear", |g| {
            let x = g.global_average_pool(x);
            g.linear(x, 3)
        });
        g.activation(x, Activation::Sigmoid)
    });
    let shape = [2, 3, 6, 8];
    let image = Map { shape, data: float(&noise(shape.iter().product(), 99)) };
    let mut values = naive::values(&weights(&graph));
    let node = graph.output("y").expect("an output").0;
    let loss = |values: &naive::Values| -> f64 {
        let maps = naive::forward(&graph, values, &image);
        maps[node].data.iter().enumerate().map(|(i, y)| (i as f64 + 1.0) * y).sum()
    };
    let maps = naive::forward(&graph, &values, &image);
    let gradient = (1..=maps[node].data.len()).map(|i| i as f64).collect();
    let seed = vec![("y".to_owned(), Map { shape: maps[node].shape, data: gradient })];
    let found = naive::backward(&graph, &values, &maps, &seed);
    let mut compared = 0;
    for param in graph.params.iter().filter(|param| param.role.is_learned()) {
        for index in 0..param.len() {
            let value = values[&param.name][index];
            let mut moved = |by: f64| {
                values.get_mut(&param.name).expect("a parameter")[index] = value + by;
                let result = loss(&values);
                values.get_mut(&param.name).expect("a parameter")[index] = value;
                result
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let expected = found[&param.name][index];
            assert!(
                (slope - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                "{} {index}: {slope} {expected}",
                param.name
            );
            compared += 1;
        }
    }
    assert!(compared > 400, "{compared}");
}
