//! A process group trains the same network as one process with the whole batch. The groups here are threads; `cargo xtask
//! mpi` tests operating-system processes.

mod shapes;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use picodet::crates::graph::{Tensor4, TensorView, Weights};
use picodet::crates::search::Space;
use picodet::crates::train::group::{ProcessGroup, SingleProcess, ThreadGroup};
use picodet::crates::train::journal::{EpochRecord, Record, StepRecord, read};
use picodet::crates::train::run::run;
use picodet::crates::train::state::State;
use picodet::crates::train::{
    BackendError, CpuNetwork, Ending, EvaluatorError, Event, Experiment, InputSize, ModelMetrics,
    OnNonFinite, RunError, RunFolder, RunOptions, TrainingBackend,
};
use picodet::search::{SearchFolder, SearchRequest, Searcher};
use picodet::train::{DatasetPaths, Trainer, measure};
use shapes::{request, shapes, short};

/// Images per batch, not a multiple of any group size here.
const BATCH: usize = 7;
/// Tolerances: of losses relative to the loss, of running statistics and weights relative to the distance travelled.
///
/// A group only changes the order of f32 sums. A freshly initialised network amplifies the difference with every step, so
/// steps are few and small here. Differences between groups were 8e-6, 1e-4 and 0.04; between two runs of one process
/// whose initial weights differ by 1e-7, 2e-6, 3e-5 and 0.1; with batch norms that each process computes separately, 1e-2,
/// 0.15 and 1.3.
const LOSS: f64 = 1e-4;
const STATISTICS: f64 = 1e-3;
const WEIGHTS: f64 = 0.1;

fn options(folder: &Path, group: Arc<dyn ProcessGroup>) -> RunOptions {
    RunOptions { evaluate_every: 1, workers: 2, group, ..RunOptions::new(folder) }
}

/// Returns a new run, or the run of a folder with a checkpoint.
fn trainer(data: &Path, folder: &Path, experiment: &Experiment, group: &dyn ProcessGroup) -> Trainer {
    if folder.join(RunFolder::CHECKPOINT).exists() {
        return Trainer::resume(folder).expect("a run to resume");
    }
    let trainer = Trainer::new(request(data, experiment.clone(), BATCH)).expect("a run");
    if group.is_first() {
        trainer.make_folder(folder).expect("a folder");
    }
    trainer
}

/// Trains with `size` processes and returns the final state of each.
fn train(size: usize, data: &Path, folder: &Path, experiment: &Experiment) -> Vec<State> {
    let one = |group: Arc<dyn ProcessGroup>| {
        let mut trainer = trainer(data, folder, experiment, &*group);
        let ending = trainer.run(&options(folder, group), "cpu", &mut |_| {});
        assert_eq!(ending.expect("a run to the end"), Ending::Finished);
        state_of(trainer)
    };
    if size == 1 { vec![one(Arc::new(SingleProcess))] } else { ThreadGroup::run(size, |group| one(group)) }
}

/// Returns the state without the clock.
fn state_of(trainer: Trainer) -> State {
    let mut state = trainer.state;
    state.progress.seconds = 0.0;
    state
}

/// Asserts that the states of all processes are bitwise equal.
fn assert_equal(states: &[State]) {
    assert!(states.iter().all(|state| state.to_bytes() == states[0].to_bytes()), "the processes differ");
}

fn journal(folder: &Path) -> (Vec<StepRecord>, Vec<EpochRecord>) {
    let text = std::fs::read_to_string(folder.join(RunFolder::JOURNAL)).expect("a journal");
    let (mut steps, mut epochs) = (Vec::new(), Vec::new());
    for record in read(&text) {
        match record {
            Record::Step(record) => steps.push(record),
            Record::Epoch(record) => epochs.push(record),
        }
    }
    (steps, epochs)
}

/// Returns the largest difference of the losses of a step, relative to the loss.
fn loss_apart(found: &Path, expected: &Path) -> f64 {
    let (found, expected) = (journal(found).0, journal(expected).0);
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(&expected);
    let differences = pairs.map(|(found, expected)| {
        let of = |record: &StepRecord| (record.objects, record.rate, record.height, record.width);
        assert_eq!(of(found), of(expected), "other batches");
        let terms = |record: &StepRecord| [record.loss, record.loss_cls, record.loss_box, record.loss_dfl];
        let off = terms(found).into_iter().zip(terms(expected)).map(|(a, b)| (a - b).abs());
        off.fold(0.0, f64::max) / expected.loss
    });
    differences.fold(0.0, f64::max)
}

