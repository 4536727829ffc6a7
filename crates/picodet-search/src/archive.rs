//! The file of judged candidates: one line each, appended and synchronised.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use picodet_format::write_atomically;
use serde::{Deserialize, Serialize};

use crate::{Accuracy, Genome, SearchError};

/// The first line: all inputs that the accuracies depend on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    supernet: String,
}

/// A line for a candidate.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    genome: Genome,
    #[serde(flatten)]
    accuracy: Accuracy,
}

/// The candidates whose accuracy is known, in a file. A search that reads it continues where it was interrupted; searches
/// with other constraints judge only what is missing.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: File,
    known: HashMap<Genome, Accuracy>,
}

impl Archive {
    /// Opens or creates the file of a supernet. `supernet` identifies its weights and the images on which it is judged. An
    /// incomplete last line is dropped.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is of another supernet.
    pub fn open(path: &Path, supernet: &str) -> Result<Self, SearchError> {
        let failed = |source| SearchError::File { path: path.to_path_buf(), source };
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(failed)?,
        };
        let header = Header { supernet: supernet.to_owned() };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut lines = whole.lines();
        let mut known = HashMap::new();
        match lines.next() {
            None => write_atomically(path, format!("{}\n", json(&header)).as_bytes()).map_err(failed)?,
            Some(line) if serde_json::from_str(line).is_ok_and(|found: Header| found == header) => {
                for (index, line) in lines.enumerate() {
                    let line: Line = serde_json::from_str(line).map_err(|source| SearchError::Archive {
                        path: path.to_path_buf(),
                        line: index + 2,
                        source,
                    })?;
                    known.insert(line.genome, line.accuracy);
                }
                if whole.len() < text.len() {
                    write_atomically(path, whole.as_bytes()).map_err(failed)?;
                }
            }
            Some(_) => return Err(SearchError::OtherSupernet { path: path.to_path_buf() }),
        }
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), file, known })
    }

    /// Returns the accuracy of a candidate, if it is known.
    #[must_use]
    pub fn get(&self, genome: &Genome) -> Option<Accuracy> {
        self.known.get(genome).copied()
    }

    /// Returns the number of candidates.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns whether no candidate is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Adds a candidate.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&mut self, genome: &Genome, accuracy: Accuracy) -> Result<(), SearchError> {
        let line = json(&Line { genome: genome.clone(), accuracy }) + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|source| SearchError::File { path: self.path.clone(), source })?;
        self.known.insert(genome.clone(), accuracy);
        Ok(())
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_cut_anywhere_is_continued_to_the_same_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("search.jsonl");
        let all: Vec<(Genome, Accuracy)> = (0..5u8)
            .map(|index| {
                let accuracy = f64::from(index) * 0.1 + 0.2;
                (Genome(vec![index, 1]), Accuracy { accuracy, halves: [accuracy / 3.0, 1.0 / 7.0] })
            })
            .collect();
        let complete = |path: &Path| {
            let mut archive = Archive::open(path, "one").expect("an archive");
            for (genome, accuracy) in &all {
                if archive.get(genome).is_none() {
                    archive.add(genome, *accuracy).expect("written");
                }
                assert_eq!(archive.get(genome), Some(*accuracy));
            }
            assert_eq!(archive.len(), 5);
        };
        complete(&path);
        let whole = std::fs::read(&path).expect("a file");
        for cut in (0..whole.len()).step_by(9) {
            std::fs::write(&path, &whole[..cut]).expect("written");
            complete(&path);
            assert!(std::fs::read(&path).expect("a file") == whole, "cut at {cut}");
        }
        let error = Archive::open(&path, "another").expect_err("another supernet").to_string();
        assert!(error.contains("another supernet"), "{error}");
        std::fs::write(&path, [&whole[..], b"{}\n"].concat()).expect("written");
        let error = Archive::open(&path, "one").expect_err("broken").to_string();
        assert!(error.contains("line 7"), "{error}");
    }
}
