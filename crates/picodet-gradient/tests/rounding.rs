//! Maps that are rounded to bytes and back: values, gradients that pass the rounding, gradients of the scales.

use std::collections::BTreeMap;

use picodet_gradient::{GradientError, Isa, Tape};
use picodet_graph::{Activation, Builder, Graph, MapQuantisation, NodeId, Tensor4, Weights};
use picodet_testing::noise;

const CHANNELS: usize = 21;
const SHAPE: [usize; 4] = [2, 3, 6, 8];
const ROUNDED: &str = "act";
const ACTIVATIONS: [Option<Activation>; 4] =
    [None, Some(Activation::HardSwish), Some(Activation::Relu6), Some(Activation::LeakyRelu { slope: 0.01 })];

/// image → 1×1 → activation or sum, the map that is rounded → 1×1.
fn network(activation: Option<Activation>) -> Graph {
    let mut g = Builder::new();
    let image = g.input();
    let x = g.scope("before", |g| g.pointwise_with_bias(image, CHANNELS, 0.0));
    let x: NodeId = match activation {
        Some(activation) => g.activation(x, activation),
        None => g.add(x, x),
    };
    g.output("map", x);
    let y = g.scope("after", |g| g.pointwise_with_bias(x, 5, 0.0));
    g.output("y", y);
    let mut graph = g.finish();
    graph.nodes[x.0].scope = ROUNDED.to_owned();
    graph
}

fn weights(graph: &Graph) -> Weights {
    let params = graph.params.iter().enumerate();
    params
        .map(|(index, param)| {
            let data = noise(param.len(), index as u64 + 1).iter().map(|value| 4.0 * value).collect();
            (param.name.clone(), picodet_graph::Tensor { shape: param.shape.clone(), data })
        })
        .collect()
}

/// Scales with which some values are cut off on either side.
fn scales() -> MapQuantisation {
    let scale = (0..CHANNELS).map(|c| 0.004 + 0.003 * c as f32).collect();
    MapQuantisation { scale, zero: (0..CHANNELS).map(|c| (c * 12) as u8).collect() }
}

fn output(tape: &Tape, name: &str) -> Tensor4 {
    tape.output(name).expect("an output").to_tensor()
}

fn channel(index: usize) -> usize {
    index / (SHAPE[2] * SHAPE[3]) % CHANNELS
}

/// The byte of a value before it is clamped, and how far it is from the next one.
fn byte(map: &MapQuantisation, c: usize, value: f32) -> (f64, f64) {
    let exact = f64::from(value) / f64::from(map.scale[c]) + f64::from(map.zero[c]);
    (exact.round_ties_even(), 0.5 - (exact - exact.round_ties_even()).abs())
}

#[test]
fn values_and_gradients_are_those_of_rounded_bytes() {
    let map = scales();
    for activation in ACTIVATIONS {
        let graph = network(activation);
        let weights = weights(&graph);
        let image = noise(SHAPE.iter().product(), 7);
        let mut results = Vec::new();
        for (isa, threads) in Isa::available().into_iter().map(|isa| (isa, 1)).chain([(Isa::best(), 3)]) {
            let mut exact = Tape::with_isa(&graph, 1, isa).expect("a tape");
            exact.forward(&weights, SHAPE, &image).expect("runs");
            let values = output(&exact, "map");
            let mut tape = Tape::with_isa(&graph, threads, isa).expect("a tape");
            tape.set_maps(&BTreeMap::from([(ROUNDED.to_owned(), map.clone())])).expect("a map of the graph");
            tape.forward(&weights, SHAPE, &image).expect("runs");
            let rounded = output(&tape, "map");

            let gradient = noise(values.data.len(), 8);
            let (mut passed, mut by_scale) = (gradient.clone(), vec![0.0f64; CHANNELS]);
            let (mut inside, mut cut) = (0, 0);
            for (index, &value) in values.data.iter().enumerate() {
                let c = channel(index);
                let (whole, distance) = byte(&map, c, value);
                let found = f64::from(rounded.data[index]);
                let scale = f64::from(map.scale[c]);
                let expected = (whole.clamp(0.0, 255.0) - f64::from(map.zero[c])) * scale;
                let tolerance = if distance < 1e-3 { 1.01 * scale } else { 1e-5 * expected.abs() };
                assert!(
                    (found - expected).abs() <= tolerance + 1e-7,
                    "{activation:?} {isa} {value}: {found}"
                );
                let is_inside = (0.0..=255.0).contains(&whole);
                if is_inside {
                    inside += 1
                } else {
                    cut += 1
                }
                let slope = if is_inside { found - f64::from(value) } else { found };
                by_scale[c] += slope * f64::from(gradient[index]);
                if !is_inside {
                    passed[index] = 0.0;
                }
            }
            assert!(inside > 200 && cut > 200, "{activation:?}: {inside} inside, {cut} cut off");

            let tensor = |data: Vec<f32>| vec![("map".to_owned(), Tensor4 { shape: values.shape, data })];
            let expected = exact.backward(&tensor(passed)).expect("differentiates");
            let found = tape.backward(&tensor(gradient)).expect("differentiates");
            for (name, expected) in &expected {
                for (a, b) in found[name].data.iter().zip(&expected.data) {
                    assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{activation:?} {isa} {name}: {a} {b}");
                }
            }
            let scales: Vec<_> = tape.scale_gradients().map(|(name, data)| (name, data.to_vec())).collect();
            assert_eq!((scales.len(), scales[0].0), (1, ROUNDED));
            for (c, (found, expected)) in scales[0].1.iter().zip(&by_scale).enumerate() {
                let off = (f64::from(*found) - expected).abs();
                assert!(off < 1e-4 * (1.0 + expected.abs()), "{activation:?} {isa} {c}: {found} {expected}");
            }
            if isa == Isa::best() {
                results.push((found, scales[0].1.clone()));
            }
        }
        assert_eq!(results[0], results[1], "depends on the number of threads");
    }
}

