//! Recognises folders of XML annotations: the folder of the XML files, and the lists of the splits.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::list::is_flag;
use crate::finding::Findings;
use crate::input::open_regular;
use crate::sniff::files_with_extension;
use crate::split_name::{sort_splits, split_folders, split_role, subfolders};
use crate::text::read_text;
use crate::walk::existing;

/// Largest image list in bytes.
const MAX_LIST: u64 = 256 << 20;
/// Names of folders with XML files, in any letter case.
const LABEL_FOLDERS: [&str; 6] = ["Annotations", "Annotation", "labels", "xmls", "xml", "images"];
/// Folders with lists of splits, and whether every list in them is one.
const LIST_FOLDERS: [(&str, bool); 4] =
    [("ImageSets/Main", true), ("ImageSets", true), ("Main", false), (".", false)];
/// Largest depth of XML files below the dataset, and number of folders that are searched.
const DEPTH: usize = 4;
const INSPECTED: usize = 40;

/// A folder of XML annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VocLayout {
    pub(super) root: PathBuf,
    /// Folder of the XML files relative to `root`, or `.`.
    pub(super) labels: String,
    /// Name and list file of each split, train first.
    pub(super) lists: Vec<(String, PathBuf)>,
}

impl VocLayout {
    /// Recognises a folder with XML files in a usual subfolder, or directly in it.
    pub(super) fn find(root: &Path) -> Option<Self> {
        let mut usual = LABEL_FOLDERS.into_iter().filter_map(|folder| existing(root, folder));
        let usual = usual.find(|folder| has_xml(&root.join(folder), DEPTH - 1));
        // A folder of broken files is opened for the errors of the parser.
        let is_broken = |folder: &String| !files_with_extension(&root.join(folder), &["xml"]).is_empty();
        let usual = usual.or_else(|| existing(root, LABEL_FOLDERS[0]).filter(is_broken));
        let lists = lists(root);
        // Folders of splits are datasets, and the files next to them are in no split.
        let divided = || {
            let mut splits = split_folders(root).into_iter();
            lists.is_empty() && splits.any(|split| has_xml(&root.join(split), 1))
        };
        let labels = usual.or_else(|| (has_xml(root, 0) && !divided()).then(|| ".".to_string()));
        let listed = || {
            (lists.iter().any(|(_, list)| names_xml(list)) && has_xml(root, DEPTH)).then(|| ".".to_string())
        };
        let labels = labels.or_else(listed)?;
        Some(Self { root: root.to_path_buf(), labels, lists })
    }

    /// Recognises a folder with XML files anywhere below.
    pub(super) fn find_below(root: &Path) -> Option<Self> {
        let flat = split_folders(root).is_empty() && has_xml(root, DEPTH);
        flat.then(|| Self { root: root.to_path_buf(), labels: ".".to_string(), lists: lists(root) })
    }

    /// Names of the splits, train first.
    pub(super) fn splits(&self) -> Vec<String> {
        self.lists.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// Whether one of the first XML files of a folder is a VOC annotation.
fn has_xml(folder: &Path, depth: usize) -> bool {
    let mut todo = vec![(folder.to_path_buf(), depth)];
    let mut inspected = 0;
    while let Some((folder, depth)) = todo.pop() {
        inspected += 1;
        if files_with_extension(&folder, &["xml"]).iter().take(5).any(|file| is_voc(file)) {
            return true;
        }
        if depth > 0 && inspected < INSPECTED {
            todo.extend(
                subfolders(&folder).into_iter().take(INSPECTED).map(|name| (folder.join(name), depth - 1)),
            );
        }
    }
    false
}

/// Whether the beginning of an XML file has an element `<annotation>`.
pub(super) fn is_voc(file: &Path) -> bool {
    let mut bytes = Vec::new();
    let Ok(reader) = open_regular(file) else { return false };
    if reader.take(2048).read_to_end(&mut bytes).is_err() {
        return false;
    }
    bytes.retain(|&byte| byte != 0);
    let start = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
    start.contains("<annotation>") || start.contains("<annotation ")
}

/// Returns the lists of the splits in the first folder that has any.
fn lists(root: &Path) -> Vec<(String, PathBuf)> {
    for (folder, every) in LIST_FOLDERS {
        let Some(folder) = existing(root, folder) else { continue };
        let mut lists: Vec<(String, PathBuf)> = files_with_extension(&root.join(folder), &["txt"])
            .into_iter()
            .filter_map(|list| Some((split_of_list(&list, every)?, list)))
            .collect();
        if !lists.is_empty() {
            let mut names: Vec<String> = lists.iter().map(|(name, _)| name.clone()).collect();
            sort_splits(&mut names);
            lists.sort_by_cached_key(|(name, _)| names.iter().position(|other| other == name));
            return lists;
        }
    }
    Vec::new()
}

/// Returns the name of the split of a list; `None` for the lists per class of VOC2007 (`aeroplane_train.txt`, with a second
/// column of −1, 0 or 1), and outside of `ImageSets` for files without a usual name.
fn split_of_list(list: &Path, every: bool) -> Option<String> {
    let stem = list.file_stem()?.to_str()?;
    let name =
        ["_list", "_set", "_ids"].into_iter().find_map(|suffix| stem.strip_suffix(suffix)).unwrap_or(stem);
    let usual = split_role(name).is_some() || name == "trainval";
    if usual {
        return Some(name.to_string());
    }
    (every && !is_class_list(list)).then(|| name.to_string())
}

/// Whether each line of a list has a second column of −1, 0 or 1. A name can contain spaces.
fn is_class_list(list: &Path) -> bool {
    let text = read_text(list, MAX_LIST, "an image list", &mut Findings::default()).unwrap_or_default();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(100).peekable();
    let flag = |line: &str| line.rsplit_once(char::is_whitespace).is_some_and(|(_, last)| is_flag(last));
    lines.peek().is_some() && lines.all(flag)
}

/// Whether the first line of a list names an XML file.
fn names_xml(list: &Path) -> bool {
    let text = read_text(list, MAX_LIST, "an image list", &mut Findings::default()).unwrap_or_default();
    text.lines()
        .next()
        .is_some_and(|line| line.trim_end().trim_end_matches('"').to_ascii_lowercase().ends_with(".xml"))
}
