//! Finds the image of an XML among the files of a dataset.

use std::collections::HashMap;

use crate::walk::{file_name, without_extension};

/// The image files by stem.
pub(super) struct ImageIndex<'a> {
    by_stem: HashMap<&'a str, Vec<&'a str>>,
    folder: Option<&'a str>,
}

impl<'a> ImageIndex<'a> {
    pub(super) fn new(files: &'a [String]) -> Self {
        let mut by_stem: HashMap<&str, Vec<&str>> = HashMap::new();
        for file in files {
            by_stem.entry(file_name(without_extension(file))).or_default().push(file);
        }
        let folder = files.iter().find_map(|file| file.split_once('/').map(|(folder, _)| folder));
        Self { by_stem, folder }
    }

    /// Returns the image with the name in the XML, or with the stem of the XML; among several in different
    /// folders, the one with the longest common path suffix. A missing image gets the path at which it is
    /// expected.
    pub(super) fn find(&self, stem: &str, stated: Option<&str>) -> String {
        let by_name = stated.map(file_name).and_then(|name| {
            let candidates = self.by_stem.get(without_extension(name))?;
            let exact = candidates.iter().copied().filter(|file| file_name(file) == name);
            best(exact, stem)
        });
        let by_stem = || {
            let candidates = self.by_stem.get(file_name(stem))?;
            best(candidates.iter().copied(), stem)
        };
        by_name.or_else(by_stem).map_or_else(
            || {
                let folder = self.folder.unwrap_or("JPEGImages");
                let name = stated.map_or_else(|| format!("{stem}.jpg"), str::to_string);
                format!("{folder}/{}", file_name(&name))
            },
            str::to_string,
        )
    }
}

fn best<'a>(candidates: impl Iterator<Item = &'a str>, stem: &str) -> Option<&'a str> {
    candidates.max_by_key(|file| {
        let file_stem = without_extension(file);
        let common = file_stem.bytes().rev().zip(stem.bytes().rev()).take_while(|(a, b)| a == b);
        (common.count(), std::cmp::Reverse(*file))
    })
}
