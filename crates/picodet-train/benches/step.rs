//! The parts of a training step on generated images with COCO's number of objects: forward, loss with assignment, and
//! backward. Items are images.
//!
//! The example `whole_step` measures the same on other batches and sizes, against PyTorch in `bench/train`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use picodet_graph::{TensorView, Weights};
use picodet_testing::Noise;
use picodet_train::group::SingleProcess;
use picodet_train::recipes::recipe;
use picodet_train::transfer::initial_weights;
use picodet_train::{CpuNetwork, HeadGradients, Objective, TrainingBackend, Truth};

const RECIPES: [&str; 2] = ["legacy_s_320", "v2_s_320"];
const CLASSES: usize = 80;
const OBJECTS: usize = 7;
const BATCH: usize = 8;
const SIZE: usize = 320;
const THREADS: usize = 1;

fn main() {
    divan::main();
}

/// Computes the outputs of the network.
#[divan::bench(args = RECIPES, sample_count = 10, sample_size = 1)]
fn forward(bencher: Bencher<'_, '_>, name: &str) {
    let mut step = Step::new(name);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| step.forward());
}

/// Assigns the objects, and computes the loss and its gradients.
#[divan::bench(args = RECIPES, sample_count = 10, sample_size = 1)]
fn loss(bencher: Bencher<'_, '_>, name: &str) {
    let mut step = Step::new(name);
    step.forward();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| step.loss());
}

/// Computes the gradients of the parameters.
#[divan::bench(args = RECIPES, sample_count = 10, sample_size = 1)]
fn backward(bencher: Bencher<'_, '_>, name: &str) {
    let mut step = Step::new(name);
    step.forward();
    step.loss();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| step.backward());
}

/// A network with its initial weights and a batch.
struct Step {
    network: CpuNetwork,
    objective: Objective,
    strides: Vec<usize>,
    weights: Weights,
    images: Vec<f32>,
    truths: Vec<Truth>,
    head: HeadGradients,
}

impl Step {
    fn new(name: &str) -> Self {
        let experiment = recipe(name).expect("a recipe");
        let architecture = &experiment.variant().expect("a variant").architecture;
        let graph = Objective::graph(&architecture.graph(CLASSES));
        let mut noise = Noise::new(1);
        let images = (0..BATCH * 3 * SIZE * SIZE).map(|_| noise.normal()).collect();
        let truths = (0..BATCH).map(|_| objects(&mut noise)).collect();
        Self {
            network: CpuNetwork::new(&graph, THREADS, &[], 0, 0).expect("a differentiable network"),
            objective: experiment.objective(),
            strides: architecture.strides(),
            weights: initial_weights(&graph, 3),
            images,
            truths,
            head: HeadGradients::default(),
        }
    }

    fn forward(&mut self) {
        let images = TensorView::channels_first(&self.images, [BATCH, 3, SIZE, SIZE]).expect("whole images");
        self.network.forward(black_box(&self.weights), images).expect("enough memory");
    }

    fn loss(&mut self) -> f64 {
        let network = &self.network;
        let output = self.objective.compute_loss(
            |name| network.output(name),
            &self.strides,
            black_box(&self.truths),
            0,
            (&SingleProcess, THREADS),
            &mut self.head,
        );
        output.loss.cls
    }

    fn backward(&mut self) -> Weights {
        self.network.backward(black_box(&self.head.outputs())).expect("gradients of the outputs")
    }
}

/// The objects of an image, with boxes in pixels of the input.
fn objects(noise: &mut Noise) -> Truth {
    let mut objects = Truth::default();
    let side = SIZE as f64;
    for _ in 0..OBJECTS {
        let [width, height] = [0; 2].map(|_| side * (0.08 + 0.5 * noise.unit()));
        let (x, y) = ((side - width) * noise.unit(), (side - height) * noise.unit());
        objects.boxes.push([x, y, x + width, y + height]);
        objects.classes.push(noise.below(CLASSES));
    }
    objects
}
