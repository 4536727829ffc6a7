//! Output streams: results go to standard output, status and errors to standard error, or all of them to the host.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use picodet_format::write_atomically;

use crate::host::{self, HostEvent};

/// Writes the result of a command to standard output or to the host. A reader that closed the pipe (`head`, a pager) needs no
/// more of it, which is no error: the command still writes its files and has its exit code.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn print_result(text: &str) -> std::io::Result<()> {
    match print_part(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes one of many parts of a result to standard output or to the host.
///
/// # Errors
/// When the reader closed the pipe, or standard output cannot be written.
pub(crate) fn print_part(text: &str) -> std::io::Result<()> {
    if host::send(|| HostEvent::Result(text.to_owned())) {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes one line of status to standard error or to the host; a failure to write is ignored.
pub(crate) fn status(text: &str) {
    if !host::send(|| HostEvent::Status(text.to_owned())) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

/// Writes an error and its causes to standard error, in one line.
pub(crate) fn report_error(error: &anyhow::Error) {
    status(&format!("picodet: {}", one_line(error)));
}

/// Writes a file atomically; errors contain the path.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically(path, bytes).with_context(|| path.display().to_string())
}

/// Checks that the file to write is not the one that is read.
///
/// # Errors
/// When both paths are of the same file.
pub(crate) fn refuse_own_source(source: &Path, output: &Path) -> Result<()> {
    let is_same =
        source.canonicalize().is_ok_and(|source| output.canonicalize().is_ok_and(|output| source == output));
    ensure!(!is_same, "{}: this is the file that is read; give another one as --output", output.display());
    Ok(())
}

/// Joins an error and its causes in one line, without causes that the text before already contains.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(|cause| cause.to_string().replace('\n', " ")) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whether a command ended because the reader of its output (`head`, a pager) closed the pipe.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
    };
    error.chain().any(|cause| io(cause) == Some(std::io::ErrorKind::BrokenPipe))
}
