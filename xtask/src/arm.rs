//! `cargo xtask arm-test`: the tests on 64-bit ARM, emulated by qemu where the processor is another one.

use std::process::Command;

use anyhow::{Result, bail};

use crate::cross;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const NONE: &str = "\
no way to run ARM tests here. Either
  rustup target add aarch64-unknown-linux-gnu
  and the packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user-static (Debian's names),
or the reference data's tools/cross.sh next to the repository (see PICODET_SHARED in CONTRIBUTING.md)";

/// Builds and runs the tests.
///
/// # Errors
/// When ARM programs cannot be run here, or a test fails.
pub(crate) fn test() -> Result<()> {
    if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
        return cross::run(&mut cross::cargo_test(TARGET));
    }
    let linker = cross::program(&["aarch64-linux-gnu-gcc"]);
    let emulator = cross::program(&["qemu-aarch64-static", "qemu-aarch64"]);
    let mut command = match (linker, emulator, cross::script()) {
        (Some(linker), Some(emulator), _) if cross::has_target(TARGET) => {
            let mut command = cross::cargo_test(TARGET);
            let runner = format!("{} -L /usr/aarch64-linux-gnu", emulator.display());
            command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", linker);
            command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner);
            command
        }
        (_, _, Some(script)) => cross::script_test(script, "arm"),
        _ => bail!("{NONE}"),
    };
    cross::run(emulated(&mut command))
}

/// Asks for samples of the networks only, and for a shorter build.
fn emulated(command: &mut Command) -> &mut Command {
    command.env("PICODET_EMULATED", "1").env("CARGO_PROFILE_DEV_DEBUG", "false")
}
