//! Training and searching by several processes over MPI: same results as one process, common end, resume.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use picodet_testing::shared_path;

use crate::build;
use crate::kill::finish;

/// The program to test instead of one built here; it must have been built with the feature `mpi`.
const PROGRAM: &str = "PICODET_PROGRAM";
/// Losses may differ by this share, and weights by this share of the way that they have gone since the first step. Shares
/// of a batch add f32 numbers in another order, which a network that has just begun enlarges with every step; steps are few
/// and small here: 4e-5 and 6e-4 were found. Processes that do not agree on their batch norms differ in their losses by
/// 1e-2 and diverge completely.
const LOSS: f64 = 1e-3;
const APART: f64 = 0.1;
/// Longest time in which processes must end with one that failed.
const END: Duration = Duration::from_secs(30);

/// All checks, and a measurement of the speed.
pub(crate) fn run() -> Result<()> {
    let Some(data) = shared_path("data/bccd") else { return Ok(()) };
    if Command::new("mpirun").arg("--version").output().is_err() {
        println!("skipped: there is no mpirun");
        return Ok(());
    }
    if std::env::var_os(PROGRAM).is_none() {
        build::cargo(&["build", "--release", "--package", "picodet-cli", "--features", "mpi"])?;
    }
    let folder = std::env::temp_dir().join(format!("picodet-mpi-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    equal(&data, &folder).context("as one process")?;
    searched(&data, &folder).context("a search")?;
    killed(&data, &folder).context("a process that is killed")?;
    failed(&data, &folder).context("a process that fails")?;
    stopped(&data, &folder).context("a signal to mpirun")?;
    speed(&data, &folder).context("the speed")?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Returns the command that runs the program in `processes` processes.
fn picodet(processes: usize) -> Command {
    let program =
        std::env::var_os(PROGRAM).map_or_else(|| PathBuf::from("target/release/picodet"), PathBuf::from);
    if processes == 1 {
        return Command::new(program);
    }
    let mut command = Command::new("mpirun");
    command.args(["--allow-run-as-root", "--oversubscribe", "-n", &processes.to_string()]).arg(program);
    command
}

fn train(processes: usize, data: &Path, output: &Path, more: &[&str]) -> Command {
    let mut command = picodet(processes);
    command.args(["train", "legacy_s_320", "--unchecked", "--threads", "1"]).args(more);
    command.arg("--data").arg(data).arg("--output").arg(output);
    command
}

/// Two and three processes give the results of one; the batch is not divisible by their number.
fn equal(data: &Path, folder: &Path) -> Result<()> {
    let few = ["--batch", "35", "--epochs", "1", "--sizes", "128x128,96x160", "--rate", "0.0005"];
    let (first, whole) = (folder.join("first"), folder.join("one"));
    finish(&mut train(1, data, &first, &[&few[..], &["--time-limit", "0"]].concat()))?;
    finish(&mut train(1, data, &whole, &few))?;
    let expected = losses(&whole)?;
    ensure!(expected.len() == 5, "{} steps", expected.len());
    for processes in [2, 3] {
        let shared = folder.join(format!("{processes}"));
        finish(&mut train(processes, data, &shared, &few))?;
        let found = losses(&shared)?;
        ensure!(found.len() == expected.len(), "{} steps instead of {}", found.len(), expected.len());
        let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
        ensure!(off < LOSS, "{processes} processes: losses differ by {off:.1e}: {found:?}, {expected:?}");
        let [start, one, many] = [&first, &whole, &shared].map(|folder| weights(folder));
        let (start, one, many) = (start?, one?, many?);
        let apart = distance(&many, &one) / distance(&one, &start);
        ensure!(
            apart < APART,
            "{processes} processes: weights differ by {apart:.1e} of the distance travelled"
        );
        println!(
            "{processes} processes: losses within {off:.1e}, weights within {apart:.1e} of the distance travelled in {} steps",
            expected.len()
        );
    }
    Ok(())
}

/// Two processes train the supernet of one process, and rank 0 searches among its networks.
fn searched(data: &Path, folder: &Path) -> Result<()> {
    let space = folder.join("space.toml");
    std::fs::write(&space, "network = \"legacy_s_320\"\nneck = [48, 96]\ntower = [1, 2]\n")?;
    let [one, two] = [1, 2].map(|processes| folder.join(format!("search_{processes}")));
    let search = |processes: usize, output: &Path| {
        let mut command = picodet(processes);
        command.arg("search").arg(&space).arg("--data").arg(data).arg("--output").arg(output);
        command.args(["--batch", "33", "--epochs", "1", "--sizes", "96x128", "--evaluations", "4"]);
        command
    };
    finish(&mut search(1, &one))?;
    finish(search(2, &two).arg("--latency-table").arg(one.join("latency.toml")))?;
    let [expected, found] = [&one, &two].map(|folder| losses(&folder.join("supernet")));
    let (expected, found) = (expected?, found?);
    ensure!(found.len() == expected.len(), "{} steps instead of {}", found.len(), expected.len());
    // The rate is not small: rounding decides over the third step. Separate batch norms differ in the first.
    let pairs = found.iter().zip(&expected).take(2);
    let off = pairs.map(|(a, b)| (a - b).abs() / b).fold(0.0, f64::max);
    ensure!(off < LOSS, "losses differ by {off:.1e}: {found:?}, {expected:?}");
    ensure!(two.join("report.html").exists() && two.join("front/1.safetensors").exists(), "no front");
    println!("a supernet of 2 processes: losses within {off:.1e} in two steps, and a front");
    Ok(())
}

/// The losses of a run's steps.
fn losses(folder: &Path) -> Result<Vec<f64>> {
    Ok(numbers(folder, "loss")?.collect())
}

/// The numbers of one name in a run's journal.
fn numbers(folder: &Path, name: &str) -> Result<impl Iterator<Item = f64>> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl"))?;
    let key = format!("\"{name}\":");
    let numbers: Vec<f64> = text
        .lines()
        .filter_map(|line| line.split(&key).nth(1)?.split([',', '}']).next()?.parse().ok())
        .collect();
    Ok(numbers.into_iter())
}

/// The weights of a run's checkpoint, one after another.
fn weights(folder: &Path) -> Result<Vec<f32>> {
    let bytes = std::fs::read(folder.join("checkpoint.safetensors"))?;
    let (tensors, _) = picodet_weights::read_tensors(&bytes).map_err(|error| anyhow::anyhow!("{error}"))?;
    let own = tensors.into_iter().filter(|(name, _)| name.starts_with("weight/"));
    Ok(own.flat_map(|(_, tensor)| tensor.data).collect())
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

/// Starts two processes that would train for long, and returns when they have taken some steps.
fn start_long(data: &Path, output: &Path) -> Result<Child> {
    let long = ["--batch", "5", "--epochs", "200", "--sizes", "96x96", "--checkpoint-every", "0"];
    let mut command = train(2, data, output, &long);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let start = Instant::now();
    while !output.join("checkpoint.safetensors").exists() {
        ensure!(start.elapsed() < 4 * END, "training does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(child)
}

fn wait(mut child: Child) -> Result<(ExitStatus, Duration)> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status, start.elapsed()));
        }
        if start.elapsed() > END {
            child.kill()?;
            bail!("the others have not ended after {} s", END.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(name: &str, process: u32) -> Result<()> {
    let status = Command::new("kill").args([name, &process.to_string()]).status()?;
    ensure!(status.success(), "process {process} cannot be signalled");
    Ok(())
}

/// The processes that a process has started.
fn children(of: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("only on systems with /proc")? {
        let entry = entry?;
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // `number (name) state parent …`; the name may hold anything.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        if parent.and_then(|parent| parent.parse().ok()) == Some(of) {
            found.push(number);
        }
    }
    Ok(found)
}

/// When one of two processes is killed, the other ends, and the run resumes from its checkpoint.
fn killed(data: &Path, folder: &Path) -> Result<()> {
    for place in [0, 1] {
        let output = folder.join(format!("killed_{place}"));
        let child = start_long(data, &output)?;
        let mut processes = children(child.id())?;
        processes.sort_unstable();
        ensure!(processes.len() == 2, "mpirun has started {processes:?}");
        signal("-9", processes[place])?;
        let (status, time) = wait(child)?;
        ensure!(!status.success(), "mpirun reports success");
        let left = |process: &&u32| {
            std::fs::read_to_string(format!("/proc/{process}/cmdline"))
                .is_ok_and(|line| line.contains("train"))
        };
        ensure!(!processes.iter().any(|process| left(&process)), "a process is left");
        let mut resume = picodet(2);
        resume.args(["train", "--time-limit", "0", "--resume"]).arg(&output);
        finish(&mut resume)?;
        println!("process {place} killed: all ended after {:.1} s, and resumed", time.as_secs_f64());
    }
    Ok(())
}

/// An unreadable image in the shard of one process: the error is reported, and all processes end.
fn failed(data: &Path, folder: &Path) -> Result<()> {
    let broken = folder.join("broken");
    copy(data, &broken)?;
    let names = std::fs::read_to_string(broken.join("ImageSets/Main/train.txt"))?;
    let name = names.lines().nth(7).context("a picture")?.trim();
    std::fs::write(broken.join(format!("JPEGImages/{name}.jpg")), b"no picture")?;
    let output = folder.join("failed");
    let mut command = train(2, &broken, &output, &["--batch", "8", "--epochs", "1", "--sizes", "64x64"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let result = child.wait_with_output()?;
    let told = String::from_utf8_lossy(&result.stderr);
    let line = told.lines().find(|line| line.contains("picodet: process"));
    ensure!(line.is_some_and(|line| line.contains(name)), "the error is not reported: {told}");
    ensure!(result.status.code() == Some(2), "exit code {:?}", result.status.code());
    println!("{}", line.unwrap_or_default());
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            // Not `fs::copy`, which keeps what may not be written.
            std::fs::write(target, std::fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// SIGUSR1 to mpirun ends the run after a step, with a checkpoint.
fn stopped(data: &Path, folder: &Path) -> Result<()> {
    let output = folder.join("stopped");
    let child = start_long(data, &output)?;
    signal("-USR1", child.id())?;
    let (status, time) = wait(child)?;
    ensure!(status.code() == Some(138), "exit code {:?}", status.code());
    println!("a signal to mpirun: all stopped after {:.1} s", time.as_secs_f64());
    Ok(())
}

/// Throughput of one and of two processes with one thread each: printed, not tested.
fn speed(data: &Path, folder: &Path) -> Result<()> {
    for processes in [1, 2, 1, 2] {
        let output = folder.join(format!("speed_{processes}"));
        std::fs::remove_dir_all(&output).ok();
        finish(&mut train(
            processes,
            data,
            &output,
            &["--batch", "16", "--epochs", "1", "--sizes", "320x320"],
        ))?;
        let mut seconds: Vec<f64> = numbers(&output, "step_seconds")?.skip(2).collect();
        seconds.sort_by(f64::total_cmp);
        let middle = seconds.get(seconds.len() / 2).context("no steps")?;
        println!("{processes} processes of 1 thread: {:.1} images/s", 16.0 / middle);
    }
    Ok(())
}
