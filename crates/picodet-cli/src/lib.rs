//! The `picodet` command as a library: parses arguments and calls the functions of the crate `picodet`.
//!
//! Exit codes: 0 success, 1 some inputs failed (each is reported), 2 failure. `check` exits with 0 for a clean dataset, 1
//! for warnings and 2 for errors; `quantise` with 3 for a model that loses more than it may; `train` with 130 or 143 after SIGINT
//! or SIGTERM, and with 74 when a file cannot be written.

#![forbid(unsafe_code)]

mod args;
mod command_error;
mod commands;
mod exit_code;
mod host;
mod image_ids;
mod images;
mod model;
mod output;
mod processes;

use std::ffi::OsString;

use anyhow::Result;
use clap::Parser;

pub use self::command_error::{CommandError, ErrorKind};
pub use self::exit_code::ExitCode;
pub use self::host::{Host, HostEvent};
use crate::args::{Arguments, Command};

/// Runs the command with its name and arguments, as a program does: results go to standard output, status and errors to
/// standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            // A closed stream cannot be reported anywhere.
            let _ = message.print();
            return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(&arguments.command) {
        Ok(code) => code,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::report_error(&error);
            ExitCode::from(2)
        }
    }
}

/// Runs the command with its name and arguments on this thread inside another program, which receives results, status and
/// progress.
///
/// # Errors
/// When the arguments are invalid or the command fails; the program would exit with code 2.
pub fn run_within(
    host: Host,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<ExitCode, CommandError> {
    let arguments = Arguments::try_parse_from(arguments)?;
    Ok(host::within(host, || dispatch(&arguments.command))?)
}

/// Opens a model as the option `--model` does: an embedded or published model by name, a file, or an https URL.
///
/// # Errors
/// When there is no such model, or it cannot be downloaded or read.
pub fn open_model(name: &str) -> Result<picodet::Model, CommandError> {
    Ok(model::open(&args::ModelArguments::named(name))?)
}

fn dispatch(command: &Command) -> Result<ExitCode> {
    match command {
        Command::Detect(command) => commands::detect::run(command),
        Command::Info(command) => commands::info::run(command),
        Command::Convert(command) => commands::convert::run(command),
        Command::Forward(command) => commands::forward::run(command),
        Command::Models => commands::models::run(),
        Command::Bench(command) => commands::bench::run(command),
        Command::Eval(command) => commands::eval::run(command),
        Command::Quantise(command) => commands::quantise::run(command),
        Command::Export(command) => commands::export::run(command),
        Command::Verify(command) => commands::verify::run(command),
        Command::Train(command) => commands::train::run(command),
        Command::Search(command) => commands::search::run(command),
        Command::Check(command) => commands::check::run(command),
        Command::Data(command) => commands::data::run(command),
    }
}
