//! Bounded reading of untrusted JSON: limits on depth and token length, applied before the parser.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

pub(crate) mod scan;

use self::scan::Nesting;
use crate::text::Utf8Reader;

/// Largest nesting depth (COCO needs 5).
const MAX_DEPTH: u32 = 100;
/// Longest string or number in bytes for files with embedded images (LabelMe).
pub const MAX_TOKEN: u64 = 256 << 20;

/// Forwards JSON bytes and fails when they nest too deeply or a string or number is too long, so that a
/// gigabyte of `[[[[…` or an endless string ends in an error after a few kilobytes. A byte order mark is removed and
/// UTF-16 is decoded.
#[derive(Debug)]
pub struct JsonGuard<R> {
    inner: Utf8Reader<R>,
    nesting: Nesting,
    token: u64,
    max_token: u64,
}

impl<R: Read> JsonGuard<R> {
    /// Guards `inner`; strings and numbers may have at most `max_token` bytes, up to [`MAX_TOKEN`].
    pub fn new(inner: R, max_token: u64) -> Self {
        let max_token = max_token.min(MAX_TOKEN);
        Self { inner: Utf8Reader::new(inner), nesting: Nesting::default(), token: 0, max_token }
    }

    fn scan(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let before = self.nesting;
            let taken = self.nesting.advance(bytes);
            let (run, rest) = bytes.split_at(taken);
            bytes = rest;
            self.token += taken as u64;
            if !before.in_string {
                // Lists of numbers are runs of many tokens: the last separator begins the current one.
                if let Some(separator) = run.iter().rposition(|&byte| scan::is_separator(byte)) {
                    self.token = (taken - 1 - separator) as u64;
                }
            }
            if self.token > self.max_token {
                return Err(invalid(format!("a string or number longer than {} bytes", self.max_token)));
            }
            if self.nesting.depth > MAX_DEPTH {
                return Err(invalid(format!("nested more than {MAX_DEPTH} levels deep")));
            }
            if before.in_string != self.nesting.in_string || before.depth != self.nesting.depth {
                self.token = 0;
            }
        }
        Ok(())
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl<R: Read> Read for JsonGuard<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.scan(&out[..count])?;
        Ok(count)
    }
}

/// Longest number that is checked; a longer one is passed on.
const MAX_NUMBER: usize = 400;

/// Replaces the tokens `NaN`, `Infinity` and `-Infinity` (written by Python, forbidden in JSON) and numbers beyond the
/// range of a double by `null`.
///
/// Reads byte by byte: meant for a second attempt after a parser has refused the file.
#[derive(Debug)]
pub struct NonFiniteToNull<R> {
    inner: io::Bytes<R>,
    in_string: bool,
    escaped: bool,
    pending: VecDeque<u8>,
    number: Vec<u8>,
    replaced: Rc<Cell<usize>>,
}

impl<R: BufRead> NonFiniteToNull<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner: inner.bytes(),
            in_string: false,
            escaped: false,
            pending: VecDeque::new(),
            number: Vec::new(),
            replaced: Rc::default(),
        }
    }

    /// The number of replaced tokens, which can be read after the reader has been moved.
    #[must_use]
    pub fn replaced(&self) -> Rc<Cell<usize>> {
        self.replaced.clone()
    }

    fn replace(&mut self) {
        self.replaced.set(self.replaced.get() + 1);
        self.pending.extend(b"null");
        self.number.clear();
    }

    /// Passes the number before the current byte on, or replaces it.
    fn end_number(&mut self) {
        let number = std::str::from_utf8(&self.number).ok().and_then(|text| text.parse::<f64>().ok());
        if number.is_some_and(f64::is_infinite) {
            self.replace();
        } else {
            self.pending.extend(self.number.drain(..));
        }
    }

    fn step(&mut self) -> io::Result<bool> {
        let Some(byte) = self.inner.next().transpose()? else {
            self.end_number();
            return Ok(!self.pending.is_empty());
        };
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            self.pending.push_back(byte);
            return Ok(true);
        }
        let word: &[u8] = match byte {
            b'N' => b"aN",
            b'I' => b"nfinity",
            b'-' | b'0'..=b'9' if self.number.len() < MAX_NUMBER => {
                self.number.push(byte);
                return Ok(true);
            }
            b'.' | b'+' | b'e' | b'E' if !self.number.is_empty() => {
                self.number.push(byte);
                return Ok(true);
            }
            _ => {
                self.end_number();
                self.in_string = byte == b'"';
                self.pending.push_back(byte);
                return Ok(true);
            }
        };
        for &expected in word {
            if self.inner.next().transpose()? != Some(expected) {
                return Err(invalid("a token that is neither a number nor NaN nor Infinity".to_string()));
            }
        }
        self.replace();
        Ok(true)
    }
}

impl<R: BufRead> Read for NonFiniteToNull<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while count < out.len() {
            if let Some(byte) = self.pending.pop_front() {
                out[count] = byte;
                count += 1;
            } else if !self.step()? {
                break;
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_tokens_are_bounded() {
        let endless = io::repeat(b'[').take(1 << 30);
        let mut sink = [0; 4096];
        assert!(JsonGuard::new(endless, MAX_TOKEN).read(&mut sink).is_err());

        let mut long = JsonGuard::new(io::repeat(b'7').take(1 << 30), 1 << 20);
        let mut seen = 0u64;
        let error = loop {
            match long.read(&mut sink) {
                Ok(count) => seen += count as u64,
                Err(error) => break error,
            }
        };
        assert!(seen <= 1 << 20 && error.to_string().contains("1048576"));

        let brackets_in_a_string = format!("\"{}\\\"{}\"", "[".repeat(500), "{".repeat(500));
        let mut text = String::new();
        JsonGuard::new(brackets_in_a_string.as_bytes(), MAX_TOKEN).read_to_string(&mut text).unwrap();
        assert_eq!(text, brackets_in_a_string);
    }

    #[test]
    fn non_finite_tokens_become_null() {
        let text =
            r#"{"a NaN \" Infinity": [NaN, -Infinity, Infinity, -1.5, 2, 1e999, -2E+400, true, 1e308]}"#;
        let mut reader = NonFiniteToNull::new(text.as_bytes());
        let mut out = String::new();
        reader.read_to_string(&mut out).unwrap();
        assert_eq!(out, r#"{"a NaN \" Infinity": [null, null, null, -1.5, 2, null, null, true, 1e308]}"#);
        assert_eq!(reader.replaced().get(), 5);
    }
}
