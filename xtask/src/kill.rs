//! Training and search killed at random moments: they must resume as if they had not been interrupted.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use picodet_testing::shared_path;

use crate::build;

/// Kills that must be survived.
const KILLS: usize = 50;
/// The program to test instead of one built here.
const PROGRAM: &str = "PICODET_PROGRAM";
const FILES: [&str; 2] = ["last.safetensors", "best.safetensors"];
/// A space for short searches.
const SPACE: &str =
    "network = \"legacy_s_320\"\nratios = [0.5, 1.0]\nneck = [48, 96]\ntower = [1, 2]\ninput = [64, 96]\n";

/// A run of the program.
struct Task {
    /// Begins a run on a dataset in a folder.
    begin: fn(&Path, &Path) -> Command,
    /// Goes on with the run of a folder.
    resume: fn(&Path) -> Command,
    /// The file without which a run restarts from the beginning.
    checkpoint: &'static str,
    /// Compares the folders of two runs that have ended.
    compare: fn(&Path, &Path) -> Result<()>,
}

/// Kills training, and compares models and losses.
pub(crate) fn training() -> Result<()> {
    let checkpoint = "checkpoint.safetensors";
    run(&Task { begin: train, resume, checkpoint, compare }, |_| Ok(()))
}

/// Kills searches, in training the supernet and after it, and compares supernet, judged candidates and the front.
pub(crate) fn search() -> Result<()> {
    let checkpoint = "supernet/checkpoint.safetensors";
    let task = Task { begin: begin_search, resume: resume_search, checkpoint, compare: compare_searches };
    run(&task, |folder| {
        std::fs::write(folder.join("space.toml"), SPACE)?;
        let mut command = Command::new(program());
        command.args(["search", "latency", "--classes", "3"]);
        command.arg("--space").arg(folder.join("space.toml")).arg("--output").arg(folder.join("table.toml"));
        finish(&mut command)
    })
}

/// Runs once without a break, then kills the same run until it has been killed often enough, and compares the results.
fn run(task: &Task, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let Some(data) = shared_path("data/bccd") else { return Ok(()) };
    build()?;
    let folder = std::env::temp_dir().join(format!("picodet-kill-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    prepare(&folder)?;
    let whole = folder.join("whole");
    let start = Instant::now();
    finish(&mut (task.begin)(&data, &whole))?;
    let length = start.elapsed();
    println!("without a break: {:.1} s", length.as_secs_f64());

    let mut seed = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos() as usize;
    let (mut kills, mut runs, mut restarts) = (0, 0, 0);
    while kills < KILLS {
        runs += 1;
        let run = folder.join(format!("run_{runs}"));
        loop {
            let fresh = !run.join(task.checkpoint).exists();
            if fresh && run.exists() {
                restarts += 1;
                std::fs::remove_dir_all(&run)?;
            }
            let mut command = if fresh { (task.begin)(&data, &run) } else { (task.resume)(&run) };
            let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn()?;
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let wait = length.mul_f64((seed >> 33) as f64 / (1u64 << 31) as f64 / 2.0);
            let deadline = Instant::now() + wait;
            let ended = loop {
                if let Some(status) = child.try_wait()? {
                    break Some(status);
                }
                if Instant::now() >= deadline {
                    break None;
                }
                std::thread::sleep(Duration::from_millis(2));
            };
            match ended {
                Some(status) => {
                    ensure!(status.success(), "a run did not resume after kill {kills}: {status}");
                    break;
                }
                None => {
                    child.kill()?;
                    child.wait()?;
                    kills += 1;
                }
            }
        }
        (task.compare)(&whole, &run).with_context(|| format!("after {kills} kills"))?;
        println!("{kills} kills, {runs} runs, all equal");
        std::fs::remove_dir_all(&run)?;
    }
    println!(
        "{kills} kills in {runs} runs ({restarts} before the first checkpoint): every run ended with the same bits"
    );
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Builds the program, where none was named.
pub(crate) fn build() -> Result<()> {
    match std::env::var_os(PROGRAM) {
        Some(_) => Ok(()),
        None => build::cargo(&["build", "--release", "--package", "picodet-cli"]),
    }
}

/// The program to test.
pub(crate) fn program() -> PathBuf {
    std::env::var_os(PROGRAM).map_or_else(|| PathBuf::from("target/release/picodet"), PathBuf::from)
}

fn train(data: &Path, output: &Path) -> Command {
    let mut command = Command::new(program());
    command.args([
        "train",
        "v2_xs_320",
        "--batch",
        "8",
        "--epochs",
        "2",
        "--sizes",
        "96x96,64x128",
        "--unchecked",
    ]);
    command.args(["--evaluate-every", "1", "--checkpoint-every", "0", "--threads", "2"]);
    command.arg("--data").arg(data).arg("--output").arg(output);
    command
}

fn resume(output: &Path) -> Command {
    let mut command = Command::new(program());
    command.args(["train", "--evaluate-every", "1", "--checkpoint-every", "0"]).arg("--resume").arg(output);
    command
}

/// Runs the program to the end.
///
/// # Errors
/// The error message of the program.
pub(crate) fn finish(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("the program failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn compare(whole: &Path, run: &Path) -> Result<()> {
    for file in FILES {
        ensure!(std::fs::read(whole.join(file))? == std::fs::read(run.join(file))?, "{file} differs");
    }
    let losses = |folder: &Path| -> Result<Vec<String>> {
        let text = std::fs::read_to_string(folder.join("metrics.jsonl"))?;
        let loss = |line: &str| line.split("\"loss\":").nth(1)?.split(',').next().map(str::to_owned);
        Ok(text.lines().filter_map(loss).collect())
    };
    let (expected, found) = (losses(whole)?, losses(run)?);
    ensure!(!expected.is_empty() && expected == found, "the losses differ");
    Ok(())
}

fn begin_search(data: &Path, output: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg("search").arg(output.with_file_name("space.toml")).arg("--data").arg(data);
    command.args(["--search-split", "val", "--epochs", "3", "--sizes", "64x64,96x96", "--batch", "8"]);
    with_selection(&mut command, output);
    command.arg("--output").arg(output);
    command
}

fn resume_search(output: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg("search").arg("--resume").arg(output);
    with_selection(&mut command, output);
    command
}

/// Adds the constraint and the latency table, which a measurement would change.
fn with_selection(command: &mut Command, output: &Path) {
    command.args(["--evaluations", "12", "--latency", "0.8x", "--latency-table"]);
    command.arg(output.with_file_name("table.toml"));
}

fn compare_searches(whole: &Path, run: &Path) -> Result<()> {
    let mut files = vec![PathBuf::from("supernet.safetensors"), PathBuf::from("search.jsonl")];
    for entry in std::fs::read_dir(whole.join("front"))? {
        files.push(Path::new("front").join(entry?.file_name()));
    }
    ensure!(files.len() > 3, "the front is empty");
    for file in files {
        let [expected, found] = [whole, run].map(|folder| std::fs::read(folder.join(&file)));
        ensure!(expected? == found?, "{} differs", file.display());
    }
    Ok(())
}
