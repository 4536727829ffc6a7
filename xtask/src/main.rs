//! Checks and tools of the repository: `cargo xtask TASK`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

mod android;
mod arm;
mod blocks;
mod build;
mod c;
mod check;
mod clip;
mod conformance;
mod cross;
mod cycles;
mod disk;
mod dist;
mod fuzz;
mod kill;
mod memory;
mod mpi;
mod page;
mod pictures;
mod python;
mod start;
mod wasm;
mod web;
mod words;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask TASK
  check      crates and files depend on each other in one direction; limits of length; unsafe code
  words      count stilted phrases in comments and messages (STYLE.md)
  arm-test   the engine's tests on 64-bit ARM, emulated by qemu
  arm-cycles products a cycle of the inner loops on two ARM cores by llvm-mca, and a predicted time (a minute to build)
  wasm-test  the engine's tests in WebAssembly, in Node or wasmtime; `wasm-test relaxed` with fused multiply-add
  android    the AAR in target/android, without an NDK (clang, a JDK, and the Rust targets of Android)
  android-test  the package in Java, in Java for ARM under emulation, and the demo application
  web        the npm package in target/web; needs the target wasm32-unknown-unknown and rust-src
  web-test   tests of the npm package in Node and Chromium; `web-test --all` with bundlers
  miri       the kernels' tests on small sizes under Miri: undefined behaviour (minutes; a nightly toolchain)
  asan       the engine's tests under the address sanitizer (minutes; a nightly toolchain)
  fuzz [TARGET…] [--seconds N]  run the fuzz targets of all parsers, 10 minutes each (cargo-fuzz; a nightly toolchain)
  train      the tests of the network in training, which build burn first (minutes)
  train-kill kill -9 a training run 50 times and compare the result with an uninterrupted one (minutes)
  search-kill  the same for an architecture search: supernet, judged candidates and front are equal (minutes)
  mpi        train as several processes and compare with one; kill one of them (minutes; an MPI and libclang)
  train-disk train on a full and on a read-only disk, mounted in memory (needs Linux and root)
  gpu NAME   a training step on vulkan, wgpu, metal, cuda, rocm or flex equals the processor's (builds burn: half an hour)
  python-test  build the Python package, check its types and test it; `python-test --all` with Ray, Spark and FiftyOne
  c-dist DIR install the C library, its headers, pkg-config and CMake files into a folder
  c-test     the C library as programs use it: headers, demos under valgrind and sanitizers, docs/c.md (gcc, valgrind, cmake,
             pkg-config)
  dist       the files of a release in target/dist (tens of minutes; `cargo xtask dist sbom` and other parts alone)
  dist-test  open and use each file of target/dist
  first      seconds from the files of target/dist to the first detection: terminal, Python, C, web page, Java
  conformance  what each interface finds in twenty pictures, beside what the command finds (after the tests that build them)
  start      time from the release program's start to its first detection
  page       draw examples/page.png, the document page of the README's second command";

fn main() -> Result<()> {
    // Paths of the tasks are relative to the repository.
    std::env::set_current_dir(build::root()?)?;
    match std::env::args().nth(1).as_deref() {
        Some("check") => check::run(),
        Some("words") => words::run(),
        Some("android") => android::build().map(drop),
        Some("android-test") => android::test(),
        Some("arm-test") => arm::test(),
        Some("arm-cycles") => cycles::run(),
        Some("wasm-test") => wasm::test(std::env::args().nth(2).as_deref() == Some("relaxed")),
        Some("web") => web::build(),
        Some("web-test") => web::test(std::env::args().nth(2).as_deref() == Some("--all")),
        Some("miri") => memory::miri(),
        Some("asan") => memory::asan(),
        Some("fuzz") => fuzz::run(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("train") => {
            build::cargo(&["test", "--release", "--package", "picodet-train", "--features", "burn"])
        }
        Some("train-kill") => kill::training(),
        Some("search-kill") => kill::search(),
        Some("mpi") => mpi::run(),
        Some("train-disk") => disk::run(),
        Some("gpu") => build::gpu(std::env::args().nth(2).as_deref().unwrap_or("wgpu")),
        Some("c-dist") => c::dist(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("c-test") => c::test(),
        Some("dist") => dist::build(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("dist-test") => dist::test(),
        Some("first") => dist::first(),
        Some("conformance") => conformance::run(),
        Some("page") => page::draw(),
        Some("python-test") => python::test(std::env::args().nth(2).as_deref() == Some("--all")),
        Some("start") => start::run(),
        Some(task) => bail!("unknown task `{task}`\n{USAGE}"),
        None => {
            println!("{USAGE}");
            Ok(())
        }
    }
}
