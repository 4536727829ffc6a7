//! Checks a dataset and writes the report: `check_dataset PATH [REPORT.html]`.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use picodet_data::{CheckOptions, check, render_html, render_text};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: check_dataset PATH [REPORT.html]")?;
    let checked = check(path, None, &CheckOptions::default())?;
    io::stdout().lock().write_all(render_text(&checked.report).as_bytes())?;
    if let Some(html) = arguments.next() {
        std::fs::write(html, render_html(&checked))?;
    }
    Ok(ExitCode::from(checked.report.exit_code()))
}
