//! Help texts.

use std::path::Path;

use crate::harness::{Case, check, run};

/// The version in `--version`.
const VERSION: &str = r"picodet v?\d+\.\d+\.\d+";

const HELP: &[Case] = &[
    ("help", "--help"),
    ("help-version", "--version"),
    ("help-detect", "detect --help"),
    ("help-info", "info --help"),
    ("help-convert", "convert --help"),
    ("help-forward", "forward --help"),
    ("help-models", "models --help"),
    ("help-quantise", "quantise --help"),
    ("help-export", "export --help"),
    ("help-bench", "bench --help"),
    ("help-train", "train --help"),
    ("help-search", "search --help"),
    ("help-search-find", "search find --help"),
    ("help-search-latency", "search latency --help"),
    ("help-eval", "eval --help"),
    ("help-verify", "verify --help"),
    ("help-check", "check --help"),
    ("help-data", "data --help"),
    ("help-data-convert", "data convert --help"),
    ("help-data-split", "data split --help"),
];

#[test]
fn help_texts() {
    check(Path::new(env!("CARGO_MANIFEST_DIR")), HELP, &[(VERSION, "picodet [VERSION]")]);
}

#[test]
fn every_command_has_a_help_snapshot() {
    let text = run(Path::new(env!("CARGO_MANIFEST_DIR")), "--help", &[]);
    let commands: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 10, "{text}");
    let missing: Vec<&&str> = commands
        .iter()
        .filter(|command| !HELP.iter().any(|(_, arguments)| *arguments == format!("{command} --help")))
        .collect();
    assert!(missing.is_empty(), "commands without a snapshot: {missing:?}");
}
