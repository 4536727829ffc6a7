//! A run, top to bottom: data → model → loop { batch → forward → assign → loss → finite? → backward → step → average → log } →
//! evaluate → checkpoint → report.
//!
//! The members of a group go through it side by side. Each makes its share of the batch; what is decided depends on sums
//! over the group alone, so that all decide the same; the first one writes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use picodet_data::Dataset;
use picodet_graph::{Graph, Weights};
use picodet_model::{Model, graph_of};
use picodet_zoo::Variant;

use crate::group::{Alone, Group, sum_gradients};
use crate::journal::{EpochRecord, Journal, Record, StepRecord};
use crate::loader::{BatchRecipe, Batches, ImageProblem};
use crate::memory::keep_freed_blocks;
use crate::objective::{MapData, Objective};
use crate::outcome::{first_non_finite, model_of, save_non_finite, write_model};
use crate::sampler::Sampler;
use crate::state::{CheckpointError, State};
use crate::totals::{Totals, Wish, agree, check_group};
use crate::{ExperimentError, Map, clip_to_norm, picture, report};

/// The network in training: whoever can run a graph forward and back.
pub trait Network {
    /// Runs a batch, `[n, 3, h, w]`, batch norms by the statistics of the batch; in a group, of the whole batch.
    ///
    /// # Errors
    /// Says what does not fit.
    fn forward(&mut self, weights: &Weights, images: Map<'_>) -> Result<(), String>;

    /// A named output of the last batch.
    fn output(&mut self, name: &str) -> Option<MapData>;

    /// The gradients of the learned parameters when those of the named outputs are `gradients`.
    ///
    /// # Errors
    /// Says what does not fit.
    fn backward(&mut self, gradients: &[(String, Vec<f32>)]) -> Result<Weights, String>;

    /// Mean and biased variance of the last batch at each batch norm, by the names of its running statistics.
    fn statistics(&self) -> Vec<(String, Vec<f32>)>;
}

/// Measures a model: the mAP over IoU 0.5 to 0.95, and the mAP at 0.5, both of 0 to 1. Every member of a group is asked,
/// about the same model; the first one's answer counts.
pub type Evaluate<'a> = &'a mut dyn FnMut(&Model) -> Result<(f64, f64), String>;

/// What to do about a value that is no number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnNan {
    /// Stop, with everything that is known about it saved.
    #[default]
    Stop,
    /// Leave the batch out and go on; stop after several in a row.
    Skip,
}

/// Settings of a run that do not change what is learned.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where everything is written.
    pub folder: PathBuf,
    /// Threads that prepare batches.
    pub workers: usize,
    /// Bytes of decoded images that are kept.
    pub cache: usize,
    /// Epochs between evaluations.
    pub evaluate_every: usize,
    /// Longest time between checkpoints.
    pub checkpoint_every: Duration,
    /// Evaluations without a better result after which the run ends.
    pub patience: Option<usize>,
    /// Time after which the run ends, this start alone.
    pub time_limit: Option<Duration>,
    /// What to do about a value that is no number.
    pub on_nan: OnNan,
    /// Set to the number of a signal, the run ends after the step, with a checkpoint.
    pub stop: Arc<AtomicUsize>,
    /// Who works on the run together.
    pub group: Arc<dyn Group>,
}

impl RunOptions {
    /// The usual settings for a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            workers: 1,
            cache: 512 << 20,
            evaluate_every: 5,
            checkpoint_every: Duration::from_secs(300),
            patience: None,
            time_limit: None,
            on_nan: OnNan::Stop,
            stop: Arc::default(),
            group: Arc::new(Alone),
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All epochs are done.
    Finished,
    /// No evaluation was better for a while.
    Patience,
    /// The time was over.
    TimeLimit,
    /// A signal came.
    Signal(usize),
}

