//! `cargo xtask fuzz`: runs the fuzz targets of all parsers, from seeds that the tests' generators write.

mod seeds;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{cross, memory};

/// Seconds for each target unless `--seconds` states others.
const SECONDS: u64 = 600;
/// An input that takes more seconds is a finding.
const TIMEOUT: &str = "-timeout=20";
/// A target that needs more memory, in MB, is a finding.
const MEMORY: &str = "-rss_limit_mb=2500";

/// What the command line asks for.
struct Options {
    targets: Vec<String>,
    seconds: u64,
    seeds_only: bool,
}

/// Outcome of one target.
struct Outcome {
    target: String,
    seconds: u64,
    executions: u64,
    coverage: u64,
    finding: Option<String>,
}

/// Runs the targets that the arguments name (all by default), one after the other, and prints a table.
///
/// # Errors
/// When cargo-fuzz or a nightly toolchain is missing, a target does not build, or one has a finding.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = options(arguments, &targets()?)?;
    for target in &options.targets {
        let count = seeds::write(target, &corpus(target))?;
        println!("{target}: {count} seeds");
    }
    if options.seeds_only {
        return Ok(());
    }
    build(&options.targets)?;
    let outcomes: Vec<Outcome> =
        (options.targets.iter()).map(|target| fuzz(target, options.seconds)).collect::<Result<_>>()?;
    println!("\n{:<12} {:>8} {:>12} {:>9}  finding", "target", "seconds", "executions", "coverage");
    for outcome in &outcomes {
        println!(
            "{:<12} {:>8} {:>12} {:>9}  {}",
            outcome.target,
            outcome.seconds,
            outcome.executions,
            outcome.coverage,
            outcome.finding.as_deref().unwrap_or("none")
        );
    }
    let found = outcomes.iter().filter(|outcome| outcome.finding.is_some()).count();
    if found > 0 {
        bail!("{found} targets have a finding: its input is in fuzz/artifacts; see fuzz/README.md");
    }
    Ok(())
}

fn options(arguments: &[String], known: &[String]) -> Result<Options> {
    let mut options = Options { targets: Vec::new(), seconds: SECONDS, seeds_only: false };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => {
                let seconds = arguments.next().and_then(|seconds| seconds.parse().ok());
                options.seconds = seconds.context("--seconds needs a number")?;
            }
            "--seeds" => options.seeds_only = true,
            target if known.iter().any(|name| name == target) => options.targets.push(target.to_owned()),
            other => bail!("no fuzz target `{other}`; there are {}", known.join(", ")),
        }
    }
    if options.targets.is_empty() {
        options.targets = known.to_vec();
    }
    Ok(options)
}

/// Returns the names of all targets, sorted.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("fuzz/fuzz_targets")? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort_unstable();
    Ok(names)
}

fn corpus(target: &str) -> PathBuf {
    Path::new("fuzz/corpus").join(target)
}

/// Builds targets with the address sanitizer.
fn build(targets: &[String]) -> Result<()> {
    let installed = Command::new("cargo-fuzz").arg("--version").stdout(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        bail!(
            "cargo-fuzz is not installed: `cargo install cargo-fuzz`, and `rustup toolchain install nightly`"
        );
    }
    targets.iter().try_for_each(|target| cross::run(memory::nightly().args(["fuzz", "build", target])))
}

/// Runs one target for a time; its output is kept in `fuzz/artifacts/TARGET.log`.
fn fuzz(target: &str, seconds: u64) -> Result<Outcome> {
    let artifacts = Path::new("fuzz/artifacts").join(target);
    fs::create_dir_all(&artifacts)?;
    let log = artifacts.with_extension("log");
    let program = Path::new("fuzz/target").join(memory::HOST).join("release").join(target);
    let mut command = Command::new(&program);
    command
        .arg(corpus(target))
        .args([TIMEOUT, MEMORY, "-print_final_stats=1", &format!("-max_total_time={seconds}")])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // Constants of the same name in several crates.
        .env("ASAN_OPTIONS", "detect_odr_violation=0")
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let dictionary = Path::new("fuzz/dictionaries").join(target).with_extension("dict");
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    println!("{target}: {seconds} seconds");
    let start = Instant::now();
    let status = command.status().with_context(|| format!("{} does not start", program.display()))?;
    let seconds = start.elapsed().as_secs();
    let output = BufReader::new(File::open(&log)?).split(b'\n').collect::<Result<Vec<_>, _>>()?;
    let lines: Vec<String> =
        output.iter().map(|line| String::from_utf8_lossy(line).trim().to_owned()).collect();
    let finding = (!status.success()).then(|| finding(&lines).unwrap_or_else(|| status.to_string()));
    if let Some(finding) = &finding {
        println!("{target}: {finding}");
    }
    let (executions, coverage) = statistics(&lines);
    Ok(Outcome { target: target.to_owned(), seconds, executions, coverage, finding })
}

/// Returns the last executions and coverage that libFuzzer has printed.
fn statistics(lines: &[String]) -> (u64, u64) {
    let (mut executions, mut coverage) = (0, 0);
    for line in lines {
        let mut words = line.split_whitespace();
        let count = line.strip_prefix('#').and_then(|rest| number(rest.split_whitespace().next()?));
        executions = count.unwrap_or(executions);
        let reached = words.find(|word| *word == "cov:").and_then(|_| number(words.next()?));
        coverage = reached.unwrap_or(coverage);
    }
    (executions, coverage)
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// Returns the first line that describes the failure.
fn finding(lines: &[String]) -> Option<String> {
    let marks = ["panicked at", "ERROR: ", "SUMMARY: "];
    let at = lines.iter().position(|line| marks.iter().any(|mark| line.contains(mark)))?;
    // The message of a panic is in the line below.
    let below = if lines[at].contains("panicked at") { lines.get(at + 1) } else { None };
    Some([lines[at].as_str(), below.map_or("", String::as_str)].join(" ").trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_libfuzzer_is_understood() {
        let output = "INFO: seed corpus: files: 2\n\
            #2      INITED cov: 812 ft: 1630 corp: 2/11Kb exec/s: 0 rss: 80Mb\n\
            #4096   pulse  cov: 1012 ft: 2230 corp: 9/14Kb lim: 4096 exec/s: 2048 rss: 81Mb\n\
            thread '<unnamed>' panicked at src/lib.rs:3:5:\n\
            index out of bounds\n";
        let lines: Vec<String> = output.lines().map(|line| line.trim().to_owned()).collect();
        assert_eq!(statistics(&lines), (4096, 1012));
        assert!(finding(&lines).is_some_and(|text| text.ends_with("lib.rs:3:5: index out of bounds")));
    }

    #[test]
    fn arguments_choose_targets_and_time() {
        let known = ["coco".to_owned(), "voc".to_owned()];
        let of =
            |text: &str| options(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), &known);
        let chosen = of("voc --seconds 5").expect("sound arguments");
        assert_eq!((chosen.targets, chosen.seconds), (vec!["voc".to_owned()], 5));
        assert_eq!(of("").expect("all targets").targets, known);
        assert!(of("json").is_err() && of("--seconds").is_err());
    }
}
