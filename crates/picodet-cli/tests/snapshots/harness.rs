//! Runs the command and compares its output with a snapshot.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use regex::Regex;

/// Name of a snapshot, and the arguments, separated by spaces.
pub(crate) type Case = (&'static str, &'static str);

/// Pattern and replacement of text that differs between machines and runs.
pub(crate) type Filter = (&'static str, &'static str);

/// Scores, boxes, losses, times and other decimals.
pub(crate) const DECIMALS: Filter = (r"-?\d+\.\d+(e-?\d+)?", "[N]");
/// All numbers of indented JSON.
pub(crate) const JSON_NUMBERS: Filter = (r"(: )-?\d+(\.\d+)?(e-?\d+)?\b", "$1[N]");

/// Runs the command in `folder` and returns exit code and both streams, with `filters` applied to the streams.
pub(crate) fn run(folder: &Path, arguments: &str, filters: &[Filter]) -> String {
    let output = Command::new(assert_cmd::cargo::cargo_bin("picodet"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env_remove("COLUMNS")
        .env("PICODET_CACHE", "cache")
        .output()
        .expect("the command runs");
    let mut text = format!("$ picodet {arguments}\nexit code: {}\n", output.status.code().unwrap_or(-1));
    for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        if !bytes.is_empty() {
            let stream =
                String::from_utf8(bytes).expect("text").replace(&folder.display().to_string(), "[FOLDER]");
            let stream = filters.iter().fold(stream, |stream, (pattern, replacement)| {
                Regex::new(pattern).expect("a pattern").replace_all(&stream, *replacement).into_owned()
            });
            text += &format!("----- {name} -----\n{stream}");
        }
    }
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// Compares each case with its snapshot and reports all that differ.
pub(crate) fn check(folder: &Path, cases: &[Case], filters: &[Filter]) {
    let failed: Vec<&str> = cases
        .iter()
        .filter(|(name, arguments)| {
            let text = run(folder, arguments, filters);
            catch_unwind(AssertUnwindSafe(|| compare(name, &text))).is_err()
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(failed.is_empty(), "snapshots that differ: {failed:?}");
}

/// Compares a text with a snapshot.
fn compare(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("text");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
