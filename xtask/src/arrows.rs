//! Crates depend on each other in one direction: a crate may use only those before it.

use anyhow::{Context, Result};

/// The way of the data; an arrow points to the left.
const ORDER: [&str; 20] = [
    "picodet-testing",
    "picodet-graph",
    "picodet-simd",
    "picodet-parallel",
    "picodet-format",
    "picodet-image",
    "picodet-kernel",
    "picodet-zoo",
    "picodet-weights",
    "picodet-report",
    "picodet-model",
    "picodet-export",
    "picodet-engine",
    "picodet-gradient",
    "picodet-data",
    "picodet-eval",
    "picodet-detect",
    "picodet-train",
    "picodet",
    "picodet-cli",
];

/// One sentence for each dependency that points the wrong way.
pub(crate) fn check() -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for (place, name) in ORDER.iter().enumerate() {
        let path = format!("crates/{name}/Cargo.toml");
        if !std::path::Path::new(&path).exists() {
            continue;
        }
        let manifest = std::fs::read_to_string(&path).context(path.clone())?;
        // Tests may look at anything.
        let used = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        let section = used.split("[dependencies]").nth(1).unwrap_or_default();
        for later in &ORDER[place + 1..] {
            let named = |line: &str| line.split(['.', ' ', '=']).next() == Some(later);
            if section.lines().any(named) {
                problems.push(format!("{path}: {name} must not depend on {later}"));
            }
        }
    }
    Ok(problems)
}
