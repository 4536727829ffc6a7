//! `cargo xtask train-disk`: training on a file system that is full, and on one that is read-only. Both are mounted in
//! memory, which needs Linux and root.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use picodet_testing::shared_path;

/// The exit code of a run that could not write.
const CANNOT_WRITE: i32 = 74;
const CHECKPOINT: &str = "checkpoint.safetensors";

/// A file system in memory, unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("picodet-disk-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mounted = Self(folder);
        mounted.mount("size=64m").context("this needs Linux and root")?;
        Ok(mounted)
    }

    fn mount(&self, options: &str) -> Result<()> {
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&self.0).status()?;
        ensure!(status.success(), "mount -o {options} failed");
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Trains until there is a checkpoint, then fills the disk, then remounts it read-only: each time the run must report it, keep
/// the checkpoint, and resume when there is space again.
pub(crate) fn run() -> Result<()> {
    let Some(data) = shared_path("data/bccd") else { bail!("there is no data/bccd in the reference data") };
    super::kill::build()?;
    let disk = Mounted::new()?;
    let run = disk.0.join("run");
    let mut first = Command::new(super::kill::program());
    first.args([
        "train",
        "v2_xs_320",
        "--batch",
        "4",
        "--sizes",
        "64x64",
        "--unchecked",
        "--time-limit",
        "0",
    ]);
    goes_on(&first.arg("--data").arg(&data).arg("--output").arg(&run).output()?)?;
    let checkpoint = || std::fs::read(run.join(CHECKPOINT));
    let kept = checkpoint()?;

    let filler = disk.0.join("filler");
    fill(&filler)?;
    fails(&resume(&run)?, "No space left")?;
    ensure!(checkpoint()? == kept, "the checkpoint was lost when the disk was full");
    let left = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".tmp");
    ensure!(
        !std::fs::read_dir(&run)?.flatten().any(|entry| left(&entry)),
        "temporary files were left behind"
    );
    std::fs::remove_file(&filler)?;
    goes_on(&resume(&run)?)?;
    println!(
        "a full disk: one line, exit code {CANNOT_WRITE}, and on from the checkpoint once there was room"
    );

    let kept = checkpoint()?;
    disk.mount("remount,ro")?;
    let refused = resume(&run);
    disk.mount("remount,rw")?;
    fails(&refused?, "Read-only file system")?;
    ensure!(checkpoint()? == kept, "the checkpoint was lost when the disk was read-only");
    goes_on(&resume(&run)?)?;
    println!(
        "a read-only disk: one line, exit code {CANNOT_WRITE}, and on from the checkpoint once it was writable"
    );
    Ok(())
}

fn resume(run: &Path) -> Result<Output> {
    let mut command = Command::new(super::kill::program());
    Ok(command.args(["train", "--time-limit", "0", "--resume"]).arg(run).output()?)
}

/// Writes until the disk is full.
fn fill(path: &Path) -> Result<()> {
    use std::io::Write;
    let mut file = std::fs::File::create(path)?;
    let block = vec![0; 64 << 10];
    loop {
        match file.write_all(&block) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn goes_on(output: &Output) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "training failed: {text}");
    Ok(())
}

fn fails(output: &Output, reason: &str) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("picodet: ")).collect();
    ensure!(output.status.code() == Some(CANNOT_WRITE), "{}: {text}", output.status);
    ensure!(lines.len() == 1 && lines[0].contains(reason) && !text.contains("panicked"), "{text}");
    println!("  {}", lines[0]);
    Ok(())
}
