//! Copies an XML annotation with all its elements, and changes only those that differ in the dataset.

use std::collections::BTreeMap;
use std::ops::Range;

use picodet_report::escape;
use roxmltree::{Document, Node, ParsingOptions};

use super::annotation::{LineIndex, MAX_NODES, parse_object, without_doctype};
use super::read::MAX_XML;
use super::write::write_object;
use super::xml::{child, text_of};
use crate::dataset::{Dataset, ImageRecord, Object, Part};
use crate::finding::Findings;
use crate::loss::Loss;
use crate::text::read_xml;

/// Elements of `<annotation>` and `<object>` that a dataset represents, or that identify the image.
const KNOWN: [&[&str]; 2] = [
    &["folder", "filename", "path", "size", "object", "source"],
    &["name", "bndbox", "difficult", "truncated"],
];

/// Returns the XML of one image with the elements of its label file that the dataset does not represent; `name`
/// is the file name of the image. `None` if the label file cannot be read.
pub(super) fn rewrite_one(dataset: &Dataset, image: &ImageRecord, name: &str) -> Option<String> {
    let text = source(dataset, image)?;
    let parsed = without_doctype(&text);
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&parsed, options).ok()?;
    let (root, lines) = (document.root_element(), LineIndex::new(&parsed));
    let nodes: Vec<Node<'_, '_>> = root.children().filter(|node| node.has_tag_name("object")).collect();
    let originals: Vec<Option<(String, Object)>> = nodes
        .iter()
        .map(|node| parse_object(*node, lines.line(*node), "", &mut Findings::default()))
        .collect();
    let matched = matches(dataset, image, &originals);
    let mut edits = Edits::default();
    edits.text(child(root, "filename"), name);
    if let Some(size) = child(root, "size") {
        for (tag, extent) in [("width", image.width), ("height", image.height)] {
            let stated = text_of(size, tag).and_then(|text| text.parse::<f64>().ok());
            if extent > 0 && stated != Some(f64::from(extent)) {
                edits.text(child(size, tag), &extent.to_string());
            }
        }
    }
    for ((node, original), index) in nodes.iter().zip(&originals).zip(&matched) {
        match (index, original) {
            (Some(index), Some((class, original))) => {
                let object = &image.objects[*index];
                let name = dataset.classes.get(object.class).map_or("", |class| class.name.as_str());
                edit_object(*node, (class, original), (name, object), &mut edits);
            }
            _ => edits.remove(*node, &parsed),
        }
    }
    let mut added = String::new();
    for (index, object) in image.objects.iter().enumerate() {
        if !matched.contains(&Some(index)) {
            write_object(&mut added, dataset, object);
        }
    }
    if !added.is_empty() {
        let end = parsed[..root.range().end].rfind("</")?;
        edits.0.push((end..end, added));
    }
    Some(in_utf8(&edits.apply(&text)))
}

/// The text of the label file.
fn source(dataset: &Dataset, image: &ImageRecord) -> Option<String> {
    let path = dataset.root.join(image.label.as_ref()?);
    read_xml(&path, MAX_XML, "a VOC XML", &mut Findings::default()).ok()
}

/// Returns the object of the image for each element: equal ones first, then those of the same line in their
/// order.
fn matches(
    dataset: &Dataset,
    image: &ImageRecord,
    originals: &[Option<(String, Object)>],
) -> Vec<Option<usize>> {
    let mut matched: Vec<Option<usize>> = vec![None; originals.len()];
    let mut used = vec![false; image.objects.len()];
    for exact in [true, false] {
        for (slot, original) in matched.iter_mut().zip(originals) {
            let (None, Some((class, original))) = (&slot, original) else { continue };
            let fits = |(index, object): (usize, &Object)| {
                let name = dataset.classes.get(object.class).map(|class| class.name.as_str());
                let same = same_box(object.bbox, original.bbox) && name == Some(class);
                (!used[index] && object.source == original.source && (same || !exact)).then_some(index)
            };
            *slot = image.objects.iter().enumerate().find_map(fits);
            if let Some(index) = slot {
                used[*index] = true;
            }
        }
    }
    matched
}

