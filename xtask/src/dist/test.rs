//! `cargo xtask dist-test`: each file of a release is unpacked and used as its users do.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::archive::{CHECKSUMS, files, unpack};
use super::build::COMPLETIONS;
use super::found::{OBJECT, PICTURE, found, text};
use super::wheel;
use crate::cross;

pub(super) const MODEL: &str = "crates/picodet/models/coco_s_416.safetensors";

/// Tests all files.
pub(super) fn run(folder: &Path) -> Result<()> {
    cross::run(
        Command::new("sha256sum").args(["--check", "--strict", "--quiet", CHECKSUMS]).current_dir(folder),
    )?;
    let work = folder.with_file_name("dist-test");
    std::fs::create_dir_all(&work)?;
    let mut tested = 0;
    for file in files(folder)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unpacked = work.join(&name);
        println!("{name}");
        if name.starts_with("libpicodet-") {
            c_library(&unpack(&file, &unpacked)?, &work)?;
        } else if name.ends_with("-linux.tar.gz") {
            program(&unpack(&file, &unpacked)?, &name)?;
        } else if name.ends_with(".whl") {
            wheel::test(&file, &work)?;
        } else if name.ends_with(".tgz") {
            npm(&unpack(&file, &unpacked)?, &work)?;
        } else if name.ends_with(".aar") {
            aar(&file)?;
        } else if name.ends_with(".cdx.json") {
            bill(&file)?;
        } else {
            bail!("{name} is no file of a release");
        }
        tested += 1;
    }
    if tested == 0 {
        bail!("{} is empty: run `cargo xtask dist`", folder.display());
    }
    println!("{tested} files of a release pass");
    Ok(())
}

/// Runs the program, under emulation if it is for another processor, and reads its pages.
fn program(content: &Path, name: &str) -> Result<()> {
    let program = content.join("picodet");
    let mut command = if name.contains(std::env::consts::ARCH) {
        Command::new(&program)
    } else {
        let Some(emulator) = cross::program(&["qemu-aarch64-static", "qemu-aarch64"]) else {
            println!("SKIPPED: qemu-aarch64 is not installed");
            return Ok(());
        };
        let mut command = Command::new(emulator);
        command.arg(&program);
        command
    };
    found(command.args(["detect", PICTURE, "--format", "json"]), OBJECT)?;
    let headers = text(Command::new("readelf").args(["-l", "-W"]).arg(&program))?;
    if headers.contains("INTERP") {
        bail!("{} is not static", program.display());
    }
    let page = std::fs::read_to_string(content.join("share/man/man1/picodet-detect.1"))?;
    if !page.contains(".TH") {
        bail!("picodet-detect.1 is not a manual page");
    }
    for (shell, file) in COMPLETIONS {
        let script = content.join("share/completions").join(file);
        match cross::program(&[shell]) {
            Some(shell) => cross::run(Command::new(shell).arg("-n").arg(script))?,
            None => println!("SKIPPED: {shell} is not installed"),
        }
    }
    Ok(())
}

/// Detects with the npm package in Node.
fn npm(package: &Path, work: &Path) -> Result<()> {
    let Some(node) = cross::program(&["node"]) else {
        println!("SKIPPED: Node is not installed");
        return Ok(());
    };
    let pictures = work.join("pictures");
    std::fs::create_dir_all(&pictures)?;
    std::fs::copy(PICTURE, pictures.join("coffee.jpg"))?;
    let script = "xtask/src/conformance/pictures.mjs";
    found(Command::new(node).arg(script).arg(package).arg(MODEL).arg(pictures), OBJECT)
}

/// Lists the content of the AAR; `cargo xtask android-test` runs it.
fn aar(file: &Path) -> Result<()> {
    let jar = cross::program(&["jar"]).context("the JDK's `jar` is not installed")?;
    let list = text(Command::new(jar).arg("--list").arg("--file").arg(file))?;
    let library = |abi: &str| format!("jni/{abi}/libpicodet.so");
    let mut expected =
        ["AndroidManifest.xml", "classes.jar", "R.txt", "proguard.txt"].map(str::to_owned).to_vec();
    expected.extend(["arm64-v8a", "armeabi-v7a", "x86_64"].map(library));
    match expected.iter().find(|name| !list.lines().any(|line| line == name.as_str())) {
        Some(missing) => bail!("{} has no {missing}", file.display()),
        None => Ok(()),
    }
}

/// Compiles the demo of the archive with the archive's pkg-config file, and runs it.
fn c_library(prefix: &Path, work: &Path) -> Result<()> {
    let Some(flags) = pkg_config_flags(prefix)? else {
        println!("SKIPPED: pkg-config is not installed");
        return Ok(());
    };
    let demo = work.join("detect_file");
    let mut command = Command::new("cc");
    command.arg(prefix.join("share/doc/picodet/examples/detect_file.c")).args(flags);
    cross::run(command.arg("-o").arg(&demo))?;
    found(Command::new(demo).args([PICTURE, "--json"]).env("LD_LIBRARY_PATH", prefix.join("lib")), OBJECT)
}

/// Returns the compiler's arguments for the library of an archive; `None` without pkg-config.
pub(super) fn pkg_config_flags(prefix: &Path) -> Result<Option<Vec<String>>> {
    let Some(pkg_config) = cross::program(&["pkg-config"]) else { return Ok(None) };
    let mut command = Command::new(pkg_config);
    command.args(["--cflags", "--libs", "picodet"]).env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    Ok(Some(text(&mut command)?.split_whitespace().map(str::to_owned).collect()))
}

/// Reads the bill of materials.
fn bill(file: &Path) -> Result<()> {
    let bill: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let components = bill["components"].as_array().context("no components")?;
    let names: Vec<&str> = components.iter().filter_map(|component| component["name"].as_str()).collect();
    let unlicensed = components.iter().find(|component| component["licenses"].is_null());
    if !names.contains(&"picodet-engine") || !names.contains(&"png") || names.contains(&"proptest") {
        bail!("{} does not list the libraries of the program: {names:?}", file.display());
    }
    match unlicensed {
        Some(component) => bail!("no licence: {component}"),
        None => Ok(()),
    }
}
