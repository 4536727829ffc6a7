//! Training, bitwise-exact resume, and error reporting.

mod shapes;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use picodet::crates::train::journal::{Record, read};
use picodet::crates::train::state::State;
use picodet::crates::train::{Ending, Event, InputSize, RunFolder, RunOptions};
use picodet::train::{Request, Trainer, measure};
use shapes::{request, shapes, short};

#[test]
fn eight_images_are_overfitted() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 8);
    let mut problems = Vec::new();
    for (name, rate) in [("legacy_s_320", 0.03), ("v2_xs_320", 0.03)] {
        let mut experiment = short(name, 150, 128);
        experiment.batch.augmentation.clear();
        experiment.batch.images = 8;
        experiment.rate.base = rate;
        let mut trainer = Trainer::new(request(&data, experiment, 8)).expect("a run");
        let out = folder.path().join(name);
        trainer.make_folder(&out).expect("a folder");
        let options = RunOptions { evaluate_every: 150, ..RunOptions::new(&out) };
        let mut measured = None;
        let mut losses = Vec::new();
        let ending = trainer.run(&options, "cpu", &mut |event| match event {
            Event::Epoch(record) => measured = record.map50.or(measured),
            Event::Step(record) => losses.push(record.loss),
            _ => {}
        });
        assert_eq!(ending.expect("a run to the end"), Ending::Finished);
        let map50 = measured.expect("a last evaluation");
        if map50 < 0.95 {
            problems.push(format!(
                "{name}: mAP 0.5 is {map50}; losses {:?} … {:?}",
                losses.first(),
                losses.last()
            ));
        }
        // The file holds the evaluated model.
        let model = picodet::Model::from_bytes(&std::fs::read(out.join(RunFolder::BEST)).expect("a model"));
        let found = measure(&model.expect("a valid model"), &trainer.validation, 1).expect("an evaluation");
        if found.map50 != map50 {
            problems.push(format!("{name}: the file has an mAP 0.5 of {}, the run {map50}", found.map50));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// Returns the state of a checkpoint without the clock.
fn state_of(folder: &Path) -> Vec<u8> {
    let mut state = State::read(&folder.join(RunFolder::CHECKPOINT)).expect("a checkpoint");
    state.progress.seconds = 0.0;
    state.to_bytes()
}

#[test]
fn a_run_stopped_anywhere_resumes_bitwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 10);
    // Cycle-EMA restarts in the middle; every augmentation is used.
    let mut experiment = short("legacy_s_320", 3, 96);
    experiment.batch.sizes = vec![InputSize::Square(96), InputSize::Rectangle(64, 128)];
    experiment.batch.augmentation =
        ["crop", "flip 0.5", "distort", "mosaic 0.3", "hsv"].map(str::to_owned).to_vec();
    experiment.average.cycle = Some(2);
    experiment.optimiser.clip = Some(20.0);
    let options = |name: &str| RunOptions {
        evaluate_every: 2,
        workers: 2,
        checkpoint_every: Duration::ZERO,
        ..RunOptions::new(folder.path().join(name))
    };
    let mut whole = Trainer::new(request(&data, experiment.clone(), 4)).expect("a run");
    let whole_options = options("whole");
    whole.make_folder(whole_options.folder.path()).expect("a folder");
    whole.run(&whole_options, "cpu", &mut |_| {}).expect("a run to the end");

    // Two batches per epoch: stops in the middle and at the end of epochs.
    let stopped_options = options("stopped");
    let mut trainer = Trainer::new(request(&data, experiment, 4)).expect("a run");
    trainer.make_folder(stopped_options.folder.path()).expect("a folder");
    for stop_after in [1, 2, 3, 5, 6] {
        let stop = std::sync::Arc::clone(&stopped_options.stop);
        stop.store(0, Ordering::Relaxed);
        let ending = trainer.run(&stopped_options, "cpu", &mut |event| {
            if let Event::Step(record) = event
                && record.step + 1 == stop_after
            {
                stop.store(15, Ordering::Relaxed);
            }
        });
        assert_eq!(ending.expect("an ending"), Ending::Signal(15), "after step {stop_after}");
        trainer = Trainer::resume(stopped_options.folder.path()).expect("a run to resume");
        assert_eq!(trainer.state.progress.step, stop_after);
    }
    assert!(
        state_of(whole_options.folder.path()) == state_of(stopped_options.folder.path()),
        "the states differ"
    );
    let last = |name: &str| std::fs::read(folder.path().join(name).join(RunFolder::LAST)).expect("a model");
    assert!(last("whole") == last("stopped"), "the models differ");
    let journal = |name: &str| -> Vec<Record> {
        let text =
            std::fs::read_to_string(folder.path().join(name).join(RunFolder::JOURNAL)).expect("a journal");
        read(&text)
    };
    let losses = |name: &str| -> Vec<u64> {
        let loss = |record: &Record| match record {
            Record::Step(record) => Some(record.loss.to_bits()),
            Record::Epoch(_) => None,
        };
        journal(name).iter().filter_map(loss).collect()
    };
    assert_eq!(losses("whole").len(), 6);
    assert_eq!(losses("whole"), losses("stopped"));
}

