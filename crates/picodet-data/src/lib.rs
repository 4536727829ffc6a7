//! Detection datasets: COCO, Pascal VOC, YOLO and LabelMe; check, convert, split.
//!
//! Everything is one in-memory [`Dataset`]: classes named by the data itself, images in a stable
//! order (images without objects included), boxes as `[x1, y1, x2, y2]` in pixels of the upright
//! original image.
//!
//! * [`Dataset::open`] reads any of the four formats and refuses a dataset with lost labels;
//!   [`open_lenient`] reads what can be read and hands over the findings instead.
//! * [`check()`] looks for everything that makes a training run silently bad; its [`Report`]
//!   renders as text, JSON or one self-contained HTML page ([`render_text`], [`render_json`],
//!   [`render_html`]); [`fix()`] writes a repaired copy.
//! * [`convert()`] and [`write()`] go between the formats, [`split()`] makes train/val parts.
//!
//! Labels are untrusted input: every reader is bounded in memory and depth and returns a typed
//! error or a [`Finding`], never a panic.

mod check;
pub mod coco;
mod convert;
mod dataset;
mod error;
mod finding;
mod fix;
mod guard;
mod image_file;
pub mod labelme;
mod open;
mod report;
mod split;
pub mod voc;
mod walk;
mod yaml;
pub mod yolo;

pub use check::{CheckOptions, Checked, DatasetSummary, Report, check, check_datasets, suggest_input_size};
pub use convert::{Images, Loss, Part, WriteReport, convert, write};
pub use dataset::{Class, Dataset, Format, ImageRecord, Object};
pub use error::DataError;
pub use finding::{Finding, Findings, Kind, Place, Severity};
pub use fix::{FixReport, fix};
pub use image_file::{ImageHeader, read_header};
pub use open::{Loaded, open_lenient, splits};
pub use report::{render_html, render_json, render_text};
pub use split::split;
