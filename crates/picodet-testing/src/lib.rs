//! What the tests of all crates share: the reference data beside the repository, and where they run.

use std::path::PathBuf;

/// The folder of reference data: `PICODET_SHARED`, or `../shared` beside the repository.
pub fn shared_folder() -> PathBuf {
    let folder = std::env::var_os("PICODET_SHARED").map(PathBuf::from);
    folder.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")))
}

/// A path in the shared folder, or `None`, said aloud, where it is absent.
#[allow(clippy::print_stderr)]
pub fn shared_path(path: &str) -> Option<PathBuf> {
    let path = shared_folder().join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// The bytes of a file of the shared folder, or `None`, said aloud, where it is absent.
pub fn shared(path: &str) -> Option<Vec<u8>> {
    std::fs::read(shared_path(path)?).ok()
}

/// Whether the tests run in WebAssembly or on an emulated processor (`PICODET_EMULATED` is set), where those that go
/// over many networks take a sample of them, because all of them take minutes there.
pub fn emulated() -> bool {
    cfg!(target_family = "wasm") || std::env::var_os("PICODET_EMULATED").is_some()
}
