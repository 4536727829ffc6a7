//! Steps of the supernet, and its start from a model.

use picodet_engine::{Engine, ReferenceEngine};
use picodet_graph::pass::{slice_map, sort_channels};
use picodet_graph::{Graph, Tensor, Tensor4, Weights};
use picodet_model::Model;
use picodet_search::{Genome, Sandwich, Space, Supernet, weights_of};
use picodet_testing::Noise;
use picodet_train::clock::SystemClock;
use picodet_train::group::{ProcessGroup, SingleProcess, ThreadGroup};
use picodet_train::loader::Batch;
use picodet_train::recipes::recipe;
use picodet_train::state::Progress;
use picodet_train::transfer::initial_weights;
use picodet_train::{
    CpuNetwork, HeadGradients, Learner, Objective, Predictions, StepInput, StepOutput, Teacher,
    TrainingBackend, Truth, learn_from, level_maps,
};
use picodet_zoo::Head;

const WIDE: &str = "network = \"legacy_s_320\"\nratios = [0.5, 0.625, 0.75, 0.875, 1.0]\nneck = [48, 96]\ntower = [1, 2]\ninput = [256, 320]\n";
const CLASSES: [&str; 3] = ["a", "b", "c"];
const SIZE: usize = 96;
const THREADS: usize = 2;
/// Steps of the runs.
const STEPS: usize = 10;
const STRIDES: [usize; 4] = [8, 16, 32, 64];

fn space() -> Space {
    Space::parse(WIDE).expect("a space")
}

fn progress() -> Progress {
    let experiment = recipe("legacy_s_320").expect("a recipe");
    Progress {
        seed: 5,
        threads: THREADS,
        classes: CLASSES.map(str::to_owned).to_vec(),
        ..Progress::new(experiment)
    }
}

fn batch() -> Batch {
    let mut noise = Noise::new(1);
    let truth = |image: usize| Truth {
        boxes: vec![[10.0, 20.0, 50.0, 60.0 + image as f64], [40.0, 30.0, 90.0, 88.0]],
        classes: vec![image % 3, 2],
    };
    Batch {
        step: 0,
        shape: [4, 3, SIZE, SIZE],
        pixels: (0..4 * 3 * SIZE * SIZE).map(|_| noise.normal()).collect(),
        truths: (0..4).map(truth).collect(),
        images: (0..4).collect(),
    }
}

fn graph(space: &Space, genome: &Genome) -> Graph {
    Objective::graph(&space.candidate(genome).expect("of the space").architecture.graph(CLASSES.len()))
}

/// Loss and gradients of step `number`.
fn step(learner: &mut dyn Learner, weights: &Weights, number: usize) -> StepOutput {
    step_of(learner, weights, number, &batch(), &SingleProcess)
}

/// As [`step`], for the shard of a batch that a process of a group has.
fn step_of(
    learner: &mut dyn Learner,
    weights: &Weights,
    number: usize,
    batch: &Batch,
    group: &dyn ProcessGroup,
) -> StepOutput {
    let objective = recipe("legacy_s_320").expect("a recipe").objective();
    let input = StepInput {
        number,
        of_steps: STEPS,
        epoch: 0,
        batch,
        objective: &objective,
        strides: &STRIDES,
        group,
        threads: THREADS,
        clock: &SystemClock::default(),
    };
    learner.learn(weights, &input).expect("a step")
}

/// A single network, as in ordinary training, or with a teacher.
struct Alone {
    network: CpuNetwork,
    head: HeadGradients,
    teacher: Option<(Predictions<'static>, f64)>,
}

impl Alone {
    fn new(graph: &Graph) -> Self {
        let network = CpuNetwork::new(graph, THREADS, &[], 5, 0).expect("a network");
        Self { network, head: HeadGradients::default(), teacher: None }
    }

    fn predictions(&self) -> Predictions<'static> {
        Predictions::new(&level_maps(|name| self.network.output(name), &STRIDES)).copied()
    }
}

impl Learner for Alone {
    fn learn(
        &mut self,
        weights: &Weights,
        step: &StepInput<'_>,
    ) -> Result<StepOutput, picodet_train::BackendError> {
        let mut gradients = HeadGradients::default();
        let teacher = self.teacher.as_ref();
        let teacher = teacher.map(|(predictions, share)| Teacher {
            predictions,
            share: *share,
            gradients: &mut gradients,
        });
        learn_from(&mut self.network, weights, step, teacher, &mut self.head)
    }

    fn output(&self, name: &str) -> Option<picodet_graph::TensorView<'_>> {
        self.network.output(name)
    }

    fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        self.network.statistics()
    }
}

