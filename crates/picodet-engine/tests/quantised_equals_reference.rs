//! Quantised networks on the fast engine: every map has the bytes of the reference, on every instruction set of this
//! processor, with one and several threads.

use picodet_engine::{CpuEngine, Isa, Plan, QuantisedReference};
use picodet_graph::{Graph, Tensor4, pass};
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