#[test]
fn other_data_and_broken_checkpoints_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 4);
    let out = folder.path().join("run");
    let mut trainer = Trainer::new(request(&data, short("v2_xs_320", 1, 64), 4)).expect("a run");
    trainer.make_folder(&out).expect("a folder");
    trainer.run(&RunOptions::new(&out), "cpu", &mut |_| {}).expect("a run to the end");
    shapes(folder.path(), 5);
    let error = Trainer::resume(&out).expect_err("other data").to_string();
    assert!(error.contains("not the data"), "{error}");
    shapes(folder.path(), 4);
    Trainer::resume(&out).expect("the data of the run");
    let checkpoint = out.join(RunFolder::CHECKPOINT);
    let bytes = std::fs::read(&checkpoint).expect("a checkpoint");
    std::fs::write(&checkpoint, &bytes[..bytes.len() - 3]).expect("written");
    let error = Trainer::resume(&out).expect_err("a broken checkpoint").to_string();
    assert!(error.contains("is not a checkpoint"), "{error}");
    std::fs::write(&checkpoint, std::fs::read(out.join(RunFolder::LAST)).expect("a model")).expect("written");
    let error = Trainer::resume(&out).expect_err("a model").to_string();
    assert!(error.contains("--weights"), "{error}");
}

#[test]
fn a_nan_stops_the_run_with_a_diagnosis() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 4);
    let out = folder.path().join("run");
    let mut trainer = Trainer::new(request(&data, short("v2_xs_320", 2, 64), 4)).expect("a run");
    let mut weights = trainer.state.weights.iter_mut();
    let broken = weights.find(|(name, _)| name.starts_with("neck.") && name.ends_with("weight"));
    broken.expect("a weight of the neck").1.data[0] = f32::NAN;
    trainer.make_folder(&out).expect("a folder");
    let error = trainer.run(&RunOptions::new(&out), "cpu", &mut |_| {}).expect_err("a NaN").to_string();
    for part in ["step 0", "cls_logit.", "0.png", "non_finite_step_0"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(out.join("non_finite_step_0.safetensors").exists());
    assert!(!out.join(RunFolder::CHECKPOINT).exists());
}

#[test]
fn a_trained_model_initialises_another_with_classes_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 4);
    let first = Trainer::new(request(&data, short("legacy_s_320", 1, 64), 4)).expect("a run");
    let variant = &first.state.progress.experiment.variant().expect("a network");
    let mut model = first.state.model(variant, first.state.weights.clone(), 0);
    model.metadata.classes = vec!["square".to_owned(), "disc".to_owned()];
    let second =
        Request { weights: Some(model), seed: 99, ..request(&data, short("legacy_s_320", 1, 64), 4) };
    let mut second = Trainer::new(second).expect("a run");
    let transfer = second.transfer.take().expect("a transfer");
    assert_eq!(transfer.classes, ["disc", "square"]);
    assert!(transfer.fresh.is_empty() && transfer.resized.len() == 8, "{transfer:?}");
    let rows = |state: &State| {
        let found = state.weights.iter().find(|(name, _)| name.ends_with("prediction.weight"));
        let (_, tensor) = found.expect("the prediction of the first level");
        let row = tensor.data.len() / tensor.shape[0];
        tensor.data.chunks(row).map(<[f32]>::to_vec).collect::<Vec<_>>()
    };
    let (old, new) = (rows(&first.state), rows(&second.state));
    assert_eq!((&new[0], &new[1]), (&old[1], &old[0]));
    assert_eq!(new[2..], old[2..]);

    // The initial weights know all classes: they are evaluated, and remain the best model when training destroys them.
    assert!(second.state.progress.evaluates_start && !first.state.progress.evaluates_start);
    let start = second.state.weights.clone();
    second.state.progress.experiment.rate.base = 0.0;
    let out = folder.path().join("second");
    second.make_folder(&out).expect("a folder");
    let mut evaluated = Vec::new();
    let ending = second.run(&RunOptions::new(&out), "cpu", &mut |event| {
        if let Event::Epoch(record) = event {
            evaluated.push(record.epoch);
        }
    });
    assert_eq!(ending.expect("a run to the end"), Ending::Finished);
    assert_eq!(evaluated, [0, 1]);
    let best = picodet::Model::from_bytes(&std::fs::read(out.join(RunFolder::BEST)).expect("a model"));
    let best = best.expect("a valid model");
    if second.state.progress.best.expect("an evaluation").epoch == 0 {
        assert!(best.weights.iter().all(|(name, tensor)| start[name].data == tensor.data));
    }
}
