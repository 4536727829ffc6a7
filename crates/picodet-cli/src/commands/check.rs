//! `picodet check`: reports and repairs problems of a dataset.

use crate::ExitCode;

use anyhow::Result;
use picodet::crates::data::{
    CheckOptions, Images, WriteOptions, check, fix, render_html, render_json, render_text,
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
    let text = match command.format {
        ReportFormat::Text => render_text(&checked.report),
        ReportFormat::Json => render_json(&checked.report),
    };
    print_result(&format!("{}\n", text.trim_end()))?;
    if let Some(path) = &command.html {
        write_file(path, render_html(&checked).as_bytes())?;
        status(&format!("report: {}", path.display()));
    }
    if let Some(folder) = &command.fix {
        let options = WriteOptions::from(Images::Copy)
            .with_loss(command.allow_loss)
            .with_crowds_as_objects(command.crowds_as_objects);
        let report = fix(&checked, folder, options)?;
        for (action, count) in &report.actions {
            status(&format!("{action}: {count}"));
        }
        super::data::report_written(&report.written, folder);
    }
    Ok(ExitCode::from(checked.report.exit_code()))
}
