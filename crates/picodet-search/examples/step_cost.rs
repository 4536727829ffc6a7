//! Measures what a step of a supernet costs beyond the passes of its networks, on generated images and objects:
//! `step_cost SPACE.toml BATCH SIZE THREADS STEPS`; with `supernet` or `largest` after that, only the peak memory of such
//! steps.
//!
//! Each step of the supernet is followed by the passes of the same networks, each prepared beforehand as ordinary training
//! prepares one: with its own tape and its own weights.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use picodet_graph::pass::slice_map;
use picodet_graph::{Graph, Weights};
use picodet_search::{Genome, Sandwich, Space, Supernet, random_weights};
use picodet_testing::{Noise, peak_memory, processor_time};
use picodet_train::clock::SystemClock;
use picodet_train::group::SingleProcess;
use picodet_train::loader::Batch;
use picodet_train::recipes::recipe;
use picodet_train::state::Progress;
use picodet_train::{CpuNetwork, HeadGradients, Learner, Objective, StepInput, Truth, learn};

/// Classes of the networks.
const CLASSES: usize = 80;
/// Objects per image, about the mean of COCO.
const OBJECTS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "step_cost SPACE.toml BATCH SIZE THREADS STEPS [supernet | largest]";
    let [space, rest @ ..] = arguments.as_slice() else { return Err(usage.into()) };
    let numbers: Vec<usize> = rest.iter().map_while(|number| number.parse().ok()).collect();
    let [batch, size, threads, steps] = numbers[..] else { return Err(usage.into()) };
    let only = rest.get(4).map(String::as_str);
    // As `picodet train` does: GNU's allocator keeps the blocks that a step frees.
    drop(std::hint::black_box(Vec::<u8>::with_capacity((32 << 20) - (64 << 10))));
    let space = Space::parse(&std::fs::read_to_string(space)?)?;
    let experiment = recipe(space.base().name)?;
    let classes = (0..CLASSES).map(|class| class.to_string()).collect();
    let progress = Progress { threads, classes, ..Progress::new(experiment) };
    let weights = random_weights(&space, CLASSES, 3);
    let sandwich = if only == Some("largest") { Sandwich::LARGEST } else { Sandwich::default() };
    let mut supernet = Supernet::new(space.clone(), sandwich, &progress, steps + 1)?;
    let batch = images_and_objects(batch, size);
    let mut own = Own { space, weights: weights.clone(), threads, known: HashMap::new() };
    let input = StepInput {
        number: 0,
        of_steps: steps + 1,
        epoch: 0,
        batch: &batch,
        objective: &progress.experiment.objective(),
        strides: &own.space.supernet().strides(),
        group: &SingleProcess,
        threads,
        clock: &SystemClock::default(),
    };
    let (mut together, mut alone) = (Vec::new(), Vec::new());
    for number in 0..=steps {
        let input = StepInput { number, ..input };
        let start = Time::now();
        supernet.learn(&weights, &input)?;
        let supernet_time = start.elapsed();
        if only.is_some() {
            continue;
        }
        let mut sum = Time::default();
        for genome in sandwich.genomes(&own.space.clone(), progress.seed, number, steps + 1) {
            let pass = own.pass(&genome, &input)?;
            sum = Time { wall: sum.wall + pass.wall, processor: sum.processor + pass.processor };
        }
        // The first step reserves memory.
        if number > 0 {
            together.push(supernet_time);
            alone.push(sum);
        }
    }
    match only {
        Some(_) => {
            println!(r#"{{"peak_kib": {}}}"#, peak_memory().map_or("null".to_owned(), |kib| kib.to_string()))
        }
        None => {
            let of = |part: fn(&Time) -> f64| {
                let [mut together, mut alone] =
                    [&together, &alone].map(|times| times.iter().map(part).collect::<Vec<f64>>());
                let mut ratios: Vec<f64> = together.iter().zip(&alone).map(|(a, b)| a / b).collect();
                [median(&mut together), median(&mut alone), median(&mut ratios)]
            };
            for (name, [together, alone, ratio]) in
                [("wall", of(|time| time.wall)), ("processor", of(|time| time.processor))]
            {
                println!(
                    r#"{{"time": "{name}", "supernet_ms": {together:.1}, "networks_ms": {alone:.1}, "ratio": {ratio:.4}}}"#
                );
            }
        }
    }
    Ok(())
}

/// Milliseconds of the clock and of all threads; other programs count in the first only.
#[derive(Clone, Copy, Default)]
struct Time {
    wall: f64,
    processor: f64,
}

impl Time {
    fn now() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| 1e3 * time.as_secs_f64());
        Self { wall, processor: processor_time() }
    }

    fn elapsed(self) -> Self {
        let now = Self::now();
        Self { wall: now.wall - self.wall, processor: now.processor - self.processor }
    }
}

/// Networks of the space, each with its own tape.
struct Own {
    space: Space,
    weights: Weights,
    threads: usize,
    known: HashMap<Genome, (CpuNetwork, Weights)>,
}

impl Own {
    /// Returns the time of one pass. A network that is new is prepared and run once before.
    fn pass(&mut self, genome: &Genome, input: &StepInput<'_>) -> Result<Time, Box<dyn Error>> {
        let mut head = HeadGradients::default();
        if !self.known.contains_key(genome) {
            // Few networks at a time: each holds the memory of a step.
            if self.known.len() > 6 {
                self.known.clear();
            }
            let graph = |genome: &Genome| -> Option<Graph> {
                Some(Objective::graph(&self.space.candidate(genome)?.architecture.graph(CLASSES)))
            };
            let (Some(whole), Some(own)) = (graph(&self.space.largest()), graph(genome)) else {
                return Err("a genome that is not of the space".into());
            };
            let weights = slice_map(&whole, &own)?.gather(&self.weights)?;
            let mut network = CpuNetwork::new(&own, self.threads, &[], 0, 0)?;
            learn(&mut network, &weights, input, &mut head)?;
            self.known.insert(genome.clone(), (network, weights));
        }
        let Some((network, weights)) = self.known.get_mut(genome) else { return Ok(Time::default()) };
        let start = Time::now();
        learn(network, weights, input, &mut head)?;
        Ok(start.elapsed())
    }
}

fn images_and_objects(images: usize, size: usize) -> Batch {
    let mut noise = Noise::new(1);
    let side = size as f64;
    let mut truth = || {
        let mut truth = Truth::default();
        for _ in 0..OBJECTS {
            let [width, height] = [0; 2].map(|_| side * (0.08 + 0.5 * noise.unit()));
            let (x, y) = ((side - width) * noise.unit(), (side - height) * noise.unit());
            truth.boxes.push([x, y, x + width, y + height]);
            truth.classes.push(noise.below(CLASSES));
        }
        truth
    };
    let truths = (0..images).map(|_| truth()).collect();
    let pixels = (0..images * 3 * size * size).map(|_| noise.normal()).collect();
    Batch { step: 0, shape: [images, 3, size, size], pixels, truths, images: (0..images).collect() }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
