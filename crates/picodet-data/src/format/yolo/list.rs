//! Lists the images of a split: a folder, or a file with one image path per line.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::label_path::{find_label, label_of};
use super::orphans::report_orphans;
use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::image_file::EXTENSIONS;
use crate::mask_folder::is_mask_folder;
use crate::paths::{ImageFinder, Lookup, Stated, fold, real_paths};
use crate::split_name::split_role;
use crate::text::{read_text, unquoted};
use crate::walk::{self, has_extension, without_extension};

/// Largest image list in bytes.
const MAX_LIST: u64 = 1 << 30;
/// Depth below the dataset at which a folder of another machine is looked for.
const FOLDER_DEPTH: usize = 4;

/// Collects the images of splits, relative to the root of the dataset.
pub(super) struct SplitFiles<'a> {
    root: &'a Path,
    /// The data file, for findings.
    data: &'a Path,
    finder: ImageFinder,
    files: Vec<String>,
    /// Paths of lists that are not found: their places in `files`, and their lines.
    missing: Vec<(usize, Location)>,
    /// Paths of lists that are found elsewhere: their number, and the first with its line.
    moved: usize,
    first_moved: Option<(Location, String)>,
}

impl<'a> SplitFiles<'a> {
    /// Starts without images.
    pub(super) fn new(root: &'a Path, data: &'a Path) -> Self {
        let finder = ImageFinder::new(root);
        Self { root, data, finder, files: Vec::new(), missing: Vec::new(), moved: 0, first_moved: None }
    }

    /// Adds the images of one entry of the data file.
    pub(super) fn add(&mut self, entry: &str, split: &str, findings: &mut Findings) -> Result<(), DataError> {
        let found = match self.find_entry(entry, split) {
            Found::One(found) => found,
            Found::Two(first, second) => {
                let message = format!("`{split}: {entry}` can be `{first}` or `{second}`");
                findings.push(FindingKind::PathAmbiguous, Location::file(display(self.data)), message);
                return Ok(());
            }
            Found::None => {
                let mut message = format!("`{split}: {entry}` does not exist under {}", self.root.display());
                // An export without images.
                let probe = label_of(&format!("{}/x.jpg", Stated::new(entry).joined()));
                if let Some(labels) =
                    probe.strip_suffix("/x.txt").filter(|labels| self.root.join(labels).is_dir())
                {
                    message += &format!(
                        ", but its labels {labels} do; copy the images there, or export with images"
                    );
                }
                findings.push(FindingKind::SplitMissing, Location::file(display(self.data)), message);
                return Ok(());
            }
        };
        let path = if found == "." { self.root.to_path_buf() } else { self.root.join(&found) };
        if !path.is_dir() {
            return self.add_list(&path, findings);
        }
        let listed = walk::images(&path, findings)?;
        let prefix = if found == "." || found.is_empty() { String::new() } else { format!("{found}/") };
        report_orphans(&path, &prefix, &listed, findings)?;
        self.files.extend(listed.into_iter().map(|file| format!("{prefix}{file}")));
        Ok(())
    }

    /// Returns the images without repetitions, and reports paths of another machine.
    pub(super) fn into_files(mut self, findings: &mut Findings) -> Vec<String> {
        self.find_converted();
        if let Some((location, example)) = self.first_moved.take() {
            let total = self.files.len();
            let message = format!("{} of {total} image paths, as in {example}", self.moved);
            findings.push(FindingKind::PathElsewhere, location, message);
        }
        let mut seen = HashSet::new();
        let mut files = std::mem::take(&mut self.files);
        files.retain(|file| seen.insert(file.clone()));
        self.without_links(files, findings)
    }

    /// Finds listed images that were converted to another format: files with the same name but for the extension, in a folder
    /// with the same name.
    fn find_converted(&mut self) {
        let missing = std::mem::take(&mut self.missing);
        if missing.is_empty() {
            return;
        }
        let used: HashSet<String> = self.files.iter().cloned().collect();
        for (place, location) in missing {
            let stated = self.files[place].clone();
            if !has_extension(&stated, EXTENSIONS) {
                continue;
            }
            let plain = Stated::new(without_extension(&stated));
            let folder = plain.components.iter().rev().nth(1).map(|folder| fold(folder));
            let is_converted = |file: &str| {
                let own = file.rsplit('/').nth(1).unwrap_or_default();
                let fits = folder.as_ref().map_or(!is_mask_folder(own), |folder| *folder == fold(own));
                fits && !used.contains(file)
            };
            if let Lookup::Found(file) = self.finder.index().find(&plain, &is_converted) {
                let file = file.to_string();
                self.note(&stated, &file, location);
                self.files[place] = file;
            }
        }
    }

