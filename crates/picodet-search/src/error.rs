//! Why a search cannot run.

/// A search cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// A space file is not TOML of the documented form.
    #[error("the space file: {0}")]
    Syntax(#[from] toml::de::Error),
    /// The base network does not exist.
    #[error("no network is named `{0}`; `picodet models` lists them")]
    UnknownNetwork(String),
    /// A gene has no effect on the base network.
    #[error("{network} has no {gene} to search")]
    NotSearchable {
        /// Name of the base network.
        network: String,
        /// Name of the gene.
        gene: &'static str,
    },
    /// A value of a gene is not possible.
    #[error("{gene} = {value}: {rule}")]
    Value {
        /// Name of the gene.
        gene: &'static str,
        /// The value.
        value: f64,
        /// The values that are possible.
        rule: &'static str,
    },
    /// No gene has more than one value.
    #[error("the space has a single network; give at least one gene two values")]
    Empty,
    /// No candidate keeps the constraint.
    #[error("no candidate keeps {constraint:.2} ms; the fastest takes {fastest:.2} ms")]
    Impossible {
        /// Maximum latency in milliseconds.
        constraint: f64,
        /// Predicted latency of the fastest candidate in milliseconds.
        fastest: f64,
    },
}
