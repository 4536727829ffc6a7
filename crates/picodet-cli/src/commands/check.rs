//! `picodet check`: what is wrong with a dataset.

use std::process::ExitCode;

use anyhow::{Context, Result};
use picodet::data::{CheckOptions, check, fix, render_html, render_json, render_text};
use picodet_format::write_atomically;

use crate::args::{Check, ReportFormat};
use crate::output::{complain, say};

pub(crate) fn run(command: &Check) -> Result<ExitCode> {
    let (height, width) = command.input_size;
    let options = CheckOptions {
        input: (width as u32, height as u32),
        decode: !command.fast,
        ..CheckOptions::default()
    };
    let checked = check(&command.dataset, command.split.as_deref(), &options)?;
    let text = match command.format {
        ReportFormat::Text => render_text(&checked.report),
        ReportFormat::Json => render_json(&checked.report),
    };
    say(&format!("{}\n", text.trim_end()))?;
    if let Some(path) = &command.html {
        write_atomically(path, render_html(&checked).as_bytes())
            .with_context(|| path.display().to_string())?;
        complain(&format!("report: {}", path.display()));
    }
    if let Some(folder) = &command.fix {
        let report = fix(&checked, folder)?;
        for (action, count) in &report.actions {
            complain(&format!("{action}: {count}"));
        }
        super::data::tell_written(&report.written, folder);
    }
    Ok(ExitCode::from(checked.report.exit_code()))
}
