//! HTML reports: one page frame, one palette, one set of charts.
//!
//! A [`Page`] is self-contained: its content security policy forbids scripts and requests. Charts are SVG, images
//! are embedded.
//!
//! Functions that return HTML or SVG escape the text that they are given. Parameters named `html` or `body` are
//! the exception: they take HTML.

#![forbid(unsafe_code)]

mod bars;
mod chart;
mod heat_map;
mod page;
mod palette;
mod picture;
mod table;
mod text;

pub use bars::{Bar, bars};
pub use chart::{Axis, Chart, Line, line_chart, small_curves};
pub use heat_map::heat_map;
pub use page::{Page, cards, embedded_png, facts, section, side_by_side};
pub use palette::{BAD, GOOD, NEUTRAL, PALETTE, hex};
pub use picture::{PictureBox, embedded_jpeg, picture, repeated_jpeg};
pub use table::{Cell, Table};
pub use text::{columns, escape, shorten};
