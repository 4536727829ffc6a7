//! Parses one XML annotation.
//!
//! Entity declarations are refused, so there are none to expand; the number of nodes is bounded.

use std::borrow::Cow;

use roxmltree::{Document, Node, ParsingOptions};

use super::shape::{bounding_box, derived_box};
use super::xml::{child, file_name_of, text_of};
use crate::dataset::Object;
use crate::finding::{FindingKind, Findings, Location};
use crate::text::clip;

/// Maximum number of nodes in one XML (hundreds of thousands of objects).
pub(super) const MAX_NODES: u32 = 4_000_000;

/// The contents of one XML; classes are names, not indices.
#[derive(Debug, Default, PartialEq)]
pub struct Annotation {
    /// `<filename>`.
    pub file_name: Option<String>,
    /// `<path>`: path of the image on the machine that wrote the file.
    pub path: Option<String>,
    /// `<size>`: width and height in pixels; 0 if missing.
    pub size: [u32; 2],
    /// Class name as in the file, and object (its `class` is 0).
    pub objects: Vec<(String, Object)>,
}

/// Why a file is not a VOC annotation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
#[non_exhaustive]
pub struct XmlError {
    /// 1-based line.
    pub line: u64,
    /// The problem.
    pub problem: String,
}

/// Parses one XML annotation; faults inside it are added to `findings` with the file name `file`.
///
/// # Errors
/// [`XmlError`] when the text is not a VOC XML.
pub fn parse(text: &str, file: &str, findings: &mut Findings) -> Result<Annotation, XmlError> {
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let text = &*without_doctype(text);
    let document = Document::parse_with_options(text, options).map_err(|error| XmlError {
        line: u64::from(error.pos().row),
        problem: format!("the XML cannot be read: {error}"),
    })?;
    let lines = LineIndex::new(text);
    let line_of = |node: Node<'_, '_>| lines.line(node);
    let root = document.root_element();
    if !root.tag_name().name().eq_ignore_ascii_case("annotation") {
        let name = root.tag_name().name();
        let problem = format!("<annotation> expected, not <{name}>");
        return Err(XmlError { line: line_of(root), problem });
    }
    let text = |tag: &str| file_name_of(root, tag).map(str::to_string);
    let mut annotation =
        Annotation { file_name: text("filename"), path: text("path"), ..Annotation::default() };
    if let Some(size) = child(root, "size") {
        for (slot, name) in ["width", "height"].into_iter().enumerate() {
            let Some(text) = text_of(size, name) else { continue };
            match text.parse::<f64>() {
                Ok(value) if value.fract() == 0.0 && (0.0..=1e9).contains(&value) => {
                    annotation.size[slot] = value as u32;
                }
                _ => findings.push(
                    FindingKind::SizeUnknown,
                    Location::line(file, line_of(size)),
                    format!("<{name}> is `{}`; taken from the image", clip(text)),
                ),
            }
        }
    }
    for node in root.children().filter(|node| node.has_tag_name("object")) {
        annotation.objects.extend(parse_object(node, line_of(node), file, findings));
    }
    for node in root.descendants().filter(|node| is_object_elsewhere(*node, root)) {
        let message =
            format!("<{}> is not read; objects are <object> in <annotation>", node.tag_name().name());
        findings.push(FindingKind::MissingField, Location::line(file, line_of(node)), message);
    }
    Ok(annotation)
}

/// Whether an element seems to be an object, but under another name or in another element than those that are read.
fn is_object_elsewhere(node: Node<'_, '_>, root: Node<'_, '_>) -> bool {
    let is_box = |child: Node<'_, '_>| child.tag_name().name().eq_ignore_ascii_case("bndbox");
    node.tag_name().name().eq_ignore_ascii_case("object")
        && node.children().any(is_box)
        && !(node.has_tag_name("object") && node.parent() == Some(root))
}

/// Parses one `<object>` in this line; `None` if it is left out.
pub(super) fn parse_object(
    node: Node<'_, '_>,
    line: u64,
    file: &str,
    findings: &mut Findings,
) -> Option<(String, Object)> {
    let location = || Location::line(file, line);
    let boxes = node.children().filter(|child| child.has_tag_name("bndbox")).count();
    for _ in 1..boxes {
        let message = "an <object> with several <bndbox>; the first is read".to_string();
        findings.push(FindingKind::MissingField, location(), message);
    }
    let bbox = bounding_box(node);
    let (Some(name), Some(bbox)) = (file_name_of(node, "name"), bbox) else {
        let message = "an <object> without <name> or <bndbox>; left out".to_string();
        findings.push(FindingKind::MissingField, location(), message);
        return None;
    };
    let derived = derived_box(node, &bbox);
    if derived.is_some() {
        let message = "the <bndbox> is empty; derived from the polygon".to_string();
        findings.push(FindingKind::BoxDerived, location(), message);
    }
    let bbox = match derived.map_or(bbox, Ok) {
        Ok(bbox) => bbox,
        Err((kind, message)) => {
            findings.push(kind, location(), message);
            return None;
        }
    };
    let mut flag = |tag: &str| {
        let text = text_of(node, tag).unwrap_or_default();
        match text.to_ascii_lowercase().as_str() {
            "0" | "false" | "no" | "n" | "f" | "" | "unspecified" | "none" | "unknown" | "0.0" => false,
            "1" | "true" | "yes" | "y" | "t" | "1.0" => true,
            _ => {
                let message = format!("<{tag}> is `{}`; read as 1", clip(text));
                findings.push(FindingKind::BadFlag, location(), message);
                true
            }
        }
    };
    let (difficult, truncated) = (flag("difficult"), flag("truncated"));
    let source = u32::try_from(line).unwrap_or(u32::MAX);
    Some((name.to_string(), Object { difficult, truncated, source, ..Object::new(0, bbox) }))
}

/// Replaces a document type declaration without entities by spaces, which keeps all positions.
pub(super) fn without_doctype(text: &str) -> Cow<'_, str> {
    let Some(start) = text.find("<!DOCTYPE") else { return Cow::Borrowed(text) };
    let before_root = text[..start]
        .rfind('<')
        .is_none_or(|tag| text[tag..].starts_with("<?") || text[tag..].starts_with("<!--"));
    let (mut end, mut inside) = (None, false);
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'[' => inside = true,
            b']' => inside = false,
            b'>' if !inside => {
                end = Some(at + 1);
                break;
            }
            _ => {}
        }
    }
    match end {
        Some(end) if before_root && !text[start..end].contains("<!ENTITY") => {
            let blank: String = text[start..end]
                .chars()
                .flat_map(|c| {
                    let blank = if c == '\n' { c } else { ' ' };
                    std::iter::repeat_n(blank, c.len_utf8())
                })
                .collect();
            Cow::Owned(format!("{}{blank}{}", &text[..start], &text[end..]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// Byte offsets of line ends; the lookup of roxmltree scans the text from its start each time.
pub(super) struct LineIndex(Vec<usize>);

impl LineIndex {
    pub(super) fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    pub(super) fn line(&self, node: Node<'_, '_>) -> u64 {
        self.0.partition_point(|&newline| newline < node.range().start) as u64 + 1
    }
}
