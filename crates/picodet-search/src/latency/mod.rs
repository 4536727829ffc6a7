//! The latency of candidates: measured parts, predictions from them, and repair of candidates that are too slow.

mod error;
mod measure;
mod options;
mod part;
mod predictor;
mod prepared;
mod repair;
mod table;

pub use error::LatencyError;
pub use measure::{LatencyCheck, check_latency, measure_candidates, measure_latency, median_and_worst};
pub use options::LatencyOptions;
pub use predictor::Predictor;
pub(crate) use repair::{Predict, fastest, repair};
pub use table::{LatencyTable, Machine, WholeRuns};
