//! Training of detectors: augmentation, label assignment, losses, optimiser, the training loop and its files.
//!
//! Modules in the order of a batch: [`sampler`] selects images, [`augment`] changes them and [`loader`] stacks them; a
//! [`backend`] computes the network; [`assign`] selects the cells that learn each object; [`loss`] and [`objective`]
//! compute the loss and its gradients; [`Momentum`], [`Schedule`] and [`MovingAverage`] update the parameters.
//! [`run::run`] is the loop around them.
//!
//! Several processes train together as a [`group`]: each computes a shard of every batch, and sums are exchanged.
//!
//! Assigners and losses are plain functions on slices with gradients in closed form; the backend receives these gradients
//! at the outputs of the head.

#![forbid(unsafe_code)]

pub mod assign;
pub mod augment;
mod average;
pub mod backend;
pub mod clock;
mod cpu;
mod distillation;
pub mod error;
pub mod evaluation;
pub mod evaluator;
mod experiment;
mod fine_tuning;
pub mod folder;
#[cfg(feature = "burn")]
pub mod fused;
mod geometry;
pub mod group;
pub mod journal;
pub mod loader;
pub mod loss;
pub mod memory;
mod metrics;
mod momentum;
#[cfg(feature = "burn")]
pub mod network;
mod non_finite;
pub mod objective;
pub mod options;
pub mod picture;
pub mod plan;
mod predictions;
pub mod quantised;
pub mod random;
pub mod recipes;
pub mod report;
pub mod run;
pub mod sampler;
mod schedule;
pub mod state;
mod statistics;
mod step;
mod stop;
mod tensorboard;
mod time_limit;
pub mod transfer;
mod writer;

pub use assign::{Assignment, Truth};
pub use average::MovingAverage;
pub use backend::{BackendError, TrainingBackend};
pub use cpu::CpuNetwork;
pub use distillation::distil;
pub use error::{EvaluatorError, RunError};
pub use evaluation::{Evaluation, FinalModel};
pub use evaluator::{Evaluator, ModelMetrics};
pub use experiment::{
    AverageConfig, BatchConfig, Experiment, ExperimentError, InputSize, OptimiserConfig, RateConfig,
    ScheduleKind,
};
pub use fine_tuning::FINE_TUNING_BATCH;
pub use folder::RunFolder;
pub use geometry::{Anchors, Box4};
pub use momentum::{Momentum, clip_to_norm};
pub use objective::{LossOutput, Objective, level_maps};
pub use options::{Ending, Event, OnNonFinite, RunOptions};
pub use predictions::{HeadGradients, LevelMaps, Predictions};
pub use schedule::Schedule;
pub use statistics::update_running_statistics;
pub use step::{Learner, SingleNetwork, StepInput, StepOutput, Teacher, learn, learn_from};
