//! Splits an object of lists into the entries of the lists, each of which is parsed in memory while only one is held.

use std::fmt;
use std::io::{self, Read};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, Visitor};

use super::JsonError;
use crate::json::JsonGuard;
use crate::json::scan::{Nesting, is_separator, is_structural};

/// Longest string or number of an annotation file in bytes.
const MAX_TOKEN: u64 = 16 << 20;
/// Longest entry of a list in bytes.
const MAX_ENTRY: usize = 256 << 20;
/// Bytes that are read at once.
const BLOCK: usize = 1 << 18;

/// An entry of a list.
pub(super) struct Entry<'a> {
    /// 0-based index in its list.
    pub(super) index: usize,
    /// Its JSON text.
    text: &'a [u8],
    kind: &'static str,
    before: Before<'a>,
}

/// The text before a position.
#[derive(Clone, Copy)]
struct Before<'a> {
    /// The part in memory.
    text: &'a [u8],
    /// Number of line breaks before that part, and bytes of its first line before it.
    lines: usize,
    columns: usize,
}

impl Before<'_> {
    /// The 0-based line and column.
    fn place(self) -> (usize, usize) {
        let breaks = self.text.iter().filter(|&&byte| byte == b'\n').count();
        match self.text.iter().rposition(|&byte| byte == b'\n') {
            Some(last) => (self.lines + breaks, self.text.len() - 1 - last),
            None => (self.lines, self.columns + self.text.len()),
        }
    }
}

impl Entry<'_> {
    /// Parses the entry.
    ///
    /// # Errors
    /// [`JsonError::Malformed`] with the position in the file.
    pub(super) fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T, JsonError> {
        serde_json::from_slice(self.text).map_err(|error| self.error(error))
    }

    fn error(&self, error: serde_json::Error) -> JsonError {
        JsonError::in_slice(error, self.prefix(), self.text).moved(self.before.place())
    }

    /// Accepts `null` only.
    fn parse_null(&self, expected: &str) -> Result<(), JsonError> {
        let mut deserializer = serde_json::Deserializer::from_slice(self.text);
        deserializer.deserialize_any(Null { expected }).map_err(|error| self.error(error))
    }

    /// The error for an entry that is refused for `problem`.
    pub(super) fn refused(&self, problem: &impl fmt::Display) -> JsonError {
        let (element, problem) = (self.prefix(), problem.to_string());
        JsonError::Malformed { element, problem, line: 1, column: 1 }.moved(self.before.place())
    }

    fn prefix(&self) -> String {
        match self.kind {
            "" => String::new(),
            kind => format!("{kind} {}: ", self.index),
        }
    }
}

/// Receives the name of a list at its beginning (`None`), and each of its entries.
pub(super) type Receiver<'a> = dyn FnMut(&str, Option<Entry<'_>>) -> Result<(), JsonError> + 'a;

/// Passes the entries of the lists of an object to `receive`. `kinds` maps names of lists to names of their entries in
/// error messages; other values of the object are skipped.
///
/// # Errors
/// [`JsonError`] when the input is no such JSON, and those of `receive`.
pub(super) fn split(
    reader: &mut dyn Read,
    kinds: &[(&'static str, &'static str)],
    receive: &mut Receiver<'_>,
) -> Result<(), JsonError> {
    let expected = "an object with `images`, `annotations` and `categories`";
    let mut input = Input::new(reader);
    match input.peek()? {
        Some(b'{') => input.position += 1,
        Some(b'[') => return Err(input.error(format!("invalid type: sequence, expected {expected}"))),
        _ => return Err(input.unexpected_value(expected)),
    }
    let mut first = true;
    while input.next_item(first, b'}', "an object")? {
        first = false;
        if input.peek()? != Some(b'"') {
            return Err(input.error("key must be a string"));
        }
        let name: String = input.entry("", 0)?.parse()?;
        match input.peek()? {
            Some(b':') => input.position += 1,
            Some(_) => return Err(input.error("expected `:`")),
            None => return Err(input.error("EOF while parsing an object")),
        }
        let kind = kinds.iter().find(|(list, _)| *list == name).map(|&(_, kind)| kind);
        if kind.is_some() {
            receive(&name, None)?;
        }
        match (input.peek()?, kind) {
            (Some(b'['), _) => input.split_list(&name, kind, receive)?,
            (_, Some(kind)) => {
                let expected = format!("a list with one {kind} per entry");
                input.entry("", 0)?.parse_null(&expected)?;
            }
            (_, None) => {
                let _: IgnoredAny = input.entry("", 0)?.parse()?;
            }
        }
    }
    match input.peek()? {
        None => Ok(()),
        Some(_) => Err(input.error("trailing characters")),
    }
}

/// Accepts null; other values are errors that name `expected`.
struct Null<'a> {
    expected: &'a str,
}

impl Visitor<'_> for Null<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A window of the file.
struct Input<'a> {
    reader: JsonGuard<&'a mut dyn Read>,
    buffer: Vec<u8>,
    /// Position in `buffer` of the next byte.
    position: usize,
    ended: bool,
    /// Number of line breaks before the buffer, and bytes of its first line before it.
    lines: usize,
    columns: usize,
}

