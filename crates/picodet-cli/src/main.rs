//! The `picodet` command: parses arguments and calls the functions of the crate `picodet`.
//!
//! Exit codes: 0 success, 1 some inputs failed (each is reported), 2 failure. `check` exits with 0 for a clean dataset, 1
//! for warnings and 2 for errors; `train` with 130 or 143 after SIGINT or SIGTERM, and with 74 when a file cannot be
//! written.

#![forbid(unsafe_code)]

mod args;
mod commands;
mod image_ids;
mod images;
mod model;
mod output;
mod processes;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Command::Detect(command) => commands::detect::run(command),
        Command::Info(command) => commands::info::run(command),
        Command::Convert(command) => commands::convert::run(command),
        Command::Forward(command) => commands::forward::run(command),
        Command::Models => commands::models::run(),
        Command::Bench(command) => commands::bench::run(command),
        Command::Eval(command) => commands::eval::run(command),
        Command::Export(command) => commands::export::run(command),
        Command::Verify(command) => commands::verify::run(command),
        Command::Train(command) => commands::train::run(command),
        Command::Check(command) => commands::check::run(command),
        Command::Data(command) => commands::data::run(command),
    };
    match result {
        Ok(code) => code,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::report_error(&error);
            ExitCode::from(2)
        }
    }
}
