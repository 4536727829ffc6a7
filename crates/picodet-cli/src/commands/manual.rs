//! `picodet completions` and `picodet man`: shell completions and manual pages, generated from the arguments.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::args::{Arguments, Completions, Man};
use crate::output::print_result;

pub(crate) fn completions(command: &Completions) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut Arguments::command(), "picodet", &mut script);
    print_result(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(command: &Man) -> Result<ExitCode> {
    if let Some(folder) = &command.output {
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
            .with_context(|| folder.display().to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
    print_result(&String::from_utf8(page)?)?;
    Ok(ExitCode::SUCCESS)
}