#[test]
fn a_step_of_the_largest_network_is_a_step_of_training() {
    let space = space();
    let graph = graph(&space, &space.largest());
    let weights = initial_weights(&graph, 3);
    let mut supernet = Supernet::new(space, Sandwich::LARGEST, &progress(), STEPS).expect("a supernet");
    let mut alone = Alone::new(&graph);
    for number in 0..2 {
        let (found, expected) = (step(&mut supernet, &weights, number), step(&mut alone, &weights, number));
        assert!(found.gradients == expected.gradients && found.loss.loss == expected.loss.loss);
        assert!(supernet.statistics() == alone.statistics());
    }
}

#[test]
fn a_step_is_the_mean_of_the_gradients_of_its_networks() {
    check_mean(Sandwich::default());
}

#[test]
fn the_other_networks_learn_the_predictions_of_the_largest() {
    let shared = [0.4, 1.0].map(|share| check_mean(distilled(share)));
    assert_ne!(shared[0], shared[1]);
    assert_ne!(shared[0], check_mean(distilled(0.0)));
}

fn distilled(share: f64) -> Sandwich {
    let mut sandwich = Sandwich::default();
    sandwich.distillation = share;
    sandwich
}

/// Compares the gradients of a step with the mean of those of its networks, and returns them.
fn check_mean(sandwich: Sandwich) -> Weights {
    let space = space();
    let whole = graph(&space, &space.largest());
    let weights = initial_weights(&whole, 3);
    let mut supernet = Supernet::new(space.clone(), sandwich, &progress(), STEPS).expect("a supernet");
    // The second step runs on a tape that has run other networks.
    step(&mut supernet, &weights, 0);
    let found = step(&mut supernet, &weights, 1);
    let mut expected: Weights =
        found.gradients.iter().map(|(name, sum)| (name.clone(), Tensor::full(&sum.shape, 0.0))).collect();
    let genomes = sandwich.genomes(&space, 5, 1, STEPS);
    assert_eq!(genomes.len(), 5);
    let mut teacher = None;
    for genome in &genomes {
        let graph = graph(&space, genome);
        let map = slice_map(&whole, &graph).expect("a slice");
        let mut alone = Alone { teacher: teacher.clone(), ..Alone::new(&graph) };
        let own = step(&mut alone, &map.gather(&weights).expect("all weights"), 1).gradients;
        if teacher.is_none() && sandwich.distillation > 0.0 {
            teacher = Some((alone.predictions(), sandwich.distillation));
        }
        for param in &map.params {
            let Some(gradient) = own.get(param.name()) else { continue };
            let share: Vec<f32> = gradient.data.iter().map(|value| value / genomes.len() as f32).collect();
            param.scatter_add(&share, &mut expected.get_mut(param.source()).expect("learned").data);
        }
    }
    let norm =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    for (name, expected) in &expected {
        let off = norm(&mut found.gradients[name].data.iter().zip(&expected.data).map(|(a, b)| a - b));
        let size = norm(&mut expected.data.iter().copied());
        assert!(off <= 1e-6 * size, "{name}: {off:e} of {size:e}");
    }
    found.gradients
}

#[test]
fn processes_share_a_step() {
    let space = space();
    let weights = initial_weights(&graph(&space, &space.largest()), 3);
    let new = || Supernet::new(space.clone(), distilled(0.5), &progress(), STEPS).expect("a supernet");
    let expected = step(&mut new(), &weights, 1).gradients;
    let whole = batch();
    let shards = ThreadGroup::run(2, |group| {
        let (first, plane) = (2 * group.rank(), 3 * SIZE * SIZE);
        let shard = Batch {
            shape: [2, 3, SIZE, SIZE],
            pixels: whole.pixels[first * plane..(first + 2) * plane].to_vec(),
            truths: whole.truths[first..first + 2].to_vec(),
            images: whole.images[first..first + 2].to_vec(),
            ..whole.clone()
        };
        let mut supernet = new();
        supernet.join(group.clone(), 4);
        step_of(&mut supernet, &weights, 1, &shard, &*group).gradients
    });
    let norm =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let all = norm(&mut expected.values().flat_map(|tensor| tensor.data.iter().copied()));
    let (mut off, mut count) = (0.0, 0);
    for (name, expected) in &expected {
        let sums = shards[0][name].data.iter().zip(&shards[1][name].data).map(|(a, b)| a + b);
        off += norm(&mut sums.zip(&expected.data).map(|(sum, expected)| sum - expected)).powi(2);
        count += 1;
    }
    assert!(count > 100 && off.sqrt() <= 1e-3 * all, "{} of {all}", off.sqrt());
}

