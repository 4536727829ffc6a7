//! No source file is longer than a reader's patience.

use std::path::{Path, PathBuf};

use anyhow::Result;

const MOST_LINES: usize = 900;

/// One sentence for each file that is too long.
pub(crate) fn check() -> Result<Vec<String>> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "fuzz", "bindings"] {
        walk(Path::new(folder), &mut files)?;
    }
    let mut problems = Vec::new();
    for file in files {
        let lines = std::fs::read_to_string(&file)?.lines().count();
        if lines > MOST_LINES {
            problems.push(format!("{}: {lines} lines, more than {MOST_LINES}", file.display()));
        }
    }
    Ok(problems)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
