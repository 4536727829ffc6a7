//! `cargo xtask start`: the time from the start of the release program to its first line of detections.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::build;

const RUNS: usize = 40;

/// Builds the program, runs it on the README's photo with one and with two threads in turns, and prints medians.
///
/// # Errors
/// When the program does not build, does not run, or finds no objects.
pub(crate) fn run() -> Result<()> {
    build::cargo(&["build", "--release", "--package", "picodet-cli"])?;
    let program = build::target_folder()?.join("release/picodet");
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..RUNS {
        for (threads, times) in ["1", "2"].iter().zip(&mut times) {
            let mut command = Command::new(&program);
            command.args(["detect", "examples/coffee.jpg", "--threads", threads]);
            let start = Instant::now();
            let mut child = command.stdout(Stdio::piped()).spawn().context("the program does not start")?;
            let mut out = BufReader::new(child.stdout.take().context("no output")?);
            let mut line = String::new();
            out.read_line(&mut line)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            out.read_to_string(&mut line)?;
            if !child.wait()?.success() || line.is_empty() {
                bail!("the program found no objects");
            }
        }
    }
    for (threads, times) in [1, 2].iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("{threads} threads: {:.1} ms to the first line, median of {RUNS}", times[RUNS / 2]);
    }
    Ok(())
}
