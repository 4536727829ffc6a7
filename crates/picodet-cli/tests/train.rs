//! `picodet train` interrupted, and without a writable disk: exit code, one line of error, and a run that can be resumed from its
//! checkpoint.
#![cfg(unix)]
#![allow(clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

mod squares;

use squares::dataset;

/// Maximum time of any wait.
const TIMEOUT: Duration = Duration::from_secs(120);
const CHECKPOINT: &str = "checkpoint.safetensors";

/// Arguments of a run of many short steps.
fn train(data: &Path, output: &Path) -> Vec<String> {
    let mut arguments: Vec<String> =
        "train v2_xs_320 --batch 4 --epochs 500 --sizes 64x64 --threads 1 --evaluate-every 500 --unchecked"
            .split(' ')
            .map(str::to_owned)
            .collect();
    for (name, path) in [("--data", data), ("--output", output)] {
        arguments.extend([name.to_owned(), path.display().to_string()]);
    }
    arguments
}

/// Arguments that resume a run for one step.
fn resume(run: &Path) -> Vec<String> {
    let run = run.display().to_string();
    ["train", "--resume", &run, "--time-limit", "0"].map(str::to_owned).to_vec()
}

fn program() -> PathBuf {
    assert_cmd::cargo::cargo_bin("picodet")
}

fn run(arguments: &[String]) -> Output {
    Command::new(program()).args(arguments).output().expect("the command runs")
}

