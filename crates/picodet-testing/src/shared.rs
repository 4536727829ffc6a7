//! The reference data next to the repository, and the environment of the tests.

use std::path::PathBuf;

/// Returns the folder of reference data: `PICODET_SHARED`, by default `../shared` next to the repository.
pub fn shared_folder() -> PathBuf {
    let folder = std::env::var_os("PICODET_SHARED").map(PathBuf::from);
    folder.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")))
}

/// Returns a path in the folder of reference data; prints a note and returns `None` if it does not exist.
#[allow(clippy::print_stderr)]
pub fn shared_path(path: &str) -> Option<PathBuf> {
    let path = shared_folder().join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} does not exist", path.display());
    None
}

/// Returns the bytes of a file of reference data; prints a note and returns `None` if it does not exist.
pub fn shared(path: &str) -> Option<Vec<u8>> {
    std::fs::read(shared_path(path)?).ok()
}

/// Returns whether the tests run in WebAssembly or on an emulated processor (`PICODET_EMULATED` is set), where tests
/// of many networks take minutes and are reduced to a sample.
pub fn emulated() -> bool {
    cfg!(target_family = "wasm") || std::env::var_os("PICODET_EMULATED").is_some()
}
