//! Resolves links in paths.

use std::path::{Path, PathBuf};

use crate::paths::real_paths;

/// Returns the paths of files below a folder without links.
pub(super) fn real_below(root: &Path, files: &[String]) -> Vec<PathBuf> {
    real_paths(&files.iter().map(|file| root.join(file)).collect::<Vec<_>>())
}

/// A file in its folder without links, and the file that a link leads to.
pub(super) fn places(file: &Path) -> Vec<PathBuf> {
    let home = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = home.canonicalize().ok().zip(file.file_name()).map(|(home, name)| home.join(name));
    beside.into_iter().chain(file.canonicalize().ok()).collect()
}
