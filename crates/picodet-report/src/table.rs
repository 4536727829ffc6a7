//! HTML tables.

use std::fmt::Write as _;

use crate::escape;

/// A cell of a table.
#[derive(Clone, Debug)]
pub struct Cell(String);

impl Cell {
    /// A cell with HTML, such as a small chart.
    #[must_use]
    pub fn html(html: String) -> Self {
        Self(html)
    }

    /// A cell with code, such as the path of a file.
    #[must_use]
    pub fn code(text: &str) -> Self {
        Self(format!("<code>{}</code>", escape(text)))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self(escape(text))
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self(escape(&text))
    }
}

impl From<usize> for Cell {
    fn from(count: usize) -> Self {
        Self(count.to_string())
    }
}

/// A table whose first column is aligned left; the others are aligned right, or left for text.
#[derive(Clone, Debug)]
pub struct Table {
    html: String,
}

impl Table {
    /// A table of numbers.
    #[must_use]
    pub fn of_numbers(head: &[&str]) -> Self {
        Self::new("numbers", head)
    }

    /// A table of text.
    #[must_use]
    pub fn of_text(head: &[&str]) -> Self {
        Self::new("words", head)
    }

    fn new(class: &str, head: &[&str]) -> Self {
        let mut html = format!("<div class=\"scroll\"><table class=\"{class}\"><tr>");
        for name in head {
            let _ = write!(html, "<th>{}</th>", escape(name));
        }
        Self { html: html + "</tr>" }
    }

    /// Appends a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.html.push_str("<tr>");
        for cell in cells {
            let _ = write!(self.html, "<td>{}</td>", cell.0);
        }
        self.html.push_str("</tr>");
    }

    /// Returns the table as HTML.
    #[must_use]
    pub fn finish(self) -> String {
        self.html + "</table></div>"
    }
}
