//! Quantises a model and compares it with the float model: `quantise MODEL IMAGES DATASET [METHOD] [REGULARISATION]
//! [EMPHASIS]`, where
//! IMAGES is a folder for the scales, and DATASET has labels.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use picodet::Model;
use picodet::crates::data::Dataset;
use picodet::evaluate::{GroundTruths, match_classes};
use picodet::quantise::{Judge, Method, Options, network_input, quantise};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, folder, dataset, rest @ ..] = &arguments[..] else { return Err("three paths".into()) };
    let model = Model::from_bytes(&std::fs::read(model)?)?;
    let mut files: Vec<_> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    files.sort();
    let read = |path: &std::path::PathBuf| Ok(network_input(&model, &picodet::open_image(path)?));
    let inputs: Vec<_> = files.iter().map(read).collect::<Result<_, picodet::Error>>()?;
    let dataset = Dataset::open(dataset, None)?;
    let truth = GroundTruths::of(&dataset);
    let files: Vec<_> = (0..dataset.images.len()).filter_map(|index| dataset.image_path(index)).collect();
    let truth = (&truth, match_classes(&model, &dataset)?);
    let judge = Judge::new(&model, &files, Some(truth), picodet::Limits::default(), 0)?;
    let mut options = Options::default();
    if rest.first().is_some_and(|method| method == "minmax") {
        options = options.with_method(Method::MinMax);
    }
    if let Some(value) = rest.get(1) {
        options = options.with_regularisation(value.parse()?);
    }
    if let Some(value) = rest.get(2) {
        options = options.with_emphasis(value.parse()?);
    }
    let start = Instant::now();
    let (quantised, report) = quantise(&model, &inputs, &options, &mut |_, _| ControlFlow::Continue(()))?;
    println!("{} images, {:.1} s", inputs.len(), start.elapsed().as_secs_f64());
    for step in &report {
        println!("{:6.1} dB  {}", step.decibels, step.scope);
    }
    let start = Instant::now();
    println!("{:?}", judge.verdict(&quantised)?);
    println!("judged in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
