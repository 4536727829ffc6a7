//! Snapshots of everything that the command prints: help, listings, status and errors.
//!
//! After an intended change run `INSTA_UPDATE=always cargo test -p picodet-cli --test snapshots` and review the
//! difference in version control. The system's own messages are those of Linux.
#![cfg(target_os = "linux")]

mod errors;
mod fixture;
mod harness;
mod help;
mod listings;

use std::collections::BTreeSet;
use std::path::Path;

/// Every snapshot belongs to a case, whose name stands in the sources next to it.
#[test]
fn no_snapshot_is_unreferenced() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let files = |folder: &Path| -> Vec<std::path::PathBuf> {
        std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect()
    };
    let sources: String = files(&folder)
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| std::fs::read_to_string(path).expect("a source"))
        .collect();
    let unreferenced: BTreeSet<String> = files(&folder.join("text"))
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".snap")?.to_owned()))
        .filter(|name| !sources.contains(&format!("\"{name}\"")))
        .collect();
    assert!(unreferenced.is_empty(), "snapshots without a case: {unreferenced:?}");
}
