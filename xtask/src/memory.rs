//! `cargo xtask miri` and `cargo xtask asan`: the kernels' use of memory, watched.

use std::process::Command;

use anyhow::Result;

use crate::cross;

/// Runs the tests of vectors and kernels, on the small sizes that they choose there, in Miri's interpreter. It supports plain
/// Rust only, so that it checks the portable kernels; all instruction sets share their code except for picodet-simd.
///
/// # Errors
/// When there is no nightly toolchain with Miri, or a test fails.
pub(crate) fn miri() -> Result<()> {
    let mut command = nightly();
    command.args(["miri", "test", "--package", "picodet-simd", "--package", "picodet-kernel", "--lib"]);
    command.args(["--features", "picodet-kernel/training"]);
    // Kernels compute pointers from arena offsets, which the stricter of Miri's two models of borrowing refuses.
    cross::run(command.env("MIRIFLAGS", "-Zmiri-tree-borrows"))
}

/// Runs the tests of vectors, kernels and engine with every access to memory checked, on every instruction set of this processor.
///
/// # Errors
/// When there is no nightly toolchain, or a test fails.
pub(crate) fn asan() -> Result<()> {
    let mut command = nightly();
    // Every access of the unrolled kernels gets a check: optimised as usual, they would take the compiler half an hour.
    command.args(["test", "--config", "profile.dev.package.picodet-kernel.opt-level=1"]);
    command.args(["--target", HOST, "--target-dir", "target/asan", "--package", "picodet-kernel"]);
    command.args(["--package", "picodet-simd", "--package", "picodet-engine"]);
    // Examples in the documentation are linked without the sanitizer's library.
    command.args(["--features", "picodet-kernel/training", "--lib", "--tests"]);
    // Samples of the networks: the sanitizer costs several times the time.
    cross::run(command.env("RUSTFLAGS", "-Zsanitizer=address").env("PICODET_EMULATED", "1"))
}

/// The sanitizer wants the target named, so that build scripts stay without it.
pub(crate) const HOST: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

/// Returns cargo of the nightly toolchain.
pub(crate) fn nightly() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    // Left by the cargo that runs this program; they would select its compiler.
    command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
    command
}
