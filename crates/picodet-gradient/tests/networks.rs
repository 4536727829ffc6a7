//! Whole networks of every family, forward and backward, against f64; and properties of all of them.

mod naive;

use naive::Map;
use picodet_gradient::{GradientError, Tape};
use picodet_graph::{Activation, Graph, Initialiser, Op, Tensor, Tensor4, Weights, pass};
use picodet_testing::{Noise, emulated};
use picodet_zoo::{Classifier, variant};

/// Normally distributed values.
fn normal(noise: &mut Noise, count: usize) -> Vec<f32> {
    (0..count).map(|_| noise.normal()).collect()
}

fn weights(graph: &Graph) -> Weights {
    let mut noise = Noise::new(11);
    let tensor = |param: &picodet_graph::Param| {
        let mut value = || match param.initialiser {
            // Not all the same, so that no gradient is zero by symmetry.
            Initialiser::Constant(value) => value + 0.2 * noise.normal(),
            Initialiser::Normal { std } => std.max(0.05) * noise.normal(),
            Initialiser::Uniform { limit } => noise.uniform(-limit, limit),
        };
        let data = (0..param.len()).map(|_| value()).collect();
        (param.name.clone(), Tensor { shape: param.shape.clone(), data })
    };
    graph.params.iter().map(tensor).collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// The norm of the difference relative to the norm, or to `floor` where that is larger.
fn difference(found: &[f32], expected: &[f64], floor: f64) -> f64 {
    assert_eq!(found.len(), expected.len());
    let size = norm(expected.iter().copied()).max(floor);
    norm(found.iter().zip(expected).map(|(&a, b)| f64::from(a) - b)) / size
}

/// A network with smooth activations: at a kink, gradients would depend on a rounding. Kinks are tested operation by
/// operation.
fn network(name: &str, keep: impl Fn(&str) -> bool) -> Graph {
    let architecture = variant(name).expect("a variant").architecture;
    let mut graph = pass::keep_outputs(&architecture.graph(5), keep);
    for node in &mut graph.nodes {
        if let Op::Activation(activation) = &mut node.op {
            *activation = Activation::Sigmoid;
        }
    }
    graph
}

fn detector(name: &str) -> Graph {
    network(name, |name| !name.starts_with("backbone"))
}

/// Returns the outputs and gradients that differ from f64 by more than `tolerance`.
fn compare(what: &str, graph: &Graph, shape: [usize; 4], tolerance: f64) -> Vec<String> {
    let weights = weights(graph);
    let mut noise = Noise::new(5);
    let image = normal(&mut noise, shape.iter().product());
    let mut tape = Tape::new(graph, 2).expect("a tape");
    tape.forward(&weights, shape, &image).expect("runs");
    let values = naive::values(&weights);
    let float = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
    let maps = naive::forward(graph, &values, &Map { shape, data: float(&image) });
    let mut wrong = Vec::new();
    let (mut gradients, mut expected) = (Vec::new(), Vec::new());
    for output in &graph.outputs {
        let map = &maps[output.node.0];
        let found = tape.output(&output.name).expect("an output").to_tensor();
        assert_eq!(found.shape, map.shape);
        let off = difference(&found.data, &map.data, 1e-3);
        if off > tolerance || off.is_nan() {
            wrong.push(format!("{what}: {} differs by {off:.1e}", output.name));
        }
        let gradient = normal(&mut noise, map.data.len());
        expected.push((output.name.clone(), Map { shape: map.shape, data: float(&gradient) }));
        gradients.push((output.name.clone(), Tensor4 { shape: map.shape, data: gradient }));
    }
    let found = tape.backward(&gradients).expect("differentiates");
    let expected = naive::backward(graph, &values, &maps, &expected);
    let whole = norm(expected.values().flatten().copied());
    let learned = graph.params.iter().filter(|param| param.role.is_learned());
    for param in learned {
        let off = difference(&found[&param.name].data, &expected[&param.name], 1e-4 * whole);
        if off > tolerance || off.is_nan() {
            wrong.push(format!("{what}: gradient of {} differs by {off:.1e}", param.name));
        }
    }
    assert_eq!(found.len(), graph.params.iter().filter(|param| param.role.is_learned()).count());
    wrong
}

fn assert_equal(name: &str) {
    // An emulator is slow: a sample.
    if emulated() && name != "v2_xs_320" {
        return;
    }
    let wrong = compare(name, &detector(name), [4, 3, 64, 32], 2e-3);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn esnet_with_csp_pan() {
    assert_equal("legacy_s_320");
}

#[test]
fn lcnet_with_lc_pan_and_the_second_head() {
    assert_equal("v2_xs_320");
}

#[test]
fn the_npu_variant() {
    assert_equal("npu_s_416");
}

#[test]
fn shufflenet() {
    assert_equal("shufflenetv2_1x_416");
}

#[test]
fn mobilenet() {
    assert_equal("mv3_large_1x_416");
}

#[test]
fn resnet() {
    // Only the backbone: the rest is that of other networks, and the reference is slow.
    if emulated() {
        return;
    }
    let graph = network("r18vd_640", |name| name.starts_with("backbone"));
    let wrong = compare("r18vd_640", &graph, [4, 3, 64, 32], 1e-3);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_ablations_base_without_convolutions_in_the_neck() {
    assert_equal("ablation_1_base_416");
}

#[test]
fn leaky_esnet() {
    assert_equal("ablation_7_esnet_416");
}

/// A classifier with a dropout rate of 0; dropout itself is tested below.
fn classifier() -> Graph {
    let mut graph = Classifier::EsNet { scale: 0.25 }.graph(10);
    for node in &mut graph.nodes {
        if let Op::Dropout { rate } = &mut node.op {
            *rate = 0.0;
        }
    }
    graph
}

#[test]
fn a_classifier() {
    let wrong = compare("esnet_x0_25", &classifier(), [3, 3, 64, 96], 2e-3);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Gradients of ones for every output.
fn ones(graph: &Graph, tape: &mut Tape) -> Vec<(String, Tensor4)> {
    let names = graph.outputs.iter().map(|output| output.name.clone());
    names
        .map(|name| {
            let mut gradient = tape.output(&name).expect("an output").to_tensor();
            let values = gradient.data.iter_mut().enumerate();
            values.for_each(|(index, value)| *value = (index % 13) as f32 - 6.0);
            (name, gradient)
        })
        .collect()
}

#[test]
fn steps_repeat_bit_for_bit_on_any_number_of_threads_and_after_other_sizes() {
    let graph = detector("legacy_s_320");
    let weights = weights(&graph);
    let image = normal(&mut Noise::new(5), 3 * 3 * 128 * 96);
    let small = normal(&mut Noise::new(6), 3 * 64 * 64);
    let mut results: Vec<Weights> = Vec::new();
    for threads in [1, 2, 5] {
        let mut tape = Tape::new(&graph, threads).expect("a tape");
        for _ in 0..2 {
            tape.forward(&weights, [3, 3, 128, 96], &image).expect("runs");
            let gradients = ones(&graph, &mut tape);
            results.push(tape.backward(&gradients).expect("differentiates"));
            tape.forward(&weights, [1, 3, 64, 64], &small).expect("runs");
        }
    }
    assert!(results.iter().all(|result| *result == results[0]));
}

#[test]
fn frozen_parameters_have_no_gradient_and_the_others_the_same() {
    let graph = detector("v2_xs_320");
    let weights = weights(&graph);
    let image = normal(&mut Noise::new(5), 2 * 3 * 64 * 64);
    let mut tape = Tape::new(&graph, 1).expect("a tape");
    tape.forward(&weights, [2, 3, 64, 64], &image).expect("runs");
    let gradients = ones(&graph, &mut tape);
    let all = tape.backward(&gradients).expect("differentiates");
    let whole = tape.memory([2, 3, 64, 64]).expect("fits");
    // The backbone whole, and some in the middle.
    let frozen = |name: &str| name.starts_with("backbone") || name.ends_with("depthwise.conv.weight");
    tape.freeze(graph.params.iter().map(|param| param.name.as_str()).filter(|name| frozen(name)))
        .expect("known");
    tape.forward(&weights, [2, 3, 64, 64], &image).expect("runs");
    let some = tape.backward(&gradients).expect("differentiates");
    assert_eq!(some.keys().collect::<Vec<_>>(), all.keys().filter(|name| !frozen(name)).collect::<Vec<_>>());
    assert!(some.iter().all(|(name, tensor)| all[name] == *tensor));
    assert!(tape.memory([2, 3, 64, 64]).expect("fits") < whole * 2 / 3, "a frozen backbone keeps no maps");
    assert!(matches!(tape.freeze(["unknown"]), Err(GradientError::Parameter(_))));
}

#[test]
fn statistics_are_those_of_the_batch() {
    let graph = detector("v2_xs_320");
    let weights = weights(&graph);
    let shape = [2, 3, 64, 64];
    let image = normal(&mut Noise::new(5), 2 * 3 * 64 * 64);
    let mut tape = Tape::new(&graph, 1).expect("a tape");
    assert_eq!(tape.statistics().count(), 0);
    tape.forward(&weights, shape, &image).expect("runs");
    let data = image.iter().map(|&value| f64::from(value)).collect();
    let maps = naive::forward(&graph, &naive::values(&weights), &Map { shape, data });
    let mut compared = 0;
    for node in graph.nodes.iter().filter(|node| node.op == Op::BatchNorm) {
        let map = &maps[node.inputs[0].0];
        let plane = map.shape[2] * map.shape[3];
        // The variance of two cells is the rounding of their difference.
        if map.shape[0] * plane < 16 {
            continue;
        }
        let of = |index: usize| {
            let name = &graph.params[node.params[index].0].name;
            tape.statistics().find(|(found, _)| found == name).expect("measured").1.to_vec()
        };
        let (means, variances) = (of(2), of(3));
        for c in 0..map.shape[1] {
            let all: Vec<f64> = (0..map.shape[0])
                .flat_map(|n| &map.data[(n * map.shape[1] + c) * plane..][..plane])
                .copied()
                .collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let variance = all.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / all.len() as f64;
            assert!((f64::from(means[c]) - mean).abs() < 1e-3 * (variance.sqrt() + 1.0), "{}", node.scope);
            assert!((f64::from(variances[c]) - variance).abs() < 1e-3 * (variance + 1e-5), "{}", node.scope);
            compared += 1;
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn dropout_drops_its_fraction_by_the_seed() {
    let graph = Classifier::LcNet { scale: 0.25 }.graph(4);
    let weights = weights(&graph);
    let image = normal(&mut Noise::new(5), 8 * 3 * 32 * 32);
    let logits = |seed: u64| {
        let mut tape = Tape::new(&graph, 1).expect("a tape");
        tape.seed(seed);
        tape.forward(&weights, [8, 3, 32, 32], &image).expect("runs");
        let logits = tape.output("logits").expect("an output").to_tensor();
        let gradients = tape.backward(&[("logits".to_owned(), logits.map(|_| 1.0))]).expect("differentiates");
        (logits, gradients)
    };
    let (first, again, other) = (logits(3), logits(3), logits(4));
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
    // A feature that every image drops has no gradient in the last layer: 0.2^8 of 1280 features of a batch of 8, but
    // about a fifth for one image.
    let mut tape = Tape::new(&graph, 1).expect("a tape");
    tape.forward(&weights, [1, 3, 32, 32], &image[..3 * 32 * 32]).expect("runs");
    let gradients = tape
        .backward(&[("logits".to_owned(), Tensor4 { shape: [1, 4, 1, 1], data: vec![1.0; 4] })])
        .expect("differentiates");
    let dropped = gradients["classifier.logits.weight"].data.iter().filter(|value| **value == 0.0).count();
    // Hard-swish gives some zeros as well.
    assert!((4 * 200..4 * 700).contains(&dropped), "{dropped} of {}", 4 * 1280);
}

#[test]
fn wrong_inputs_are_errors() {
    let graph = detector("v2_xs_320");
    let weights = weights(&graph);
    let mut tape = Tape::new(&graph, 1).expect("a tape");
    let image = vec![0.0; 3 * 64 * 64];
    assert!(matches!(tape.backward::<Tensor4>(&[]), Err(GradientError::NoForward)));
    assert!(matches!(tape.forward(&weights, [1, 3, 64, 63], &image), Err(GradientError::Image { .. })));
    assert!(matches!(tape.forward(&weights, [0, 3, 64, 64], &[]), Err(GradientError::Image { .. })));
    assert!(matches!(tape.forward(&weights, [1, 3, 16, 256], &image), Err(GradientError::Size { .. })));
    assert!(matches!(tape.forward(&Weights::new(), [1, 3, 64, 64], &image), Err(GradientError::Weights(_))));
    assert!(tape.memory([usize::MAX / 2, 3, 64, 64]).is_err());
    tape.forward(&weights, [1, 3, 64, 64], &image).expect("runs");
    let gradient = |name: &str, size: usize| [(name.to_owned(), Tensor4::zeros([1, 32, size, size]))];
    assert!(matches!(tape.backward(&gradient("unknown", 1)), Err(GradientError::Output(_))));
    let short = tape.backward(&gradient("reg.0", 1));
    assert!(matches!(short, Err(GradientError::GradientShape { expected: [1, 32, 8, 8], .. })), "{short:?}");
    tape.backward(&gradient("reg.0", 8)).expect("differentiates");
    assert!(matches!(tape.backward(&gradient("reg.0", 8)), Err(GradientError::NoForward)));
}
