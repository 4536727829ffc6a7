//! Archives and checksums.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cross;

/// The name of the file of checksums.
pub(super) const CHECKSUMS: &str = "SHA256SUMS";

/// Packs a folder as a compressed archive; the same content gives the same bytes.
pub(super) fn pack(folder: &Path, file: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        bail!("{} has no parent", folder.display())
    };
    let mut command = Command::new("tar");
    command.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@1577836800"]);
    command.arg("--use-compress-program=gzip -n -9").arg("-cf").arg(file).arg("-C").arg(parent).arg(name);
    cross::run(&mut command)
}

/// Unpacks an archive into a new folder and returns the folder in it.
pub(super) fn unpack(file: &Path, folder: &Path) -> Result<PathBuf> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    cross::run(Command::new("tar").arg("-xzf").arg(file).arg("-C").arg(folder))?;
    let entry = std::fs::read_dir(folder)?.next().with_context(|| format!("{} is empty", file.display()))?;
    Ok(entry?.path())
}

/// Returns the files of a release, sorted, without the checksums.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_file() && path.file_name().is_some_and(|name| name != CHECKSUMS) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Writes the checksums of all files, and prints their sizes.
pub(super) fn write_checksums(folder: &Path) -> Result<()> {
    let files = files(folder)?;
    let names = files.iter().filter_map(|file| file.file_name());
    let output = Command::new("sha256sum").args(names).current_dir(folder).output().context("sha256sum")?;
    if !output.status.success() {
        bail!("sha256sum failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    std::fs::write(folder.join(CHECKSUMS), output.stdout)?;
    for file in &files {
        println!("{}: {} bytes", file.display(), std::fs::metadata(file)?.len());
    }
    Ok(())
}
