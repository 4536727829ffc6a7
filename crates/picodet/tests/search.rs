//! A search from data to a recommended network, interrupted and not.

#[allow(dead_code)] // Other tests use the rest of it.
mod shapes;

use std::path::Path;
use std::sync::atomic::Ordering;

use picodet::crates::graph::TensorView;
use picodet::crates::image::Limits;
use picodet::crates::model::Model;
use picodet::crates::search::{Calibration, Genome, Sandwich, Space};
use picodet::crates::train::loader::{BatchRecipe, Batches};
use picodet::crates::train::sampler::Sampler;
use picodet::crates::train::{CpuNetwork, Ending, Event, Experiment, RunOptions, TrainingBackend};
use picodet::search::{Find, Finding, SearchFolder, SearchRequest, Searcher};
use picodet::train::DatasetPaths;
use shapes::shapes;

const SPACE: &str =
    "network = \"legacy_s_320\"\nratios = [0.5, 1.0]\nneck = [48, 96]\ntower = [1, 2]\ninput = [96, 128]\n";
const EVALUATIONS: usize = 12;

fn request(data: &Path) -> SearchRequest {
    let paths =
        DatasetPaths { data: data.to_path_buf(), validation_share: Some(0.3), ..DatasetPaths::default() };
    let mut request = SearchRequest::new(Space::parse(SPACE).expect("a space"), paths);
    request.epochs = Some(2);
    request.sizes = Some(vec![(96, 96), (128, 128)]);
    request.batch = Some(5);
    request.seed = 5;
    request.threads = 2;
    request.warm_up = Some(1);
    request.sandwich.distillation = 0.5;
    request
}

/// Trains the supernet; a signal interrupts it after `stop` steps.
fn train(searcher: &mut Searcher, stop: Option<usize>) -> Ending {
    let options = RunOptions { evaluate_every: 100, ..RunOptions::new("") };
    let signal = std::sync::Arc::clone(&options.stop);
    let mut steps = 0;
    let mut listen = |event: &Event<'_>| {
        if let Event::Step(_) = event {
            steps += 1;
            if Some(steps) == stop {
                signal.store(15, Ordering::Relaxed);
            }
        }
    };
    searcher.train(&options, &mut listen).expect("a supernet")
}

/// The latency of a candidate is the sum of its values.
fn predict(genome: &Genome) -> f64 {
    1.0 + genome.0.iter().map(|&value| f64::from(value)).sum::<f64>()
}

fn find(searcher: &Searcher, evaluations: usize, constraint: Option<f64>) -> Finding {
    let mut find = Find::default();
    find.options.constraint = constraint;
    find.options.first = 8;
    find.options.round = 4;
    find.evaluations = evaluations;
    searcher.find(&find, &predict, &mut |_| true).expect("a front")
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("a file")
}

#[test]
fn an_interrupted_search_ends_as_an_undisturbed_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 24);
    let named = |name: &str| SearchFolder::new(folder.path().join(name));
    let mut whole = Searcher::new(request(&data), named("whole")).expect("a search");
    assert_eq!(train(&mut whole, None), Ending::Finished);
    let expected = find(&whole, EVALUATIONS, Some(12.0));
    let files = |folder: &SearchFolder| {
        [
            folder.supernet(),
            folder.archive(),
            folder.front().join("1.safetensors"),
            folder.front().join("1.toml"),
        ]
        .map(|path| bytes(&path))
    };

    let mut parts = Searcher::new(request(&data), named("parts")).expect("a search");
    assert!(!parts.is_trained());
    assert_eq!(train(&mut parts, Some(3)), Ending::Signal(15));
    let mut parts = Searcher::resume(named("parts")).expect("a search to resume");
    let error = parts.find(&Find::default(), &predict, &mut |_| true).expect_err("not trained").to_string();
    assert!(error.contains("no trained supernet"), "{error}");
    assert_eq!(train(&mut parts, None), Ending::Finished);
    find(&parts, 5, Some(12.0));
    let archive = named("parts").archive();
    let written = bytes(&archive);
    // As after a power failure.
    std::fs::write(&archive, &written[..written.len() - 10]).expect("written");
    let parts = Searcher::resume(named("parts")).expect("a search to resume");
    let found = find(&parts, EVALUATIONS, Some(12.0));
    assert_eq!(found.result, expected.result);
    assert!(files(&named("parts")) == files(&named("whole")), "the files differ");

    // Every network of the front is a model, from which training continues.
    for entry in &found.front {
        let model = Model::from_bytes(&bytes(&entry.model)).expect("a model");
        assert!(entry.candidate.latency <= 12.0);
        let experiment = Experiment::read(&entry.experiment).expect("an experiment");
        assert_eq!(experiment.variant().expect("a network").architecture, model.variant.architecture);
        assert!(model.metadata.origin.contains("supernet"), "{}", model.metadata.origin);
    }
    assert!(found.recommended < found.front.len());

    // Another constraint judges only what is missing; none of the known candidates changes.
    let before = bytes(&archive);
    let narrow = find(&parts, EVALUATIONS, Some(5.0));
    assert!(narrow.result.candidates.iter().all(|candidate| candidate.latency <= 5.0));
    assert!(bytes(&archive).starts_with(&before));
    let error = parts.find(&constrained(0.5), &predict, &mut |_| true).expect_err("impossible").to_string();
    assert!(error.contains("the fastest takes 1.00 ms"), "{error}");
    assert!(find(&parts, 2, Some(100.0)).is_slack);
}