/// Returns the distance of two runs from the same start, relative to the distance that the second has travelled: of all
/// learned parameters, and of all running statistics.
fn relative_distances(found: &Weights, expected: &Weights, start: &Weights) -> [f64; 2] {
    let is_statistic = |name: &str| name.ends_with(".mean") || name.ends_with(".variance");
    let distance = |statistics: bool, a: &Weights, b: &Weights| {
        let chosen = a.keys().filter(|name| is_statistic(name) == statistics);
        let pairs = chosen.flat_map(|name| a[name].data.iter().zip(&b[name].data));
        pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt()
    };
    [false, true].map(|kind| distance(kind, found, expected) / distance(kind, expected, start))
}

/// Returns whether two runs are equal within the tolerances.
fn are_equal([weights, statistics]: [f64; 2]) -> bool {
    weights < WEIGHTS && statistics < STATISTICS
}

/// Returns a short experiment with every augmentation, several sizes and clipped gradients.
fn experiment(name: &str) -> Experiment {
    let mut experiment = short(name, 2, 128);
    experiment.batch.sizes = vec![InputSize::Square(128), InputSize::Rectangle(96, 160)];
    experiment.batch.augmentation =
        ["crop", "flip 0.5", "distort", "mosaic 0.3", "hsv"].map(str::to_owned).to_vec();
    experiment.optimiser.clip = Some(20.0);
    experiment.rate.base *= 0.01;
    experiment
}

#[test]
fn any_number_of_processes_trains_the_network_of_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 14);
    for name in ["legacy_s_320", "v2_xs_320", "ablation_1_base_416"] {
        let experiment = experiment(name);
        let start = Trainer::new(request(&data, experiment.clone(), BATCH)).expect("a run").state.weights;
        let out = |size: usize| folder.path().join(format!("{name}_{size}"));
        let single = train(1, &data, &out(1), &experiment).remove(0);
        assert_eq!(journal(&out(1)).0.len(), 4);
        for size in [2, 3] {
            let states = train(size, &data, &out(size), &experiment);
            assert_equal(&states);
            let written = State::read(&out(size).join(RunFolder::CHECKPOINT)).expect("a checkpoint");
            assert_eq!(written.weights, states[0].weights);
            let loss = loss_apart(&out(size), &out(1));
            assert!(loss < LOSS, "{name}, {size} processes: losses differ by {loss:.1e}");
            let found = relative_distances(&states[0].weights, &single.weights, &start);
            assert!(are_equal(found), "{name}, {size} processes: {found:?}");
            // Evaluation is sharded, too, with the result of one process.
            let model = std::fs::read(out(size).join(RunFolder::LAST)).expect("a model");
            let model = picodet::Model::from_bytes(&model).expect("a sound model");
            let validation = Trainer::resume(&out(size)).expect("a run").validation;
            let found = measure(&model, &validation, 1).expect("an evaluation");
            let last = journal(&out(size)).1.pop().expect("an epoch");
            assert_eq!((last.map, last.map50), (Some(found.map), Some(found.map50)));
        }
    }
}

/// Trains a supernet with `size` processes and returns the final state of each.
fn train_supernet(size: usize, data: &Path, folder: &Path) -> Vec<State> {
    const SPACE: &str = "network = \"legacy_s_320\"\nratios = [0.5, 1.0]\nneck = [48, 96]\ntower = [1, 2]\n";
    let one = |group: Arc<dyn ProcessGroup>| {
        let paths = DatasetPaths { data: data.to_path_buf(), ..DatasetPaths::default() };
        let mut request = SearchRequest::new(Space::parse(SPACE).expect("a space"), paths);
        (request.epochs, request.sizes, request.batch) = (Some(2), Some(vec![(96, 128)]), Some(BATCH));
        request.group = Arc::clone(&group);
        let mut searcher = Searcher::new(request, SearchFolder::new(folder)).expect("a search");
        searcher.trainer.state.progress.experiment.rate.base *= 0.01;
        let ending = searcher.train(&options(Path::new(""), group), &mut |_| {});
        assert_eq!(ending.expect("a supernet"), Ending::Finished);
        state_of(searcher.trainer)
    };
    if size == 1 { vec![one(Arc::new(SingleProcess))] } else { ThreadGroup::run(size, |group| one(group)) }
}

