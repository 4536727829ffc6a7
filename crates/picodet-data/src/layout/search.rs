//! Searches the formats for those that recognise a path, and chooses one.

use std::path::{Path, PathBuf};

use crate::dataset::{Format, Loaded, display};
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::format::HANDLERS;
use crate::format::handler::{Evidence, Recognition, Source};
use crate::image_paths::ImagePaths;
use crate::walk;

/// A format that recognises a path.
struct Candidate {
    format: Format,
    source: Box<dyn Source>,
}

/// Returns the dataset of the format with evidence of the given strengths. Among several formats it is the one with labels of
/// most images, then the one with the strongest evidence. Weak evidence counts only without any other.
pub(super) fn find_format(path: &Path, strengths: &[Evidence]) -> Recognition {
    let mut refusal = None;
    let mut refused: Vec<Format> = Vec::new();
    let mut candidates: Vec<Candidate> = Vec::new();
    for &evidence in strengths {
        if evidence == Evidence::Weak && !candidates.is_empty() {
            break;
        }
        for handler in HANDLERS {
            let format = handler.format();
            if candidates.iter().any(|candidate| candidate.format == format) {
                continue;
            }
            match handler.recognise(path, evidence) {
                Recognition::None => {}
                Recognition::Refused(problem) => {
                    refusal.get_or_insert(problem);
                    refused.push(format);
                }
                Recognition::Found(source) => candidates.push(Candidate { format, source }),
            }
        }
    }
    match candidates.len() {
        0 => refusal.map_or(Recognition::None, Recognition::Refused),
        // A file is of one format.
        1 if !path.is_dir() || refused.is_empty() => Recognition::Found(candidates.remove(0).source),
        _ => Recognition::Found(Box::new(choose(path, candidates, &refused))),
    }
}

/// Chooses the format with labels of most images; the first one of several.
fn choose(path: &Path, mut candidates: Vec<Candidate>, refused: &[Format]) -> Folder {
    let total = walk::images(path, &mut Findings::default()).map_or(usize::MAX, |images| images.len());
    let mut counts: Vec<Option<usize>> = Vec::new();
    for candidate in &candidates {
        // No format has labels of more images than all.
        let is_open = candidates.len() > 1 && !counts.iter().flatten().any(|&count| count >= total);
        counts.push(is_open.then(|| labelled_images(candidate.source.as_ref())));
    }
    let most = counts.iter().flatten().copied().max();
    let chosen = counts.iter().position(|count| *count == most).unwrap_or(0);
    let named = |index: &usize| {
        *index != chosen && counts[*index] != Some(0) && !refused.contains(&candidates[*index].format)
    };
    let others: Vec<usize> = (0..candidates.len()).filter(named).collect();
    let is_tie = most.is_some() && others.iter().any(|&other| counts[other] == most);
    let formats = others.into_iter().map(|other| candidates[other].format);
    let refused = refused.iter().copied().filter(|format| *format != candidates[chosen].format);
    let mut others: Vec<&str> = formats.chain(refused).map(Format::name).collect();
    others.dedup();
    let tie = most.filter(|_| is_tie);
    let Candidate { format, source } = candidates.swap_remove(chosen);
    Folder { path: path.to_path_buf(), format, source, others, tie }
}

/// Number of images with objects in all splits; 0 for a dataset that cannot be read.
fn labelled_images(source: &dyn Source) -> usize {
    let names = source.splits().unwrap_or_default();
    let chosen: Vec<Option<&str>> =
        if names.is_empty() { vec![None] } else { names.iter().map(|name| Some(name.as_str())).collect() };
    let labelled = |loaded: Loaded| loaded.dataset.images.len() - loaded.dataset.images_without_objects();
    chosen.into_iter().map(|split| source.read(split, ImagePaths::Needed).map_or(0, labelled)).sum()
}

/// A folder with labels of several formats, of which one is read.
struct Folder {
    path: PathBuf,
    format: Format,
    source: Box<dyn Source>,
    /// The names of the others.
    others: Vec<&'static str>,
    /// Number of labelled images, if it is equal for another format.
    tie: Option<usize>,
}

impl Source for Folder {
    fn splits(&self) -> Result<Vec<String>, DataError> {
        self.source.splits()
    }

    fn read(&self, split: Option<&str>, paths: ImagePaths) -> Result<Loaded, DataError> {
        let mut loaded = self.source.read(split, paths)?;
        if !self.others.is_empty() {
            let mut message = format!(
                "read as {}; labels of {} are here as well, and not read",
                self.format,
                self.others.join(" and ")
            );
            if let Some(count) = self.tie {
                message += &format!("; each format has labels of {count} images");
            }
            loaded.findings.push(FindingKind::FormatsMixed, Location::file(display(&self.path)), message);
        }
        Ok(loaded)
    }
}