    /// Removes the images that are the file of another one under another path, unless they have other labels.
    fn without_links(&self, files: Vec<String>, findings: &mut Findings) -> Vec<String> {
        let real = real_paths(&files.iter().map(|file| self.root.join(file)).collect::<Vec<_>>());
        let label_of = |file: &str| {
            let (label, exists) = find_label(self.root, file);
            exists.then(|| self.root.join(label).canonicalize().ok()).flatten()
        };
        let mut first: HashMap<PathBuf, usize> = HashMap::new();
        let mut kept: Vec<String> = Vec::with_capacity(files.len());
        for (file, real) in files.into_iter().zip(real) {
            let Some(&other) = first.get(&real) else {
                first.insert(real, kept.len());
                kept.push(file);
                continue;
            };
            let (own, known) = (label_of(&file), label_of(&kept[other]));
            if own.is_some() && known.is_some() && own != known {
                kept.push(file);
                continue;
            }
            let message = format!("`{file}` is the file of `{}`; read once", kept[other]);
            findings.push(FindingKind::SplitDuplicate, Location::file(display(self.data)), message);
            if known.is_none() && own.is_some() {
                kept[other] = file;
            }
        }
        kept
    }

    /// Whether an entry leads to a folder or list.
    pub(super) fn has(&self, entry: &str, split: &str) -> bool {
        !matches!(self.find_entry(entry, split), Found::None)
    }

    /// Whether an entry leads to a list of which neither an image nor a label exists.
    pub(super) fn is_list_without_images(&self, entry: &str, split: &str) -> bool {
        let Found::One(found) = self.find_entry(entry, split) else { return false };
        let list = self.root.join(found);
        if list.is_dir() {
            return false;
        }
        let mut listed = Self::new(self.root, self.data);
        let is_absent = |file: &String| !self.root.join(file).exists() && !find_label(self.root, file).1;
        listed.add_list(&list, &mut Findings::default()).is_ok()
            && !listed.files.is_empty()
            && listed.files.iter().all(is_absent)
    }

    /// Finds a folder or list, relative to the root: as written, the longest suffix that exists under the root or next to
    /// the data file, then the only folder of this name that is not in the folder of another split.
    fn find_entry(&self, entry: &str, split: &str) -> Found {
        let written = entry.trim().trim_end_matches('/');
        let written = written.strip_prefix("./").unwrap_or(written);
        if self.root.join(written).exists() {
            return Found::One(if written.is_empty() { ".".to_string() } else { written.to_string() });
        }
        // The paths of darknet are relative to the folder above.
        let root = self.root.canonicalize().ok();
        let name = root.as_deref().and_then(|root| root.file_name()?.to_str());
        let inside = name.and_then(|name| written.strip_prefix(name)?.strip_prefix('/'));
        if let Some(inside) = inside.filter(|inside| self.root.join(inside).is_file()) {
            return Found::One(inside.to_string());
        }
        let stated = Stated::new(entry);
        let versions = || std::iter::once(stated.clone()).chain(stated.percent_decoded());
        let below = |suffix: &String| self.root.join(suffix).exists() && !is_of_other(suffix, split);
        if let Some(suffix) = versions().flat_map(|stated| stated.suffixes().collect::<Vec<_>>()).find(below)
        {
            return Found::One(suffix);
        }
        // Next to the data file, when `path` leads to another folder.
        if let Some(home) = self.data.parent().filter(|home| *home != self.root)
            && let Some(path) = (stated.suffixes().filter(|suffix| !is_of_other(suffix, split)))
                .map(|suffix| home.join(suffix))
                .find(|path| path.exists())
            && let Ok(path) = path.canonicalize()
        {
            return Found::One(display(&path));
        }
        self.find_folder(&stated, split)
    }