#[test]
fn any_number_of_processes_trains_the_supernet_of_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 14);
    let out = |size: usize| folder.path().join(format!("search_{size}"));
    let run = |size: usize| SearchFolder::new(out(size)).run();
    train_supernet(1, &data, &out(1));
    assert_eq!(journal(&run(1)).0.len(), 4);
    for size in [2, 3] {
        assert_equal(&train_supernet(size, &data, &out(size)));
        let loss = loss_apart(&run(size), &run(1));
        assert!(loss < LOSS, "{size} processes: losses differ by {loss:.1e}");
        assert!(SearchFolder::new(out(size)).supernet().exists());
    }
}

/// A backend with a NaN in one step.
struct Faulty {
    inner: CpuNetwork,
    forwards: usize,
    /// The forward pass with a NaN, counted from 1.
    breaks_at: usize,
    /// The output `reg.1` with a NaN.
    broken: Tensor4,
}

impl Faulty {
    fn new(trainer: &Trainer, breaks_at: usize) -> Self {
        let progress = &trainer.state.progress;
        let graph = trainer.state.training_graph(&progress.experiment.variant().expect("a variant"));
        let inner = CpuNetwork::new(&graph, 1, &[], progress.seed, 0).expect("a network");
        Self { inner, forwards: 0, breaks_at, broken: Tensor4::default() }
    }
}

impl TrainingBackend for Faulty {
    fn forward(&mut self, weights: &Weights, images: TensorView<'_>) -> Result<(), BackendError> {
        self.forwards += 1;
        self.inner.forward(weights, images)?;
        self.broken = self.inner.output("reg.1").map(|map| map.to_tensor()).unwrap_or_default();
        if let Some(value) = self.broken.data.first_mut() {
            *value = f32::NAN;
        }
        Ok(())
    }

    fn output(&self, name: &str) -> Option<TensorView<'_>> {
        if self.forwards == self.breaks_at && name == "reg.1" {
            return Some(self.broken.view());
        }
        self.inner.output(name)
    }

    fn backward(&mut self, gradients: &[(String, TensorView<'_>)]) -> Result<Weights, BackendError> {
        let mut gradients = self.inner.backward(gradients)?;
        if self.forwards == self.breaks_at {
            gradients.values_mut().next().expect("a gradient").data[0] = f32::NAN;
        }
        Ok(gradients)
    }

    fn statistics(&self) -> Vec<(String, Vec<f32>)> {
        self.inner.statistics()
    }
}

/// Takes the place of an evaluation.
fn no_evaluation(_: &picodet::Model) -> Result<ModelMetrics, EvaluatorError> {
    Ok(ModelMetrics::default())
}

/// The comparison of this file fails if each process uses the batch norm statistics of only its shard.
#[test]
fn the_comparison_detects_separate_batch_norms() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 14);
    let experiment = experiment("v2_xs_320");
    let start = Trainer::new(request(&data, experiment.clone(), BATCH)).expect("a run").state.weights;
    let (whole, shared) = (folder.path().join("whole"), folder.path().join("shared"));
    let single = train(1, &data, &whole, &experiment).remove(0);
    let states = ThreadGroup::run(2, |group| {
        let mut trainer = trainer(&data, &shared, &experiment, &*group);
        let mut network = Faulty::new(&trainer, usize::MAX);
        let dataset = Arc::clone(&trainer.dataset);
        let options = options(&shared, group);
        run(&mut trainer.state, dataset, &mut network, &options, &mut no_evaluation, &mut |_| {})
            .expect("a run");
        trainer.state
    });
    let found = relative_distances(&states[0].weights, &single.weights, &start);
    assert!(found[0] > 5.0 * WEIGHTS && found[1] > 5.0 * STATISTICS, "{found:?}");
    assert!(loss_apart(&shared, &whole) > 5.0 * LOSS);
}