/// Runs the command with a maximum file size, in blocks of 512 bytes.
fn run_limited(blocks: usize, arguments: &[String]) -> Output {
    // With the signal ignored, the write fails with an error instead.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &script])
        .arg(program())
        .args(arguments)
        .output()
        .expect("the command runs")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Expects exit code 74 and one line of error that contains the name of the file.
fn assert_cannot_write(output: &Output, file: &str) {
    let text = stderr(output);
    assert_eq!(code(output), Some(74), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("picodet: ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains(file), "`{file}` is not in: {text}");
    assert!(!text.contains("panicked"), "{text}");
}

fn steps(run: &Path) -> usize {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    text.lines().filter(|line| line.contains("\"loss\"")).count()
}

/// Returns the step after which a run resumes, from its status line.
fn resumed_step(output: &Output) -> usize {
    let text = stderr(output);
    let rest = text.split("after step ").nth(1).expect("the step");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

fn no_leftovers(run: &Path) {
    let files = std::fs::read_dir(run).expect("the folder").flatten().map(|entry| entry.file_name());
    let left: Vec<_> = files.filter(|name| name.to_string_lossy().ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn signals_end_a_run_with_a_checkpoint_from_which_it_resumes() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = dataset(folder.path());
    for (signal, expected) in [("-INT", 130), ("-TERM", 143)] {
        let output = folder.path().join(signal);
        let mut child = Command::new(program())
            .args(train(&data, &output))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command runs");
        let start = Instant::now();
        while steps(&output) < 2 && start.elapsed() < TIMEOUT {
            assert!(child.try_wait().expect("a state").is_none(), "{signal}: ended without a signal");
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.expect("a signal").success());
        let status = child.wait().expect("an end");
        assert_eq!(status.code(), Some(expected), "{signal}");
        let before = steps(&output);
        assert!((2..1000).contains(&before), "{signal}: {before} steps");
        let again = run(&resume(&output));
        assert_eq!(code(&again), Some(0), "{signal}: {}", stderr(&again));
        assert_eq!(resumed_step(&again), before, "{signal}: a step was lost");
        assert_eq!(steps(&output), before + 1, "{signal}");
        no_leftovers(&output);
    }
}

#[test]
fn a_full_disk_leaves_the_last_checkpoint_to_resume_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = dataset(folder.path());
    let output = folder.path().join("run");
    let mut first = train(&data, &output);
    first.extend(["--time-limit", "0"].map(str::to_owned));
    let fresh = folder.path().join("fresh");
    let mut refused = train(&data, &fresh);
    refused.extend(["--time-limit", "0"].map(str::to_owned));

    // From the start: a checkpoint is larger than one megabyte.
    assert_cannot_write(&run_limited(2048, &refused), CHECKPOINT);
    no_leftovers(&fresh);

    let started = run(&first);
    assert_eq!(code(&started), Some(0), "{}", stderr(&started));
    let checkpoint = || std::fs::read(output.join(CHECKPOINT)).expect("a checkpoint");
    let kept = checkpoint();
    assert!(kept.len() > 2048 * 512, "{} bytes would fit", kept.len());
    assert_cannot_write(&run_limited(2048, &resume(&output)), CHECKPOINT);
    assert!(checkpoint() == kept, "the old checkpoint is gone");
    no_leftovers(&output);

    let again = run(&resume(&output));
    assert_eq!(code(&again), Some(0), "{}", stderr(&again));
    assert_eq!(resumed_step(&again), 1);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = dataset(folder.path());
    // No user, root included, can create a folder in a file.
    let file = folder.path().join("file");
    std::fs::write(&file, b"x").expect("a file");
    assert_cannot_write(&run(&train(&data, &file.join("run"))), "file/run");

    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).expect("a folder");
    let set = |mode: &str| Command::new("chmod").arg(mode).arg(&closed).status().expect("chmod").success();
    assert!(set("555"));
    if std::fs::write(closed.join("probe"), b"x").is_ok() {
        eprintln!("SKIPPED: this user writes into read-only folders (`cargo xtask train-disk` mounts one)");
        return;
    }
    let refused = run(&train(&data, &closed.join("run")));
    set("755");
    assert_cannot_write(&refused, "closed/run");
}

#[test]
fn an_automatic_batch_reports_its_size_and_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = dataset(folder.path());
    let output = folder.path().join("run");
    let mut arguments = train(&data, &output);
    let at = arguments.iter().position(|argument| argument == "--batch").expect("a batch");
    arguments[at + 1] = "auto".to_owned();
    arguments.extend(["--time-limit", "0"].map(str::to_owned));
    let chosen = run(&arguments);
    let text = stderr(&chosen);
    if !Path::new("/proc/meminfo").exists() {
        assert!(code(&chosen) == Some(2) && text.contains("give a number to --batch"), "{text}");
        return;
    }
    assert_eq!(code(&chosen), Some(0), "{text}");
    assert!(text.contains("batch of 8, about ") && text.contains("this is the number of images"), "{text}");

    arguments[at + 1] = "0".to_owned();
    let refused = run(&arguments);
    assert!(
        code(&refused) == Some(2) && stderr(&refused).contains("at least 1, or auto"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn a_split_that_a_validation_share_replaces_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("data");
    let mut seed = 0u8;
    for split in ["train", "valid"] {
        for index in 0..4 {
            seed += 1;
            let pixels = [seed; 64 * 64 * 3].to_vec();
            let image = picodet::crates::image::Image::new(64, 64, pixels).expect("an image");
            let file = |kind: &str, extension: &str| root.join(format!("{split}/{kind}/{index}.{extension}"));
            for (path, bytes) in [
                (file("images", "png"), picodet::crates::image::encode_png(&image)),
                (file("labels", "txt"), b"0 0.5 0.5 0.4 0.4\n".to_vec()),
            ] {
                fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                fs::write(path, bytes).expect("a file");
            }
        }
    }
    fs::write(root.join("data.yaml"), "train: train/images\nval: valid/images\nnames: [a]\n")
        .expect("a file");
    // The absent weights end the command after its data is read.
    let arguments = |more: &[&str]| {
        let weights = ["--weights", "absent.bin"].iter().chain(more).map(|word| (*word).to_owned());
        train(&root, &folder.path().join("run")).into_iter().chain(weights).collect::<Vec<_>>()
    };
    let line = "--validation-share: the split `val` of the dataset is not used";
    assert!(stderr(&run(&arguments(&["--validation-share", "0.5"]))).contains(line));
    let own = stderr(&run(&arguments(&["--validation-share", "0.5", "--split", "val"])));
    assert!(!own.contains("is not used"), "{own}");
    assert!(!stderr(&run(&arguments(&[]))).contains("is not used"));
}
