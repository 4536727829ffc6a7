//! The one-shot architecture search of the paper: spaces of candidate networks, training of the supernet that contains them,
//! and the evolution that chooses among them under a latency constraint.
//!
//! A [`Space`] maps a [`Genome`] to an architecture of the zoo. [`Supernet`] trains the largest of them together with others,
//! which are slices of it; [`Inheritance`] takes a candidate out and measures its batch norms on [`Calibration`] images.
//! [`Evolution`] proposes the genomes of each round from the evaluated ones, and [`search()`] judges them with an [`Archive`] in
//! a file, so that a search continues after an interruption.

#![forbid(unsafe_code)]

mod archive;
mod calibration;
mod error;
mod evolution;
mod front;
mod genome;
mod judge;
mod latency;
mod rank;
mod report;
mod sandwich;
mod search;
mod space;
mod start;
mod supernet;
mod surrogate;

pub use archive::Archive;
pub use calibration::Calibration;
pub use error::SearchError;
pub use evolution::{Evolution, Options};
pub use front::{Evaluated, front};
pub use genome::Genome;
pub use judge::{Accuracy, Inheritance, Measure};
pub use latency::{
    LatencyCheck, LatencyError, LatencyOptions, LatencyTable, Machine, Predictor, WholeRuns, check_latency,
    measure_candidates, measure_latency, median_and_worst,
};
pub use rank::kendall;
pub use report::{Entry, SearchReport};
pub use sandwich::Sandwich;
pub use search::{Judged, LEAST_AGREEMENT, SearchEnding, SearchResult, recommend, search};
pub use space::{Candidate, Gene, Space};
pub use start::{random_weights, weights_of};
pub use supernet::Supernet;