    /// Finds a folder or text file anywhere below the root, without regard to letter case.
    fn find_folder(&self, stated: &Stated, split: &str) -> Found {
        let Some(name) = stated.components.last().map(|name| fold(name)) else { return Found::None };
        let wanted: Vec<String> = stated.components.iter().map(|name| fold(name)).collect();
        let mut best: Vec<(usize, String)> = Vec::new();
        let mut todo = vec![(self.root.to_path_buf(), String::new(), 0)];
        while let Some((folder, relative, depth)) = todo.pop() {
            let Ok(listing) = std::fs::read_dir(&folder) else { continue };
            for entry in listing.flatten() {
                let Ok(own) = entry.file_name().into_string() else { continue };
                let Ok(kind) = entry.file_type() else { continue };
                if own.starts_with('.') {
                    continue;
                }
                let path = if relative.is_empty() { own.clone() } else { format!("{relative}/{own}") };
                // `labels/train` has no images of `images/train`.
                let is_labels = fold(&own) == "labels" && !wanted.iter().any(|name| name == "labels");
                if is_labels {
                    continue;
                }
                let fits = fold(&own) == name && (kind.is_dir() || name.ends_with(".txt"));
                if fits && !is_of_other(&path, split) {
                    let common = (path.rsplit('/').zip(wanted.iter().rev()))
                        .take_while(|(own, wanted)| fold(own) == **wanted)
                        .count();
                    best.push((common, path.clone()));
                }
                if kind.is_dir() && depth < FOLDER_DEPTH {
                    todo.push((entry.path(), path, depth + 1));
                }
            }
        }
        best.sort_by(|a, b| b.cmp(a));
        match &best[..] {
            [] => Found::None,
            [(first, one), (second, two), ..] if first == second => Found::Two(two.clone(), one.clone()),
            [(_, one), ..] => Found::One(one.clone()),
        }
    }

    /// Adds the images of a list.
    fn add_list(&mut self, list: &Path, findings: &mut Findings) -> Result<(), DataError> {
        let text = read_text(list, MAX_LIST, "an image list", findings)?;
        let mut seen: HashMap<PathBuf, usize> = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = self.name_in(line);
            if line.is_empty() {
                continue;
            }
            let location = Location::line(display(list), number as u64 + 1);
            if let Some(first) = seen.insert(without_dots(line), number + 1) {
                let message = format!("`{line}` is already in line {first}");
                findings.push(FindingKind::SplitDuplicate, location, message);
                continue;
            }
            self.add_listed(line, list, location, findings);
        }
        Ok(())
    }

    /// Returns the path in a line of a list, without the spaces and quotation marks around it, unless a name has these.
    fn name_in<'l>(&self, line: &'l str) -> &'l str {
        let exists = |line: &str| self.root.join(line.strip_prefix("./").unwrap_or(line)).is_file();
        let trimmed = line.trim();
        if line != trimmed && exists(line) {
            return line;
        }
        match unquoted(trimmed) {
            Some(inside) if !exists(trimmed) => inside,
            _ => trimmed,
        }
    }

    /// Adds one image of a list: as written under the root or next to the list, otherwise by the end of its path.
    fn add_listed(&mut self, line: &str, list: &Path, location: Location, findings: &mut Findings) {
        let plain = line.strip_prefix("./").unwrap_or(line);
        if self.root.join(plain).is_file() {
            self.files.push(plain.to_string());
            return;
        }
        let stated = Stated::new(line);
        let normal = stated.joined();
        let candidates = stated.suffixes().map(|suffix| (suffix.clone(), self.root.join(suffix)));
        if let Some((suffix, _)) = candidates.into_iter().find(|(_, path)| path.is_file()) {
            if suffix != normal {
                self.note(line, &suffix, location);
            }
            self.files.push(suffix);
            return;
        }
        let beside: Option<PathBuf> =
            list.parent().map(|folder| folder.join(plain)).filter(|path| path.is_file());
        if let Some(path) = beside.and_then(|path| path.canonicalize().ok()) {
            self.files.push(display(&path));
            return;
        }
        match self.finder.index().find(&stated, &|_| true) {
            Lookup::Missing => {
                // The labels of a missing image are at the place where it should be.
                let labelled = stated.suffixes().find(|suffix| find_label(self.root, suffix).1);
                let written = if line.contains('\\') { normal } else { plain.to_string() };
                self.missing.push((self.files.len(), location));
                self.files.push(labelled.unwrap_or(written));
            }
            Lookup::Found(file) => {
                let file = file.to_string();
                self.note(line, &file, location);
                self.files.push(file);
            }
            Lookup::Ambiguous(first, second) => {
                let message = format!("`{line}` can be `{first}` or `{second}`; line left out");
                findings.push(FindingKind::PathAmbiguous, location, message);
            }
        }
    }

    fn note(&mut self, stated: &str, file: &str, location: Location) {
        self.moved += 1;
        self.first_moved.get_or_insert_with(|| (location, format!("`{stated}`, read as `{file}`")));
    }
}

/// A path without `.` and repeated separators.
fn without_dots(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| *part != Component::CurDir).collect()
}

/// Whether a path is in the folder of another split, by the last folder that has the name of one.
fn is_of_other(path: &str, split: &str) -> bool {
    let Some(own) = split_role(split) else { return false };
    let role = path.rsplit('/').find_map(|name| split_role(name.strip_suffix(".txt").unwrap_or(name)));
    role.is_some_and(|role| role != own)
}

/// The result of looking for a folder or list.
enum Found {
    None,
    One(String),
    Two(String, String),
}