#[test]
fn scales_of_values_that_are_cut_off_have_the_slope_of_central_differences() {
    let graph = network(Some(Activation::HardSwish));
    let weights = weights(&graph);
    let image = noise(SHAPE.iter().product(), 7);
    // No value is inside: the largest byte stands for less than the smallest positive value.
    let mut map = MapQuantisation { scale: vec![1e-9; CHANNELS], zero: vec![0; CHANNELS] };
    let mut tape = Tape::new(&graph, 1).expect("a tape");
    let loss = |map: &MapQuantisation, tape: &mut Tape| -> f64 {
        tape.set_maps(&BTreeMap::from([(ROUNDED.to_owned(), map.clone())])).expect("a map of the graph");
        tape.forward(&weights, SHAPE, &image).expect("runs");
        output(tape, "map").data.iter().enumerate().map(|(i, &y)| f64::from(y) * (i % 5) as f64).sum()
    };
    loss(&map, &mut tape);
    let shape = output(&tape, "map").shape;
    let data = (0..shape.iter().product()).map(|i| (i % 5) as f32).collect();
    tape.backward(&[("map".to_owned(), Tensor4 { shape, data })]).expect("differentiates");
    let found: Vec<f32> = tape.scale_gradients().next().expect("a map").1.to_vec();
    for c in 0..CHANNELS {
        let scale = map.scale[c];
        let mut moved = |factor: f32| {
            map.scale[c] = scale * factor;
            loss(&map, &mut tape)
        };
        let (above, below) = (moved(1.01), moved(1.0 / 1.01));
        map.scale[c] = scale;
        let slope = (above - below) / (2.0 * 1.01f64.ln());
        assert!(
            (slope - f64::from(found[c])).abs() < 1e-3 * slope.abs() + 1e-12,
            "{c}: {slope} {}",
            found[c]
        );
    }
}

#[test]
fn rounding_in_the_middle_of_a_network_moves_only_what_reads_it() {
    let mut g = Builder::new();
    let image = g.input();
    let stem = g.scope("stem", |g| g.convolution(image, 8, 3, 2, 1));
    let x = g.activation(stem, Activation::Relu);
    let pooled = g.scope("pool", |g| g.max_pool(x));
    let up = g.scope("up", |g| g.upsample(pooled));
    let joined = g.scope("join", |g| g.concat(&[x, up]));
    g.output("joined", joined);
    let graph = g.finish();
    let [pool, join] = [pooled, joined].map(|id| graph.node(id).scope.clone());
    let weights = weights(&graph);
    let mut tape = Tape::new(&graph, 2).expect("a tape");
    tape.forward(&weights, [2, 3, 8, 8], &noise(384, 3)).expect("runs");
    let before = output(&tape, "joined");
    let coarse = MapQuantisation { scale: vec![0.5; 8], zero: vec![0; 8] };
    tape.set_maps(&BTreeMap::from([(pool.clone(), coarse.clone())])).expect("a map of the graph");
    tape.forward(&weights, [2, 3, 8, 8], &noise(384, 3)).expect("runs");
    let after = output(&tape, "joined");
    let plane = before.plane();
    for (index, (before, after)) in before.data.iter().zip(&after.data).enumerate() {
        let is_rounded = index / plane % 16 >= 8;
        let expected = if is_rounded { (before / 0.5).round_ties_even() * 0.5 } else { *before };
        assert!((expected - after).abs() < 1e-6, "{index}: {before} became {after}");
    }
    assert!(before.data.iter().any(|&value| value > 0.25), "the map is not empty");

    let few = MapQuantisation { scale: vec![0.5; 7], zero: vec![0; 7] };
    for (scope, map) in [("nowhere", &coarse), (join.as_str(), &coarse), (pool.as_str(), &few)] {
        let refused = tape.set_maps(&BTreeMap::from([(scope.to_owned(), map.clone())]));
        assert!(matches!(refused, Err(GradientError::Map(name)) if name == scope), "{scope}");
    }
    tape.set_maps(&BTreeMap::new()).expect("no maps");
    assert!(tape.output("joined").is_none(), "a forward comes first");
}
