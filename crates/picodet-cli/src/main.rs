//! The `picodet` command: a thin reader of the functions in the crate `picodet`.
//!
//! Exit codes: 0 all went well, 1 some of the work failed (each failure is named), 2 nothing could be done. `check` ends
//! with 0 for a clean dataset, 1 for warnings, 2 for errors. `train` ends with 130 or 143 after SIGINT or SIGTERM, with 74
//! where a file could not be written.

mod args;
mod commands;
mod images;
mod memory;
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
            output::complain(&format!("picodet: {}", output::one_line(&error)));
            ExitCode::from(2)
        }
    }
}
