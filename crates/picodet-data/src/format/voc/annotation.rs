//! Parses one XML annotation.
//!
//! A DTD is refused, so there are no entities to expand; the number of nodes is bounded.

use roxmltree::{Document, Node, ParsingOptions};

use crate::dataset::Object;
use crate::finding::{FindingKind, Findings, Location};
use crate::text::clip;

/// Maximum number of nodes in one XML (hundreds of thousands of objects).
const MAX_NODES: u32 = 4_000_000;

/// The contents of one XML; classes are names, not indices.
#[derive(Debug, Default, PartialEq)]
pub struct Annotation {
    /// `<filename>`.
    pub file_name: Option<String>,
    /// `<size>`: width and height in pixels; 0 if missing.
    pub size: [u32; 2],
    /// Class name and object (its `class` is 0).
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
    let document = Document::parse_with_options(text, options).map_err(|error| XmlError {
        line: u64::from(error.pos().row),
        problem: format!("the XML cannot be read: {error}"),
    })?;
    let lines = LineIndex::new(text);
    let line_of = |node: Node<'_, '_>| lines.line(node);
    let root = document.root_element();
    if root.tag_name().name() != "annotation" {
        let name = root.tag_name().name();
        let problem = format!("<annotation> expected, not <{name}>");
        return Err(XmlError { line: line_of(root), problem });
    }
    let mut annotation =
        Annotation { file_name: text_of(root, "filename").map(str::to_string), ..Annotation::default() };
    if let Some(size) = child(root, "size") {
        for (slot, name) in ["width", "height"].into_iter().enumerate() {
            let Some(text) = text_of(size, name) else { continue };
            match text.parse::<f64>() {
                Ok(value) if value.fract() == 0.0 && (0.0..=1e9).contains(&value) => {
                    annotation.size[slot] = value as u32;
                }
                _ => findings.push(
                    FindingKind::BadNumber,
                    Location::line(file, line_of(size)),
                    format!("<{name}> is `{}`", clip(text)),
                ),
            }
        }
    }
    for node in root.children().filter(|node| node.has_tag_name("object")) {
        annotation.objects.extend(parse_object(node, line_of(node), file, findings));
    }
    Ok(annotation)
}

/// Parses one `<object>` in this line; `None` if it is left out.
fn parse_object(
    node: Node<'_, '_>,
    line: u64,
    file: &str,
    findings: &mut Findings,
) -> Option<(String, Object)> {
    let location = || Location::line(file, line);
    let (Some(name), Some(corners)) = (text_of(node, "name"), child(node, "bndbox")) else {
        let message = "an <object> without <name> or <bndbox>; left out".to_string();
        findings.push(FindingKind::MissingField, location(), message);
        return None;
    };
    let mut bbox = [f64::NAN; 4];
    let mut complete = true;
    for (slot, tag) in ["xmin", "ymin", "xmax", "ymax"].into_iter().enumerate() {
        match text_of(corners, tag).map(|text| (text, text.parse::<f64>())) {
            Some((_, Ok(value))) => bbox[slot] = value,
            Some((text, Err(_))) => {
                let message = format!("<{tag}> is `{}`; object left out", clip(text));
                findings.push(FindingKind::BadNumber, location(), message);
                complete = false;
            }
            None => {
                let message = format!("<bndbox> has no <{tag}>; object left out");
                findings.push(FindingKind::MissingField, location(), message);
                complete = false;
            }
        }
    }
    if !complete {
        return None;
    }
    let mut flag = |tag: &str| match text_of(node, tag) {
        None | Some("0" | "false" | "") => false,
        Some("1" | "true") => true,
        Some(other) => {
            let message = format!("<{tag}> is `{}`; read as 1", clip(other));
            findings.push(FindingKind::BadFlag, location(), message);
            true
        }
    };
    let (difficult, truncated) = (flag("difficult"), flag("truncated"));
    let source = u32::try_from(line).unwrap_or(u32::MAX);
    Some((name.to_string(), Object { difficult, truncated, source, ..Object::new(0, bbox) }))
}

/// Byte offsets of line ends; the lookup of roxmltree scans the text from its start each time.
struct LineIndex(Vec<usize>);

impl LineIndex {
    fn new(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    fn line(&self, node: Node<'_, '_>) -> u64 {
        self.0.partition_point(|&newline| newline < node.range().start) as u64 + 1
    }
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn text_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim).filter(|text| !text.is_empty())
}