/// The published network with random weights and other classes than the supernet's.
fn published() -> Model {
    let variant = picodet_zoo::variant("legacy_s_320").expect("published");
    let classes: Vec<String> = ["b", "c", "a", "d"].map(str::to_owned).to_vec();
    let graph = variant.architecture.graph(classes.len());
    let mut noise = Noise::new(7);
    let mut weights = initial_weights(&graph, 9);
    // Batch norms of a trained network: none is the identity.
    for tensor in weights.values_mut().filter(|tensor| tensor.shape.len() == 1) {
        tensor.data.iter_mut().for_each(|value| *value += 0.2 * noise.unit() as f32);
    }
    let metadata = picodet_model::metadata::for_training(variant, classes, (320, 320), 1, "nowhere", "none");
    Model { variant: *variant, graph, weights, metadata, quantisation: None }
}

#[test]
fn candidates_that_contain_the_start_compute_the_same() {
    let space = space();
    let from = published();
    let classes = CLASSES.map(str::to_owned);
    let (weights, report) = weights_of(&space, &classes, 3, &from, &batch()).expect("a start");
    assert_eq!(report.classes.len(), 3);
    let smallest = space.candidate(&space.smallest()).expect("of the space").architecture;
    let [own, narrow] = [&from.graph, &smallest.graph(4)].map(Objective::graph);
    let sorted = sort_channels(&own, &narrow, &mut from.weights.clone());
    assert!(sorted > 0, "the start has no channels that can be sorted");
    let detection = |graph: &Graph| picodet_graph::pass::keep_outputs(graph, Head::is_detection_output);
    let whole = space.supernet().graph(CLASSES.len());
    let mut noise = Noise::new(2);
    let image = Tensor4::new([1, 3, SIZE, SIZE], (0..3 * SIZE * SIZE).map(|_| noise.normal()).collect());
    let image = image.expect("an image");
    let run = |genome: &Genome| {
        let graph = space.candidate(genome).expect("of the space").architecture.graph(CLASSES.len());
        let own = slice_map(&whole, &graph).expect("a slice").gather(&weights).expect("all weights");
        let graph = detection(&graph);
        let own = picodet_graph::pass::keep_weights(&graph, &own);
        let plan = ReferenceEngine::<f64>::new().plan(&graph, &own, (SIZE, SIZE)).expect("a plan");
        plan.run(&image).expect("runs")
    };
    let base = space.published_genome();
    let expected = run(&base);
    let graph = detection(&from.graph);
    let own = picodet_graph::pass::keep_weights(&graph, &from.weights);
    let plan = ReferenceEngine::<f64>::new().plan(&graph, &own, (SIZE, SIZE)).expect("a plan");
    let is_equal = |expected: &Tensor4, found: &Tensor4| {
        let largest = expected.data.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let off = expected.data.iter().zip(&found.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        off <= 1e-5 * largest
    };
    // Its channels are in another order, so that sums differ in rounding.
    for ((name, own), (_, found)) in plan.run(&image).expect("runs").iter().zip(&expected) {
        assert!(is_equal(own, found) || !name.starts_with("reg."), "{name} is that of the model");
    }
    let at_least: Vec<Genome> = (0..3)
        .map(|seed| {
            let random = &Sandwich::default().genomes(&space, seed, 0, STEPS)[3];
            Genome(base.0.iter().zip(&random.0).map(|(&own, &other)| own.max(other)).collect())
        })
        .collect();
    for genome in at_least.iter().chain([&space.largest()]) {
        for ((name, expected), (_, found)) in expected.iter().zip(&run(genome)) {
            assert!(is_equal(expected, found), "{genome:?} {name}");
        }
    }
    // A narrower candidate does not compute the same.
    assert_ne!(run(&space.smallest()), expected);
    // The space may also lack the widths of the start.
    let narrow =
        Space::parse("network = \"legacy_s_320\"\nratios = [0.5, 1.0]\nneck = [48, 64]").expect("a space");
    let (weights, _) = weights_of(&narrow, &classes, 3, &from, &batch()).expect("a start");
    narrow.supernet().graph(CLASSES.len()).check_weights(&weights).expect("all weights");
    let other = Space::parse("network = \"v2_s_320\"\nneck = [48, 96]").expect("a space");
    let error = weights_of(&other, &classes, 3, &from, &batch()).expect_err("another backbone").to_string();
    assert!(error.contains("no part of the supernet"), "{error}");
}
