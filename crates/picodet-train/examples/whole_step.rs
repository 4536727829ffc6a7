//! Times whole training steps, forward, assignment and loss, backward, optimiser, on generated images and objects:
//! `whole_step VARIANT BATCH SIZE THREADS ITERATIONS [--device NAME] [--write FILE [--smooth]]`.
//!
//! `--device` runs forward and backward passes on a device of burn, in a build with the feature of that device.
//!
//! `--write` puts one step into a file instead, for another program to compare with: `weight/…`, `image`,
//! `boxes/IMAGE`, `classes/IMAGE`, `gradient/…`, `after/…`, `statistic/…`, `loss` and `positives`. `--smooth` puts
//! sigmoids in place of all activations: hard-swish has edges at which a rounding decides over the gradient, so that any two
//! programs differ by percents in it, and one by its own layouts.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::time::Instant;

use picodet_graph::{Activation, Graph, Op, Tensor, TensorView, Weights};
use picodet_testing::{peak_memory, processor_time};
use picodet_train::group::SingleProcess;
use picodet_train::random::{Purpose, Stream};
use picodet_train::recipes::recipe;
use picodet_train::transfer::initial_weights;
use picodet_train::{
    Assignment, BackendError, CpuNetwork, Experiment, HeadGradients, Momentum, Objective, TrainingBackend,
    Truth, update_running_statistics,
};
use picodet_weights::write_tensors;

/// Classes of the network.
const CLASSES: usize = 80;
/// Objects per image, about the mean of COCO.
const OBJECTS: usize = 7;
/// Learning rate; small, so that many steps on one batch stay finite.
const RATE: f32 = 0.001;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "whole_step VARIANT BATCH SIZE THREADS ITERATIONS [--device NAME] [--write FILE [--smooth]]";
    let [name, rest @ ..] = arguments.as_slice() else { return Err(usage.into()) };
    let mut rest = rest.to_vec();
    let device = rest.iter().position(|option| option == "--device");
    let device = device.map(|at| rest.drain(at..(at + 2).min(rest.len())).next_back().unwrap_or_default());
    let numbers: Vec<usize> = rest.iter().map_while(|number| number.parse().ok()).collect();
    let [batch, size, threads, iterations] = numbers[..] else { return Err(usage.into()) };
    let (file, smooth) = match rest.get(4..).unwrap_or_default() {
        [] => (None, false),
        [option, file] if option == "--write" => (Some(file), false),
        [option, file, smooth] if option == "--write" && smooth == "--smooth" => (Some(file), true),
        _ => return Err(usage.into()),
    };
    // As `picodet train` does: GNU's allocator keeps the blocks that a step frees.
    drop(std::hint::black_box(Vec::<u8>::with_capacity((32 << 20) - (64 << 10))));
    let mut step = Step::new(recipe(name)?, batch, size, (threads, device.as_deref()), smooth)?;
    if let Some(file) = file {
        std::fs::write(file, step.written()?)?;
        return Ok(());
    }
    step.run()?;
    let mut times: Vec<[f64; 6]> = Vec::new();
    for _ in 0..iterations.max(1) {
        times.push(step.run()?.0);
    }
    let median = |part: usize| {
        let mut column: Vec<f64> = times.iter().map(|times| times[part]).collect();
        column.sort_by(f64::total_cmp);
        column[column.len() / 2]
    };
    let [forward, judge, backward, optimiser, wall, cpu] = std::array::from_fn(median);
    let memory = peak_memory().map_or("null".to_owned(), |kib| kib.to_string());
    println!(
        r#"{{"forward": {forward:.2}, "judge": {judge:.2}, "backward": {backward:.2}, "optimiser": {optimiser:.2}, "wall": {wall:.2}, "cpu": {cpu:.2}, "peak_kib": {memory}}}"#
    );
    Ok(())
}

/// A network with what it learns from.
struct Step {
    graph: Graph,
    network: Box<dyn TrainingBackend>,
    objective: Objective,
    strides: Vec<usize>,
    weights: Weights,
    momentum: Momentum,
    shape: [usize; 4],
    image: Vec<f32>,
    truths: Vec<Truth>,
    threads: usize,
    smooth: bool,
    head: HeadGradients,
}

/// Milliseconds of the four parts, of the clock, and of all threads.
type Times = [f64; 6];
/// Loss terms, cells that learn an object, gradients.
type Found = ([f64; 3], usize, Weights);

