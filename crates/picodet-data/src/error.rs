//! What can go wrong with a dataset as a whole; faults inside it are [`Finding`]s.

use std::path::{Path, PathBuf};

use crate::finding::Finding;

/// An error that stops a dataset operation. Every message says what, where and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file system refused.
    #[error("cannot access {}: {source}", .path.display())]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// No known format matches.
    #[error(
        "{}: no dataset found here ({reason}). Expected one of: a COCO .json (or a folder with one), \
         a folder with Annotations/*.xml (Pascal VOC), a YOLO data.yaml, or a folder of LabelMe .json files",
        .path.display()
    )]
    UnknownFormat {
        /// What was opened.
        path: PathBuf,
        /// What was seen there.
        reason: String,
    },
    /// A label file is not what its format says.
    #[error("{}{}: {message}", .path.display(), line_suffix(.line))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// 1-based line, when known.
        line: Option<u64>,
        /// What is wrong and what to do.
        message: String,
    },
    /// A file is larger than its kind can sensibly be.
    #[error("{}: {size} bytes is more than the {limit} bytes allowed for {what}", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its kind.
        what: &'static str,
        /// Its size in bytes (at least).
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The requested split does not exist.
    #[error("{}: no split `{split}`; available: {}", .path.display(), list(.available))]
    UnknownSplit {
        /// The dataset.
        path: PathBuf,
        /// What was asked for.
        split: String,
        /// What there is.
        available: Vec<String>,
    },
    /// The dataset has several label files and one must be chosen.
    #[error("{}: several splits here; choose one of: {}", .path.display(), list(.available))]
    SplitNeeded {
        /// The dataset.
        path: PathBuf,
        /// What there is.
        available: Vec<String>,
    },
    /// Labels would be lost by reading on. `picodet check` lists all of them.
    #[error(
        "{}: {count} label faults that lose data, first: {first}. \
         Run `picodet check` on it to see all, `picodet check --fix OUT` for a repaired copy",
        .path.display()
    )]
    Faulty {
        /// The dataset.
        path: PathBuf,
        /// How many findings of severity error the reader made.
        count: usize,
        /// The first of them.
        first: Box<Finding>,
    },
    /// The output folder is in use.
    #[error("{}: the output folder exists and is not empty; name a new one", .path.display())]
    OutputExists {
        /// The folder.
        path: PathBuf,
    },
    /// The output would lie inside the source, which must never be touched.
    #[error("{}: the output folder lies inside the source {}; name one outside", .path.display(), .source_root.display())]
    OutputInsideSource {
        /// The output folder.
        path: PathBuf,
        /// The dataset's folder.
        source_root: PathBuf,
    },
    /// An argument is out of range.
    #[error("{what}")]
    BadArgument {
        /// What and what is allowed.
        what: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

fn line_suffix(line: &Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(":{line}"))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}
