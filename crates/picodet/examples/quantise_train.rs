//! Trains a model with quantisation and compares it with the closed form:
//! `quantise_train MODEL TRAIN VALIDATION OUTPUT [RATE] [EPOCHS] [LABELS] [START]
//! [WEIGHTS BIASES SCALES]`, where TRAIN and VALIDATION are datasets; LABELS is the
//! weight of the loss against the labels of TRAIN, 0 for none.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use picodet::Model;
use picodet::crates::data::Dataset;
use picodet::crates::train::quantised::QuantisedTraining;
use picodet::crates::train::{Event, RunOptions};
use picodet::evaluate::{GroundTruths, match_classes};
use picodet::quantise::{Judge, Options, network_input, quantise};
use picodet::train::{DatasetPaths, QuantisedRequest, Trainer, quantised_experiment};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, train, validation, output, rest @ ..] = &arguments[..] else {
        return Err("four paths".into());
    };
    let number = |index: usize| rest.get(index).map(|text| text.parse::<f64>()).transpose();
    let float = Model::from_bytes(&std::fs::read(model)?)?;
    let [dataset, validation_data] =
        [Dataset::open(Path::new(train), None)?, Dataset::open(Path::new(validation), None)?];
    let files: Vec<_> =
        (0..validation_data.images.len()).filter_map(|index| validation_data.image_path(index)).collect();
    let truth = GroundTruths::of(&validation_data);
    let truth = (&truth, match_classes(&float, &validation_data)?);
    let judge = Judge::new(&float, &files, Some(truth), picodet::Limits::default(), 0)?;
    let start = match rest.get(3) {
        Some(path) => Model::from_bytes(&std::fs::read(path)?)?,
        None => {
            let paths = (0..dataset.images.len()).filter_map(|index| dataset.image_path(index));
            let inputs = paths.map(|path| Ok(network_input(&float, &picodet::open_image(path)?)));
            let inputs = inputs.collect::<Result<Vec<_>, picodet::Error>>()?;
            quantise(&float, &inputs, &Options::default(), &mut |_, _| ControlFlow::Continue(()))?.0
        }
    };
    println!("closed form: {:?}", judge.verdict(&start)?);

    let mut experiment = quantised_experiment(&float, dataset.images.len())?;
    experiment.rate.base = number(0)?.unwrap_or(experiment.rate.base);
    experiment.set_epochs(number(1)?.map_or(experiment.epochs, |epochs| epochs as usize));
    let mut settings = QuantisedTraining::default().with_labels(number(2)?.unwrap_or(0.0));
    if let [Some(weights), Some(biases), Some(scales)] = [number(4)?, number(5)?, number(6)?] {
        settings = settings.with_rates([weights, biases, scales].map(|rate| rate as f32));
    }
    let batch = experiment.batch.images;
    let mut trainer = Trainer::quantised(QuantisedRequest {
        float: &float,
        start: &start,
        experiment,
        settings: Some(settings),
        dataset,
        validation: Dataset { images: Vec::new(), ..validation_data.clone() },
        paths: DatasetPaths {
            data: train.into(),
            validation: Some(validation.into()),
            ..DatasetPaths::default()
        },
        batch,
        seed: 0,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    })?;
    trainer.make_folder(Path::new(output))?;
    let options = RunOptions::new(output);
    let begin = Instant::now();
    trainer.run(&options, "cpu", &mut |event| match event {
        Event::Step(step) if (step.step + 1) % 10 == 0 => {
            println!(
                "step {} of {}: loss {:.4} class {:.4} box {:.4} bins {:.4}, {:.2} s a step",
                step.step + 1,
                step.of_steps,
                step.loss,
                step.loss_cls,
                step.loss_box,
                step.loss_dfl,
                step.step_seconds
            );
        }
        Event::Epoch(epoch) => {
            let path = Path::new(output).join("last.safetensors");
            if let Ok(bytes) = std::fs::read(path)
                && epoch.epoch % 5 == 0
            {
                let verdict = Model::from_bytes(&bytes).map(|model| judge.verdict(&model));
                println!("epoch {}: {verdict:?}", epoch.epoch);
            }
        }
        _ => {}
    })?;
    println!("{:.0} s", begin.elapsed().as_secs_f64());
    let trained = Model::from_bytes(&std::fs::read(Path::new(output).join("last.safetensors"))?)?;
    println!("trained: {:?}", judge.verdict(&trained)?);
    Ok(())
}
