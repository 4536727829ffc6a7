//! Training with quantisation, of the embedded model for pages: what is trained is what is run, gradients, and bitwise resume.

#[allow(dead_code, reason = "other tests train without quantisation")]
mod shapes;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Duration;

use picodet::Model;
use picodet::crates::data::Dataset;
use picodet::crates::engine::{Plan, QuantisedReference};
use picodet::crates::graph::{Tensor4, Weights, pass};
use picodet::crates::train::clock::SystemClock;
use picodet::crates::train::group::SingleProcess;
use picodet::crates::train::loader::Batch;
use picodet::crates::train::quantised::{QuantisedLearner, QuantisedNetwork, QuantisedTraining};
use picodet::crates::train::state::State;
use picodet::crates::train::{Ending, Event, InputSize, Learner, RunFolder, RunOptions, StepInput, Truth};
use picodet::quantise::{Method, Options, network_input, quantise};
use picodet::train::{DatasetPaths, QuantisedRequest, Trainer, quantised_experiment};
use shapes::shapes;

const SIZE: (usize, usize) = (192, 160);

/// The model for pages at a low resolution, and its quantisation.
fn models() -> &'static [Model; 2] {
    static MODELS: OnceLock<[Model; 2]> = OnceLock::new();
    MODELS.get_or_init(|| {
        let mut float = picodet::layout_model().expect("the embedded model");
        float.metadata.input_size = SIZE;
        // Small steps: values that are rounded to another byte change less.
        let options = Options::default().with_method(Method::MinMax).with_margin(0.0);
        let start = quantise(&float, &[page(&float)], &options, &mut |_, _| ControlFlow::Continue(()));
        [float, start.expect("a network that can be quantised").0]
    })
}

fn page(model: &Model) -> Tensor4 {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/page.png"));
    network_input(model, &picodet::open_image(path).expect("the page"))
}

/// A run on images of shapes, or the one in the folder.
fn trainer(data: &Path, batch: usize, rate: f64, epochs: usize) -> Trainer {
    let [float, start] = models();
    let dataset = Dataset::open(data, None).expect("a dataset");
    let mut experiment = quantised_experiment(float, dataset.images.len()).expect("a recipe");
    experiment.batch.sizes = vec![InputSize::Square(96)];
    experiment.batch.images = batch;
    experiment.rate.base = rate;
    experiment.set_epochs(epochs);
    let request = QuantisedRequest {
        float,
        start,
        experiment,
        settings: None,
        validation: Dataset { images: Vec::new(), ..dataset.clone() },
        dataset,
        paths: DatasetPaths { data: data.to_path_buf(), ..DatasetPaths::default() },
        batch,
        seed: 5,
        threads: 2,
    };
    Trainer::quantised(request).expect("a run")
}

/// Computes a step on the page; returns the loss and the gradients.
fn learn(learner: &mut QuantisedLearner, trainer: &Trainer, parameters: &Weights) -> (f64, Weights) {
    let image = page(&models()[0]);
    let truths = vec![Truth::default()];
    let batch = Batch { step: 0, shape: image.shape, pixels: image.data, truths, images: vec![0] };
    let experiment = &trainer.state.progress.experiment;
    let step = StepInput {
        number: 0,
        of_steps: 1,
        epoch: 0,
        batch: &batch,
        objective: &experiment.objective(),
        strides: &experiment.variant().expect("a variant").architecture.strides(),
        group: &SingleProcess,
        threads: 2,
        clock: &SystemClock::default(),
    };
    let output = learner.learn(parameters, &step).expect("a step");
    (output.loss.loss.total(), output.gradients)
}

fn learner(network: &QuantisedNetwork) -> QuantisedLearner {
    QuantisedLearner::new(network, QuantisedTraining::default(), 2).expect("a learner")
}

#[test]
fn the_network_in_training_computes_what_the_engine_computes() {
    let folder = tempfile::tempdir().expect("a folder");
    let trainer = trainer(&shapes(folder.path(), 2), 1, 0.01, 1);
    let network = trainer.state.quantised.as_ref().expect("a network");
    let mut learner = learner(network);
    learn(&mut learner, &trainer, &trainer.state.weights);
    let model = &models()[1];
    let graph =
        pass::keep_outputs(&model.graph, |name| name.starts_with("cls_logit") || name.starts_with("reg"));
    let quantisation = network.quantisation(&trainer.state.weights);
    assert!(Some(&quantisation) == model.quantisation.as_ref(), "training starts from the given integers");
    let weights = pass::keep_weights(&graph, &model.weights);
    let truth = QuantisedReference::new(&graph, &weights, &quantisation, SIZE).expect("a sound network");
    let mut compared = 0;
    for (name, expected) in truth.run(&page(&models()[0])).expect("runs") {
        let found = learner.output(&name).expect("an output of the network in training").to_tensor();
        assert_eq!(found.shape, expected.shape, "{name}");
        let deviation = |values: &mut dyn Iterator<Item = f32>| {
            let (mut sum, mut count) = (0.0, 0.0);
            values.for_each(|value| (sum, count) = (sum + f64::from(value * value), count + 1.0));
            (sum / f64::max(count, 1.0)).sqrt()
        };
        let pairs = found.data.iter().zip(&expected.data);
        let off = deviation(&mut pairs.map(|(a, b)| a - b));
        let size = deviation(&mut expected.data.iter().copied());
        // Values in the middle of two bytes may be rounded to either.
        assert!(off < 0.01 * size, "{name}: {off} of {size}");
        compared += found.data.len();
    }
    assert!(compared > 10_000, "{compared}");
}

