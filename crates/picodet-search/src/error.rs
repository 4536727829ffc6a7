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
    /// A network is no part of the supernet.
    #[error("no part of the supernet: {0}")]
    NotASlice(#[from] picodet_graph::pass::NotASlice),
    /// The initial weights cannot be transferred.
    #[error(transparent)]
    Transfer(#[from] picodet_train::transfer::TransferError),
    /// A network cannot be trained.
    #[error(transparent)]
    Backend(#[from] picodet_train::BackendError),
    /// An image cannot be used.
    #[error(transparent)]
    Image(#[from] picodet_train::loader::ImageProblem),
    /// A candidate cannot be evaluated.
    #[error("a candidate cannot be evaluated: {0}")]
    Evaluation(#[from] picodet_train::EvaluatorError),
    /// A genome is not of the space.
    #[error("the genome is not of this space")]
    Genome,
    /// The images of the search have no objects.
    #[error("the images on which candidates are compared have no objects; give the search other images")]
    NoObjects,
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The underlying I/O error.
        source: std::io::Error,
    },
    /// A line of the judged candidates is damaged.
    #[error("{}, line {line}: {source}; delete the file to judge the candidates again", path.display())]
    Archive {
        /// The file.
        path: std::path::PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The error in it.
        source: serde_json::Error,
    },
    /// The judged candidates are of another supernet, or were judged on other images.
    #[error("{} is of another supernet or of other images; delete it to judge the candidates again", path.display())]
    OtherSupernet {
        /// The file.
        path: std::path::PathBuf,
    },
}
