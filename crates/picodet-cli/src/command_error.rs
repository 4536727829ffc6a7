//! The error of a command inside another program.

use anyhow::Error;

use crate::output::one_line;

/// The error of a command: one line, what, where, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct CommandError {
    /// The line.
    pub message: String,
    /// Subject of the error.
    pub kind: ErrorKind,
}

/// Subject of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The arguments.
    Arguments,
    /// A model file.
    Model,
    /// An image file.
    Image,
    /// Anything else.
    Other,
}

impl From<clap::Error> for CommandError {
    fn from(error: clap::Error) -> Self {
        // The first paragraph; the others list the usage.
        let text = error.render().to_string();
        let paragraph = text.split("\n\n").next().unwrap_or_default();
        let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let message = line.strip_prefix("error: ").unwrap_or(&line).to_owned();
        Self { message, kind: ErrorKind::Arguments }
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        let kind = error.chain().find_map(kind).unwrap_or(ErrorKind::Other);
        Self { message: one_line(&error), kind }
    }
}

fn kind(cause: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    use picodet::Error as Detect;
    if cause.is::<picodet::ModelError>() || cause.is::<picodet::ConvertError>() {
        return Some(ErrorKind::Model);
    }
    if cause.is::<picodet::crates::image::DecodeError>() {
        return Some(ErrorKind::Image);
    }
    match cause.downcast_ref()? {
        Detect::Model(_) | Detect::Metadata(_) | Detect::Plan(_) => Some(ErrorKind::Model),
        Detect::Decode(_) | Detect::DecodeFile { .. } => Some(ErrorKind::Image),
        _ => None,
    }
}
