//! Why latencies cannot be measured or predicted.

use picodet_engine::{PlanError, Precision, RunError};
use picodet_quantise::QuantiseError;

/// An error in measuring or predicting latencies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LatencyError {
    /// A latency table is not TOML of the documented form.
    #[error("the latency table: {0}")]
    Syntax(#[from] toml::de::Error),
    /// A latency table is of another version.
    #[error("the latency table has version {0}; this program reads version {version}", version = super::table::FORMAT)]
    Format(u32),
    /// A latency table is of another network.
    #[error(
        "the latency table is of {table}, the space of {space}; measure one with `picodet search latency`"
    )]
    OtherNetwork {
        /// The network of the table.
        table: String,
        /// The network of the space.
        space: String,
    },
    /// A latency table is of networks with another number of classes.
    #[error(
        "the latency table is of networks with {table} classes, the dataset has {data}; measure it with --classes {data}"
    )]
    OtherClasses {
        /// Classes of the table.
        table: usize,
        /// Classes of the dataset.
        data: usize,
    },
    /// A latency table lacks a part of a candidate.
    #[error("the latency table has no `{0}`; measure one for this space with `picodet search latency`")]
    Missing(String),
    /// This CPU does not have the instructions of a precision.
    #[error("this CPU has no instructions for {0}")]
    Precision(Precision),
    /// A candidate cannot be quantised.
    #[error(transparent)]
    Quantise(#[from] QuantiseError),
    /// The candidates of a space cannot be measured.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A candidate cannot be run.
    #[error(transparent)]
    Run(#[from] RunError),
}
