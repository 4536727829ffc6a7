//! Normalises the paths of label files.

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The most components that are kept, from the end: no folder is as deep, and each suffix is looked up.
const MAX_COMPONENTS: usize = 64;
/// The longest suffix in bytes that can exist on a system (`PATH_MAX` of Linux).
const MAX_SUFFIX: usize = 4096;

/// A path in a label file, split into components; never absolute, never with `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stated {
    /// Folders and file name.
    pub(crate) components: Vec<String>,
}

impl Stated {
    /// Normalises a path: `\` becomes `/`; `file://`, drive letters, leading slashes and `.` are removed; `..` removes the
    /// folder before it. A web address ends at its query, except one without a path of its own (`?d=folder/a.jpg`).
    /// Spaces around the path are removed.
    pub(crate) fn new(path: &str) -> Self {
        Self::with_spaces(path.trim())
    }

    /// Normalises a path as [`Self::new`], and keeps the spaces around it: a file name can begin with one.
    pub(crate) fn with_spaces(path: &str) -> Self {
        let without_scheme = match path.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("file://") => percent_decoded(&path[7..]),
            _ => None,
        };
        let path = without_query(path);
        let without_scheme = without_scheme.as_deref();
        let path = without_scheme.unwrap_or_else(|| path.strip_prefix("file://").unwrap_or(path));
        let mut components: Vec<String> = Vec::new();
        for part in path.split(['/', '\\']) {
            match part {
                "" | "." => {}
                ".." => {
                    components.pop();
                }
                _ if components.is_empty() && is_drive(part) => {}
                _ => components.push(part.to_string()),
            }
        }
        components.drain(..components.len().saturating_sub(MAX_COMPONENTS));
        Self { components }
    }

    /// The components joined by `/`.
    pub(crate) fn joined(&self) -> String {
        self.components.join("/")
    }

    /// The path with `%20` and the like decoded; `None` if there are none.
    pub(crate) fn percent_decoded(&self) -> Option<Self> {
        percent_decoded(&self.joined()).map(|path| Self::new(&path))
    }

    /// Suffixes joined by `/`, the longest first; none that is too long to exist.
    pub(crate) fn suffixes(&self) -> impl Iterator<Item = String> {
        let suffixes = (0..self.components.len()).map(|start| &self.components[start..]);
        let length = |suffix: &[String]| suffix.iter().map(|component| component.len() + 1).sum::<usize>();
        suffixes.filter(move |suffix| length(suffix) <= MAX_SUFFIX).map(|suffix| suffix.join("/"))
    }
}

/// Whether an entry for a path is empty or null.
pub(crate) fn is_absent(path: &str) -> bool {
    matches!(path.trim(), "" | "~" | "null" | "Null" | "NULL" | "None" | "none")
}

/// Returns a key under which names are equal that differ in letter case or Unicode form.
pub(crate) fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    if is_nfc(name) { name.to_lowercase() } else { name.nfc().collect::<String>().to_lowercase() }
}

/// A web address without its query; one whose path has no file name keeps it.
fn without_query(path: &str) -> &str {
    let is_address = ["http://", "https://"]
        .into_iter()
        .any(|scheme| path.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    match path.split_once('?') {
        Some((address, _))
            if is_address && address.rsplit('/').next().is_some_and(|name| name.contains('.')) =>
        {
            address
        }
        _ => path,
    }
}

fn is_drive(part: &str) -> bool {
    matches!(part.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic())
}

fn percent_decoded(path: &str) -> Option<String> {
    if !path.contains('%') {
        return None;
    }
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok().filter(|decoded| decoded != path && !decoded.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_have_few_and_short_suffixes() {
        let deep = Stated::new(&format!("{}b.jpg", "a/".repeat(100_000)));
        assert_eq!((deep.suffixes().count(), deep.suffixes().last().as_deref()), (64, Some("b.jpg")));
        let wide = Stated::new(&format!("{}/a/b.jpg", "c".repeat(1 << 20)));
        assert_eq!(wide.suffixes().collect::<Vec<_>>(), ["a/b.jpg", "b.jpg"]);
    }

    #[test]
    fn paths_of_every_system_become_components() {
        let cases = [
            (r"C:\data\train\a.jpg", "data/train/a.jpg"),
            (r".\images\a.jpg", "images/a.jpg"),
            (r"\\server\share\a.jpg", "server/share/a.jpg"),
            ("/home/someone/x/../a.jpg", "home/someone/a.jpg"),
            ("../../etc/passwd", "etc/passwd"),
            ("file:///C:/my%20data/a.jpg", "my data/a.jpg"),
            ("a:b.jpg", "a:b.jpg"),
            (
                "http://localhost:8080/data/upload/2/1a2b-b.jpg?x=1",
                "http:/localhost:8080/data/upload/2/1a2b-b.jpg",
            ),
            ("https://host/data/local-files/?d=folder/a.jpg", "https:/host/data/local-files/?d=folder/a.jpg"),
            ("what?.jpg", "what?.jpg"),
            ("", ""),
        ];
        for (path, expected) in cases {
            assert_eq!(Stated::new(path).joined(), expected, "{path}");
        }
        assert_eq!(Stated::new("a%20b/100%.jpg").percent_decoded().unwrap().joined(), "a b/100%.jpg");
        assert_eq!(Stated::new("100%.jpg").percent_decoded(), None);
        assert_eq!(Stated::new("%ff.jpg").percent_decoded(), None);
        assert_eq!(fold("Mu\u{308}ll.JPG"), fold("mÜll.jpg"));
    }
}
