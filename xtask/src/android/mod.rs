//! The Android package: `cargo xtask android` builds the AAR, `cargo xtask android-test` tests it without a device.

mod abi;
mod application;
mod archive;
mod run;
mod symbols;
mod test;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::pictures::Results;

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

/// Returns how Java of this machine, or of ARM, detects in the pictures of a folder; `None` before [`test()`] has built it.
pub(crate) fn detections<'a>(
    target: &Path,
    pictures: &'a Path,
    is_arm: bool,
) -> Option<Box<dyn FnOnce() -> Result<Results> + 'a>> {
    let work = target.join("android");
    let machine = if is_arm { run::Machine::built_arm(&work) } else { run::Machine::built(&work) }?;
    let tests = test::Tests::built(&work, pictures)?;
    Some(Box::new(move || tests.detections(&machine)))
}
