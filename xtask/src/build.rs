//! Runs cargo.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Thin LTO for release tests: each links all of burn, and its size does not matter.
const TEST_LTO: (&str, &str) = ("CARGO_PROFILE_RELEASE_LTO", "thin");

/// Returns cargo's target folder.
///
/// # Errors
/// When the repository cannot be found.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    Ok(std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from))
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
