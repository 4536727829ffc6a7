//! Errors of dataset operations; faults inside a dataset are [`Finding`]s.

use std::path::{Path, PathBuf};

use picodet_format::coco::JsonError;

use crate::finding::{Finding, Location};
use crate::loss::Loss;

/// An error that stops a dataset operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be accessed.
    #[error("cannot access {}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The underlying I/O error.
        source: std::io::Error,
    },
    /// No known format matches.
    #[error(
        "{}: no dataset found here ({reason}). Expected one of: {}",
        .path.display(), .expected.join(", ")
    )]
    UnknownFormat {
        /// The file or folder.
        path: PathBuf,
        /// Why it is not a dataset.
        reason: String,
        /// Description of each known format.
        expected: Vec<&'static str>,
    },
    /// The annotations are of a format that is not read.
    #[error("{}: {format} is not supported; {remedy}", .path.display())]
    ForeignFormat {
        /// The file or folder.
        path: PathBuf,
        /// Name of the format.
        format: &'static str,
        /// The export to choose instead.
        remedy: &'static str,
    },
    /// A dataset lacks a part that its format requires.
    #[error("{}: {problem}", .path.display())]
    Incomplete {
        /// The dataset.
        path: PathBuf,
        /// The missing part and the remedy.
        problem: &'static str,
    },
    /// A label file is malformed.
    #[error("{}{}: {message}", .path.display(), line_suffix(.line))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// 1-based line, when known.
        line: Option<u64>,
        /// The problem and the remedy.
        message: String,
    },
    /// A file is larger than allowed.
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
        /// The requested split.
        split: String,
        /// The existing splits.
        available: Vec<String>,
    },
    /// The dataset has several label files and one must be chosen.
    #[error("{}: several splits here; choose one of: {}", .path.display(), list(.available))]
    SplitNeeded {
        /// The dataset.
        path: PathBuf,
        /// The existing splits.
        available: Vec<String>,
    },
    /// The folder of one split has several label files.
    #[error(
        "{}: several label files for one split: {}; move all but one out of the folder, or open one of them",
        .path.display(), list(.files)
    )]
    SeveralFiles {
        /// The folder.
        path: PathBuf,
        /// Their names.
        files: Vec<String>,
    },
    /// The reader had to leave out labels. `picodet check` lists all of them.
    #[error(
        "{}: {count} label faults that lose data, first: {first}; `picodet check` on it lists all, {remedy}",
        .path.display()
    )]
    Faulty {
        /// The dataset.
        path: PathBuf,
        /// Number of findings of severity error.
        count: usize,
        /// The first of them.
        first: Box<Finding>,
        /// How to do without these labels.
        remedy: &'static str,
    },
    /// Objects would be left out.
    #[error(
        "{}: not written, since objects would be lost: {}; --allow-loss leaves them out",
        .path.display(), list(&losses.iter().map(ToString::to_string).collect::<Vec<_>>())
    )]
    WouldLose {
        /// The output folder.
        path: PathBuf,
        /// The objects.
        losses: Vec<Loss>,
    },
    /// The result would be empty.
    #[error(
        "{}: not written, since the result has no {what}; `picodet check` on the dataset lists the reasons{}",
        .path.display(), if *.what == "objects" { ", --allow-loss writes the images only" } else { "" }
    )]
    NothingToWrite {
        /// The output folder.
        path: PathBuf,
        /// `images` or `objects`.
        what: &'static str,
    },
    /// A repair would remove all images of a split.
    #[error(
        "the split `{name}` would be empty: all its images are in earlier splits, or cannot be read; split again with \
         `picodet data split`, which groups equal images, or leave it empty with --allow-loss"
    )]
    SplitWouldBeEmpty {
        /// The split.
        name: String,
    },
    /// The output folder exists and is not empty.
    #[error("{}: the output folder exists and is not empty; choose a new one", .path.display())]
    OutputExists {
        /// The folder.
        path: PathBuf,
    },
    /// The output folder is inside the source, which must not be modified.
    #[error("{}: the output folder is inside the source {}; choose one outside", .path.display(), .source_root.display())]
    OutputInsideSource {
        /// The output folder.
        path: PathBuf,
        /// The dataset's folder.
        source_root: PathBuf,
    },
    /// An argument is out of range.
    #[error("{what}")]
    BadArgument {
        /// The problem and the allowed values.
        what: String,
    },
}

impl DataError {
    /// The position of a fault in the file `file`, and its description without it.
    pub(crate) fn in_file(&self, file: &str) -> (Location, String) {
        let (line, message) = match self {
            Self::Syntax { line, message, .. } => (*line, message.clone()),
            Self::Io { source, .. } => (None, format!("cannot be read: {source}")),
            Self::TooLarge { what, size, limit, .. } => {
                (None, format!("{size} bytes is more than the {limit} bytes allowed for {what}"))
            }
            error => (None, error.to_string()),
        };
        (Location { line, ..Location::file(file) }, message)
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    /// A malformed JSON file.
    pub(crate) fn json(path: &Path, error: &JsonError) -> Self {
        let message = match error {
            JsonError::Malformed { element, problem, column, .. } => {
                format!("the JSON cannot be read: {element}{problem} (column {column})")
            }
            JsonError::Io(error) => format!("the JSON cannot be read: {error}"),
            error => format!("the JSON cannot be read: {error}"),
        };
        Self::Syntax { path: path.to_path_buf(), line: error.line().map(|line| line as u64), message }
    }
}

/// As in `:12` for a known line.
fn line_suffix(line: &Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(":{line}"))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_string() } else { names.join(", ") }
}
