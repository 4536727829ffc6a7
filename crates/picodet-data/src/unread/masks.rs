//! Recognises masks: PNG files with the name of a picture, in another folder.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use super::images::Images;
use crate::input::open_regular;
use crate::mask_folder::is_mask_folder;
use crate::walk::has_extension;

/// The pictures of a dataset and their sizes by their names without extension.
pub(super) struct Masks<'a>(HashMap<&'a str, (&'a Path, (u32, u32))>);

impl<'a> Masks<'a> {
    pub(super) fn of(images: &'a Images<'_>) -> Self {
        let named = images.by_path.keys().filter_map(|path| {
            let size = images.get(path).map_or((0, 0), |(_, record)| (record.width, record.height));
            Some((path.file_stem()?.to_str()?, (path.as_path(), size)))
        });
        Self(named.collect())
    }

    /// Whether a file is a mask: in a folder with a usual name, or of a JPEG, with its size and without colours.
    pub(super) fn contain(&self, file: &str, path: &Path) -> bool {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let picture = self.0.get(stem).filter(|_| has_extension(file, &["png"]));
        let Some((picture, size)) = picture.filter(|(picture, _)| picture.parent() != path.parent()) else {
            return false;
        };
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        is_mask_folder(folder)
            || (!has_extension(&picture.to_string_lossy(), &["png"])
                && size_without_colours(path) == Some(*size))
    }
}

/// The size of a PNG that is grey or has a palette, from its header; `None` for another file.
fn size_without_colours(path: &Path) -> Option<(u32, u32)> {
    let mut start = [0; 26];
    open_regular(path).ok()?.read_exact(&mut start).ok()?;
    let number = |at: usize| start[at..at + 4].try_into().ok().map(u32::from_be_bytes);
    // 0 is grey, 3 a palette, 4 grey with alpha.
    let is_mask = start.starts_with(b"\x89PNG") && matches!(start[25], 0 | 3 | 4);
    if is_mask { number(16).zip(number(20)) } else { None }
}
