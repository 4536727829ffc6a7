//! The wheels of a release, installed and used: with this machine's Python, and with a Python for 64-bit ARM under emulation.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::build::FREE_THREADED;
use super::found::{OBJECT, PICTURE, found};
use crate::cross;
use crate::python::Environment;

/// Detects in the picture whose path is the first argument.
const PROGRAM: &str = "import json, picodet, sys; print(picodet.Model()(sys.argv[1]).to_json())";
/// Versions of Python that Debian has, oldest first.
const VERSIONS: [&str; 3] = ["3.11", "3.12", "3.13"];
/// Debian's packages that Python and numpy need besides those of the version.
const LIBRARIES: [&str; 6] = ["libc6", "libexpat1", "libffi8", "libgcc-s1", "libstdc++6", "zlib1g"];

/// Tests a wheel.
pub(super) fn test(file: &Path, work: &Path) -> Result<()> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if name.contains("t-manylinux") {
        let Some(python) = std::env::var_os(FREE_THREADED) else {
            println!("SKIPPED: {FREE_THREADED} names no Python");
            return Ok(());
        };
        return on_this_machine(file, &work.join("python-free-threaded"), &python);
    }
    if !name.contains("abi3-manylinux") {
        bail!("{name} is not for all versions of Python and Linux");
    }
    if name.contains(std::env::consts::ARCH) {
        return on_this_machine(file, &work.join("python"), OsStr::new("python3"));
    }
    if !name.contains("aarch64") {
        bail!("{name}: there is no test for this processor");
    }
    on_arm(file, &work.join("python-aarch64"))
}

/// Installs the wheel into a new environment and detects, in Python and with the command.
fn on_this_machine(file: &Path, folder: &Path, python: &OsStr) -> Result<()> {
    clear(folder)?;
    let environment = Environment::create_with(folder, python)?;
    environment.install(&[&file.display().to_string()])?;
    found(environment.command().args(["-c", PROGRAM, PICTURE]), OBJECT)?;
    found(environment.program("picodet").args(["detect", PICTURE, "--format", "json"]), OBJECT)
}

/// The same with a Python for 64-bit ARM, whose packages the pip of this machine installs.
fn on_arm(file: &Path, folder: &Path) -> Result<()> {
    let Some(emulator) = cross::program(&["qemu-aarch64-static", "qemu-aarch64"]) else {
        println!("SKIPPED: qemu-aarch64 is not installed");
        return Ok(());
    };
    let root = folder.join("root");
    let Some(version) = fetch_python(&root)? else {
        println!("SKIPPED: apt-get has no Python for 64-bit ARM");
        return Ok(());
    };
    let packages = folder.join("packages");
    clear(&packages)?;
    let tools = Environment::create(&folder.join("tools"))?;
    let mut install = tools.module("pip");
    install.args(["install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
    install.args(["--platform", "manylinux2014_aarch64", "--python-version", version, "--target"]);
    cross::run(install.arg(&packages).arg(file))?;
    let python = || {
        let mut command = Command::new(&emulator);
        command.arg("-L").arg(&root).arg(root.join(program(version)));
        command.env("PYTHONPATH", &packages);
        command
    };
    found(python().args(["-c", PROGRAM, PICTURE]), OBJECT)?;
    found(python().args(["-m", "picodet", "detect", PICTURE, "--format", "json"]), OBJECT)
}

/// Unpacks a Python for 64-bit ARM and returns its version.
fn fetch_python(root: &Path) -> Result<Option<&'static str>> {
    for version in VERSIONS {
        let parts = ["python", "libpython", "libpython"].iter().zip(["-minimal", "-minimal", "-stdlib"]);
        let parts: Vec<String> = parts.map(|(start, end)| format!("{start}{version}{end}")).collect();
        let packages: Vec<&str> = parts.iter().map(String::as_str).chain(LIBRARIES).collect();
        if cross::fetch_arm_packages(root, &packages, &program(version))? {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

/// The path of Python's program in its package.
fn program(version: &str) -> String {
    format!("usr/bin/python{version}")
}

/// Removes a folder and what is in it, if it exists.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}