#[test]
fn gradients_behind_the_last_rounding_are_central_differences() {
    let folder = tempfile::tempdir().expect("a folder");
    let trainer = trainer(&shapes(folder.path(), 2), 1, 0.01, 1);
    let network = trainer.state.quantised.as_ref().expect("a network");
    let mut learner = learner(network);
    let mut parameters = trainer.state.weights.clone();
    let (_, gradients) = learn(&mut learner, &trainer, &parameters);
    let maps = &models()[1].quantisation.as_ref().expect("a quantised model").maps;
    let is_prediction = |name: &str| {
        let scope = name.rsplit_once('.').map_or(name, |(scope, _)| scope);
        let is_output = !maps.keys().any(|map| map.starts_with(scope.trim_end_matches("conv")));
        is_output && (name.ends_with(".bias") || name.ends_with(".row_scale"))
    };
    let names: Vec<String> = gradients.keys().filter(|name| is_prediction(name)).cloned().collect();
    assert_eq!(names.len(), 8, "bias and scale of four levels: {names:?}");
    for name in names {
        let gradient = &gradients[&name].data;
        let largest = (0..gradient.len()).max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs()));
        let index = largest.expect("a gradient");
        let mut moved = |by: f32| {
            parameters.get_mut(&name).expect("a parameter").data[index] = by;
            let loss = learn(&mut learner, &trainer, &parameters).0;
            parameters.get_mut(&name).expect("a parameter").data[index] = 0.0;
            loss
        };
        const BY: f32 = 0.05;
        let slope = (moved(BY) - moved(-BY)) / f64::from(2.0 * BY);
        let found = f64::from(gradient[index]);
        assert!((slope - found).abs() < 0.02 * found.abs() + 1e-7, "{name} {index}: {found}, not {slope}");
    }
}

#[test]
fn training_lowers_the_loss_and_its_file_is_the_network() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 2);
    let mut trainer = trainer(&data, 2, 0.02, 30);
    trainer.state.progress.experiment.batch.augmentation.clear();
    let out = folder.path().join("run");
    trainer.make_folder(&out).expect("a folder");
    let mut losses = Vec::new();
    let options = RunOptions { evaluate_every: 100, ..RunOptions::new(&out) };
    let ending = trainer.run(&options, "cpu", &mut |event| {
        if let Event::Step(record) = event {
            losses.push(record.loss);
        }
    });
    assert_eq!(ending.expect("a run to the end"), Ending::Finished);
    assert!(losses[29] < 0.7 * losses[0], "{losses:?}");
    let model =
        Model::from_bytes(&std::fs::read(out.join(RunFolder::FINAL)).expect("a model")).expect("valid");
    let network = trainer.state.quantised.as_ref().expect("a network");
    let averaged = trainer.state.average.clone().apply(&trainer.state.weights);
    assert!(model.quantisation == Some(network.quantisation(&averaged)), "the file has other integers");
    assert!(model.quantisation != models()[1].quantisation, "nothing was learned");
    assert_eq!(model.metadata.quantisation.expect("a record").method, "train");
}

#[test]
fn a_run_with_quantisation_stopped_anywhere_resumes_bitwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 4);
    let options = |name: &str| RunOptions {
        evaluate_every: 2,
        workers: 2,
        checkpoint_every: Duration::ZERO,
        ..RunOptions::new(folder.path().join(name))
    };
    let settings = QuantisedTraining::default().with_frozen_share(0.4);
    let start = |options: &RunOptions| {
        let mut trainer = trainer(&data, 2, 0.3, 3);
        trainer.state.progress.quantised = Some(settings);
        trainer.make_folder(options.folder.path()).expect("a folder");
        trainer
    };
    let whole = options("whole");
    start(&whole).run(&whole, "cpu", &mut |_| {}).expect("a run to the end");
    // Integers are frozen from step 4 on.
    let stopped = options("stopped");
    let mut trainer = start(&stopped);
    let network = trainer.state.quantised.clone();
    for stop_after in [1, 2, 4, 5, 6] {
        let stop = std::sync::Arc::clone(&stopped.stop);
        stop.store(0, Ordering::Relaxed);
        let ending = trainer.run(&stopped, "cpu", &mut |event| {
            if let Event::Step(record) = event
                && record.step + 1 == stop_after
            {
                stop.store(15, Ordering::Relaxed);
            }
        });
        assert_eq!(ending.expect("an ending"), Ending::Signal(15), "after step {stop_after}");
        trainer = Trainer::resume(stopped.folder.path()).expect("a run to resume");
        assert_eq!(trainer.state.progress.step, stop_after);
        assert!(trainer.state.quantised == network, "the checkpoint has another network");
    }
    let state = |options: &RunOptions| {
        let mut state =
            State::read(&options.folder.path().join(RunFolder::CHECKPOINT)).expect("a checkpoint");
        state.progress.seconds = 0.0;
        state.to_bytes()
    };
    assert!(state(&whole) == state(&stopped), "the states differ");
    let last =
        |options: &RunOptions| std::fs::read(options.folder.path().join(RunFolder::LAST)).expect("a model");
    assert!(last(&whole) == last(&stopped), "the models differ");
}
