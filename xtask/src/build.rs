//! Runs cargo.

use anyhow::{Result, bail};

/// Thin LTO for release tests: each links all of burn, and its size does not matter.
const TEST_LTO: (&str, &str) = ("CARGO_PROFILE_RELEASE_LTO", "thin");

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
