//! The subset of YAML that a `data.yaml` needs, read from parser events: no aliases (hence no expansion
//! bombs), bounded depth.

use std::collections::HashMap;
use std::path::Path;

use yaml_rust2::Event;
use yaml_rust2::parser::Parser;

use crate::error::DataError;

/// Maximum nesting depth.
const MAX_DEPTH: usize = 16;

/// A YAML value; scalars are kept as text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Yaml {
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// The value of a key of a map: the last one of equal keys, as other programs read it, otherwise that of the key in another
    /// letter case.
    pub(crate) fn get(&self, key: &str) -> Option<&Yaml> {
        let Self::Map(entries) = self else { return None };
        let last = |fits: &dyn Fn(&str) -> bool| entries.iter().rfind(|(name, _)| fits(name));
        let found = last(&|name| name == key).or_else(|| last(&|name| name.eq_ignore_ascii_case(key)));
        found.map(|(_, value)| value)
    }

    /// The keys of a map that occur more than once, without regard to letter case.
    pub(crate) fn repeated(&self) -> Vec<&str> {
        let Self::Map(entries) = self else { return Vec::new() };
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut occurs_again = |name: &str| {
            let count = seen.entry(name.to_ascii_lowercase()).or_default();
            *count += 1;
            *count == 2
        };
        entries.iter().map(|(name, _)| name.as_str()).filter(|name| occurs_again(name)).collect()
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a scalar (one) or of a list of scalars.
    pub(crate) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(list) => list.iter().filter_map(Yaml::text).collect(),
            Self::Map(_) => Vec::new(),
        }
    }
}

/// An incomplete container; a map can hold a key without value yet.
enum Open {
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>, Option<String>),
}

/// Parses one document.
///
/// # Errors
/// [`DataError::Syntax`] with the line.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Yaml, DataError> {
    let fail = |line: usize, message: String| DataError::Syntax {
        path: path.to_path_buf(),
        line: Some(line as u64),
        message: format!("the YAML cannot be read: {message}"),
    };
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    loop {
        let (event, marker) =
            parser.next_token().map_err(|error| fail(error.marker().line(), error.info().to_string()))?;
        let done = match event {
            Event::Scalar(text, ..) => Some(Yaml::Text(text)),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Some(Yaml::List(list)),
                Some(Open::Map(entries, _)) => Some(Yaml::Map(entries)),
                None => None,
            },
            Event::Alias(_) => {
                return Err(fail(marker.line(), "aliases (`*name`) are not allowed".to_string()));
            }
            Event::StreamEnd | Event::DocumentEnd => return Ok(Yaml::Map(Vec::new())),
            Event::StreamStart | Event::DocumentStart | Event::Nothing => None,
        };
        if open.len() > MAX_DEPTH {
            return Err(fail(marker.line(), format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let Some(value) = done else { continue };
        match open.last_mut() {
            None => return Ok(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Map(entries, waiting)) => match waiting.take() {
                Some(key) => entries.push((key, value)),
                None => match value {
                    Yaml::Text(key) => *waiting = Some(key),
                    _ => return Err(fail(marker.line(), "a key must be a scalar".to_string())),
                },
            },
        }
    }
}

/// Returns a scalar in double quotes, which preserves any text.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                use std::fmt::Write as _;
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_lists_are_read_and_bombs_are_refused() {
        let text = "path: ../x # c\ntrain: [a, 'b c']\nnames:\n  0: person\n  1: \"x\\\"y\"\nnc: 2\n";
        let yaml = parse(text, Path::new("d")).unwrap();
        assert_eq!(yaml.get("train").unwrap().texts(), ["a", "b c"]);
        assert_eq!(yaml.get("names").unwrap().get("1").unwrap().text(), Some("x\"y"));
        assert_eq!(yaml.get("nc").unwrap().text(), Some("2"));
        let names = ["a", "x\"\\y\n\tz", "é: # 1", "\u{7}"];
        for name in names {
            let text = format!("names: [{}]", quote(name));
            let yaml = parse(&text, Path::new("d")).unwrap();
            assert_eq!(yaml.get("names").unwrap().texts(), [name]);
        }
        assert!(parse("a: &x [1]\nb: *x\n", Path::new("d")).is_err());
        assert!(parse(&"[".repeat(100_000), Path::new("d")).is_err());
        assert!(parse(&"- ".repeat(100_000), Path::new("d")).is_err());
    }
}
