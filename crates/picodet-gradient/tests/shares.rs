//! A batch in shares, one a tape, equals the batch on one tape: maps, statistics, gradients.

use std::sync::{Arc, Barrier, Mutex};

use picodet_gradient::{GroupSum, Tape};
use picodet_graph::{Activation, Graph, Initialiser, Op, Tensor, Weights, pass};
use picodet_zoo::{Classifier, variant};

/// Numbers of -1 to 1.
fn noise(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
}

fn weights(graph: &Graph) -> Weights {
    let tensor = |(index, param): (usize, &picodet_graph::Param)| {
        let scale = |value: f32| match param.initialiser {
            Initialiser::Constant(constant) => constant + 0.4 * value,
            Initialiser::Normal { std } => std.max(0.05) * 1.7 * value,
            Initialiser::Uniform { limit } => limit * value,
        };
        let data = noise(param.len(), index + 1).into_iter().map(scale).collect();
        (param.name.clone(), Tensor { shape: param.shape.clone(), data })
    };
    graph.params.iter().enumerate().map(tensor).collect()
}

/// Smooth activations: no number falls to this or that side of an edge by a rounding.
fn smooth(mut graph: Graph) -> Graph {
    for node in &mut graph.nodes {
        if let Op::Activation(activation) = &mut node.op {
            *activation = Activation::Sigmoid;
        }
    }
    graph
}

/// What came out of one tape.
struct Result {
    maps: Vec<Vec<f32>>,
    gradients: Weights,
    statistics: Vec<(String, Vec<f32>)>,
}

fn run(graph: &Graph, tape: &mut Tape, weights: &Weights, side: usize, image: &[f32]) -> Result {
    let count = image.len() / (3 * side * side);
    tape.forward(weights, [count, 3, side, side], image).expect("runs");
    let maps: Vec<Vec<f32>> =
        graph.outputs.iter().map(|output| tape.output(&output.name).expect("an output").1).collect();
    // As from a loss: each map is its own gradient.
    let gradients: Vec<_> =
        graph.outputs.iter().zip(&maps).map(|(output, map)| (output.name.clone(), map.clone())).collect();
    let gradients = tape.backward(&gradients).expect("differentiates");
    let statistics = tape.statistics().map(|(name, values)| (name.to_owned(), values.to_vec())).collect();
    Result { maps, gradients, statistics }
}

/// Sums over so many threads, in the order of their numbers.
fn sums(members: usize) -> Vec<GroupSum> {
    let parts: Arc<Mutex<Vec<Vec<f64>>>> = Arc::new(Mutex::new(vec![Vec::new(); members]));
    let barrier = Arc::new(Barrier::new(members));
    (0..members)
        .map(|member| -> GroupSum {
            let (parts, barrier) = (Arc::clone(&parts), Arc::clone(&barrier));
            Arc::new(move |values: &mut [f64]| {
                parts.lock().expect("a lock")[member] = values.to_vec();
                barrier.wait();
                {
                    let parts = parts.lock().expect("a lock");
                    assert!(parts.iter().all(|part| part.len() == values.len()), "members do other work");
                    for (index, value) in values.iter_mut().enumerate() {
                        *value = parts.iter().map(|part| part[index]).sum();
                    }
                }
                barrier.wait();
            })
        })
        .collect()
}

