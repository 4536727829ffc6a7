//! Dependencies between crates point in one direction.

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::problem::Problem;

/// The crates of the library and the program from bottom to top: a crate may depend only on those before it.
const ORDER: [&str; 26] = [
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
    "picodet-quantise",
    "picodet-gradient",
    "picodet-data",
    "picodet-eval",
    "picodet-detect",
    "picodet-train",
    "picodet-search",
    "picodet",
    "picodet-cli",
    "picodet-python",
    "picodet-android",
    "picodet-c",
    "picodet-web",
];

/// Checks all dependencies except those of tests, including build dependencies and those of single targets.
pub(super) fn check() -> Result<Vec<Problem>> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let mut problems = Vec::new();
    let mut known = 0;
    for package in &metadata.packages {
        let name = package.name.as_str();
        let used = package.dependencies.iter().filter(|used| used.kind != DependencyKind::Development);
        let Some(index) = ORDER.iter().position(|known| *known == name) else {
            if name.starts_with("picodet") {
                problems.push(Problem::new(name, "is missing in the order of the crates (arrows.rs)"));
            }
            continue;
        };
        known += 1;
        for used in used.filter(|used| ORDER[index..].contains(&used.name.as_str())) {
            problems.push(Problem::new(name, format!("must not depend on {}", used.name)));
        }
    }
    if known != ORDER.len() {
        bail!("the order of the crates (arrows.rs) names a crate that does not exist");
    }
    Ok(problems)
}
