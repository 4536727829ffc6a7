//! Generates the shell completions and the manual pages of `picodet` from its argument definitions:
//!
//! ```text
//! cargo run -p picodet-cli --example manual -- completions SHELL
//! cargo run -p picodet-cli --example manual -- man FOLDER
//! ```
//!
//! A separate program: the generators would make `picodet` itself 190 KB larger.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser};
use clap_complete::Shell;

// Only the program reads the fields.
#[allow(dead_code, unused_imports)]
#[path = "../src/args/mod.rs"]
mod args;

/// Generate shell completions or manual pages of picodet
#[derive(Parser)]
enum Generate {
    /// Print a completion script
    Completions {
        /// Shell to complete in
        shell: Shell,
    },
    /// Write the manual pages of all commands
    Man {
        /// Folder for the pages
        folder: PathBuf,
    },
}

fn main() -> Result<()> {
    match Generate::parse() {
        Generate::Completions { shell } => std::io::stdout().write_all(&completions(shell))?,
        Generate::Man { folder } => write_pages(&folder)?,
    }
    Ok(())
}

/// Returns the completion script for a shell.
fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::Arguments::command(), "picodet", &mut script);
    script
}

/// Writes one page per command into a folder, which is created.
fn write_pages(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(args::Arguments::command(), folder))
        .with_context(|| folder.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_name_commands_and_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
            let script = String::from_utf8(completions(shell)).expect("text");
            for word in ["detect", "nms-iou", "train", "resume"] {
                assert!(script.contains(word), "{shell}: no {word}");
            }
        }
    }

    #[test]
    fn every_command_has_a_manual_page() {
        let folder = tempfile::tempdir().expect("a folder");
        write_pages(&folder.path().join("pages")).expect("pages");
        let page = |name: &str| std::fs::read_to_string(folder.path().join("pages").join(name));
        let main = page("picodet.1").expect("the page of the program");
        assert!(main.contains("PP\\-PicoDet") && main.contains("SUBCOMMANDS"), "{main}");
        for command in args::Arguments::command().get_subcommands() {
            let name = format!("picodet-{}.1", command.get_name());
            assert!(page(&name).is_ok_and(|text| text.contains(".TH")), "no page {name}");
        }
    }
}