fn same_box(a: [f64; 4], b: [f64; 4]) -> bool {
    a.iter().zip(&b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}

/// Changes the class, flags and box of an element, where they differ.
fn edit_object(node: Node<'_, '_>, from: (&str, &Object), to: (&str, &Object), edits: &mut Edits) {
    let ((class, original), (name, object)) = (from, to);
    if class != name {
        edits.text(child(node, "name"), name);
    }
    let flags = [
        ("difficult", original.difficult, object.difficult),
        ("truncated", original.truncated, object.truncated),
    ];
    for (tag, old, new) in flags {
        let usual = |text: &str| {
            let flags = [
                "0",
                "1",
                "true",
                "false",
                "yes",
                "no",
                "y",
                "n",
                "t",
                "f",
                "unspecified",
                "none",
                "unknown",
            ];
            flags.iter().any(|flag| text.trim_end_matches(".0").eq_ignore_ascii_case(flag))
        };
        if old != new || !text_of(node, tag).is_none_or(usual) {
            edits.text(child(node, tag), if new { "1" } else { "0" });
        }
    }
    if same_box(original.bbox, object.bbox) {
        return;
    }
    match child(node, "bndbox") {
        Some(corners) => {
            for (tag, value) in ["xmin", "ymin", "xmax", "ymax"].into_iter().zip(object.bbox) {
                edits.text(child(corners, tag), &value.to_string());
            }
        }
        None => {
            let [x1, y1, x2, y2] = object.bbox;
            let corners = format!(
                "<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"
            );
            if let Some(name) = child(node, "name") {
                let end = name.range().end;
                edits.0.push((end..end, corners));
            }
        }
    }
}

/// Replacements of ranges of the text.
#[derive(Default)]
struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Replaces the text of an element, if it exists and differs.
    fn text(&mut self, node: Option<Node<'_, '_>>, text: &str) {
        let Some(node) = node.filter(|node| node.text().map(str::trim) != Some(text)) else { return };
        let tag = node.tag_name().name();
        self.0.push((node.range(), format!("<{tag}>{}</{tag}>", escape(text))));
    }

    /// Removes an element and the white space before it.
    fn remove(&mut self, node: Node<'_, '_>, text: &str) {
        let range = node.range();
        let start = text[..range.start].trim_end().len();
        self.0.push((start..range.end, String::new()));
    }

    fn apply(mut self, text: &str) -> String {
        self.0.sort_by_key(|(range, _)| (range.start, range.end));
        let (mut result, mut at) = (String::with_capacity(text.len()), 0);
        for (range, replacement) in self.0 {
            if range.start < at {
                continue;
            }
            result.push_str(&text[at..range.start]);
            result.push_str(&replacement);
            at = range.end;
        }
        result.push_str(&text[at..]);
        result
    }
}

/// Replaces another encoding in the XML declaration, since the text is written as UTF-8.
fn in_utf8(text: &str) -> String {
    let trimmed = text.trim_start();
    let end = trimmed.find("?>").filter(|_| trimmed.starts_with("<?xml"));
    match end {
        Some(end) if trimmed[..end].contains("encoding") => {
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"{}", &trimmed[end..])
        }
        _ => text.to_string(),
    }
}

/// Counts the elements of the label files that a dataset does not represent.
pub(super) fn extras(parts: &[Part<'_>]) -> Vec<Loss> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for part in parts {
        let images = &part.dataset.images;
        let found = picodet_parallel::map(0..images.len(), 0, |index| {
            let mut found: Vec<String> = Vec::new();
            let Some(text) = source(part.dataset, &images[index]) else { return found };
            let parsed = without_doctype(&text);
            let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
            let Ok(document) = Document::parse_with_options(&parsed, options) else { return found };
            let root = document.root_element();
            let elements = root.children().filter(Node::is_element);
            let objects = || root.children().filter(|node| node.has_tag_name("object"));
            let of_objects = objects().flat_map(|object| object.children().filter(Node::is_element));
            for (node, (known, what)) in elements
                .map(|node| (node, (KNOWN[0], "images")))
                .chain(of_objects.map(|node| (node, (KNOWN[1], "objects"))))
            {
                let tag = node.tag_name().name();
                let text = node.text().unwrap_or_default().trim();
                let default = matches!(text, "" | "0" | "Unspecified" | "unspecified");
                if !known.contains(&tag) && (node.children().any(|child| child.is_element()) || !default) {
                    found.push(format!("<{}> of {what}", crate::text::clip(tag)));
                }
            }
            found
        });
        for what in found.into_iter().flatten() {
            *counts.entry(what).or_default() += 1;
        }
    }
    counts.into_iter().map(|(what, count)| Loss { what, count }).collect()
}
