//! Resolves links in paths.

use std::path::{Path, PathBuf};

use crate::paths::plain;

/// Returns the paths of files below a folder without links.
pub(super) fn real_paths(root: &Path, files: &[String]) -> Vec<PathBuf> {
    picodet_parallel::map(0..files.len(), 0, |index| {
        let path = root.join(&files[index]);
        path.canonicalize().unwrap_or_else(|_| plain(&path))
    })
}

/// A file in its folder without links, and the file that a link leads to.
pub(super) fn places(file: &Path) -> Vec<PathBuf> {
    let home = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = home.canonicalize().ok().zip(file.file_name()).map(|(home, name)| home.join(name));
    beside.into_iter().chain(file.canonicalize().ok()).collect()
}
