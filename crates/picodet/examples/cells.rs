//! Compares networks that a search recommends with the published ones: all are trained further and evaluated on images by which no
//! choice was made.
//!
//! ```sh
//! cargo run --release -p picodet --features train --example cells -- SPACE.toml DATASET OUTPUT SUPERNET_EPOCHS EVALUATIONS EPOCHS SEEDS
//! ```
//!
//! DATASET has the splits `train`, `val`, which compares candidates, and `test`, on which the trained networks are evaluated once.
//! The supernet begins with the weights of the embedded model, whose network is `legacy_s_416`. Each network begins with its part
//! of the trained supernet. Results that OUTPUT has are not computed again.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use alone::{Alone, paths};
use latencies::predictor;
use picodet::crates::graph::Weights;
use picodet::crates::search::{Gene, Genome, LatencyOptions, Predictor, Space};
use picodet::crates::train::recipes::recipe;
use picodet::crates::train::{InputSize, RunFolder, RunOptions};
use picodet::search::{Find, SearchFolder, SearchRequest, Searcher};
use picodet::{Detector, Image, Model, Options, Precision};

mod alone;
mod latencies;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Allowed latencies of a search, as fractions of that of the published network.
const CONSTRAINTS: [f64; 3] = [1.0, 0.85, 0.7];
/// Inferences of each network in the comparison of latencies.
const RUNS: usize = 300;

/// A network of the comparison.
struct Contender {
    name: String,
    genome: Genome,
    /// AP on `val` with the weights of the supernet.
    inherited: f64,
    /// AP on `test` of each seed.
    trained: Vec<f64>,
    /// Model of the first seed.
    model: PathBuf,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [space, data, output, numbers @ ..] = &arguments[..] else {
        return Err("usage: cells SPACE.toml DATASET OUTPUT SUPERNET_EPOCHS EVALUATIONS EPOCHS SEEDS".into());
    };
    let numbers: Vec<usize> =
        numbers.iter().map(|number| number.parse()).collect::<std::result::Result<_, _>>()?;
    let [supernet_epochs, evaluations, epochs, seeds] = numbers[..] else {
        return Err("four numbers are missing".into());
    };
    let output = Path::new(output);
    let mut searcher = searcher(space, data, output, supernet_epochs)?;
    let start = Instant::now();
    let ending = searcher.train(&RunOptions { evaluate_every: 1000, ..RunOptions::new("") }, &mut |_| {})?;
    println!("supernet: {ending:?}, {:.1} min", minutes(start.elapsed()));

