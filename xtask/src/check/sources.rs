//! Parsed source files of the repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A Rust file.
pub(super) struct Source {
    /// Path from the root of the repository, with `/`.
    pub(super) path: String,
    /// The text.
    pub(super) text: String,
    /// The syntax tree.
    pub(super) syntax: syn::File,
}

impl Source {
    /// Returns the folder of the package, such as `crates/picodet-train`.
    pub(super) fn package(&self) -> &str {
        let end = ["/src/", "/tests/", "/examples/", "/benches/", "/fuzz_targets/"]
            .into_iter()
            .filter_map(|folder| self.path.find(folder))
            .min();
        &self.path[..end.unwrap_or(self.path.len())]
    }

    /// Returns the path inside `src` of the package; `None` for tests, benchmarks and examples.
    pub(super) fn module_file(&self) -> Option<&str> {
        self.path[self.package().len()..].strip_prefix("/src/")
    }
}

/// Reads and parses all Rust files of the repository.
pub(super) fn read() -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for folder in ["crates", "xtask", "fuzz", "bindings"] {
        walk(Path::new(folder), &mut paths)?;
    }
    paths.sort();
    let parse = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let syntax = syn::parse_file(&text).with_context(|| path.display().to_string())?;
        Ok(Source { path: path.display().to_string().replace('\\', "/"), text, syntax })
    };
    paths.into_iter().map(parse).collect()
}

fn walk(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            walk(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}
