//! Searches the formats for one that recognises a path.

use std::path::{Path, PathBuf};

use crate::dataset::{Format, Loaded, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Location};
use crate::format::HANDLERS;
use crate::format::handler::{Evidence, FormatHandler, Recognition, Source};

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

/// Lets a folder report the other formats of which it has labels. A file is of one format.
fn with_others(path: &Path, format: Format, source: Box<dyn Source>) -> Box<dyn Source> {
    if path.is_dir() { Box::new(Folder { path: path.to_path_buf(), format, source }) } else { source }
}

/// A folder that is read as one format.
struct Folder {
    path: PathBuf,
    format: Format,
    source: Box<dyn Source>,
}

impl Folder {
    /// The names of the other formats of which the folder has labels, and which are not read.
    fn others(&self) -> Vec<&'static str> {
        let is_recognised = |handler: &&dyn FormatHandler| {
            [Evidence::Files, Evidence::Layout]
                .into_iter()
                .any(|evidence| !matches!(handler.recognise(&self.path, evidence), Recognition::None))
        };
        let others = HANDLERS.into_iter().filter(|handler| handler.format() != self.format);
        others.filter(is_recognised).map(|handler| handler.format().name()).collect()
    }
}

impl Source for Folder {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        self.source.splits()
    }

    fn read(&self, split: Option<&str>) -> Result<Loaded, DataError> {
        let mut loaded = self.source.read(split)?;
        let others = self.others();
        if !others.is_empty() {
            let message = format!(
                "read as {}; labels of {} are here as well, and not read",
                self.format,
                others.join(" and ")
            );
            loaded.findings.push(FindingKind::FormatsMixed, Location::file(display(&self.path)), message);
        }
        Ok(loaded)
    }
}
