//! Trains a published recipe on a dataset (COCO, Pascal VOC, YOLO or LabelMe) with the splits `train` and `val`.
//!
//! ```sh
//! cargo run --release -p picodet --features train --example train -- RECIPE DATASET OUTPUT [WEIGHTS.safetensors]
//! ```
//!
//! OUTPUT receives checkpoints, a report and the models `best.safetensors` and `last.safetensors`. `picodet models`
//! lists the recipes, such as `legacy_s_320`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::thread::available_parallelism;

use picodet::Model;
use picodet::crates::train::recipes::recipe;
use picodet::crates::train::{Event, RunOptions};
use picodet::train::{DatasetPaths, Request, Trainer};

const EPOCHS: usize = 30;
const BATCH: usize = 8;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, data, output, weights @ ..] = &arguments[..] else {
        return Err("usage: train RECIPE DATASET OUTPUT [WEIGHTS.safetensors]".into());
    };
    let weights = match weights.first() {
        Some(path) => Some(Model::from_bytes(&std::fs::read(path)?)?),
        None => None,
    };
    let mut experiment = recipe(name)?;
    experiment.epochs = EPOCHS;
    experiment.rate.epochs = EPOCHS;
    let mut trainer = Trainer::new(Request {
        experiment,
        paths: DatasetPaths {
            data: data.into(),
            split: Some("train".to_owned()),
            validation: None,
            validation_split: Some("val".to_owned()),
            ..DatasetPaths::default()
        },
        weights,
        batch: BATCH,
        seed: 0,
        frozen: Vec::new(),
        threads: available_parallelism().map_or(1, usize::from),
    })?;
    trainer.make_folder(Path::new(output))?;
    let ending = trainer.run(&RunOptions::new(output), "cpu", &mut |event| match event {
        Event::Step(step) => println!("step {} of {}: loss {:.3}", step.step + 1, step.of_steps, step.loss),
        Event::Epoch(epoch) => println!("epoch {} of {}: mAP {:?}", epoch.epoch, epoch.of_epochs, epoch.map),
        Event::Note(note) => println!("{note}"),
        _ => {}
    })?;
    println!("{ending:?}: the models are in {output}");
    Ok(())
}
