//! A batch in shards, one per tape, equals the batch on one tape: maps, statistics, gradients.
// WebAssembly has no threads.
#![cfg(not(target_family = "wasm"))]

use std::sync::{Arc, Barrier, Mutex};

use picodet_gradient::{AllReduce, Tape};
use picodet_graph::{Activation, Graph, Initialiser, Op, Tensor, Tensor4, Weights, pass};
use picodet_testing::{emulated, noise};
use picodet_zoo::{Classifier, variant};

fn weights(graph: &Graph) -> Weights {
    let tensor = |(index, param): (usize, &picodet_graph::Param)| {
        let scale = |value: f32| match param.initialiser {
            Initialiser::Constant(constant) => constant + 0.4 * value,
            Initialiser::Normal { std } => std.max(0.05) * 1.7 * value,
            Initialiser::Uniform { limit } => limit * value,
        };
        let data = noise(param.len(), index as u64 + 1).into_iter().map(scale).collect();
        (param.name.clone(), Tensor { shape: param.shape.clone(), data })
    };
    graph.params.iter().enumerate().map(tensor).collect()
}

/// Replaces activations by a smooth one, so that no rounding moves an element across a kink.
fn smooth(mut graph: Graph) -> Graph {
    for node in &mut graph.nodes {
        if let Op::Activation(activation) = &mut node.op {
            *activation = Activation::Sigmoid;
        }
    }
    graph
}

/// The results of one tape.
struct Result {
    maps: Vec<Tensor4>,
    gradients: Weights,
    statistics: Vec<(String, Vec<f32>)>,
}

fn run(graph: &Graph, tape: &mut Tape, weights: &Weights, side: usize, image: &[f32]) -> Result {
    let count = image.len() / (3 * side * side);
    tape.forward(weights, [count, 3, side, side], image).expect("runs");
    let outputs = graph.outputs.iter().map(|output| tape.output(&output.name).expect("an output"));
    let maps: Vec<Tensor4> = outputs.map(|map| map.to_tensor()).collect();
    // In place of the gradients of a loss: the maps.
    let gradients: Vec<_> =
        graph.outputs.iter().zip(&maps).map(|(output, map)| (output.name.clone(), map.clone())).collect();
    let gradients = tape.backward(&gradients).expect("differentiates");
    let statistics = tape.statistics().map(|(name, values)| (name.to_owned(), values.to_vec())).collect();
    Result { maps, gradients, statistics }
}

/// All-reduces over `ranks` threads, in the order of ranks.
fn sums(ranks: usize) -> Vec<AllReduce> {
    let parts: Arc<Mutex<Vec<Vec<f64>>>> = Arc::new(Mutex::new(vec![Vec::new(); ranks]));
    let barrier = Arc::new(Barrier::new(ranks));
    (0..ranks)
        .map(|rank| -> AllReduce {
            let (parts, barrier) = (Arc::clone(&parts), Arc::clone(&barrier));
            Arc::new(move |values: &mut [f64]| {
                parts.lock().expect("a lock")[rank] = values.to_vec();
                barrier.wait();
                {
                    let parts = parts.lock().expect("a lock");
                    assert!(
                        parts.iter().all(|part| part.len() == values.len()),
                        "ranks reduce different vectors"
                    );
                    for (index, value) in values.iter_mut().enumerate() {
                        *value = parts.iter().map(|part| part[index]).sum();
                    }
                }
                barrier.wait();
            })
        })
        .collect()
}

/// Combines the results of all shards: maps concatenated, gradients summed, statistics of the first.
fn in_shards(graph: &Graph, shards: &[usize], side: usize, image: &[f32], joined: bool) -> Result {
    let weights = weights(graph);
    let len = 3 * side * side;
    let results: Vec<Result> = std::thread::scope(|scope| {
        let mut first = 0;
        let mut handles = Vec::new();
        for (rank, (&count, sum)) in shards.iter().zip(sums(shards.len())).enumerate() {
            let own = &image[first * len..(first + count) * len];
            let (weights, first_image) = (&weights, first);
            handles.push(scope.spawn(move || {
                // With and without a thread pool: the sum is called from another thread or from this one.
                let mut tape = Tape::new(graph, 1 + rank % 2).expect("a tape");
                tape.seed(9);
                if joined {
                    tape.set_shard(first_image, sum);
                }
                run(graph, &mut tape, weights, side, own)
            }));
            first += count;
        }
        handles.into_iter().map(|handle| handle.join().expect("a shard")).collect()
    });
    let mut results = results.into_iter();
    let mut whole = results.next().expect("a shard");
    for other in results {
        if joined {
            assert_eq!(whole.statistics, other.statistics, "ranks have bitwise equal statistics");
        }
        whole.maps.iter_mut().zip(other.maps).for_each(|(map, other)| {
            map.shape[0] += other.shape[0];
            map.data.extend(other.data);
        });
        for (name, tensor) in other.gradients {
            let sum = whole.gradients.get_mut(&name).expect("the same parameters");
            sum.data.iter_mut().zip(tensor.data).for_each(|(sum, value)| *sum += value);
        }
    }
    whole
}

fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// The largest difference of a tensor relative to its norm: of maps, of statistics, of gradients. Small gradients are
/// compared with 1e-4 of the norm of all gradients.
fn differences(found: &Result, expected: &Result) -> [f64; 3] {
    let off = |a: &[f32], b: &[f32], floor: f64| {
        assert_eq!(a.len(), b.len());
        norm(a.iter().zip(b).map(|(a, b)| a - b)) / norm(b.iter().copied()).max(floor)
    };
    let maps = found.maps.iter().zip(&expected.maps).map(|(a, b)| off(&a.data, &b.data, 1e-30));
    let statistics = found.statistics.iter().zip(&expected.statistics).map(|(a, b)| off(&a.1, &b.1, 1e-30));
    let whole = norm(expected.gradients.values().flat_map(|tensor| tensor.data.iter().copied()));
    let gradients = found
        .gradients
        .iter()
        .map(|(name, tensor)| off(&tensor.data, &expected.gradients[name].data, 1e-4 * whole));
    [maps.fold(0.0, f64::max), statistics.fold(0.0, f64::max), gradients.fold(0.0, f64::max)]
}

#[test]
fn networks_in_shards_equal_the_whole_batch() {
    let detector = |name: &str| {
        let graph = variant(name).expect("a variant").architecture.graph(3);
        smooth(pass::keep_outputs(&graph, |name| name.starts_with("cls_logit") || name.starts_with("reg.")))
    };
    // The classifier has dropout.
    let classifier = smooth(Classifier::LcNet { scale: 0.25 }.graph(4));
    let graphs = [detector("legacy_s_320"), detector("v2_xs_320"), classifier];
    // An emulator is slow: a sample.
    for (number, graph) in graphs.iter().enumerate().skip(if emulated() { 2 } else { 0 }) {
        let (side, images) = (64, 5);
        let image = noise(images * 3 * side * side, 3);
        let mut tape = Tape::new(graph, 1).expect("a tape");
        tape.seed(9);
        let expected = run(graph, &mut tape, &weights(graph), side, &image);
        for shards in [&[2, 3][..], &[1, 2, 2]] {
            // The difference is the rounding of f32 sums in another order, amplified by batch norms of few pixels.
            let found = differences(&in_shards(graph, shards, side, &image, true), &expected);
            let allowed = [1e-4, 1e-4, 1e-3];
            assert!(
                found.iter().zip(allowed).all(|(&found, allowed)| found < allowed),
                "network {number} in {shards:?}: {found:?}"
            );
            // Statistics per shard give another result, which the comparison detects.
            let separate = differences(&in_shards(graph, shards, side, &image, false), &expected);
            assert!(
                separate.iter().zip(allowed).all(|(&found, allowed)| found > 50.0 * allowed),
                "network {number} with separate statistics: {separate:?}"
            );
        }
    }
}

#[test]
fn a_group_of_one_equals_no_group_up_to_rounding() {
    let graph = smooth(variant("v2_xs_320").expect("a variant").architecture.graph(3));
    let graph = pass::keep_outputs(&graph, |name| name.starts_with("reg."));
    let image = noise(2 * 3 * 64 * 64, 4);
    let expected = run(&graph, &mut Tape::new(&graph, 1).expect("a tape"), &weights(&graph), 64, &image);
    let mut tape = Tape::new(&graph, 1).expect("a tape");
    tape.set_shard(0, Arc::new(|_: &mut [f64]| ()));
    let found = run(&graph, &mut tape, &weights(&graph), 64, &image);
    assert!(differences(&found, &expected).iter().all(|&found| found < 1e-4));
}
