//! The one-shot architecture search of the paper: spaces of candidate networks and the evolution that chooses among
//! them under a latency constraint.
//!
//! A [`Space`] maps a [`Genome`] to an architecture of the zoo. [`Evolution`] proposes the genomes of each round from an
//! archive of the evaluated ones, so that a search continues from its archive after an interruption.

#![forbid(unsafe_code)]

mod error;
mod evolution;
mod front;
mod genome;
mod latency;
mod space;
mod surrogate;

pub use error::SearchError;
pub use evolution::{Evolution, Options};
pub use front::{Evaluated, front};
pub use genome::Genome;
pub use space::{Candidate, Gene, Space};
