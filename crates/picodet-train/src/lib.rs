//! Training: which cell learns which object ([`assign`]), how wrong it is ([`loss`]), and how parameters follow
//! ([`Momentum`], [`Schedule`], [`MovingAverage`]).
//!
//! Assigners and losses are plain functions on slices with their gradients written out; whoever differentiates the
//! network injects those gradients at the head's maps.

pub mod assign;
mod average;
mod geometry;
pub mod loss;
mod momentum;
#[cfg(feature = "train")]
pub mod network;
mod predictions;
mod schedule;

pub use assign::{Assignment, Truth};
pub use average::MovingAverage;
pub use geometry::{Anchors, Box4};
pub use momentum::{Momentum, clip_to_norm};
pub use predictions::{Gradients, LevelMaps, Map, Predictions};
pub use schedule::Schedule;
