//! Resolves paths that were written on another machine.
//!
//! A path that does not exist as written is normalised (separators, drive letters, `file://`, percent signs), and then
//! looked up among the files below the dataset: the longest common path suffix, then the unique file name.

mod images;
mod index;
mod plain;
mod real;
mod stated;

pub(crate) use images::resolve_images;
pub(crate) use index::{FileIndex, ImageFinder, Lookup};
pub(crate) use plain::{plain, turned};
pub(crate) use real::{real, real_paths};
pub(crate) use stated::{Stated, fold, is_absent};
