//! Why COCO JSON cannot be read or written.

/// Why COCO JSON cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Reading or writing failed, or a limit on depth or token length is exceeded.
    #[error("cannot read or write: {0}")]
    Io(#[from] std::io::Error),
    /// The input is not the expected JSON.
    #[error("{element}line {line}, column {column}: {problem}")]
    Malformed {
        /// The list and 0-based index of the entry, as in `detection 3: `; empty outside of the lists.
        element: String,
        /// The problem.
        problem: String,
        /// 1-based line.
        line: usize,
        /// 1-based column in bytes.
        column: usize,
    },
    /// An entry lacks a value, or has one that cannot be used.
    #[error("detection {index}: {problem}")]
    Entry {
        /// 0-based index of the entry.
        index: usize,
        /// The problem.
        problem: String,
    },
    /// The JSON of a results file has another form.
    #[error("{found}; {advice}")]
    NotResults {
        /// The form, with its article.
        found: &'static str,
        /// The form to write instead.
        advice: &'static str,
    },
    /// The input is larger than allowed.
    #[error("the input is larger than {limit} bytes; raise the limit if this is intended")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// An annotation file lacks a list.
    #[error("missing list `{field}`; a COCO annotation file has images, annotations and categories")]
    MissingList {
        /// Name of the list.
        field: &'static str,
    },
    /// A NaN or infinite value cannot be written as JSON.
    #[error(
        "detection {index}: {field} is NaN or infinite, which JSON cannot represent; \
         the model has diverged or its weights are damaged"
    )]
    NotFinite {
        /// 0-based index of the detection.
        index: usize,
        /// Name of the field.
        field: &'static str,
    },
}

/// The problem of a number that JSON does not have.
const NO_JSON_NUMBER: &str = " is not a valid JSON number";

impl JsonError {
    /// The 1-based line of the problem, if it is known.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Malformed { line, .. } if *line > 0 => Some(*line),
            _ => None,
        }
    }

    /// Converts a parser's error in the entry `element` (as in `detection 3: `).
    pub(super) fn new(error: serde_json::Error, element: String) -> Self {
        if error.is_io() {
            return Self::Io(error.into());
        }
        let (line, column, text) = (error.line(), error.column(), error.to_string());
        let problem = text.rsplit_once(" at line ").map_or(text.as_str(), |(problem, _)| problem).to_owned();
        Self::Malformed { element, problem, line, column }
    }

    /// Adds the 0-based line and column at which the text of a parser begins.
    pub(super) fn moved(mut self, (lines, columns): (usize, usize)) -> Self {
        if let Self::Malformed { line, column, .. } = &mut self {
            *column += if *line <= 1 { columns } else { 0 };
            *line += lines;
        }
        self
    }

    /// Adds the entry of a list: `kind` as in `image`, or empty, and its index.
    pub(super) fn of(mut self, kind: &str, index: usize) -> Self {
        if let Self::Malformed { element, .. } = &mut self
            && !kind.is_empty()
        {
            *element = format!("{kind} {index}: ");
        }
        self
    }

    /// Whether the parser stopped at NaN or an infinity in `bytes`.
    pub(super) fn is_non_finite(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Malformed { problem, line, column, .. } => {
                problem.contains("number out of range") || non_finite_token(bytes, *line, *column).is_some()
            }
            _ => false,
        }
    }

    /// Converts a parser's error in `bytes`; names NaN and the infinities, which Python's `json` module
    /// writes.
    pub(super) fn in_slice(error: serde_json::Error, element: String, bytes: &[u8]) -> Self {
        let mut error = Self::new(error, element);
        if let Self::Malformed { problem, line, column, .. } = &mut error
            && let Some(token) = non_finite_token(bytes, *line, *column)
        {
            *problem = format!("{token}{NO_JSON_NUMBER}");
        }
        error
    }

    /// Adds the cause of NaN in the detections of a model.
    pub(super) fn of_a_model(mut self) -> Self {
        if let Self::Malformed { problem, .. } = &mut self
            && problem.ends_with(NO_JSON_NUMBER)
        {
            problem.push_str("; the model has diverged or its weights are damaged");
        }
        self
    }
}

/// The token for NaN or an infinity at the position where the parser stopped.
fn non_finite_token(bytes: &[u8], line: usize, column: usize) -> Option<&'static str> {
    let text = bytes.split(|&byte| byte == b'\n').nth(line.checked_sub(1)?)?;
    let before = &text[column.saturating_sub(2).min(text.len())..];
    let tokens = ["NaN", "-NaN", "-Infinity", "Infinity"];
    tokens.into_iter().find(|token| {
        (0..2).any(|skip| before.get(skip..).is_some_and(|rest| rest.starts_with(token.as_bytes())))
    })
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error, String::new())
    }
}

/// Why an entry of an annotation file is refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// A required field is missing.
    #[error("missing field `{0}`")]
    Missing(&'static str),
    /// An id is a text where only integers are supported.
    #[error("`{0}` is a text, an integer is expected")]
    TextId(&'static str),
    /// A box has another number of values than four.
    #[error("`bbox` has {0} values instead of 4")]
    BoxLength(usize),
    /// A value of a box is null.
    #[error("`bbox` contains null")]
    BoxNull,
}
