//! Searches a network for a dataset (COCO, Pascal VOC, YOLO or LabelMe) with the splits `train` and `val`, whose `val` images
//! compare the candidates.
//!
//! ```sh
//! cargo run --release -p picodet --features train --example search -- SPACE.toml DATASET OUTPUT RATIO [EPOCHS [EVALUATIONS]]
//! ```
//!
//! The supernet begins with the weights of the embedded model, whose network is `legacy_s_416`. Candidates take at most RATIO of
//! the time of the published network on this machine. A folder OUTPUT that has a search is continued.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::thread::available_parallelism;

use latencies::predictor;
use picodet::crates::search::Space;
use picodet::crates::train::{Event, RunOptions};
use picodet::search::{Find, SearchFolder, SearchRequest, Searcher};
use picodet::train::DatasetPaths;

mod latencies;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [space, data, output, ratio, rest @ ..] = &arguments[..] else {
        return Err("usage: search SPACE.toml DATASET OUTPUT RATIO [EPOCHS [EVALUATIONS]]".into());
    };
    let folder = SearchFolder::new(output);
    let mut searcher = if folder.space().exists() {
        Searcher::resume(folder)?
    } else {
        let split = |name: &str| Some(name.to_owned());
        let paths = DatasetPaths {
            data: data.into(),
            split: split("train"),
            validation_split: split("val"),
            ..DatasetPaths::default()
        };
        let mut request = SearchRequest::new(Space::parse(&std::fs::read_to_string(space)?)?, paths);
        request.weights = Some(picodet::default_model()?);
        request.epochs = rest.first().map(|epochs| epochs.parse()).transpose()?;
        request.threads = available_parallelism().map_or(1, usize::from);
        Searcher::new(request, folder)?
    };
    let options = RunOptions { evaluate_every: 1000, ..RunOptions::new("") };
    let ending = searcher.train(&options, &mut |event| match event {
        Event::Step(step) => println!("step {} of {}: loss {:.3}", step.step + 1, step.of_steps, step.loss),
        Event::Epoch(epoch) => println!("epoch {} of {}: mAP {:?}", epoch.epoch, epoch.of_epochs, epoch.map),
        _ => {}
    })?;
    println!("supernet: {ending:?}");

    let classes = searcher.trainer.state.progress.classes.len();
    let predictor = predictor(&searcher.space, classes, &searcher.folder().latency())?;
    let published = predictor.predict(&searcher.space.published_genome());
    println!("published network: {published:.2} ms");
    let mut find = Find::default();
    find.options.constraint = Some(ratio.parse::<f64>()? * published);
    find.evaluations = rest.get(1).map_or(Ok(500), |evaluations| evaluations.parse())?;
    let found = searcher.find(&find, &|genome| predictor.predict(genome), &mut |judged| {
        let candidate = judged.candidate;
        println!(
            "{} of {}: AP {:.4}, {:.2} ms",
            judged.done, judged.of, candidate.accuracy, candidate.latency
        );
        true
    })?;
    println!("rank correlation between halves of the images: {:.2}", found.agreement);
    for (index, entry) in found.front.iter().enumerate() {
        println!(
            "{} AP {:.4} (± {:.4} against the best), {:.2} ms, {} parameters: {}",
            if index == found.recommended { "recommended:" } else { "            " },
            entry.candidate.accuracy,
            entry.error,
            entry.candidate.latency,
            entry.parameters,
            entry.model.display()
        );
    }
    Ok(())
}
