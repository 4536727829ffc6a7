//! The training loop: data, model, then for each step batch, forward, assignment, loss, backward, update, evaluation and
//! checkpoint.
//!
//! All processes of a group run it side by side, each on its shard of the batch. Decisions depend on values reduced over
//! the group, so that all processes decide the same; rank 0 writes the files.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use picodet_data::Dataset;
use picodet_model::Model;
use picodet_zoo::Variant;

use crate::backend::TrainingBackend;
use crate::clock::Clock;
use crate::error::RunError;
use crate::evaluation::Evaluation;
use crate::evaluator::Evaluator;
use crate::group::{all_reduce_gradients, check_consistency};
use crate::journal::{EpochRecord, StepRecord};
use crate::loader::Batches;
use crate::metrics::BatchMetrics;
use crate::non_finite::{first_non_finite, save_non_finite};
use crate::options::{Ending, Event, OnNonFinite, RunOptions};
use crate::state::State;
use crate::statistics::update_running_statistics;
use crate::step::{Learner, SingleNetwork, StepInput, StepOutput};
use crate::stop::agree_on_stop;
use crate::time_limit::TimeLimit;
use crate::writer::RunWriter;
use crate::{Objective, Schedule, clip_to_norm};

/// Maximum number of consecutive steps that are skipped because of NaN or infinite values.
const MAX_SKIPPED: usize = 10;
/// Batches that each worker prepares ahead.
const PREFETCHED: usize = 2;

