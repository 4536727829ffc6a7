//! The Android package: `cargo xtask android` builds the AAR, `cargo xtask android-test` tests it without a device.

mod abi;
mod application;
mod archive;
mod run;
mod symbols;
mod test;

use std::path::PathBuf;

use anyhow::Result;

/// Builds the AAR in `target/android` and returns its path.
///
/// # Errors
/// When a tool is missing, something does not compile, or a library uses what Android does not have.
pub(crate) fn build() -> Result<PathBuf> {
    archive::build(&crate::build::target_folder()?.join("android"))
}

/// Tests the package.
///
/// # Errors
/// As [`build`], or when a test fails.
pub(crate) fn test() -> Result<()> {
    test::run()
}
