//! `cargo xtask wasm-test`: the tests as WebAssembly with its vectors, in Node or wasmtime.

use std::path::Path;

use anyhow::{Result, bail};

use crate::cross;

/// The target of the tests: it has files and streams.
const TARGET: &str = "wasm32-wasip1";
/// The crates that a browser needs; they must compile without a system below them.
const PORTABLE: [&str; 6] =
    ["picodet-graph", "picodet-zoo", "picodet-weights", "picodet-image", "picodet-engine", "picodet-detect"];
const NONE: &str = "\
no way to run WebAssembly tests here. Either
  rustup target add wasm32-wasip1
  and Node 18 (or later) or wasmtime on the path,
or Node and the reference data's tools/cross.sh next to the repository (see PICODET_SHARED in CONTRIBUTING.md)";

/// Builds and runs the tests, with fused multiply-add if `relaxed` is set, and checks that the crates
/// compile for browsers where that target is installed.
///
/// # Errors
/// When WebAssembly cannot be run here, or a test fails.
pub(crate) fn test(relaxed: bool) -> Result<()> {
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wasm_runner.mjs");
    // Node 18 needs a flag for WASI, Node 20 one for relaxed instructions; later versions ignore them.
    let flags = if relaxed { " --experimental-wasm-relaxed-simd" } else { "" };
    let node = cross::program(&["node"]).map(|node| {
        let (node, runner) = (node.display(), runner.display());
        format!("{node} --no-warnings --experimental-wasi-unstable-preview1{flags} {runner}")
    });
    let wasmtime = cross::program(&["wasmtime"])
        .map(|wasmtime| format!("{} run --dir / --env PICODET_SHARED", wasmtime.display()));
    let features =
        if relaxed { "-C target-feature=+simd128,+relaxed-simd" } else { "-C target-feature=+simd128" };
    match (node.clone().or(wasmtime), node, cross::script()) {
        (Some(runner), _, _) if cross::has_target(TARGET) => {
            let mut command = cross::cargo_test(TARGET);
            command.env("CARGO_TARGET_WASM32_WASIP1_RUNNER", runner).env("RUSTFLAGS", features);
            command.env("CARGO_PROFILE_DEV_DEBUG", "false");
            // A panic ends the program, and with it what the test harness holds back of its message.
            cross::run(command.args(["--", "--nocapture"]))?;
        }
        (_, Some(runner), Some(script)) => {
            let mut command = cross::script_test(script, "wasm");
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner).env("RUSTFLAGS", features);
            cross::run(command.env("CARGO_PROFILE_DEV_DEBUG", "false"))?;
        }
        _ => bail!("{NONE}"),
    }
    const BROWSER: &str = "wasm32-unknown-unknown";
    if cross::has_target(BROWSER) {
        let mut command = std::process::Command::new(env!("CARGO"));
        command.args(["check", "--target", BROWSER]).env("RUSTFLAGS", features);
        command.args(PORTABLE.iter().flat_map(|package| ["--package", package]));
        cross::run(&mut command)?;
    }
    Ok(())
}