/// Trains with a NaN in one process. Returns the result of each process, the number of skipped steps, and its state.
fn with_a_broken_step(
    folder: &Path,
    on_non_finite: OnNonFinite,
) -> Vec<(Result<Ending, RunError>, usize, State)> {
    let data = shapes(folder, 14);
    let experiment = experiment("v2_xs_320");
    let out = folder.join("run");
    ThreadGroup::run(2, |group| {
        let mut trainer = trainer(&data, &out, &experiment, &*group);
        let breaks_at = if group.rank() == 1 { 3 } else { usize::MAX };
        let mut network = Faulty::new(&trainer, breaks_at);
        network.inner.join(Arc::clone(&group) as Arc<dyn ProcessGroup>, BATCH);
        let dataset = Arc::clone(&trainer.dataset);
        let mut notes = 0;
        let options = RunOptions { on_non_finite, ..options(&out, group) };
        let ending =
            run(&mut trainer.state, dataset, &mut network, &options, &mut no_evaluation, &mut |event| {
                notes += usize::from(matches!(event, Event::Note(_)));
            });
        (ending, notes, state_of(trainer))
    })
}

#[test]
fn a_nan_in_one_process_stops_all_and_saves_the_whole_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = with_a_broken_step(folder.path(), OnNonFinite::Stop);
    let problems: Vec<String> =
        results.iter().map(|(ending, ..)| ending.as_ref().expect_err("a NaN").to_string()).collect();
    assert_eq!(problems[0], problems[1]);
    assert!(problems[0].starts_with("step 2: the map `reg.1` is not finite"), "{}", problems[0]);
    let file = folder.path().join("run").join("non_finite_step_2.safetensors");
    let bytes = std::fs::read(file).expect("the batch");
    let (tensors, _) = picodet::crates::weights::read_tensors(&bytes).expect("tensors");
    assert_eq!(tensors["image"].shape[0], BATCH);
}

#[test]
fn a_nan_in_one_process_is_skipped_by_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = with_a_broken_step(folder.path(), OnNonFinite::Skip);
    for (ending, notes, state) in &results {
        assert_eq!(*ending.as_ref().expect("a run to the end"), Ending::Finished);
        assert_eq!(*notes, 1);
        assert!(state.weights.values().flat_map(|tensor| &tensor.data).all(|value| value.is_finite()));
    }
    assert_eq!(results[0].2.to_bytes(), results[1].2.to_bytes());
}

#[test]
fn a_signal_to_one_process_stops_all_and_another_number_of_processes_resumes() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 14);
    let experiment = experiment("legacy_s_320");
    let start = Trainer::new(request(&data, experiment.clone(), BATCH)).expect("a run").state.weights;
    let (whole, stopped) = (folder.path().join("whole"), folder.path().join("stopped"));
    let single = train(1, &data, &whole, &experiment).remove(0);
    let states = ThreadGroup::run(2, |group| {
        let is_signalled = group.rank() == 1;
        let mut trainer = trainer(&data, &stopped, &experiment, &*group);
        let options = options(&stopped, group);
        let ending = trainer.run(&options, "cpu", &mut |event| {
            if let Event::Step(record) = event
                && record.step == 1
                && is_signalled
            {
                options.stop.store(15, Ordering::Relaxed);
            }
        });
        assert_eq!(ending.expect("an ending"), Ending::Signal(15));
        state_of(trainer)
    });
    assert_equal(&states);
    assert_eq!(states[0].progress.step, 2);
    let states = train(3, &data, &stopped, &experiment);
    assert_equal(&states);
    let loss = loss_apart(&stopped, &whole);
    assert!(loss < LOSS, "losses differ by {loss:.1e}");
    let found = relative_distances(&states[0].weights, &single.weights, &start);
    assert!(are_equal(found), "{found:?}");
}

#[test]
fn inconsistent_groups_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = shapes(folder.path(), 14);
    let experiment = experiment("v2_xs_320");
    let refused = |size: usize, seed: fn(usize) -> u64, device: &'static str| -> Vec<String> {
        ThreadGroup::run(size, |group| {
            let mut request = request(&data, experiment.clone(), 2);
            request.seed = seed(group.rank());
            let mut trainer = Trainer::new(request).expect("a run");
            let options = options(folder.path(), group);
            trainer.run(&options, device, &mut |_| {}).expect_err("a refusal").to_string()
        })
    };
    for problem in refused(3, |_| 5, "cpu") {
        assert!(problem.contains("2 images is too small for 3 processes"), "{problem}");
    }
    for problem in refused(2, |rank| rank as u64, "cpu") {
        assert!(problem.contains("process 1 starts from other"), "{problem}");
    }
    for problem in refused(2, |_| 5, "flex") {
        assert!(problem.contains("on cpu only"), "{problem}");
    }
}