impl<'a> Input<'a> {
    fn new(reader: &'a mut dyn Read) -> Self {
        let reader = JsonGuard::new(reader, MAX_TOKEN);
        Self { reader, buffer: Vec::new(), position: 0, ended: false, lines: 0, columns: 0 }
    }

    /// Reads the next block, and drops the bytes before the position; `false` at the end of the file.
    fn fill(&mut self) -> Result<bool, JsonError> {
        if self.ended {
            return Ok(false);
        }
        let (lines, columns) = self.before().place();
        self.buffer.drain(..self.position);
        (self.lines, self.columns, self.position) = (lines, columns, 0);
        if self.buffer.len() > MAX_ENTRY {
            let problem = format!("an entry longer than {MAX_ENTRY} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem).into());
        }
        // Long entries are read in growing blocks, so that each of their bytes is moved a few times only.
        let start = self.buffer.len();
        self.buffer.resize(start + BLOCK.max(start), 0);
        let count = self.reader.read(&mut self.buffer[start..]);
        self.buffer.truncate(start + count.as_ref().map_or(0, |&count| count));
        self.ended = count? == 0;
        Ok(!self.ended)
    }

    fn before(&self) -> Before<'_> {
        Before { text: &self.buffer[..self.position], lines: self.lines, columns: self.columns }
    }

    /// An error at the position.
    fn error(&self, problem: impl Into<String>) -> JsonError {
        JsonError::Malformed { element: String::new(), problem: problem.into(), line: 1, column: 1 }
            .moved(self.before().place())
    }

    /// The error for a value of another type than `expected`.
    fn unexpected_value(&mut self, expected: &str) -> JsonError {
        let found = self.entry("", 0).and_then(|entry| entry.parse_null(expected));
        found.err().unwrap_or_else(|| self.error(format!("invalid type: null, expected {expected}")))
    }

    /// Skips white space and returns the next byte, which is not taken.
    fn peek(&mut self) -> Result<Option<u8>, JsonError> {
        loop {
            let rest = &self.buffer[self.position..];
            let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
            if let Some(skipped) = rest.iter().position(|byte| !space(byte)) {
                self.position += skipped;
                return Ok(Some(self.buffer[self.position]));
            }
            self.position = self.buffer.len();
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Takes the separator before an item; `false` if `end` follows, which is taken.
    fn next_item(&mut self, first: bool, end: u8, container: &str) -> Result<bool, JsonError> {
        let found = self.peek()?;
        match found {
            Some(byte) if byte == end => {
                self.position += 1;
                return Ok(false);
            }
            None => return Err(self.error(format!("EOF while parsing {container}"))),
            Some(b',') if !first => self.position += 1,
            Some(_) if !first => {
                return Err(self.error(format!("expected `,` or `{}`", char::from(end))));
            }
            Some(_) => return Ok(true),
        }
        match self.peek()? {
            Some(byte) if byte == end => Err(self.error("trailing comma")),
            None => Err(self.error(format!("EOF while parsing {container}"))),
            Some(_) => Ok(true),
        }
    }

    /// Passes the entries of a list on, or only checks them if `kind` is `None`.
    fn split_list(
        &mut self,
        name: &str,
        kind: Option<&'static str>,
        receive: &mut Receiver<'_>,
    ) -> Result<(), JsonError> {
        self.position += 1;
        let prefix = kind.unwrap_or_default();
        for index in 0.. {
            let more = self.next_item(index == 0, b']', "a list").map_err(|error| error.of(prefix, index))?;
            if !more {
                break;
            }
            let entry = self.entry(prefix, index)?;
            match kind {
                Some(_) => receive(name, Some(entry))?,
                None => {
                    let _: IgnoredAny = entry.parse()?;
                }
            }
        }
        Ok(())
    }

    /// Takes the next value. It ends where its brackets and strings do, or at the end of the file; whether it is
    /// well-formed is left to the parser.
    fn entry(&mut self, kind: &'static str, index: usize) -> Result<Entry<'_>, JsonError> {
        let length = match self.peek()? {
            Some(b'"' | b'[' | b'{') => self.nested_length()?,
            Some(_) => self.scalar_length()?,
            None => 0,
        };
        let start = self.position;
        self.position += length;
        let before = Before { text: &self.buffer[..start], lines: self.lines, columns: self.columns };
        Ok(Entry { index, text: &self.buffer[start..self.position], kind, before })
    }

    /// Length of a string, list or object.
    fn nested_length(&mut self) -> Result<usize, JsonError> {
        let (mut length, mut nesting) = (0, Nesting::default());
        loop {
            let rest = &self.buffer[self.position + length..];
            if rest.is_empty() {
                if !self.fill()? {
                    return Ok(length);
                }
                continue;
            }
            length += nesting.advance(rest);
            if nesting == Nesting::default() {
                return Ok(length);
            }
        }
    }

    /// Length of a number or literal, of one byte at least.
    fn scalar_length(&mut self) -> Result<usize, JsonError> {
        let mut length = 1;
        loop {
            let rest = &self.buffer[self.position + length..];
            let ends = |&byte: &u8| is_separator(byte) || is_structural(byte);
            match rest.iter().position(ends) {
                Some(more) => return Ok(length + more),
                None => length += rest.len(),
            }
            if !self.fill()? {
                return Ok(length);
            }
        }
    }
}
