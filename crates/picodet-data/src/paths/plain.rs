//! Normalises paths without access to the files.

use std::path::{Component, Path, PathBuf};

/// A path with the separators of this system.
pub(crate) fn turned(file: &str) -> String {
    if file.contains('\\') { file.replace('\\', "/") } else { file.to_string() }
}

/// A path without `.` and `..`.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
