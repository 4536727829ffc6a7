//! Checks and chores of the repository: `cargo xtask TASK`.

#![allow(clippy::print_stdout)]

mod arm;
mod arrows;
mod cross;
mod disk;
mod kill;
mod length;
mod memory;
mod mpi;
mod page;
mod start;
mod wasm;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask TASK
  check      files are not too long, and crates depend on each other in one direction only
  arm-test   the engine's tests on 64-bit ARM, emulated by qemu
  wasm-test  the engine's tests in WebAssembly, in Node or wasmtime; `wasm-test relaxed` with fused multiply-add
  miri       the kernels' tests on small sizes under Miri: undefined behaviour (minutes; a nightly toolchain)
  asan       the engine's tests under the address sanitizer (minutes; a nightly toolchain)
  train      the tests of the network in training, which build burn first (minutes)
  train-kill kill -9 a training 50 times and compare what comes out with an uninterrupted one (minutes)
  mpi        train as several processes and compare with one; kill one of them (minutes; an MPI and libclang)
  train-disk train on a full and on a read-only disk, mounted in memory (needs Linux and root)
  gpu NAME   a training step on vulkan, wgpu, metal, cuda, rocm or flex equals the processor's (builds burn: half an hour)
  start      time from the release program's start to its first detection
  page       draw examples/page.png, the document page that the first command of the README detects on";

fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("check") => {
            let problems: Vec<String> = [length::check()?, arrows::check()?].concat();
            problems.iter().for_each(|problem| println!("{problem}"));
            if !problems.is_empty() {
                bail!("{} problems", problems.len());
            }
            Ok(())
        }
        Some("arm-test") => arm::test(),
        Some("wasm-test") => wasm::test(std::env::args().nth(2).as_deref() == Some("relaxed")),
        Some("miri") => memory::miri(),
        Some("asan") => memory::asan(),
        Some("train") => cargo(&["test", "--release", "--package", "picodet-train", "--features", "burn"]),
        Some("train-kill") => kill::run(),
        Some("mpi") => mpi::run(),
        Some("train-disk") => disk::run(),
        Some("gpu") => gpu(std::env::args().nth(2).as_deref().unwrap_or("wgpu")),
        Some("page") => page::draw(),
        Some("start") => start::run(),
        Some(task) => bail!("unknown task `{task}`\n{USAGE}"),
        None => {
            println!("{USAGE}");
            Ok(())
        }
    }
}

/// Release tests are linked in parts, on all cores: each takes in all of burn, and its size is of no account.
const TEST_LTO: (&str, &str) = ("CARGO_PROFILE_RELEASE_LTO", "thin");

/// The test of a training step on a device of that name.
fn gpu(device: &str) -> Result<()> {
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

/// Runs cargo and fails as it fails.
fn cargo(arguments: &[&str]) -> Result<()> {
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