/// Why a run cannot go on. What was learned until the last checkpoint is safe.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An image cannot be used.
    #[error(transparent)]
    Image(#[from] ImageProblem),
    /// A checkpoint cannot be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Another file cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A value is no number.
    #[error(
        "step {step}: {place} is not finite; images {images}; the batch is in {saved}; try a smaller learning rate, or \
         --on-nan skip"
    )]
    NonFinite {
        /// The step, counted from 0.
        step: usize,
        /// The loss term, map, or parameter that it was found in first.
        place: String,
        /// The images of the batch.
        images: String,
        /// Where the batch was saved.
        saved: String,
    },
    /// The network refuses the batch.
    #[error("step {step}: {problem}")]
    Network {
        /// The step, counted from 0.
        step: usize,
        /// What does not fit.
        problem: String,
    },
    /// The model cannot be measured.
    #[error("the evaluation after epoch {epoch} failed: {problem}")]
    Evaluation {
        /// The epoch, counted from 1.
        epoch: usize,
        /// What happened.
        problem: String,
    },
    /// The dataset has nothing to learn from.
    #[error("the dataset has no image")]
    NoImages,
    /// The threads that prepare batches ended early.
    #[error("step {step}: the threads that prepare batches have failed")]
    Batches {
        /// The step, counted from 0.
        step: usize,
    },
    /// Some process would have no image.
    #[error("a batch of {batch} images is too small for {processes} processes; each needs one at least")]
    TooManyProcesses {
        /// Images of a batch.
        batch: usize,
        /// Processes.
        processes: usize,
    },
    /// The members of the group would not train the same.
    #[error(
        "process {rank} starts from other data, weights or settings than process 0; every machine needs the same \
         program and the same files"
    )]
    OtherStart {
        /// The first that differs.
        rank: usize,
    },
}

