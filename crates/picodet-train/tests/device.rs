//! A training step on another device equals the processor's: `cargo xtask gpu NAME`.
#![cfg(feature = "burn")]
#![allow(clippy::print_stderr)]

use picodet_graph::{Activation, Graph, Op, TensorView, Weights};
use picodet_train::group::{ProcessGroup, SingleProcess};
use picodet_train::network::{BurnNetwork, device};
use picodet_train::random::{Purpose, Stream};
use picodet_train::recipes::recipe;
use picodet_train::transfer::initial_weights;
use picodet_train::{CpuNetwork, HeadGradients, Objective, TrainingBackend, Truth};

/// Names the device to test; without it, burn's own processor backend.
const DEVICE: &str = "PICODET_DEVICE";
/// Largest difference, as a share of the largest value.
const ALLOWED: f64 = 1e-3;

/// Loss, gradients, and batch statistics of one step.
struct Step {
    loss: f64,
    gradients: Weights,
    statistics: Vec<(String, Vec<f32>)>,
}

/// One batch of generated images and objects.
struct Batch {
    shape: [usize; 4],
    image: Vec<f32>,
    truths: Vec<Truth>,
}

fn batch() -> Batch {
    let mut stream = Stream::new(1, Purpose::Image, 0, 0);
    let shape = [4, 3, 192, 192];
    let image = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
    let truth = |_| {
        let corner: [f64; 2] = std::array::from_fn(|_| stream.uniform(0.0, 90.0));
        let far = corner.map(|side| side + stream.uniform(20.0, 100.0));
        let boxes = vec![[corner[0], corner[1], far[0], far[1]], [20.0, 30.0, 80.0, 170.0]];
        Truth { boxes, classes: vec![stream.index(3), stream.index(3)] }
    };
    Batch { shape, image, truths: (0..4).map(truth).collect() }
}

/// Puts sigmoids in place of all activations: hard-swish has edges at which a rounding decides over the gradient.
fn smooth(mut graph: Graph) -> Graph {
    for node in &mut graph.nodes {
        if let Op::Activation(activation) = &mut node.op {
            *activation = Activation::Sigmoid;
        }
    }
    graph
}

fn step(network: &mut dyn TrainingBackend, name: &str, weights: &Weights, batch: &Batch) -> Step {
    let experiment = recipe(name).expect("a recipe");
    let strides = experiment.variant().expect("a variant").architecture.strides();
    let images = TensorView::channels_first(&batch.image, batch.shape).expect("whole images");
    network.forward(weights, images).expect("a forward");
    let mut head = HeadGradients::default();
    let output = |name: &str| network.output(name);
    let by: (&dyn ProcessGroup, usize) = (&SingleProcess, 1);
    let judged = experiment.objective().compute_loss(output, &strides, &batch.truths, 0, by, &mut head);
    let gradients = network.backward(&head.outputs()).expect("a backward");
    let mut statistics = network.statistics();
    statistics.sort_by(|a, b| a.0.cmp(&b.0));
    Step { loss: judged.loss.total(), gradients, statistics }
}

fn largest(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |largest, &value| largest.max(f64::from(value).abs()))
}

/// The largest difference as a share of `scale`.
fn share<'a>(pairs: impl Iterator<Item = (&'a f32, &'a f32)>, scale: f64) -> f64 {
    let off = pairs.map(|(&found, &expected)| (f64::from(found) - f64::from(expected)).abs() / scale);
    // `max` would drop NaN.
    off.fold(0.0, |most, off| if off.is_nan() { f64::INFINITY } else { most.max(off) })
}

#[test]
fn a_step_on_a_device_equals_the_processors() {
    let device_name = std::env::var(DEVICE).unwrap_or_else(|_| "flex".to_owned());
    let device = device(&device_name).expect("the device");
    let mut wrong = Vec::new();
    for name in ["legacy_s_320", "v2_xs_320"] {
        let architecture = recipe(name).expect("a recipe").variant().expect("a variant").architecture;
        let graph = smooth(Objective::graph(&architecture.graph(3)));
        let weights = initial_weights(&graph, 3);
        let batch = batch();
        let mut cpu = CpuNetwork::new(&graph, 1, &[], 0, 0).expect("a graph that can be differentiated");
        let expected = step(&mut cpu, name, &weights, &batch);
        let found = step(&mut BurnNetwork::new(&graph, device.clone()), name, &weights, &batch);

        let loss = (found.loss - expected.loss).abs() / expected.loss.abs();
        assert_eq!(
            found.gradients.keys().collect::<Vec<_>>(),
            expected.gradients.keys().collect::<Vec<_>>(),
            "{name}: not the same gradients"
        );
        // All gradients, relative to the largest of all.
        let all = |step: &'_ Step| -> Vec<f32> {
            step.gradients.values().flat_map(|tensor| tensor.data.iter().copied()).collect()
        };
        let (all_found, all_expected) = (all(&found), all(&expected));
        let gradients = share(all_found.iter().zip(&all_expected), largest(&all_expected));
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let off = norm(&mut all_found.iter().zip(&all_expected).map(|(a, b)| f64::from(a - b)));
        let off = off / norm(&mut all_expected.iter().map(|&v| f64::from(v)));
        // Means against the largest standard deviation or mean of their batch norm (behind one without activation they are
        // zero but for roundings), variances against the largest variance.
        assert_eq!(found.statistics.len(), expected.statistics.len(), "{name}: not the same batch norms");
        let mut statistics = 0.0f64;
        let pairs = found.statistics.chunks(2).zip(expected.statistics.chunks(2));
        for (found, expected) in pairs {
            let [(mean, means), (variance, variances)] = expected else { panic!("half a batch norm") };
            assert!(mean.ends_with("mean") && variance.ends_with("variance"), "{mean}, {variance}");
            assert_eq!((&found[0].0, &found[1].0), (mean, variance), "{name}: not the same batch norms");
            let deviations: Vec<f32> = variances.iter().map(|variance| variance.sqrt()).collect();
            let mean_share = share(found[0].1.iter().zip(means), largest(means).max(largest(&deviations)));
            let variance_share = share(found[1].1.iter().zip(variances), largest(variances));
            statistics = statistics.max(mean_share).max(variance_share);
        }
        eprintln!(
            "{name} on {device_name}: loss {:.6} and {:.6} (differs by {loss:.1e}); {} gradients differ by at most \
             {gradients:.1e} of the largest, {off:.1e} of their norm; {} batch statistics by at most {statistics:.1e} of \
             their layer's scale",
            found.loss,
            expected.loss,
            all_expected.len(),
            found.statistics.iter().map(|statistic| statistic.1.len()).sum::<usize>(),
        );
        for (what, share) in [("loss", loss), ("gradients", gradients), ("batch statistics", statistics)] {
            if share.is_nan() || share > ALLOWED {
                wrong.push(format!("{name}: {what} differ by {share:.1e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
