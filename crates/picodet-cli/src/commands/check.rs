//! `picodet check`: reports and repairs problems of a dataset.

use crate::ExitCode;

use anyhow::Result;
use picodet::crates::data::{
    CheckOptions, Checked, Images, Severity, WriteOptions, check, fix, render_html, render_json, render_text,
};

use crate::args::{Check, ReportFormat};
use crate::output::{print_result, status, write_file};

pub(crate) fn run(command: &Check) -> Result<ExitCode> {
    let (height, width) = command.input_size;
    let options = CheckOptions {
        input: (width as u32, height as u32),
        decode: !command.fast,
        crowds_as_objects: command.crowds_as_objects,
        limits: command.limits.limits(),
        ..CheckOptions::default()
    };
    let checked = check(&command.dataset, command.split.as_deref(), &options)?;
    let Some(folder) = &command.fix else { return report(command, &checked) };
    let write_options = WriteOptions::from(Images::Copy)
        .with_loss(command.allow_loss)
        .with_crowds_as_objects(command.crowds_as_objects);
    let fixed = match fix(&checked, folder, write_options) {
        Ok(fixed) => fixed,
        Err(error) => {
            report(command, &checked)?;
            return Err(error.into());
        }
    };
    let count = |severity: Severity| checked.report.findings.count_of(severity);
    status(&format!(
        "before the repair: {} errors, {} warnings",
        count(Severity::Error),
        count(Severity::Warning)
    ));
    for (action, count) in &fixed.actions {
        status(&format!("{action}: {count}"));
    }
    super::data::report_written(&fixed.written, folder);
    report(command, &check(folder, None, &options)?)
}

/// Prints the report of a dataset; the exit code is that of its findings.
fn report(command: &Check, checked: &Checked) -> Result<ExitCode> {
    let text = match command.format {
        ReportFormat::Text => render_text(&checked.report),
        ReportFormat::Json => render_json(&checked.report),
    };
    print_result(&format!("{}\n", text.trim_end()))?;
    if let Some(path) = &command.html {
        write_file(path, render_html(checked).as_bytes())?;
        status(&format!("report: {}", path.display()));
    }
    Ok(ExitCode::from(checked.report.exit_code()))
}