/// The shares' results put together: maps one after another, gradients added up, statistics of the first.
fn in_shares(graph: &Graph, shares: &[usize], side: usize, image: &[f32], joined: bool) -> Result {
    let weights = weights(graph);
    let len = 3 * side * side;
    let results: Vec<Result> = std::thread::scope(|scope| {
        let mut first = 0;
        let mut handles = Vec::new();
        for (member, (&count, sum)) in shares.iter().zip(sums(shares.len())).enumerate() {
            let own = &image[first * len..(first + count) * len];
            let (weights, first_image) = (&weights, first);
            handles.push(scope.spawn(move || {
                // Threads of their own or none: the sum is then called from another thread, or this one.
                let mut tape = Tape::new(graph, 1 + member % 2).expect("a tape");
                tape.seed(9);
                if joined {
                    tape.share(first_image, sum);
                }
                run(graph, &mut tape, weights, side, own)
            }));
            first += count;
        }
        handles.into_iter().map(|handle| handle.join().expect("a share")).collect()
    });
    let mut results = results.into_iter();
    let mut whole = results.next().expect("a share");
    for other in results {
        if joined {
            assert_eq!(whole.statistics, other.statistics, "members must agree to the bit");
        }
        whole.maps.iter_mut().zip(other.maps).for_each(|(map, other)| map.extend(other));
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

/// The largest difference of a tensor as a share of its norm: of maps, of statistics, of gradients. A gradient that is a
/// rounding of the whole is compared with 1e-4 of the whole.
fn differences(found: &Result, expected: &Result) -> [f64; 3] {
    let off = |a: &[f32], b: &[f32], floor: f64| {
        assert_eq!(a.len(), b.len());
        norm(a.iter().zip(b).map(|(a, b)| a - b)) / norm(b.iter().copied()).max(floor)
    };
    let maps = found.maps.iter().zip(&expected.maps).map(|(a, b)| off(a, b, 1e-30));
    let statistics = found.statistics.iter().zip(&expected.statistics).map(|(a, b)| off(&a.1, &b.1, 1e-30));
    let whole = norm(expected.gradients.values().flat_map(|tensor| tensor.data.iter().copied()));
    let gradients = found
        .gradients
        .iter()
        .map(|(name, tensor)| off(&tensor.data, &expected.gradients[name].data, 1e-4 * whole));
    [maps.fold(0.0, f64::max), statistics.fold(0.0, f64::max), gradients.fold(0.0, f64::max)]
}

#[test]
fn networks_in_shares_equal_the_whole_batch() {
    let detector = |name: &str| {
        let graph = variant(name).expect("a variant").architecture.graph(3);
        smooth(pass::keep_outputs(&graph, |name| name.starts_with("cls_logit") || name.starts_with("reg.")))
    };
    // Dropout takes part in the classifier.
    let classifier = smooth(Classifier::LcNet { scale: 0.25 }.graph(4));
    let graphs = [detector("legacy_s_320"), detector("v2_xs_320"), classifier];
    for (number, graph) in graphs.iter().enumerate() {
        let (side, images) = (64, 5);
        let image = noise(images * 3 * side * side, 3);
        let mut tape = Tape::new(graph, 1).expect("a tape");
        tape.seed(9);
        let expected = run(graph, &mut tape, &weights(graph), side, &image);
        for shares in [&[2, 3][..], &[1, 2, 2]] {
            // What is left are the roundings of f32 sums in another order, which batch norms of few cells enlarge.
            let found = differences(&in_shares(graph, shares, side, &image, true), &expected);
            let allowed = [1e-4, 1e-4, 1e-3];
            assert!(
                found.iter().zip(allowed).all(|(&found, allowed)| found < allowed),
                "network {number} in {shares:?}: {found:?}"
            );
            // Each share by its own statistics is another network: the comparison can see that.
            let alone = differences(&in_shares(graph, shares, side, &image, false), &expected);
            assert!(
                alone.iter().zip(allowed).all(|(&alone, allowed)| alone > 50.0 * allowed),
                "network {number} alone: {alone:?}"
            );
        }
    }
}

#[test]
fn a_group_of_one_is_no_group_but_for_roundings_of_its_moments() {
    let graph = smooth(variant("v2_xs_320").expect("a variant").architecture.graph(3));
    let graph = pass::keep_outputs(&graph, |name| name.starts_with("reg."));
    let image = noise(2 * 3 * 64 * 64, 4);
    let expected = run(&graph, &mut Tape::new(&graph, 1).expect("a tape"), &weights(&graph), 64, &image);
    let mut tape = Tape::new(&graph, 1).expect("a tape");
    tape.share(0, Arc::new(|_: &mut [f64]| ()));
    let found = run(&graph, &mut tape, &weights(&graph), 64, &image);
    assert!(differences(&found, &expected).iter().all(|&found| found < 1e-4));
}
