//! Folders of the tests of the C library, and commands in them.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// Where the library is installed, in the target folder.
pub(super) struct Place {
    /// The root of the repository.
    pub(super) repository: PathBuf,
    /// The installation.
    pub(super) prefix: PathBuf,
    /// Programs and their output.
    pub(super) work: PathBuf,
}

impl Place {
    /// Returns the arguments with which a compiler finds the library, and programs find it where they run.
    pub(super) fn compiler_arguments(&self) -> [String; 4] {
        let (prefix, library) = (self.prefix.display(), self.prefix.join("lib"));
        let library = library.display();
        [
            format!("-I{prefix}/include"),
            format!("-L{library}"),
            format!("-Wl,-rpath,{library}"),
            "-lpicodet".to_owned(),
        ]
    }
}

/// Runs a command; its output is shown where it fails.
pub(super) fn check(command: &mut Command, what: &str) -> Result<Output> {
    let output = command.output().with_context(|| format!("{what}: {:?}", command.get_program()))?;
    if !output.status.success() {
        let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        bail!("{what}: {}\n{command:?}\n{}", output.status, String::from_utf8_lossy(&text));
    }
    Ok(output)
}