    let tables = tables(&searcher, output)?;
    let mut contenders = contenders(&searcher, &tables, evaluations)?;
    let supernet = Model::from_bytes(&std::fs::read(searcher.folder().supernet())?)?;
    for seed in 0..seeds {
        for contender in &mut contenders {
            let folder = output.join(format!("{} {seed}", contender.name));
            let start = Instant::now();
            let accuracy =
                alone(&searcher, &supernet.weights, epochs, seed)?.train(&contender.genome, &folder)?;
            println!("{} {seed}: {accuracy:.4}, {:.1} min", contender.name, minutes(start.elapsed()));
            contender.trained.push(accuracy);
            if seed == 0 {
                contender.model = RunFolder::new(&folder).last_model();
            }
        }
    }
    report(&searcher.space, &contenders)
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

/// The search of a folder, or a new one.
fn searcher(space: &str, data: &str, output: &Path, epochs: usize) -> Result<Searcher> {
    let folder = SearchFolder::new(output.join("search"));
    if folder.space().exists() {
        return Ok(Searcher::resume(folder)?);
    }
    let mut request = SearchRequest::new(Space::parse(&std::fs::read_to_string(space)?)?, paths(data));
    request.weights = Some(picodet::default_model()?);
    request.epochs = Some(epochs);
    request.threads = available_parallelism().map_or(1, usize::from);
    Ok(Searcher::new(request, folder)?)
}

/// Latencies in f32 and bf16 with one thread, and in f32 with two.
fn tables(searcher: &Searcher, output: &Path) -> Result<Vec<Table>> {
    let settings = [
        ("f32, 1 thread", Precision::F32, 1),
        ("bf16, 1 thread", Precision::Bf16, 1),
        ("f32, 2 threads", Precision::F32, 2),
    ];
    let table = |(name, precision, threads): (&'static str, Precision, usize)| {
        let mut options = LatencyOptions::default();
        options.classes = searcher.trainer.state.progress.classes.len();
        options.precision = precision;
        options.threads = threads;
        let file = format!("latency {precision} {threads}.toml");
        Ok((name, predictor(&searcher.space, &options, &output.join(file))?))
    };
    settings.into_iter().map(table).collect()
}

/// Latencies under one setting.
type Table = (&'static str, Predictor);

/// The networks that are compared: the largest, the published one, those with the smallest ratios and two convolutions for several
/// necks, and those that the searches recommend. Also prints what other latencies would recommend.
fn contenders(searcher: &Searcher, tables: &[Table], evaluations: usize) -> Result<Vec<Contender>> {
    let space = &searcher.space;
    let largest = space.largest();
    let narrow = |channels: f64| {
        let index = |(gene, values): &(Gene, Vec<f64>), largest: u8| match gene {
            Gene::Ratio(_) => 0,
            Gene::Neck => values.iter().position(|&value| value == channels).map_or(largest, |at| at as u8),
            _ => largest,
        };
        let genes = space.genes().iter().zip(&largest.0);
        Genome(genes.map(|(gene, &largest)| index(gene, largest)).collect())
    };
    let names =
        ["ratio 1", "published", "ratio 0.5", "ratio 0.5, neck 80", "ratio 0.5, neck 64"].map(str::to_owned);
    let genomes = [largest.clone(), space.published_genome(), narrow(96.0), narrow(80.0), narrow(64.0)];
    let accuracies = searcher.judge(&genomes, Precision::F32)?;
    let accuracies = accuracies.into_iter().map(|found| found.accuracy);
    let mut networks: Vec<(String, Genome, f64)> = names
        .into_iter()
        .zip(genomes)
        .zip(accuracies)
        .map(|((name, genome), ap)| (name, genome, ap))
        .collect();
    for ratio in CONSTRAINTS {
        let (genome, inherited) = recommended(searcher, tables, 0, ratio, false, evaluations)?;
        networks.push((format!("searched {ratio}x"), genome, inherited));
    }
    let (genome, inherited) = recommended(searcher, tables, 0, 0.7, true, evaluations)?;
    networks.push(("random 0.7x".to_owned(), genome, inherited));
    for table in 1..tables.len() {
        recommended(searcher, tables, table, 0.85, false, evaluations)?;
    }
    let contender = |(name, genome, inherited)| {
        let (trained, model) = (Vec::new(), PathBuf::new());
        Contender { name, genome, inherited, trained, model }
    };
    Ok(networks.into_iter().map(contender).collect())
}

/// The network that a search recommends among those with at most `ratio` of the published network's latency, and its AP.
fn recommended(
    searcher: &Searcher,
    tables: &[Table],
    table: usize,
    ratio: f64,
    random: bool,
    evaluations: usize,
) -> Result<(Genome, f64)> {
    let start = Instant::now();
    let (name, predictor) = &tables[table];
    let mut find = Find::default();
    find.options.constraint = Some(ratio * predictor.predict(&searcher.space.published_genome()));
    find.options.random = random;
    find.evaluations = evaluations;
    find.front = Some(searcher.folder().path().join(format!("front {name} {ratio} {random}")));
    let found = searcher.find(&find, &|genome| predictor.predict(genome), &mut |_| true)?;
    let candidate = &found.front[found.recommended].candidate;
    let best = found.front.last().map_or(0.0, |entry| entry.candidate.accuracy);
    println!(
        "{ratio}x of {name}{}: recommended {:?}, AP {:.4}, best {best:.4}, halves agree {:.2}, {:.1} min",
        if random { ", random" } else { "" },
        candidate.genome.0,
        candidate.accuracy,
        found.agreement,
        minutes(start.elapsed()),
    );
    for (name, predictor) in tables {
        println!("  {:.2} ms, {name}", predictor.predict(&candidate.genome));
    }
    Ok((candidate.genome.clone(), candidate.accuracy))
}

/// The training of a network from its part of the supernet, with the recipe that a search writes.
fn alone<'a>(searcher: &'a Searcher, weights: &'a Weights, epochs: usize, seed: usize) -> Result<Alone<'a>> {
    let mut experiment = recipe(searcher.space.base().name)?;
    experiment.fine_tune(searcher.trainer.dataset.images.len(), true);
    experiment.scale_phases(epochs as f64 / experiment.epochs as f64);
    experiment.set_epochs(epochs);
    experiment.batch.sizes = [256, 288, 320, 352, 384].map(InputSize::Square).to_vec();
    let batch = experiment.batch.images;
    let threads = available_parallelism().map_or(1, usize::from);
    Ok(Alone { searcher, weights, experiment, batch, seed: seed as u64, threads })
}

/// Prints accuracies, sizes, and latencies that are measured in turns.
fn report(space: &Space, contenders: &[Contender]) -> Result<()> {
    println!(
        "| network | AP inherited | AP trained | s.d. | multiply-accumulates | parameters | f32 1 | f32 2 | bf16 1 | bf16 2 |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut times = Vec::new();
    for (precision, threads) in
        [(Precision::F32, 1), (Precision::F32, 2), (Precision::Bf16, 1), (Precision::Bf16, 2)]
    {
        times.push(network_times(contenders, precision, threads)?);
    }
    for (number, contender) in contenders.iter().enumerate() {
        let candidate = space.candidate(&contender.genome).ok_or("a genome of another space")?;
        let cost = candidate.architecture.graph(1).cost(candidate.input_size);
        let (mean, deviation) = mean_and_deviation(&contender.trained);
        print!(
            "| {} {:?} | {:.4} | {mean:.4} | {deviation:.4} | {:.1} M | {:.3} M |",
            contender.name,
            contender.genome.0,
            contender.inherited,
            cost.macs as f64 / 1e6,
            cost.parameters as f64 / 1e6
        );
        for of_setting in &times {
            print!(" {:.2} ms ({:.3}) |", of_setting[number], of_setting[number] / of_setting[0]);
        }
        println!();
    }
    Ok(())
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

/// Returns the 10th percentile of the times of each network in milliseconds. The networks take turns.
fn network_times(contenders: &[Contender], precision: Precision, threads: usize) -> Result<Vec<f64>> {
    let options = Options::default().with_precision(precision).with_threads(threads);
    let detector = |contender: &Contender| -> Result<Detector> {
        Ok(Detector::new(&Model::from_bytes(&std::fs::read(&contender.model)?)?, &options)?)
    };
    let detectors: Vec<Detector> = contenders.iter().map(detector).collect::<Result<_>>()?;
    let image = Image::new(320, 320, vec![114; 3 * 320 * 320]).ok_or("an image of another size")?;
    let mut times = vec![Vec::with_capacity(RUNS); detectors.len()];
    for run in 0..RUNS + RUNS / 10 {
        for (detector, times) in detectors.iter().zip(&mut times) {
            let (_, stages) = detector.detect_timed(&image)?;
            if run >= RUNS / 10 {
                times.push(stages.network);
            }
        }
    }
    let tenth = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 10].as_secs_f64() * 1e3
    };
    Ok(times.into_iter().map(tenth).collect())
}
