//! The `picodet` command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    picodet_cli::run(std::env::args_os()).into()
}