/// What listeners hear of a run.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A step was taken.
    Step(&'a StepRecord),
    /// An epoch is over; measured or not.
    Epoch(&'a EpochRecord),
    /// A checkpoint was written.
    Checkpoint(usize),
    /// Something that a reader of the log should know.
    Note(String),
}

/// Share of the running statistics that a step keeps (SPEC §0).
const STATISTICS_MOMENTUM: f32 = 0.9;
/// Steps in a row that may be left out because of values that are no numbers.
const MOST_SKIPPED: usize = 10;

/// The names of what a run writes.
pub mod files {
    /// Everything that is needed to go on.
    pub const CHECKPOINT: &str = "checkpoint.safetensors";
    /// The averaged model of the last evaluation.
    pub const LAST: &str = "last.safetensors";
    /// The averaged model of the best evaluation.
    pub const BEST: &str = "best.safetensors";
    /// One JSON object a step and an epoch.
    pub const JOURNAL: &str = "metrics.jsonl";
    /// Curves and pictures.
    pub const REPORT: &str = "report.html";
}

/// The graph that a state trains.
pub fn training_graph(state: &State, variant: &Variant) -> Graph {
    Objective::graph(&graph_of(&variant.architecture, state.progress.classes.len(), false))
}

/// Trains until the end, a limit, or a signal. `state` is where the run stands, new or read from a checkpoint: the same for
/// every member of a group, and `network` one that has joined it.
///
/// # Errors
/// See [`RunError`]; the last checkpoint stays as it is.
pub fn run(
    state: &mut State,
    dataset: Arc<Dataset>,
    network: &mut dyn Network,
    options: &RunOptions,
    evaluate: Evaluate<'_>,
    listen: &mut dyn FnMut(&Event<'_>),
) -> Result<Ending, RunError> {
    let group = &*options.group;
    check_group(state, group)?;
    keep_freed_blocks();

    // Data.
    let experiment = state.progress.experiment.clone();
    let sampler =
        Sampler { images: dataset.images.len(), batch: state.progress.batch, seed: state.progress.seed };
    if sampler.images == 0 {
        return Err(RunError::NoImages);
    }
    let network_problem = |error: ExperimentError| RunError::Network { step: 0, problem: error.to_string() };
    let variant = experiment.variant().map_err(network_problem)?;
    let batches = Batches::new(Arc::clone(&dataset), sampler, recipe_of(state, variant), options.cache)
        .share(group.rank(), group.size());
    let per_epoch = sampler.batches_per_epoch();
    let last_step = experiment.epochs * per_epoch;

    // Model.
    let graph = training_graph(state, variant);
    let objective = experiment.objective();
    let strides = variant.architecture.strides();
    let schedule = experiment.schedule(state.progress.batch, per_epoch);

    // Log.
    let open = || Journal::open(&options.folder, state.progress.step);
    let mut journal = if group.is_first() { Some(open()?) } else { None };
    let mut loader = batches.start(state.progress.step, last_step, options.workers, 2);
    let start = Instant::now();
    let already = state.progress.seconds;
    let mut last_checkpoint = Instant::now();
    let mut skipped = 0;
    let mut without_better = 0;
    let mut last_end = Instant::now();

    while state.progress.step < last_step {
        let step = state.progress.step;
        let (epoch, _) = sampler.place(step);

        // Batch.
        let asked = Instant::now();
        let Some(batch) = loader.next() else { return Err(RunError::Batches { step }) };
        let batch = batch?;
        let wait = asked.elapsed();

        // Forward, assign, loss, backward.
        let failed = |problem: String| RunError::Network { step, problem };
        network.forward(&state.weights, batch.map()).map_err(failed)?;
        let forward_done = Instant::now();
        let (output, threads) = (|name: &str| network.output(name), state.progress.threads);
        let judged = objective.judge(output, &strides, &batch.truths, epoch, group, threads);
        let judge = forward_done.elapsed();
        let mut gradients = network.backward(&judged.gradients).map_err(failed)?;
        gradients.retain(|name, _| !is_frozen(&state.progress.frozen, name));

        // Of the whole batch.
        let totals = Totals::new(&judged, &batch.truths, group);
        sum_gradients(group, &mut gradients);

        // Finite?
        let norm = clip_to_norm(&mut gradients, experiment.optimiser.clip.unwrap_or(f64::INFINITY));
        let taken = norm.is_finite() && totals.loss().is_finite();
        if taken {
            skipped = 0;
        } else {
            skipped += 1;
            let place = first_non_finite(&graph, network, &totals, &gradients, group);
            let problem = save_non_finite(&options.folder, &dataset, &batches, &batch, place, group)?;
            if options.on_nan == OnNan::Stop || skipped > MOST_SKIPPED {
                return Err(problem);
            }
            listen(&Event::Note(format!("left out: {problem}")));
        }

        // Step, average.
        let rate = schedule.rate(step);
        if taken {
            state.momentum.step(&graph, &mut state.weights, &gradients, rate as f32);
            move_statistics(&mut state.weights, &network.statistics(), &state.progress.frozen);
            state.average.update(&state.weights);
        }
        state.progress.step += 1;
        state.progress.seconds = already + start.elapsed().as_secs_f64();

        // Log.
        let step_seconds = last_end.elapsed().as_secs_f64();
        let record = StepRecord {
            step,
            epoch: epoch + 1,
            of_steps: last_step,
            loss: totals.loss(),
            loss_cls: totals.cls,
            loss_box: totals.bbox,
            loss_dfl: totals.dfl,
            positives: totals.positives / totals.images,
            objects: totals.objects / totals.images,
            rate,
            norm,
            height: batch.shape[2],
            width: batch.shape[3],
            images_per_second: totals.images / step_seconds.max(1e-9),
            step_seconds,
            wait: wait.as_secs_f64(),
            judge: judge.as_secs_f64(),
            seconds: state.progress.seconds,
        };
        last_end = Instant::now();
        listen(&Event::Step(&record));
        if let Some(journal) = &mut journal {
            journal.write(&Record::Step(record))?;
        }
        if step == 0 && group.is_first() {
            picture::save_batch(&options.folder, "batch", &batch, &judged, &variant.mean, &variant.std)?;
        }

        // Evaluate.
        let mut ending = None;
        if state.progress.step.is_multiple_of(per_epoch) {
            let done = epoch + 1;
            let averaged = state.average.apply(&state.weights);
            let measured = done.is_multiple_of(options.evaluate_every.max(1)) || done == experiment.epochs;
            let mut record = EpochRecord {
                epoch: done,
                of_epochs: experiment.epochs,
                step: state.progress.step,
                seconds: state.progress.seconds,
                map: None,
                map50: None,
                best: false,
            };
            if measured {
                let model = model_of(state, variant, averaged, done);
                let (map, map50) =
                    evaluate(&model).map_err(|problem| RunError::Evaluation { epoch: done, problem })?;
                let mut measured = [map, map50];
                group.broadcast(&mut measured);
                let [map, map50] = measured;
                record.best = state.progress.best.is_none_or(|(best, _)| map > best);
                (record.map, record.map50) = (Some(map), Some(map50));
                if record.best {
                    state.progress.best = Some((map, done));
                    without_better = 0;
                } else {
                    without_better += 1;
                }
                if group.is_first() {
                    let folder = &options.folder;
                    write_model(&folder.join(files::LAST), &model)?;
                    if record.best {
                        write_model(&folder.join(files::BEST), &model)?;
                    }
                    let (mean, std) = (&variant.mean, &variant.std);
                    picture::save_batch(folder, "batch_latest", &batch, &judged, mean, std)?;
                }
                if options.patience.is_some_and(|patience| without_better >= patience) {
                    ending = Some(Ending::Patience);
                }
            }
            listen(&Event::Epoch(&record));
            if let Some(journal) = &mut journal {
                journal.write(&Record::Epoch(record))?;
            }
            // What the evaluation took is no training.
            last_end = Instant::now();
        }

        // Checkpoint.
        let is_over = options.time_limit.is_some_and(|limit| start.elapsed() >= limit);
        let wish = match options.stop.load(Ordering::Relaxed) {
            0 if is_over => Wish::TimeLimit,
            0 => Wish::GoOn,
            signal => Wish::Signal(signal),
        };
        match agree(wish, group) {
            Wish::GoOn => {}
            Wish::Signal(signal) => ending = Some(Ending::Signal(signal)),
            Wish::TimeLimit => ending = ending.or(Some(Ending::TimeLimit)),
        }
        let end_of_epoch = state.progress.step.is_multiple_of(per_epoch);
        let due = last_checkpoint.elapsed() >= options.checkpoint_every;
        if let Some(journal) = &mut journal {
            if due || end_of_epoch || ending.is_some() {
                journal.sync()?;
                state.write(&options.folder.join(files::CHECKPOINT))?;
                last_checkpoint = Instant::now();
                listen(&Event::Checkpoint(state.progress.step));
            }
            if end_of_epoch || ending.is_some() {
                report::write(&options.folder, state)?;
            }
        }
        if let Some(ending) = ending {
            return Ok(ending);
        }
    }
    if group.is_first() {
        report::write(&options.folder, state)?;
    }
    Ok(Ending::Finished)
}

/// How the batches of a run are made.
pub fn recipe_of(state: &State, variant: &Variant) -> BatchRecipe {
    let experiment = &state.progress.experiment;
    BatchRecipe {
        augmentation: experiment.augmentation().unwrap_or_default(),
        mosaic_until: experiment.batch.mosaic_until,
        sizes: experiment.batch.sizes.iter().map(|size| size.pair()).collect(),
        interpolations: experiment.interpolations().unwrap_or_default(),
        mean: variant.mean,
        std: variant.std,
    }
}

fn is_frozen(frozen: &[String], name: &str) -> bool {
    frozen.iter().any(|prefix| name.starts_with(prefix.as_str()))
}

/// Moves running statistics towards those of a batch, those of frozen parts apart.
pub fn move_statistics(weights: &mut Weights, batch: &[(String, Vec<f32>)], frozen: &[String]) {
    for (name, batch) in batch.iter().filter(|(name, _)| !is_frozen(frozen, name)) {
        let Some(running) = weights.get_mut(name) else { continue };
        for (running, batch) in running.data.iter_mut().zip(batch) {
            *running = STATISTICS_MOMENTUM * *running + (1.0 - STATISTICS_MOMENTUM) * batch;
        }
    }
}
