//! The Android package: `cargo xtask android` builds the AAR, `cargo xtask android-test` tests it without a device.

mod abi;
mod application;
mod archive;
mod run;
mod symbols;
mod test;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::pictures::Results;

/// Builds the AAR in `target/android` and returns its path.
///
/// # Errors
/// When a tool is missing, something does not compile, or a library uses what Android does not have.
pub(crate) fn build() -> Result<PathBuf> {
    archive::build(&crate::build::target_folder()?.join("android"))
}

/// Tests the package.
///
/// # Errors
/// As [`build`], or when a test fails.
pub(crate) fn test() -> Result<()> {
    test::run()
}

/// An application that uses the AAR, on this machine.
pub(crate) struct Application {
    work: PathBuf,
    machine: run::Machine,
    tests: test::Tests,
}

impl Application {
    /// Unpacks the AAR and compiles the tests into a folder; `None` where its library cannot run.
    ///
    /// # Errors
    /// When a tool is missing or something does not compile.
    pub(crate) fn new(work: &Path, aar: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(work)?;
        let libraries = work.join("unpacked");
        archive::unpack(aar, &libraries)?;
        let library = libraries.join("jni/x86_64/libpicodet.so");
        let Some(machine) = run::Machine::x86_64(work, &library)? else { return Ok(None) };
        Ok(Some(Self { work: work.to_owned(), machine, tests: test::Tests::new(work)? }))
    }

    /// Compiles the sources in a folder.
    ///
    /// # Errors
    /// When they do not compile.
    pub(crate) fn compile(&self, sources: &Path) -> Result<()> {
        self.tests.compile(sources, &self.work.join("application"))
    }

    /// Returns a command that prints the detections in a picture.
    ///
    /// # Errors
    /// When the picture cannot be copied.
    pub(crate) fn detect(&self, picture: &Path) -> Result<Command> {
        let folder = self.work.join("photos");
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(picture, folder.join(picture.file_name().unwrap_or_default()))?;
        self.tests.detect(&self.machine, &folder)
    }
}

/// A native library, and the Java that loads it.
#[derive(Clone, Copy)]
pub(crate) enum Java {
    /// The library for this machine.
    Native,
    /// The AAR's library for x86-64.
    X86,
    /// The AAR's library for 64-bit ARM, in an emulated Java.
    Arm,
}

/// Returns how Java detects in the pictures of a folder; `None` before [`test()`] has built it.
pub(crate) fn detections<'a>(
    target: &Path,
    pictures: &'a Path,
    java: Java,
) -> Option<Box<dyn FnOnce() -> Result<Results> + 'a>> {
    let work = target.join("android");
    let machine = match java {
        Java::Native => run::Machine::built(&work),
        Java::X86 => run::Machine::built_x86_64(&work),
        Java::Arm => run::Machine::built_arm(&work),
    }?;
    let tests = test::Tests::built(&work, pictures)?;
    Some(Box::new(move || tests.detections(&machine)))
}
