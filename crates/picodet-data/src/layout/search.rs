//! Searches the formats for one that recognises a path.

use std::path::{Path, PathBuf};

use crate::dataset::{Format, Loaded, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Location};
use crate::format::HANDLERS;
use crate::format::handler::{Evidence, Recognition, Source};

/// Returns the first format with evidence of the given strengths, the strongest first.
pub(super) fn find_format(path: &Path, strengths: &[Evidence]) -> Recognition {
    let mut refused = Recognition::None;
    for &evidence in strengths {
        for handler in HANDLERS {
            match handler.recognise(path, evidence) {
                Recognition::None => {}
                Recognition::Refused(problem) => {
                    if matches!(refused, Recognition::None) {
                        refused = Recognition::Refused(problem);
                    }
                }
                Recognition::Found(source) => {
                    return Recognition::Found(with_others(path, handler.format(), source));
                }
            }
        }
    }
    refused
}

/// Adds the formats of which a folder has labels as well, and which are not read.
fn with_others(path: &Path, format: Format, source: Box<dyn Source>) -> Box<dyn Source> {
    // A file is of one format.
    if !path.is_dir() {
        return source;
    }
    let others: Vec<Format> = HANDLERS
        .into_iter()
        .filter(|handler| handler.format() != format)
        .filter(|handler| {
            let recognised = |evidence| !matches!(handler.recognise(path, evidence), Recognition::None);
            recognised(Evidence::Files) || recognised(Evidence::Layout)
        })
        .map(|handler| handler.format())
        .collect();
    if others.is_empty() {
        source
    } else {
        Box::new(Mixed { path: path.to_path_buf(), format, source, others })
    }
}

/// A folder with labels of several formats, of which one is read.
struct Mixed {
    path: PathBuf,
    format: Format,
    source: Box<dyn Source>,
    /// The formats that are not read.
    others: Vec<Format>,
}

impl Source for Mixed {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        self.source.splits()
    }

    fn read(&self, split: Option<&str>) -> Result<Loaded, DataError> {
        let mut loaded = self.source.read(split)?;
        let others: Vec<&str> = self.others.iter().map(|format| format.name()).collect();
        let message = format!(
            "read as {}; labels of {} are here as well, and not read",
            self.format,
            others.join(" and ")
        );
        loaded.findings.push(FindingKind::FormatsMixed, Location::file(display(&self.path)), message);
        Ok(loaded)
    }
}
