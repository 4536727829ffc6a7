//! Quantised networks on the fast engine: every map has the bytes of the reference, on every instruction set of this
//! processor, with one and several threads.

use std::collections::BTreeSet;

use picodet_engine::{CpuEngine, Isa, Plan, QuantisedReference};
use picodet_graph::quantised::maps_of;
use picodet_graph::{Graph, Quantisation, Tensor4, pass};
use picodet_testing::{Noise, emulated};

mod random;

use random::quantised::{MEAN, STD, quantise, with_all_maps};
use random::random_weights;

/// A normalised image of random pixels.
fn image((height, width): (usize, usize), seed: u64) -> Tensor4 {
    let mut noise = Noise::new(seed);
    let plane = height * width;
    // Blocks of one colour, so that maps do not average out.
    let mut pixel = || (noise.unit() * 255.99).floor() as f32;
    let blocks: Vec<f32> = (0..3 * plane / 16).map(|_| pixel()).collect();
    let value = |index: usize| {
        let (c, y, x) = (index / plane, index % plane / width, index % width);
        (blocks[(c * height / 4 + y / 4) * (width / 4) + x / 4] / 255.0 - MEAN[c]) / STD[c]
    };
    Tensor4 { shape: [1, 3, height, width], data: (0..3 * plane).map(value).collect() }
}

/// Whether two outputs are equal; scores behind a sigmoid are compared with a tolerance.
fn differs(name: &str, found: &Tensor4, expected: &Tensor4) -> Option<String> {
    let tolerance = if name.starts_with("score") || name.starts_with("align") { 1e-5 } else { 0.0 };
    let pairs = found.data.iter().zip(&expected.data).enumerate();
    let mut wrong =
        pairs.filter(|(_, (found, expected))| ((*found - *expected).abs() > tolerance) || found.is_nan());
    let first = wrong.next()?;
    let count = 1 + wrong.count();
    Some(format!("{count} of {} differ, first {first:?}", expected.data.len()))
}

fn compare(name: &str, graph: &Graph, size: (usize, usize)) {
    let (graph, weights) = pass::fold_batch_norm(graph, &random_weights(graph, 7));
    let quantisation = quantise(&graph, &weights, &image(size, 1));
    let tested = image(size, 2);
    let mut wrong = Vec::new();
    // All maps as outputs, and only those of the network, where more steps are joined.
    for graph in [with_all_maps(&graph), graph] {
        let reference =
            QuantisedReference::new(&graph, &weights, &quantisation, size).expect("a sound network");
        let expected = reference.run(&tested).expect("an image of this size");
        for int8 in Isa::available().into_iter().flat_map(Isa::int8_available) {
            for threads in [1, 3] {
                let engine = CpuEngine::new().with_int8(int8).with_threads(threads);
                let plan = engine.prepare_quantised(&graph, &weights, &quantisation, size);
                let found = plan.expect("a sound network").run(&tested).expect("an image of this size");
                assert_eq!(found.len(), expected.len());
                for ((output, found), (_, expected)) in found.iter().zip(&expected) {
                    if let Some(problem) = differs(output, found, expected) {
                        wrong.push(format!("{name} {int8:?} {threads} threads {output}: {problem}"));
                        break;
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_map_has_the_bytes_of_the_reference() {
    let cases = [
        ("legacy_s_416", (96, 160)),
        ("legacy_s_320", (64, 64)),
        ("v2_xs_320", (64, 96)),
        ("v2_s_416", (96, 64)),
    ];
    for (name, size) in &cases[..if emulated() { 1 } else { 4 }] {
        let variant = picodet_zoo::variant(name).expect("a published network");
        compare(name, &variant.architecture.graph(3), if emulated() { (32, 64) } else { *size });
    }
}

/// The share of values that differ, and the largest difference in steps of a byte.
fn deviation(
    graph: &Graph,
    quantisation: &Quantisation,
    name: &str,
    pair: (&Tensor4, &Tensor4),
) -> (f64, f32) {
    let fusion = pass::fuse(graph);
    let maps = maps_of(graph, &fusion, quantisation);
    let node = graph.outputs.iter().find(|output| output.name == name).expect("an output").node;
    let Some(map) = &maps[node.0] else { return (0.0, 0.0) };
    let (mut count, mut largest) = (0, 0.0f32);
    let plane = pair.0.plane();
    for (index, (a, b)) in pair.0.data.iter().zip(&pair.1.data).enumerate() {
        let steps = (a - b).abs() / map.scale[index / plane];
        count += usize::from(steps > 0.5);
        largest = largest.max(steps);
    }
    (count as f64 / pair.0.data.len() as f64, largest)
}

#[test]
fn convolutions_in_f32_between_bytes_are_those_of_the_reference_up_to_rounding() {
    let variant = picodet_zoo::variant("legacy_s_416").expect("a published network");
    let size = if emulated() { (32, 64) } else { (96, 64) };
    let graph = variant.architecture.graph(3);
    let (graph, weights) = pass::fold_batch_norm(&graph, &random_weights(&graph, 7));
    let all = quantise(&graph, &weights, &image(size, 1));
    let tested = image(size, 2);
    // One convolution of four in f32; one part of the network; and everything.
    type Choice<'a> = &'a dyn Fn(usize, &str) -> bool;
    let choices: [Choice<'_>; 3] =
        [&|index, _| index % 4 != 1, &|_, scope| !scope.contains("stage3"), &|_, _| false];
    for (choice, is_bytes) in choices.iter().enumerate() {
        let scopes = all.convolutions.keys().enumerate().filter(|(index, scope)| is_bytes(*index, scope));
        let scopes: BTreeSet<String> = scopes.map(|(_, scope)| scope.clone()).collect();
        let part = all.restricted(&graph, &scopes);
        assert_eq!(part.convolutions.len(), scopes.len());
        assert_eq!(part.check(&graph), Ok(()));
        let marked = with_all_maps(&graph);
        let reference = QuantisedReference::new(&marked, &weights, &part, size).expect("a sound network");
        let expected = reference.run(&tested).expect("an image of this size");
        for isa in Isa::available() {
            let engine = CpuEngine::with_isa(isa).expect("a set of this processor").with_threads(2);
            let plan = engine.prepare_quantised(&marked, &weights, &part, size).expect("a sound network");
            let found = plan.run(&tested).expect("an image of this size");
            let mut differs = false;
            for ((name, found), (_, expected)) in found.iter().zip(&expected) {
                let (share, largest) = deviation(&marked, &part, name, (found, expected));
                // A sum in another order can round a byte differently, which every channel of the next convolution reads: only the
                // first map that differs has the inputs of the reference.
                let is_first =
                    name.starts_with("map ") && share > 0.0 && !std::mem::replace(&mut differs, true);
                let is_near = largest < 16.0 && !(is_first && share > 0.02);
                assert!(is_near, "{choice} {isa} {name}: {share} differ, up to {largest}");
            }
        }
    }
}
