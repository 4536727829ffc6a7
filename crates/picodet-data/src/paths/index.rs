//! Finds files below a folder by the end of a stated path.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::stated::{Stated, fold};
use crate::finding::Findings;
use crate::image_file::EXTENSIONS;
use crate::walk::{self, file_name, has_extension, without_extension};

/// The files below a folder by name, without regard to letter case and Unicode form.
#[derive(Debug, Default)]
pub(crate) struct FileIndex {
    files: Vec<String>,
    by_stem: HashMap<String, Vec<u32>>,
}

/// The result of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup<'a> {
    /// No file has the name.
    Missing,
    /// One file fits best.
    Found(&'a str),
    /// Two files fit equally well.
    Ambiguous(&'a str, &'a str),
}

impl FileIndex {
    /// Indexes `/`-separated relative paths.
    pub(crate) fn new(files: Vec<String>) -> Self {
        let mut by_stem: HashMap<String, Vec<u32>> = HashMap::new();
        for (number, file) in (0u32..).zip(&files) {
            by_stem.entry(fold(without_extension(file_name(file)))).or_default().push(number);
        }
        Self { files, by_stem }
    }

    /// Returns all files.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(String::as_str)
    }

    /// Returns the file with the longest common path suffix with the stated path, among those with its name that `accept`
    /// admits. A name without an image extension matches every extension.
    pub(crate) fn find(&self, stated: &Stated, accept: &dyn Fn(&str) -> bool) -> Lookup<'_> {
        match self.find_as_written(stated, accept) {
            Lookup::Missing => stated
                .percent_decoded()
                .map_or(Lookup::Missing, |decoded| self.find_as_written(&decoded, accept)),
            found => found,
        }
    }

    fn find_as_written(&self, stated: &Stated, accept: &dyn Fn(&str) -> bool) -> Lookup<'_> {
        let Some((name, folders)) = stated.components.split_last() else { return Lookup::Missing };
        let with_extension = has_extension(name, EXTENSIONS);
        let stem = if with_extension { without_extension(name) } else { name };
        let name_key = fold(name);
        let folders: Vec<String> = folders.iter().map(|folder| fold(folder)).collect();
        let mut best: Option<((usize, bool, bool), &str)> = None;
        let mut twin = None;
        for &number in self.by_stem.get(&fold(stem)).into_iter().flatten() {
            let file = self.files[number as usize].as_str();
            let own_name = file_name(file);
            if (with_extension && fold(own_name) != name_key) || !accept(file) {
                continue;
            }
            let mut parents = file.rsplit('/').skip(1);
            let common =
                folders.iter().rev().zip(parents.by_ref()).take_while(|(a, b)| **a == fold(b)).count();
            let whole = file.matches('/').count() == common;
            let rank = (common, whole, own_name == name);
            match &best {
                Some((other, _)) if *other > rank => {}
                Some((other, first)) if *other == rank => twin = Some((*first, file)),
                _ => {
                    best = Some((rank, file));
                    twin = None;
                }
            }
        }
        match (best, twin) {
            (_, Some((first, second))) => Lookup::Ambiguous(first, second),
            (Some((_, file)), None) => Lookup::Found(file),
            (None, None) => Lookup::Missing,
        }
    }
}

/// Finds images below a folder; lists the folder at the first search only.
#[derive(Debug)]
pub(crate) struct ImageFinder {
    root: PathBuf,
    index: OnceLock<FileIndex>,
}

impl ImageFinder {
    /// Searches below `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), index: OnceLock::new() }
    }

    /// The images below the folder.
    pub(crate) fn index(&self) -> &FileIndex {
        self.index.get_or_init(|| {
            let files = walk::images(&self.root, &mut Findings::default());
            FileIndex::new(files.unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(index: &'a FileIndex, path: &str) -> Lookup<'a> {
        index.find(&Stated::new(path), &|_| true)
    }

    #[test]
    fn the_longest_suffix_wins_and_ties_are_ambiguous() {
        let files = [
            "a.jpg",
            "train/a.jpg",
            "val/a.jpg",
            "val/b.PNG",
            "x/c.jpg",
            "y/c.jpg",
            "z/d e.jpg",
            "z/u\u{308}.jpg",
        ];
        let index = FileIndex::new(files.map(str::to_string).to_vec());
        let cases = [
            (r"C:\set\train\a.jpg", Lookup::Found("train/a.jpg")),
            ("/content/VAL/A.JPG", Lookup::Found("val/a.jpg")),
            ("/content/a.jpg", Lookup::Found("a.jpg")),
            ("elsewhere/b.png", Lookup::Found("val/b.PNG")),
            ("b", Lookup::Found("val/b.PNG")),
            ("b.jpg", Lookup::Missing),
            ("c.jpg", Lookup::Ambiguous("x/c.jpg", "y/c.jpg")),
            ("y/c.jpg", Lookup::Found("y/c.jpg")),
            ("d%20e.jpg", Lookup::Found("z/d e.jpg")),
            ("\u{fc}.jpg", Lookup::Found("z/u\u{308}.jpg")),
            ("../../../etc/passwd", Lookup::Missing),
            ("", Lookup::Missing),
        ];
        for (path, expected) in cases {
            assert_eq!(find(&index, path), expected, "{path}");
        }
        let only_y = index.find(&Stated::new("c.jpg"), &|file| file.starts_with("y/"));
        assert_eq!(only_y, Lookup::Found("y/c.jpg"));
    }
}
