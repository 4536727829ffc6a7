//! The picture of the tests of a release, and the check that a command finds the object in it.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// The picture.
pub(super) const PICTURE: &str = "examples/coffee.jpg";
/// The name of the object, as JSON has it.
pub(super) const OBJECT: &str = "\"cup\"";

/// Checks that a command finds an object.
pub(super) fn found(command: &mut Command, object: &str) -> Result<()> {
    let output = text(command)?;
    if !output.contains(object) {
        bail!("{command:?} finds no {object}:\n{output}");
    }
    Ok(())
}

/// Returns what a command prints.
pub(super) fn text(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
