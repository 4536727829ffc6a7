//! The frame of a report and the parts that it consists of.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::escape;

const STYLE: &str = include_str!("report.css");
/// Scripts, fonts and every request are forbidden; embedded images and styles are allowed.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// A self-contained HTML page.
#[derive(Clone, Debug)]
pub struct Page {
    html: String,
}

impl Page {
    /// Begins a page with its title as a heading.
    #[must_use]
    pub fn new(title: &str) -> Self {
        let title = escape(title);
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
             <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>"
        );
        Self { html }
    }

    /// Appends HTML.
    pub fn push(&mut self, html: &str) {
        self.html.push_str(html);
    }

    /// Returns the whole page.
    #[must_use]
    pub fn finish(mut self) -> String {
        self.html.push_str("</main></body></html>\n");
        self.html
    }
}

/// A framed part of the page: a heading, a line of explanation (may be empty), and HTML.
#[must_use]
pub fn section(title: &str, hint: &str, body: &str) -> String {
    let hint =
        if hint.is_empty() { String::new() } else { format!("<p class=\"hint\">{}</p>", escape(hint)) };
    format!("<section><h2>{}</h2>{hint}{body}</section>", escape(title))
}

/// Sections in two columns; in one on a narrow screen.
#[must_use]
pub fn side_by_side(sections: &[String]) -> String {
    format!("<div class=\"two\">{}</div>", sections.concat())
}

/// Names and values, a pair per line.
#[must_use]
pub fn facts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut html = String::from("<dl class=\"facts\">");
    for (name, value) in pairs {
        let _ = write!(html, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
    }
    html + "</dl>"
}

/// Large values with their names; the first is emphasised.
#[must_use]
pub fn cards(pairs: &[(&str, String)]) -> String {
    let mut html = String::from("<div class=\"cards\">");
    for (index, (name, value)) in pairs.iter().enumerate() {
        let class = if index == 0 { "card main" } else { "card" };
        let _ = write!(
            html,
            "<div class=\"{class}\"><b>{}</b><span>{}</span></div>",
            escape(value),
            escape(name)
        );
    }
    html + "</div>"
}

/// An image of the page's width; `png` is a file's bytes.
#[must_use]
pub fn embedded_png(title: &str, png: &[u8]) -> String {
    format!("<img alt=\"{}\" src=\"{}\">", escape(title), data_uri("image/png", png))
}

/// Bytes as a URI that needs no other file.
pub(crate) fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_loads_nothing_and_escapes_its_text() {
        let mut page = Page::new("<script>");
        page.push(&section("<a>", "<i>", &facts([("<c>", "<d>")])));
        page.push(&cards(&[("<e>", "<f>".to_owned())]));
        page.push(&embedded_png("<g>", &[1, 2, 3]));
        let html = page.finish();
        for absent in
            ["<script", "<a>", "<i>", "<c>", "<d>", "<e>", "<f>", "<g>", "http:", "https:", "@import", "url("]
        {
            assert!(!html.contains(absent), "{absent}");
        }
        assert!(html.contains("default-src 'none'") && html.contains("data:image/png;base64,AQID"));
    }
}
