//! Detection datasets: reads, checks, repairs, converts and splits COCO, Pascal VOC, YOLO and LabelMe.
//!
//! All formats are read into a [`Dataset`]: the classes of the data, images in a stable order (including
//! images without objects), boxes as `[x1, y1, x2, y2]` in pixels of the upright original image.
//!
//! * [`Dataset::open`] reads any format and refuses a dataset with lost labels; [`open_lenient`] returns the
//!   readable part with the findings.
//! * [`check()`] finds faults that degrade training or evaluation without an error message; its [`Report`] is
//!   rendered as text, JSON or a self-contained HTML page ([`render_text`], [`render_json`],
//!   [`render_html`]); [`fix()`] writes a repaired copy.
//! * [`convert()`] and [`write()`] convert between formats, [`split()`] creates train and val parts.
//!
//! Labels are untrusted input: every reader is bounded in memory and depth and returns a typed error or a
//! [`Finding`], never a panic.

#![forbid(unsafe_code)]

mod check;
mod class_list;
mod class_names;
mod contained;
mod convert;
mod dataset;
mod error;
mod finding;
mod fix;
mod format;
mod geometry;
mod image_file;
mod image_names;
mod image_paths;
mod image_sizes;
mod input;
mod join;
mod layout;
mod loss;
mod mask_folder;
mod open;
mod paths;
mod report;
mod sniff;
mod split;
mod split_name;
mod text;
mod unread;
mod unsupported;
mod walk;

pub use check::{CheckOptions, Checked, DatasetSummary, Report, check, check_datasets, suggest_input_size};
pub use convert::{Images, WriteOptions, WriteReport, convert, write};
pub use dataset::{Class, Dataset, Format, ImageRecord, Loaded, Object, Part};
pub use error::DataError;
pub use finding::{Finding, FindingKind, Findings, Location, Severity};
pub use fix::{FixReport, fix};
pub use format::{coco, labelme, voc, yolo};
pub use image_file::{ImageError, ImageHeader, read_header};
pub use image_paths::ImagePaths;
pub use join::{Joined, open_joined};
pub use loss::Loss;
pub use open::{open_lenient, open_lenient_with, splits};
pub use report::{render_html, render_json, render_text};
pub use split::split;
pub use split_name::{find_split, split_role};
