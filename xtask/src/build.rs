//! Runs cargo.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Thin LTO for release tests: each links all of burn, and its size does not matter.
const TEST_LTO: (&str, &str) = ("CARGO_PROFILE_RELEASE_LTO", "thin");

/// Returns the folder of the repository from which cargo has started this program.
///
/// # Errors
/// When it does not exist.
pub(crate) fn root() -> Result<PathBuf> {
    // Cargo sets the variable for programs that it runs; the program may have been compiled in another copy.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("..");
    root.canonicalize().with_context(|| root.display().to_string())
}

/// Returns cargo's target folder, as an absolute path.
///
/// # Errors
/// When the repository cannot be found.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let root = root()?;
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Ok(root.join(folder))
}

/// Tests a training step on a device.
///
/// # Errors
/// If the test fails.
pub(crate) fn gpu(device: &str) -> Result<()> {
    let feature = if device == "flex" { "burn" } else { device };
    let arguments =
        ["test", "--release", "--package", "picodet-train", "--test", "device", "--features", feature];
    let mut command = std::process::Command::new(env!("CARGO"));
    command
        .args(arguments)
        .args(["--", "--nocapture"])
        .env("PICODET_DEVICE", device)
        .env(TEST_LTO.0, TEST_LTO.1);
    if !command.status()?.success() {
        bail!("the step on {device} failed");
    }
    Ok(())
}

/// Runs cargo.
///
/// # Errors
/// If cargo fails.
pub(crate) fn cargo(arguments: &[&str]) -> Result<()> {
    let mut command = std::process::Command::new(env!("CARGO"));
    if arguments.first() == Some(&"test") {
        command.env(TEST_LTO.0, TEST_LTO.1);
    }
    let status = command.args(arguments).status()?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}
