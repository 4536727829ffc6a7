//! Bounded reading of untrusted label files.
//!
//! A JSON reader that counts brackets and token lengths before the parser sees them, so that a
//! gigabyte of `[[[[…` or one endless string ends in an error after a few kilobytes; and a text
//! reader with a size limit.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::error::DataError;

/// Deepest nesting a label file may have (COCO needs 5).
const MAX_DEPTH: u32 = 100;
/// Longest string or number. LabelMe embeds whole images as base64.
const MAX_TOKEN: u64 = 256 << 20;
/// Longest run without any structure that COCO's typed fields can hold in memory.
pub(crate) const MAX_COCO_TOKEN: u64 = 16 << 20;

/// Passes JSON bytes on, and fails once they nest too deeply or a token gets too long.
pub(crate) struct JsonGuard<R> {
    inner: R,
    depth: u32,
    in_string: bool,
    escaped: bool,
    token: u64,
    max_token: u64,
}

impl<R: Read> JsonGuard<R> {
    /// Guards `inner`, with tokens up to `max_token` bytes.
    pub(crate) fn new(inner: R, max_token: u64) -> Self {
        let max_token = max_token.min(MAX_TOKEN);
        Self { inner, depth: 0, in_string: false, escaped: false, token: 0, max_token }
    }

    fn scan(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            self.token += 1;
            if self.in_string {
                if self.escaped {
                    self.escaped = false;
                } else if byte == b'\\' {
                    self.escaped = true;
                } else if byte == b'"' {
                    self.in_string = false;
                    self.token = 0;
                }
            } else {
                match byte {
                    b'"' => {
                        self.in_string = true;
                        self.token = 0;
                    }
                    b'[' | b'{' => {
                        self.depth += 1;
                        self.token = 0;
                        if self.depth > MAX_DEPTH {
                            return Err(invalid(format!(
                                "nested more than {MAX_DEPTH} levels deep; no label file is"
                            )));
                        }
                    }
                    b']' | b'}' => {
                        self.depth = self.depth.saturating_sub(1);
                        self.token = 0;
                    }
                    b',' | b':' | b' ' | b'\n' | b'\r' | b'\t' => self.token = 0,
                    _ => {}
                }
            }
            if self.token > self.max_token {
                return Err(invalid(format!("a string or number longer than {} bytes", self.max_token)));
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

/// Replaces the tokens `NaN`, `Infinity` and `-Infinity` (which Python writes and JSON forbids)
/// by `null`. Only used after a first attempt failed, so speed is no matter.
pub(crate) struct NonFiniteToNull<R> {
    inner: io::Bytes<R>,
    in_string: bool,
    escaped: bool,
    pending: std::collections::VecDeque<u8>,
    minus: bool,
    /// How many tokens were replaced.
    pub(crate) replaced: std::rc::Rc<std::cell::Cell<usize>>,
}

impl<R: BufRead> NonFiniteToNull<R> {
    /// Wraps `inner`.
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner: inner.bytes(),
            in_string: false,
            escaped: false,
            pending: std::collections::VecDeque::new(),
            minus: false,
            replaced: std::rc::Rc::default(),
        }
    }

    fn step(&mut self) -> io::Result<bool> {
        let Some(byte) = self.inner.next().transpose()? else {
            if std::mem::take(&mut self.minus) {
                self.pending.push_back(b'-');
            }
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
            b'-' if !self.minus => {
                self.minus = true;
                return Ok(true);
            }
            _ => b"",
        };
        if word.is_empty() {
            if std::mem::take(&mut self.minus) {
                self.pending.push_back(b'-');
            }
            self.in_string = byte == b'"';
            self.pending.push_back(byte);
            return Ok(true);
        }
        for &expected in word {
            if self.inner.next().transpose()? != Some(expected) {
                return Err(invalid("neither a number nor NaN nor Infinity".to_string()));
            }
        }
        self.minus = false;
        self.replaced.set(self.replaced.get() + 1);
        self.pending.extend(b"null");
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

/// Opens a regular file; a pipe or device would block or never end.
pub(crate) fn open_regular(path: &Path) -> Result<File, DataError> {
    let kind = std::fs::metadata(path).map_err(|source| DataError::io(path, source))?;
    if !kind.is_file() {
        return Err(DataError::io(path, invalid("not a regular file".to_string())));
    }
    File::open(path).map_err(|source| DataError::io(path, source))
}

/// Opens a JSON file behind the guard.
pub(crate) fn open_json(path: &Path, max_token: u64) -> Result<BufReader<JsonGuard<File>>, DataError> {
    Ok(BufReader::with_capacity(1 << 18, JsonGuard::new(open_regular(path)?, max_token)))
}

/// The bytes of a file of at most `limit` bytes; `what` names its kind in the error.
pub(crate) fn read_bounded(path: &Path, limit: u64, what: &'static str) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    open_regular(path)?
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| DataError::io(path, source))?;
    if bytes.len() as u64 > limit {
        let size = std::fs::metadata(path).map_or(limit + 1, |metadata| metadata.len());
        return Err(DataError::TooLarge { path: path.to_path_buf(), what, size, limit });
    }
    Ok(bytes)
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
        let text = r#"{"a NaN \" Infinity": [NaN, -Infinity, Infinity, -1.5, 2]}"#;
        let mut reader = NonFiniteToNull::new(text.as_bytes());
        let mut out = String::new();
        reader.read_to_string(&mut out).unwrap();
        assert_eq!(out, r#"{"a NaN \" Infinity": [null, null, null, -1.5, 2]}"#);
        assert_eq!(reader.replaced.get(), 3);
    }
}
