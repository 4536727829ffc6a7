//! Compares the ranking of a supernet with separate training of each network: for the networks whose genes of each kind all
//! have their smallest, or all their largest, value.
//!
//! ```sh
//! cargo run --release -p picodet --features train --example ranking -- SPACE.toml DATASET OUTPUT SUPERNET_EPOCHS EPOCHS SEEDS
//! ```
//!
//! DATASET has the splits `train` and `val`. The space gives one input size. The supernet and the networks begin with the same
//! weights, those of the embedded model, whose network is `legacy_s_416`. What OUTPUT already has is not trained again. Accuracies
//! are those on `val` after the last epoch.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::thread::available_parallelism;

use picodet::Precision;
use picodet::crates::graph::pass::slice_map;
use picodet::crates::model::graph_of;
use picodet::crates::search::{Genome, Space, kendall};
use picodet::crates::train::{Evaluation, InputSize, RunOptions};
use picodet::crates::zoo::Variant;
use picodet::search::{SearchFolder, SearchRequest, Searcher};
use picodet::train::{DatasetPaths, Request, Trainer};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [space, data, output, epochs @ ..] = &arguments[..] else {
        return Err("usage: ranking SPACE.toml DATASET OUTPUT SUPERNET_EPOCHS EPOCHS SEEDS".into());
    };
    let numbers: Vec<usize> =
        epochs.iter().map(|number| number.parse()).collect::<std::result::Result<_, _>>()?;
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
    request.threads = available_parallelism().map_or(1, usize::from);
    let start = Searcher::new(request.clone(), SearchFolder::new(output.join("start")))?;

    let folder = SearchFolder::new(output.join("supernet"));
    let resumed =
        if folder.space().exists() { Searcher::resume(folder) } else { Searcher::new(request, folder) };
    let mut searcher = resumed?;
    searcher.train(&RunOptions { evaluate_every: 1000, ..RunOptions::new("") }, &mut |_| {})?;

    let corners = space.corners();
    let inherited: Vec<f64> =
        searcher.judge(&corners, Precision::F32)?.iter().map(|accuracy| accuracy.accuracy).collect();
    let mut alone: Vec<Vec<f64>> = Vec::new();
    let mut macs = Vec::new();
    for (number, corner) in corners.iter().enumerate() {
        let candidate = space.candidate(corner).ok_or("a genome of another space")?;
        macs.push(candidate.architecture.graph(1).cost(candidate.input_size).macs as f64);
        let train =
            |seed: usize| train_alone(&start, corner, epochs, seed, &output.join(format!("{number}-{seed}")));
        alone.push((0..seeds).map(train).collect::<Result<_>>()?);
        println!("{:?}: inherited {:.4}, alone {:.4?}", corner.0, inherited[number], alone[number]);
    }
    let truth: Vec<f64> = alone.iter().map(|of_seeds| of_seeds.iter().sum::<f64>() / seeds as f64).collect();
    println!("Kendall's tau with the mean of stand-alone training, {} networks", corners.len());
    println!("supernet {:.2}", kendall(&inherited, &truth));
    println!("multiply-accumulates {:.2}", kendall(&macs, &truth));
    for second in 1..seeds {
        let of = |seed: usize| alone.iter().map(|of_seeds| of_seeds[seed]).collect::<Vec<f64>>();
        println!("seed 0 with seed {second} {:.2}", kendall(&of(0), &of(second)));
    }
    Ok(())
}

fn paths(data: &str) -> DatasetPaths {
    let split = |name: &str| Some(name.to_owned());
    DatasetPaths {
        data: data.into(),
        split: split("train"),
        validation_split: split("val"),
        ..DatasetPaths::default()
    }
}

/// Trains a network by itself, from its part of the weights with which the supernet began.
fn train_alone(start: &Searcher, genome: &Genome, epochs: usize, seed: usize, folder: &Path) -> Result<f64> {
    let path = folder.join("accuracy");
    if let Ok(text) = std::fs::read_to_string(&path) {
        return Ok(text.trim().parse()?);
    }
    let candidate = start.space.candidate(genome).ok_or("a genome of another space")?;
    let of_supernet = &start.trainer.state.progress;
    let mut experiment = of_supernet.experiment.clone();
    experiment.architecture =
        Variant { architecture: candidate.architecture, ..*start.space.base() }.overrides();
    experiment.set_epochs(epochs);
    experiment.batch.sizes = vec![InputSize::Rectangle(candidate.input_size.0, candidate.input_size.1)];
    let mut trainer = Trainer::new(Request {
        experiment,
        paths: start.trainer.paths.clone(),
        weights: None,
        batch: of_supernet.batch,
        seed: seed as u64,
        frozen: Vec::new(),
        threads: of_supernet.threads,
    })?;
    let graph = |architecture| graph_of(architecture, of_supernet.classes.len(), false);
    let map = slice_map(&graph(&start.space.supernet()), &graph(&candidate.architecture))?;
    trainer.state.weights = map.gather(&start.trainer.state.weights)?;
    trainer.make_folder(folder)?;
    trainer.run(&RunOptions { evaluate_every: 1000, ..RunOptions::new(folder) }, "cpu", &mut |_| {})?;
    let Some(Evaluation { map: Some(accuracy), .. }) = trainer.state.progress.last else {
        return Err("the validation images have no objects".into());
    };
    std::fs::write(path, accuracy.to_string())?;
    Ok(accuracy)
}
