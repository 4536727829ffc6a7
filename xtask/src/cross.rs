//! Shared by the runs on other processors: the list of tests, and the search for tools and reference data.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The tests of the kernels, of inference from an image to boxes and of training steps, the same as on this processor.
const TESTS: [&str; 14] = [
    "test",
    "--no-fail-fast",
    "--package",
    "picodet-simd",
    "--package",
    "picodet-kernel",
    "--package",
    "picodet-engine",
    "--package",
    "picodet-detect",
    "--package",
    "picodet-gradient",
    "--lib",
    "--tests",
];

/// A cargo command for [`TESTS`] on a target.
pub(crate) fn cargo_test(target: &str) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(TESTS).args(["--target", target]);
    command
}

/// A call of the script that knows how to build for other processors where no toolchain has their libraries.
pub(crate) fn script_test(script: PathBuf, kind: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(script).arg(kind).args(TESTS);
    command
}

/// Returns the path of `tools/cross.sh` in the reference data, if it exists.
pub(crate) fn script() -> Option<PathBuf> {
    let script = picodet_testing::shared_folder().join("tools/cross.sh");
    script.is_file().then_some(script)
}

/// Whether rustc has the standard library of a target.
pub(crate) fn has_target(target: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output();
    output.is_ok_and(|output| {
        let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        output.status.success() && folder.is_dir()
    })
}

/// The first of these programs that is on the path.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let places = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|file| file.is_file())
}

/// Returns the folder of the Rust toolchain.
pub(crate) fn sysroot() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().context("rustc")?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// Unpacks Debian's packages for 64-bit ARM into a folder, unless `file` of them is there; false where this cannot be done.
pub(crate) fn fetch_arm_packages(root: &Path, packages: &[&str], file: &str) -> Result<bool> {
    if root.join(file).is_file() {
        return Ok(true);
    }
    let archives = root.join("packages");
    std::fs::create_dir_all(&archives)?;
    let mut download = Command::new("apt-get");
    download.args(["download", "-qq"]).args(packages.iter().map(|package| format!("{package}:arm64")));
    if !download.current_dir(&archives).status().is_ok_and(|status| status.success()) {
        return Ok(false);
    }
    for archive in std::fs::read_dir(&archives)? {
        run(Command::new("dpkg").arg("-x").arg(archive?.path()).arg(root))?;
    }
    std::fs::remove_dir_all(&archives)?;
    Ok(root.join(file).is_file())
}

/// Returns the files in a folder and the folders in it, sorted.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Runs a command and fails as it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{:?} does not start", command.get_program()))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}
