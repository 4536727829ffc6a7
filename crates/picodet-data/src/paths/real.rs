//! Resolves links in paths.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::plain::plain;

/// Number of files of a folder from which on it is listed instead of resolving each of them.
const MANY: usize = 16;

/// Returns a path without links, `.` and `..`; that of a file that does not exist by its text only.
pub(crate) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| plain(path))
}

/// Returns the paths of files as [`real`]. A folder with many of them is resolved and listed once: resolving each of
/// 118 287 files takes one access to the disk per folder of its path.
pub(crate) fn real_paths(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut counts: HashMap<&Path, usize> = HashMap::new();
    for folder in paths.iter().filter_map(|path| path.parent()) {
        *counts.entry(folder).or_default() += 1;
    }
    let large = counts.into_iter().filter(|(_, count)| *count >= MANY);
    let folders: HashMap<&Path, Folder> =
        large.filter_map(|(folder, _)| Some((folder, Folder::list(folder)?))).collect();
    picodet_parallel::map(0..paths.len(), 0, |index| {
        let path = &paths[index];
        let folder = path.parent().and_then(|folder| folders.get(folder));
        let listed = folder.zip(path.file_name()).and_then(|(folder, name)| folder.path_of(name));
        listed.unwrap_or_else(|| real(path))
    })
}

/// A folder, with the names of its entries that are no links.
struct Folder {
    path: PathBuf,
    names: HashSet<OsString>,
}

impl Folder {
    fn list(folder: &Path) -> Option<Self> {
        let path = folder.canonicalize().ok()?;
        let entries = std::fs::read_dir(&path).ok()?.flatten();
        let is_link = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let names = entries.filter(|entry| !is_link(entry)).map(|entry| entry.file_name()).collect();
        Some(Self { path, names })
    }

    /// The path of an entry; `None` for a link, and for a name that only the file system can resolve (missing, or in another
    /// letter case).
    fn path_of(&self, name: &OsStr) -> Option<PathBuf> {
        self.names.contains(name).then(|| self.path.join(name))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn paths_of_a_listed_folder_are_those_that_are_resolved_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let images = root.join("images");
        std::fs::create_dir_all(images.join("below")).unwrap();
        let mut paths: Vec<PathBuf> = (0..2 * MANY).map(|number| images.join(number.to_string())).collect();
        paths.iter().for_each(|path| std::fs::write(path, "").unwrap());
        symlink(images.join("0"), images.join("link")).unwrap();
        symlink("nowhere", images.join("broken")).unwrap();
        symlink(&images, root.join("other")).unwrap();
        let others = ["link", "broken", "missing", "below/..", "below/../1", "./2"];
        paths.extend(others.map(|name| images.join(name)));
        paths.extend((0..MANY).map(|number| root.join("other").join(number.to_string())));
        let expected: Vec<PathBuf> = paths.iter().map(|path| real(path)).collect();
        assert_eq!(real_paths(&paths), expected);
        assert_eq!(expected[2 * MANY], images.canonicalize().unwrap().join("0"));
    }
}
