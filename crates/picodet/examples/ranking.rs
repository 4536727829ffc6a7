//! Compares the ranking of a supernet with separate training of each network: of the space's corners, those with the last stage at
//! the other end, and random networks with about the same latency.
//!
//! ```sh
//! cargo run --release -p picodet --features train --example ranking -- SPACE.toml DATASET OUTPUT SUPERNET_EPOCHS EPOCHS SEEDS
//! ```
//!
//! DATASET has the splits `train`, `val` and `test`. The space gives one input size. The supernet and the networks begin with the
//! same weights, those of the embedded model, whose network is `legacy_s_416`. What OUTPUT already has is not trained again. The
//! supernet judges on `val`; the networks that were trained by themselves are evaluated on `test`, after their last epoch.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::thread::available_parallelism;

use alone::{Alone, paths};
use latencies::predictor;
use picodet::Precision;
use picodet::crates::search::{Gene, Genome, LatencyOptions, Predictor, Space, kendall};
use picodet::crates::train::random::{Purpose, Stream};
use picodet::crates::train::{InputSize, RunOptions};
use picodet::search::{SearchFolder, SearchRequest, Searcher};

mod alone;
mod latencies;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Images per batch.
const BATCH: usize = 16;
/// The first block of ESNet's last stage.
const LAST_STAGE: usize = 10;
/// Random networks of about the same latency, and how far that may be off.
const IN_BAND: usize = 8;
const BAND: f64 = 0.03;
/// Networks that are drawn at most to find these.
const DRAWS: u64 = 100_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [space, data, output, numbers @ ..] = &arguments[..] else {
        return Err("usage: ranking SPACE.toml DATASET OUTPUT SUPERNET_EPOCHS EPOCHS SEEDS".into());
    };
    let numbers: Vec<usize> =
        numbers.iter().map(|number| number.parse()).collect::<std::result::Result<_, _>>()?;
    let [supernet_epochs, epochs, seeds] = numbers[..] else {
        return Err("three numbers are missing".into());
    };
    let output = Path::new(output);
    std::fs::create_dir_all(output)?;
    let space = Space::parse(&std::fs::read_to_string(space)?)?;
    let mut request = SearchRequest::new(space.clone(), paths(data));
    request.weights = Some(picodet::default_model()?);
    request.epochs = Some(supernet_epochs);
    request.sizes = Some(space.input_sizes());
    request.batch = Some(BATCH);
    request.threads = available_parallelism().map_or(1, usize::from);
    let start = Searcher::new(request.clone(), SearchFolder::new(output.join("start")))?;

    let mut options = LatencyOptions::default();
    options.classes = start.trainer.state.progress.classes.len();
    let predictor = predictor(&space, &options, &output.join("latency.toml"))?;
    let corners = corners_of_stages(&space);
    let in_band = networks_in_band(&space, &predictor);
    let genomes: Vec<Genome> = corners.iter().chain(&in_band).cloned().collect();

    let folder = SearchFolder::new(output.join("supernet"));
    let resumed =
        if folder.space().exists() { Searcher::resume(folder) } else { Searcher::new(request, folder) };
    let mut searcher = resumed?;
    searcher.train(&RunOptions { evaluate_every: 1000, ..RunOptions::new("") }, &mut |_| {})?;
    let inherited: Vec<f64> =
        searcher.judge(&genomes, Precision::F32)?.iter().map(|accuracy| accuracy.accuracy).collect();
    let alone = train_all(&start, &genomes, (epochs, seeds), output)?;

    let mut macs = Vec::new();
    let mut parameters = Vec::new();
    for genome in &genomes {
        let candidate = space.candidate(genome).ok_or("a genome of another space")?;
        let cost = candidate.architecture.graph(1).cost(candidate.input_size);
        macs.push(cost.macs as f64);
        parameters.push(cost.parameters as f64);
    }
    let latency: Vec<f64> = genomes.iter().map(|genome| predictor.predict(genome)).collect();
    for (number, genome) in genomes.iter().enumerate() {
        let of_seeds: Vec<f64> = alone.iter().map(|of_seed| of_seed[number]).collect();
        println!(
            "{number:2} {:?}: {:.2} ms, {:.1} M multiply-accumulates, inherited {:.4}, alone {of_seeds:.4?}",
            genome.0,
            latency[number],
            macs[number] / 1e6,
            inherited[number]
        );
    }
    let mean = |number: usize| alone.iter().map(|of_seed| of_seed[number]).sum::<f64>() / seeds as f64;
    let truth: Vec<f64> = (0..genomes.len()).map(mean).collect();
    for (name, range) in [("corners", 0..corners.len()), ("same latency", corners.len()..genomes.len())] {
        println!("Kendall's tau with the mean of stand-alone training, {name}: {} networks", range.len());
        let values = [
            ("supernet", &inherited),
            ("multiply-accumulates", &macs),
            ("parameters", &parameters),
            ("latency", &latency),
        ];
        for (name, values) in values {
            println!("  {name} {:.3}", kendall(&values[range.clone()], &truth[range.clone()]));
        }
        for second in 1..seeds {
            println!(
                "  seed 0 with seed {second} {:.3}",
                kendall(&alone[0][range.clone()], &alone[second][range.clone()])
            );
        }
    }
    Ok(())
}