impl Step {
    fn new(
        experiment: Experiment,
        batch: usize,
        size: usize,
        (threads, device): (usize, Option<&str>),
        smooth: bool,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let variant = experiment.variant()?;
        let mut graph = Objective::graph(&variant.architecture.graph(CLASSES));
        for node in graph.nodes.iter_mut().filter(|_| smooth) {
            if let Op::Activation(activation) = &mut node.op {
                *activation = Activation::Sigmoid;
            }
        }
        let network = network(&graph, threads, device)?;
        let mut stream = Stream::new(1, Purpose::Image, 0, 0);
        let shape = [batch, 3, size, size];
        // A coarse pattern with fine noise: neither flat nor without structure.
        let coarse: Vec<f32> = (0..batch * 3 * 100).map(|_| 2.0 * stream.unit() as f32 - 1.0).collect();
        let at = |index: usize| {
            let (plane, cell) = (index / (size * size), index % (size * size));
            let (y, x) = (cell / size * 10 / size, cell % size * 10 / size);
            coarse[plane * 100 + y * 10 + x]
        };
        let image = (0..shape.iter().product()).map(|index| at(index) + 0.5 * stream.unit() as f32).collect();
        let side = size as f64;
        let truth = |_| {
            let mut truth = Truth::default();
            for _ in 0..OBJECTS {
                let extent: [f64; 2] = std::array::from_fn(|_| side * (0.08 + 0.5 * stream.unit()));
                let corner = extent.map(|extent| (side - extent) * stream.unit());
                let sides = [corner[0], corner[1], corner[0] + extent[0], corner[1] + extent[1]];
                // The file holds f32.
                truth.boxes.push(sides.map(|side| f64::from(side as f32)));
                truth.classes.push(stream.index(CLASSES));
            }
            truth
        };
        let truths = (0..batch).map(truth).collect();
        Ok(Self {
            weights: initial_weights(&graph, 3),
            momentum: experiment.momentum(),
            objective: experiment.objective(),
            strides: variant.architecture.strides(),
            graph,
            network,
            shape,
            image,
            truths,
            threads,
            smooth,
            head: HeadGradients::default(),
        })
    }

    fn run(&mut self) -> Result<(Times, Found), BackendError> {
        let (start, cpu) = (Instant::now(), processor_time());
        let images = TensorView::channels_first(&self.image, self.shape).expect("whole images");
        self.network.forward(&self.weights, images)?;
        let forward = start.elapsed();
        let network = &self.network;
        let judged = self.objective.compute_loss(
            |name| network.output(name),
            &self.strides,
            &self.truths,
            0,
            (&SingleProcess, self.threads),
            &mut self.head,
        );
        let judge = start.elapsed();
        let gradients = self.network.backward(&self.head.outputs())?;
        let backward = start.elapsed();
        self.momentum.step(&self.graph, &mut self.weights, &gradients, RATE);
        update_running_statistics(&mut self.weights, &self.network.statistics(), &[]);
        let whole = start.elapsed();
        let of = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        let parts = [forward, judge - forward, backward - judge, whole - backward, whole].map(of);
        let [a, b, c, d, wall] = parts;
        let loss = [judged.loss.cls, judged.loss.bbox, judged.loss.dfl];
        let positives = judged.assignments.iter().map(Assignment::positives).sum();
        Ok(([a, b, c, d, wall, processor_time() - cpu], (loss, positives, gradients)))
    }

    /// One step as a file.
    fn written(&mut self) -> Result<Vec<u8>, BackendError> {
        let mut tensors = Weights::new();
        let mut add = |prefix: &str, weights: &Weights| {
            tensors.extend(weights.iter().map(|(name, tensor)| (format!("{prefix}/{name}"), tensor.clone())));
        };
        add("weight", &self.weights);
        let (_, (loss, positives, gradients)) = self.run()?;
        add("gradient", &gradients);
        add("after", &self.weights);
        let vector = |data: Vec<f32>| Tensor { shape: vec![data.len()], data };
        for (name, values) in self.network.statistics() {
            tensors.insert(format!("statistic/{name}"), vector(values));
        }
        for (image, truth) in self.truths.iter().enumerate() {
            let sides = truth.boxes.iter().flatten().map(|&side| side as f32).collect();
            tensors
                .insert(format!("boxes/{image}"), Tensor { shape: vec![truth.boxes.len(), 4], data: sides });
            let classes = truth.classes.iter().map(|&class| class as f32).collect();
            tensors.insert(format!("classes/{image}"), vector(classes));
        }
        tensors.insert("image".to_owned(), Tensor { shape: self.shape.to_vec(), data: self.image.clone() });
        tensors.insert("loss".to_owned(), vector(loss.map(|term| term as f32).to_vec()));
        tensors.insert("positives".to_owned(), vector(vec![positives as f32]));
        // The order of the graph, and which parameters decay.
        let learned = || self.graph.params.iter().filter(|param| param.role.is_learned());
        let names = |decays: bool| {
            let names = learned().filter(|param| param.decays || !decays).map(|param| param.name.as_str());
            names.collect::<Vec<_>>().join("\n")
        };
        let metadata = [
            ("order", names(false)),
            ("decays", names(true)),
            ("smooth", self.smooth.to_string()),
            ("rate", RATE.to_string()),
            ("momentum", self.momentum.momentum.to_string()),
            ("weight_decay", self.momentum.weight_decay.to_string()),
        ];
        let metadata: BTreeMap<String, String> =
            metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(write_tensors(&tensors, &metadata))
    }
}

/// The network on the processor, or on a device of burn.
fn network(
    graph: &Graph,
    threads: usize,
    device: Option<&str>,
) -> Result<Box<dyn TrainingBackend>, BackendError> {
    match device {
        None => Ok(Box::new(CpuNetwork::new(graph, threads, &[], 0, 0)?)),
        #[cfg(feature = "burn")]
        Some(name) => {
            let device = picodet_train::network::device(name)?;
            Ok(Box::new(picodet_train::network::BurnNetwork::new(graph, device)))
        }
        #[cfg(not(feature = "burn"))]
        Some(name) => Err(BackendError::UnknownDevice(name.to_owned())),
    }
}