/// Trains until all epochs are done, a limit is reached, or a signal is received.
///
/// `state` is the state before the first step, new or read from a checkpoint, the same in every process of the group.
/// `backend` has joined that group. `listen` receives the events of this process.
///
/// The length of a new run with a time limit is fitted into the limit once its first steps are measured, so that its
/// learning rate reaches the end of the schedule. The length is part of the state: a resumed run keeps it.
///
/// # Errors
/// See [`RunError`]; the last checkpoint stays valid.
pub fn run(
    state: &mut State,
    dataset: Arc<Dataset>,
    backend: &mut dyn TrainingBackend,
    options: &RunOptions,
    evaluator: &mut dyn Evaluator,
    listen: &mut dyn FnMut(&Event<'_>),
) -> Result<Ending, RunError> {
    run_learner(state, dataset, &mut SingleNetwork::new(backend), options, evaluator, listen)
}

/// As [`run`], for several networks that share the parameters of `state`.
///
/// # Errors
/// As [`run`].
pub fn run_learner(
    state: &mut State,
    dataset: Arc<Dataset>,
    learner: &mut dyn Learner,
    options: &RunOptions,
    evaluator: &mut dyn Evaluator,
    listen: &mut dyn FnMut(&Event<'_>),
) -> Result<Ending, RunError> {
    let mut time_limit = TimeLimit::start(state, options);
    check_consistency(state, &*options.group)?;
    let mut stopwatch = Stopwatch::start(Arc::clone(&options.clock), state.progress.seconds);
    let group = &*options.group;

    // Data.
    let variant = &state.progress.experiment.variant()?;
    let mut batches = shard_batches(state, variant, &dataset, options)?;
    let sampler = *batches.sampler();
    let steps_per_epoch = sampler.batches_per_epoch();

    // Model.
    let graph = state.training_graph(variant);
    let mut course = Course::of(state, steps_per_epoch);
    let clip = state.progress.experiment.optimiser.clip.unwrap_or(f64::INFINITY);
    let strides = variant.architecture.strides();

    let mut writer = RunWriter::open(options, variant, state)?;
    if state.progress.step == 0 && state.progress.evaluates_start {
        let epochs = course.last_step.div_ceil(steps_per_epoch);
        let record = evaluate_start(state, variant, epochs, options, evaluator, &mut writer)?;
        listen(&Event::Epoch(&record));
        stopwatch.exclude();
    }
    let mut patience = Patience::default();
    let mut skipped = 0;
    let mut loader = batches.start(state.progress.step, course.last_step, options.workers, PREFETCHED);
    while state.progress.step < course.last_step {
        let step = state.progress.step;
        let (epoch, _) = sampler.place(step);

        // Batch.
        state.settle(course.last_step);
        let wait = options.clock.now();
        let batch = loader.next().ok_or(RunError::Batches { step })??;
        let wait = options.clock.now() - wait;

        // Forward, assign, loss, backward.
        let input = StepInput {
            number: step,
            of_steps: course.last_step,
            epoch,
            batch: &batch,
            objective: &course.objective,
            strides: &strides,
            group,
            threads: state.progress.threads,
            clock: &*options.clock,
        };
        let found = learner.learn(&state.weights, &input);
        let StepOutput { loss, loss_time, mut gradients } =
            found.map_err(|source| RunError::Backend { step, source })?;
        state.select_gradients(&graph, &mut gradients, course.last_step);

        // Reduce over the processes.
        let metrics = BatchMetrics::reduce(&loss, &batch.truths, group);
        all_reduce_gradients(group, &mut gradients);
        let norm = clip_to_norm(&mut gradients, clip);

        // Update, average.
        let learning_rate = course.schedule.rate(step);
        if norm.is_finite() && metrics.loss().is_finite() {
            skipped = 0;
            state.momentum.step(&graph, &mut state.weights, &gradients, learning_rate as f32);
            update_running_statistics(&mut state.weights, &learner.statistics(), &state.progress.frozen);
            state.average.update(&state.weights);
        } else {
            skipped += 1;
            let place = first_non_finite(&graph, learner, &metrics, &gradients, group);
            let problem = save_non_finite(&options.folder, &dataset, &batches, &batch, place, group)?;
            if options.on_non_finite == OnNonFinite::Stop || skipped > MAX_SKIPPED {
                return Err(problem);
            }
            listen(&Event::Note(format!("skipped: {problem}")));
        }
        state.progress.step += 1;

        // Log.
        let step_time = stopwatch.end_step(state);
        let record = StepRecord {
            step,
            epoch: epoch + 1,
            of_steps: course.last_step,
            rate: learning_rate,
            norm,
            images_per_second: metrics.images / step_time.as_secs_f64().max(1e-9),
            step_seconds: step_time.as_secs_f64(),
            wait: wait.as_secs_f64(),
            loss_seconds: loss_time.as_secs_f64(),
            seconds: state.progress.seconds,
            ..metrics.record(&batch)
        };
        listen(&Event::Step(&record));
        writer.write_step(&record, &batch, &loss)?;

        // Plan the length of the run.
        let mut is_planned = false;
        if let Some(measured) = &mut time_limit {
            measured.add(&batch, step_time.as_secs_f64(), learner.passes(step..step + 1, course.last_step));
            if let Some(plan) =
                measured.plan(state, variant, steps_per_epoch, options, (learner, evaluator))?
            {
                listen(&Event::Planned(&plan));
                state.follow(plan);
                course = Course::of(state, steps_per_epoch);
                batches.set_recipe(state.batch_recipe(variant));
                loader = batches.start(state.progress.step, course.last_step, options.workers, PREFETCHED);
                (time_limit, is_planned) = (None, true);
                stopwatch.exclude();
            }
        }

        // Evaluate.
        let is_last = state.progress.step == course.last_step;
        let is_epoch_end = is_last || state.progress.step.is_multiple_of(steps_per_epoch);
        let mut ending = None;
        if is_epoch_end {
            let epochs = (epoch + 1, course.last_step.div_ceil(steps_per_epoch));
            let record = evaluate_epoch(state, variant, epochs, options, evaluator, &writer)?;
            listen(&Event::Epoch(&record));
            writer.write_epoch(&record, &batch, &loss)?;
            ending = patience.is_exhausted(&record, options.patience).then_some(Ending::Patience);
            stopwatch.exclude();
        }

        // Checkpoint.
        let stop = agree_on_stop(stop_request(options, stopwatch.start), group);
        ending = stop.filter(|stop| matches!(stop, Ending::Signal(_))).or(ending).or(stop);
        if writer.write_checkpoint(state, is_epoch_end || is_planned || ending.is_some())? {
            listen(&Event::Checkpoint(state.progress.step));
        }
        if let Some(ending) = ending {
            if !matches!(ending, Ending::Signal(_)) {
                writer.write_final(&state.progress)?;
            }
            return Ok(ending);
        }
    }
    writer.write_final(&state.progress)?;
    writer.write_report(state)?;
    Ok(Ending::Finished)
}

/// Returns the batches of a run, each the shard of this process.
fn shard_batches(
    state: &State,
    variant: &Variant,
    dataset: &Arc<Dataset>,
    options: &RunOptions,
) -> Result<Batches, RunError> {
    let sampler = state.sampler(dataset.images.len());
    if sampler.images == 0 {
        return Err(RunError::NoImages);
    }
    let batches = Batches::new(Arc::clone(dataset), sampler, state.batch_recipe(variant), options.cache);
    Ok(batches.with_limits(options.limits).with_shard(options.group.rank(), options.group.size()))
}

/// The values that follow from the length of a run.
#[derive(Clone, Copy, Debug)]
struct Course {
    /// The number of steps.
    last_step: usize,
    schedule: Schedule,
    objective: Objective,
}

impl Course {
    fn of(state: &State, steps_per_epoch: usize) -> Self {
        Self {
            last_step: state.steps(steps_per_epoch),
            schedule: state.schedule(steps_per_epoch),
            objective: state.progress.experiment.objective(),
        }
    }
}

/// Evaluates the averaged model after `epoch` of `epochs`, counted from 1, if an evaluation is due, and writes the model
/// files.
fn evaluate_epoch(
    state: &mut State,
    variant: &Variant,
    (epoch, epochs): (usize, usize),
    options: &RunOptions,
    evaluator: &mut dyn Evaluator,
    writer: &RunWriter,
) -> Result<EpochRecord, RunError> {
    let mut record = EpochRecord {
        epoch,
        of_epochs: epochs,
        step: state.progress.step,
        seconds: state.progress.seconds,
        map: None,
        map50: None,
        best: false,
    };
    let averaged = state.average.apply(&state.weights);
    if !epoch.is_multiple_of(options.evaluate_every.max(1)) && epoch != epochs {
        return Ok(record);
    }
    let model = state.model(variant, averaged, epoch);
    [record.map, record.map50] = measure(&model, epoch, options, evaluator)?;
    let best = state.progress.best.and_then(|evaluation| evaluation.map);
    record.best = record.map.is_some_and(|map| best.is_none_or(|best| map > best));
    let evaluation = Evaluation { epoch, map: record.map, map50: record.map50 };
    if record.best {
        state.progress.best = Some(evaluation);
    }
    state.progress.last = Some(evaluation);
    writer.write_model(&model, record.best)?;
    Ok(record)
}

/// Evaluates the initial weights, so that a run that lowers the accuracy of a trained model ends with that model.
fn evaluate_start(
    state: &mut State,
    variant: &Variant,
    of_epochs: usize,
    options: &RunOptions,
    evaluator: &mut dyn Evaluator,
    writer: &mut RunWriter,
) -> Result<EpochRecord, RunError> {
    let model = state.model(variant, state.weights.clone(), 0);
    let [map, map50] = measure(&model, 0, options, evaluator)?;
    let evaluation = Evaluation { epoch: 0, map, map50 };
    state.progress.best = map.map(|_| evaluation);
    state.progress.last = Some(evaluation);
    writer.write_model(&model, map.is_some())?;
    let record = EpochRecord { epoch: 0, of_epochs, step: 0, seconds: 0.0, map, map50, best: map.is_some() };
    writer.write_start(&record)?;
    Ok(record)
}

/// Returns mAP and mAP at IoU threshold 0.5 of a model, the same in all processes; `None` if undefined.
fn measure(
    model: &Model,
    epoch: usize,
    options: &RunOptions,
    evaluator: &mut dyn Evaluator,
) -> Result<[Option<f64>; 2], RunError> {
    let found = evaluator.evaluate(model).map_err(|source| RunError::Evaluation { epoch, source })?;
    let mut values = [found.map, found.map50];
    options.group.broadcast(&mut values);
    // -1 stands for a metric that is undefined, since there are no objects.
    Ok(values.map(|value| Some(value).filter(|value| *value >= 0.0)))
}

/// Returns this process's request to end the run; `start` is when the run started.
fn stop_request(options: &RunOptions, start: Duration) -> Option<Ending> {
    match options.stop.load(Ordering::Relaxed) {
        0 if options.time_limit.is_some_and(|limit| options.clock.now() - start >= limit) => {
            Some(Ending::TimeLimit)
        }
        0 => None,
        signal => Some(Ending::Signal(signal)),
    }
}

/// Number of evaluations since the last improvement.
#[derive(Debug, Default)]
struct Patience(usize);

impl Patience {
    /// Counts an epoch with a defined mAP; returns whether it was evaluated and the limit is reached.
    fn is_exhausted(&mut self, record: &EpochRecord, limit: Option<usize>) -> bool {
        if record.map.is_none() {
            return false;
        }
        self.0 = if record.best { 0 } else { self.0 + 1 };
        limit.is_some_and(|limit| self.0 >= limit)
    }
}

/// The time of a run and of its steps.
#[derive(Debug)]
struct Stopwatch {
    clock: Arc<dyn Clock>,
    start: Duration,
    /// Seconds of training before this start.
    seconds_before: f64,
    step_start: Duration,
}

impl Stopwatch {
    fn start(clock: Arc<dyn Clock>, seconds_before: f64) -> Self {
        let start = clock.now();
        Self { clock, start, seconds_before, step_start: start }
    }

    /// Ends a step and returns its duration; updates the seconds of the state.
    fn end_step(&mut self, state: &mut State) -> Duration {
        let now = self.clock.now();
        state.progress.seconds = self.seconds_before + (now - self.start).as_secs_f64();
        let duration = now - self.step_start;
        self.step_start = now;
        duration
    }

    /// Excludes the time since the end of the step, of an evaluation, from the next one.
    fn exclude(&mut self) {
        self.step_start = self.clock.now();
    }
}