/// Each corner of the space, and the network that differs from it by the other end of the last stage's ratios.
fn corners_of_stages(space: &Space) -> Vec<Genome> {
    let other_end = |genome: &Genome| {
        let value = |((gene, values), &index): (&(Gene, Vec<f64>), &u8)| match gene {
            Gene::Ratio(block) if *block >= LAST_STAGE => (values.len() - 1) as u8 - index,
            _ => index,
        };
        Genome(space.genes().iter().zip(&genome.0).map(value).collect())
    };
    space.corners().into_iter().flat_map(|corner| [other_end(&corner), corner]).collect()
}

/// Draws networks whose latency is halfway between those of the smallest and the largest network.
fn networks_in_band(space: &Space, predictor: &Predictor) -> Vec<Genome> {
    let middle = (predictor.predict(&space.smallest()) + predictor.predict(&space.largest())) / 2.0;
    let mut drawn: Vec<Genome> = Vec::new();
    for number in 0..DRAWS {
        if drawn.len() == IN_BAND {
            break;
        }
        let mut stream = Stream::new(0, Purpose::Search, number, 0);
        let genome = Genome(space.counts().iter().map(|&count| stream.index(count) as u8).collect());
        let is_near = (predictor.predict(&genome) / middle - 1.0).abs() <= BAND;
        if is_near && !drawn.contains(&genome) {
            drawn.push(genome);
        }
    }
    drawn
}

/// Trains the networks by themselves, one thread each, and returns their accuracies, a list per seed.
fn train_all(
    start: &Searcher,
    genomes: &[Genome],
    (epochs, seeds): (usize, usize),
    output: &Path,
) -> Result<Vec<Vec<f64>>> {
    let runs = (0..seeds).flat_map(|seed| (0..genomes.len()).map(move |number| (seed, number)));
    let runs = Mutex::new(runs);
    let accuracies = Mutex::new(vec![vec![0.0; genomes.len()]; seeds]);
    let work = || -> Result<()> {
        loop {
            let next = runs.lock().map_err(|_| "a run failed")?.next();
            let Some((seed, number)) = next else { return Ok(()) };
            let folder = output.join(format!("{number}-{seed}"));
            let accuracy = alone(start, &genomes[number], epochs, seed)?.train(&genomes[number], &folder)?;
            println!("network {number}, seed {seed}: {accuracy:.4}");
            accuracies.lock().map_err(|_| "a run failed")?[seed][number] = accuracy;
        }
    };
    std::thread::scope(|scope| -> Result<()> {
        let workers = (0..start.trainer.state.progress.threads).map(|_| scope.spawn(work));
        let workers: Vec<_> = workers.collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a run failed")?)
    })?;
    Ok(accuracies.into_inner().map_err(|_| "a run failed")?)
}

/// The training of a network from its part of the weights with which the supernet began, with the supernet's recipe.
fn alone<'a>(start: &'a Searcher, genome: &Genome, epochs: usize, seed: usize) -> Result<Alone<'a>> {
    let of_supernet = &start.trainer.state.progress;
    let (height, width) = start.space.candidate(genome).ok_or("a genome of another space")?.input_size;
    let mut experiment = of_supernet.experiment.clone();
    experiment.set_epochs(epochs);
    experiment.batch.sizes = vec![InputSize::Rectangle(height, width)];
    Ok(Alone {
        searcher: start,
        weights: &start.trainer.state.weights,
        experiment,
        batch: of_supernet.batch,
        seed: seed as u64,
        threads: 1,
    })
}