fn constrained(limit: f64) -> Find {
    let mut find = Find::default();
    find.options.constraint = Some(limit);
    find
}

#[test]
fn sandwiches_are_kept_with_the_search() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 10);
    let mut request = request(&data);
    request.sandwich = Sandwich::LARGEST;
    let named = SearchFolder::new(folder.path().join("run"));
    let new = Searcher::new(request, named.clone()).expect("a search");
    let resumed = Searcher::resume(named).expect("a search to resume");
    assert_eq!(resumed.trainer.state, new.trainer.state);
    assert_eq!(resumed.space.counts(), new.space.counts());
}

#[test]
fn the_largest_network_leaves_steps_for_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 10);
    let mut request = request(&data);
    // All of its two epochs.
    for (warm_up, share) in [(Some(2), 1.0), (None, 1.0), (None, -0.5), (None, f64::NAN)] {
        request.warm_up = warm_up;
        request.sandwich.largest_first = if warm_up.is_some() { 0.0 } else { share };
        let folder = SearchFolder::new(folder.path().join("run"));
        let error = Searcher::new(request.clone(), folder).expect_err("no step is left").to_string();
        assert!(error.contains(&format!("a share of {share} of the steps")), "{error}");
    }
}

/// Mean and variance of each batch norm by name.
fn statistics(weights: &picodet::crates::graph::Weights) -> Vec<f64> {
    let states = weights.iter().filter(|(name, _)| name.ends_with(".mean") || name.ends_with(".variance"));
    states.flat_map(|(_, tensor)| tensor.data.iter().map(|&value| f64::from(value))).collect()
}

#[test]
fn batch_norms_are_those_of_all_images_of_the_calibration() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 24);
    let searcher =
        Searcher::new(request(&data), SearchFolder::new(folder.path().join("run"))).expect("a search");
    let trainer = &searcher.trainer;
    let graph =
        trainer.state.training_graph(&trainer.state.progress.experiment.variant().expect("a network"));
    let size = (96, 96);
    let calibrated = |threads: usize, batch: usize, images: usize| {
        let mut state = trainer.state.clone();
        (state.progress.threads, state.progress.batch) = (threads, batch);
        let mut weights = state.weights.clone();
        let dataset = std::sync::Arc::clone(&trainer.dataset);
        let calibration = Calibration::new(&state, dataset, images, Limits::default());
        let mut calibration = calibration.expect("a calibration");
        calibration.recalibrate(&graph, &mut weights, size).expect("recalibrated");
        let again = weights.clone();
        calibration.recalibrate(&graph, &mut weights, size).expect("recalibrated");
        assert!(again == weights, "the statistics before do not matter");
        weights
    };
    let off = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max)
    };
    let expected = calibrated(2, 12, 12);
    assert!(off(&statistics(&calibrated(1, 12, 12)), &statistics(&expected)) <= 1e-4, "threads");
    assert!(off(&statistics(&trainer.state.weights), &statistics(&expected)) > 0.1, "measured");

    // The first batch norm sees the images themselves: two batches have the statistics of all their images.
    let mut network = CpuNetwork::new(&graph, 2, &[], 0, 0).expect("a network");
    let sampler = trainer.state.sampler(trainer.dataset.images.len());
    let first =
        trainer.state.progress.experiment.epochs * Sampler { batch: 6, ..sampler }.batches_per_epoch();
    let variant = trainer.state.progress.experiment.variant().expect("a network");
    let recipe = BatchRecipe { sizes: vec![size], ..trainer.state.batch_recipe(&variant) };
    let sampler = Sampler { batch: 6, ..sampler };
    let batches = Batches::new(std::sync::Arc::clone(&trainer.dataset), sampler, recipe, 0);
    let halves = [first, first + 1].map(|step| batches.make(step).expect("a batch").pixels);
    let all = halves.concat();
    let images = TensorView::channels_first(&all, [12, 3, 96, 96]).expect("all images");
    network.forward(&trainer.state.weights, images).expect("a pass");
    let found = calibrated(2, 6, 12);
    for (name, values) in network.statistics().into_iter().take(2) {
        for (value, found) in values.iter().zip(&found[&name].data) {
            assert!((value - found).abs() <= 1e-4 * value.abs().max(1.0), "{name}: {found}, not {value}");
        }
    }
}
