//! Elements of an XML document.

use roxmltree::Node;

/// Returns the first child element of this name.
pub(super) fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// Returns the trimmed text of the first child element of this name; `None` if it is empty.
pub(super) fn text_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim).filter(|text| !text.is_empty())
}

/// Returns the text of the first child element of this name, with the spaces of a file or class name: those around a text that has a
/// line of its own are removed. `None` if it is empty.
pub(super) fn file_name_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let text = child(node, name)?.text()?;
    let text = if text.contains(['\n', '\r', '\t']) { text.trim() } else { text };
    (!text.trim().is_empty()).then_some(text)
}
