//! Training, along the way of a batch: images are drawn ([`sampler`]), changed ([`augment`]) and stacked ([`loader`]); the
//! network ([`run::Network`]) maps them; which cell learns which object ([`assign`]), how wrong it is ([`loss`],
//! [`objective`]), and how parameters follow ([`Momentum`], [`Schedule`], [`MovingAverage`]). [`run::run`] is all of it
//! from top to bottom.
//!
//! Several processes train together as a [`group`]: each makes a share of every batch, and sums are exchanged.
//!
//! Assigners and losses are plain functions on slices with their gradients written out; whoever differentiates the network
//! injects those gradients at the head's maps.

pub mod assign;
pub mod augment;
mod average;
mod cpu;
mod experiment;
mod exponential;
#[cfg(feature = "burn")]
pub mod fused;
mod geometry;
pub mod group;
pub mod journal;
pub mod loader;
pub mod loss;
pub mod memory;
mod momentum;
#[cfg(feature = "burn")]
pub mod network;
pub mod objective;
pub mod outcome;
pub mod picture;
mod predictions;
pub mod random;
pub mod recipes;
pub mod report;
pub mod run;
pub mod sampler;
mod schedule;
pub mod state;
mod tensorboard;
mod totals;
pub mod transfer;

pub use assign::{Assignment, Truth};
pub use average::MovingAverage;
pub use cpu::CpuNetwork;
pub use experiment::{
    AverageConfig, BatchConfig, Experiment, ExperimentError, InputSize, OptimiserConfig, RateConfig,
    ScheduleKind,
};
pub use geometry::{Anchors, Box4};
pub use momentum::{Momentum, clip_to_norm};
pub use objective::{MapData, Objective};
pub use predictions::{Gradients, LevelMaps, Map, Predictions};
pub use schedule::Schedule;
