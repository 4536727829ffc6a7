//! The C library: `cargo xtask c-dist` installs it, `cargo xtask c-test` tests it as programs of others use it.

mod camera;
mod demos;
mod dist;
mod pages;
mod place;
mod test;

use std::path::Path;

use anyhow::Result;

/// Installs the C library into a folder.
///
/// # Errors
/// If the build fails or a file cannot be written.
pub(crate) fn dist(arguments: &[String]) -> Result<()> {
    dist::run(arguments)
}

/// Installs the C library of a profile into a folder.
///
/// # Errors
/// As [`dist()`].
pub(crate) fn install(folder: &Path, profile: &str) -> Result<()> {
    dist::install(folder, profile)
}

/// Tests the installed C library.
///
/// # Errors
/// If a test fails, or a compiler is missing.
pub(crate) fn test() -> Result<()> {
    test::run()
}
