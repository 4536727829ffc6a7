//! Java virtual machines that run the tests: that of this machine, and one for 64-bit ARM under emulation.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cross;
use crate::pictures::{Results, parse_lines};

/// Debian's packages of a Java for 64-bit ARM.
const PACKAGES: [&str; 5] = ["openjdk-17-jre-headless", "libc6", "libgcc-s1", "libstdc++6", "zlib1g"];
/// The program in them.
const ARM_JAVA: &str = "usr/lib/jvm/java-17-openjdk-arm64/bin/java";
/// What Android's C library has and glibc has not.
const SHIM: &str = "bindings/android/test/shim.c";

/// A virtual machine and the native library that it loads.
pub(super) struct Machine {
    /// The program and its first arguments.
    program: Vec<String>,
    /// The folder of `libpicodet.so`.
    libraries: PathBuf,
    /// Where the loader finds the libraries that `libpicodet.so` needs.
    search_path: Option<PathBuf>,
}

impl Machine {
    /// Returns the virtual machine of this machine, with this library.
    pub(super) fn native(work: &Path, library: &Path) -> Result<Self> {
        place(library, &work.join("native"))?;
        Self::built(work).context("java is not installed")
    }

    /// Returns the virtual machine of this machine, if a library has been placed.
    pub(super) fn built(work: &Path) -> Option<Self> {
        let java = cross::program(&["java"])?;
        let libraries = work.join("native");
        let machine = Self { program: vec![java.display().to_string()], libraries, search_path: None };
        machine.libraries.join("libpicodet.so").is_file().then_some(machine)
    }

    /// Returns a virtual machine for 64-bit ARM with a library for Android; `None` where the tools cannot be had.
    pub(super) fn arm(work: &Path, library: &Path) -> Result<Option<Self>> {
        let Some(compiler) = cross::program(&["aarch64-linux-gnu-gcc"]) else { return Ok(None) };
        if !cross::fetch_arm_packages(&work.join("arm"), &PACKAGES, ARM_JAVA)? {
            return Ok(None);
        }
        place_with_shim(library, &work.join("emulated"), &compiler)?;
        Ok(Self::built_arm(work))
    }

    /// Returns the virtual machine of this machine with a library for Android; `None` where the processor is another one.
    pub(super) fn x86_64(work: &Path, library: &Path) -> Result<Option<Self>> {
        let Some(compiler) = cross::program(&["cc"]) else { return Ok(None) };
        if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            return Ok(None);
        }
        place_with_shim(library, &work.join("android-x86_64"), &compiler)?;
        Ok(Self::built_x86_64(work))
    }

    /// Returns the virtual machine of this machine, if a library for Android has been placed.
    pub(super) fn built_x86_64(work: &Path) -> Option<Self> {
        let java = cross::program(&["java"])?;
        let libraries = work.join("android-x86_64");
        let program = vec![java.display().to_string()];
        let machine = Self { program, search_path: Some(libraries.clone()), libraries };
        machine.libraries.join("libpicodet.so").is_file().then_some(machine)
    }

    /// Returns the virtual machine for 64-bit ARM, if it and a library are there.
    pub(super) fn built_arm(work: &Path) -> Option<Self> {
        let emulator = cross::program(&["qemu-aarch64-static", "qemu-aarch64"])?;
        let (root, libraries) = (work.join("arm"), work.join("emulated"));
        let java = root.join(ARM_JAVA);
        if !java.is_file() || !libraries.join("libpicodet.so").is_file() {
            return None;
        }
        let [emulator, root, java] = [&emulator, &root, &java].map(|path| path.display().to_string());
        let program = [emulator, "-L".to_owned(), root, java, "-XX:TieredStopAtLevel=1".to_owned()];
        Some(Self { program: program.to_vec(), search_path: Some(libraries.clone()), libraries })
    }

    /// Returns a command that runs a class of the tests.
    pub(super) fn command(&self, classes: &[&Path], assets: &Path, class: &str) -> Result<Command> {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).args(["-ea", "-Xcheck:jni"]);
        command.arg(format!("-Djava.library.path={}", self.libraries.display()));
        command.arg(format!("-Dpicodet.assets={}", assets.display()));
        command.arg("-cp").arg(std::env::join_paths(classes)?).arg(class);
        // A test panics in the library on purpose.
        command.env("RUST_BACKTRACE", "0");
        match &self.search_path {
            // For the emulated program only: the emulator itself is of this machine.
            Some(folder) if self.program.len() > 1 => {
                command.env("QEMU_SET_ENV", format!("LD_LIBRARY_PATH={}", folder.display()));
            }
            Some(folder) => {
                command.env("LD_LIBRARY_PATH", folder);
            }
            None => {}
        }
        Ok(command)
    }
}

/// Runs the program that prints the detections in a folder of pictures.
pub(super) fn detections(command: &mut Command) -> Result<Results> {
    let output = command.output()?;
    let text = String::from_utf8(output.stdout)?;
    if !output.status.success() {
        bail!("{command:?} failed\n{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    parse_lines(&text)
}

fn place(library: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join("libpicodet.so");
    // A library that a running program has mapped must not be overwritten in place.
    let _ = std::fs::remove_file(&file);
    std::fs::copy(library, &file).with_context(|| library.display().to_string())?;
    Ok(())
}

/// Copies a library for Android into a folder, beside libraries of glibc under the names of Android's.
fn place_with_shim(library: &Path, folder: &Path, compiler: &Path) -> Result<()> {
    place(library, folder)?;
    for name in ["libc.so", "libm.so", "libdl.so"] {
        // The shim has all three names, and brings the libraries of glibc.
        let mut command = Command::new(compiler);
        command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wl,--no-as-needed", SHIM]);
        command.arg(format!("-Wl,-soname,{name}")).arg("-o").arg(folder.join(name)).arg("-lm");
        cross::run(&mut command)?;
    }
    Ok(())
}
