//! New names of images and splits in a dataset that is written: safe, unique, and found again by the reader.

use std::collections::HashSet;
use std::path::Path;

use crate::dataset::{Dataset, Format};
use crate::format::handler_of;
use crate::image_file::{EXTENSIONS, ImageHeader};
use crate::walk::{file_name, has_extension, without_extension};

/// Returns a relative path without `..`, drive letters, backslashes or a leading slash. Names that begin with a dot get an
/// underscore before it: hidden files and folders are no part of a dataset.
pub(crate) fn safe(path: &str) -> String {
    let visible = |part: &str| if part.starts_with('.') { format!("_{part}") } else { part.to_owned() };
    let parts: Vec<String> = path
        .split(['/', '\\'])
        .filter(|part| !part.is_empty() && *part != "." && *part != ".." && !part.ends_with(':'))
        .map(visible)
        .collect();
    if parts.is_empty() { "unnamed".to_string() } else { parts.join("/") }
}

/// Returns the key that one picture has in two formats: its name without folders and extension, and its size in pixels.
pub(crate) fn picture_key<'a>(file: &'a str, header: &ImageHeader) -> (&'a str, u32, u32) {
    (without_extension(file_name(file)), header.width, header.height)
}

/// Whether a path stays inside of its folder (ignoring links).
pub(crate) fn stays_inside(path: &str) -> bool {
    !Path::new(path).is_absolute() && !path.split(['/', '\\']).any(|part| part == ".." || part.ends_with(':'))
}

/// Returns the new names of the images below their folder: safe, without folders that have a meaning in the format,
/// without common folders (unless COCO is written as COCO), with the extension of their content where the format finds
/// images by it, and unique without extension where each image has a label file.
pub(crate) fn names_in(dataset: &Dataset, format: Format, taken: &mut HashSet<String>) -> Vec<String> {
    let mut names: Vec<String> = dataset.images.iter().map(|image| safe(&image.file)).collect();
    let is_single_file = |format: Format| handler_of(format).conventions().single_file;
    if !(is_single_file(format) && is_single_file(dataset.format)) {
        let common = common_folder(&names);
        for name in &mut names {
            *name = name.split_off(common);
        }
    }
    let handler = handler_of(format);
    for (index, name) in names.iter_mut().enumerate() {
        if handler.conventions().images_by_extension
            && !has_extension(name, EXTENSIONS)
            && let Some(header) = dataset.image_header(index)
        {
            name.push_str(extension_of(&header));
        }
        if let Some((folders, file)) = name.rsplit_once('/') {
            let folders: Vec<String> = folders.split('/').map(|folder| handler.folder_name(folder)).collect();
            *name = format!("{}/{file}", folders.join("/"));
        }
        let mut candidate = name.clone();
        let mut number = 2;
        let key = |name: &str| match is_single_file(format) {
            true => name.to_lowercase(),
            false => without_extension(name).to_lowercase(),
        };
        while !taken.insert(key(&candidate)) {
            let stem = without_extension(name);
            candidate = format!("{stem}_{number}{}", &name[stem.len()..]);
            number += 1;
        }
        *name = candidate;
    }
    names
}

/// The usual extension of the format of an image, with its dot.
fn extension_of(header: &ImageHeader) -> &'static str {
    match header.format {
        "jpeg" => ".jpg",
        "png" => ".png",
        "webp" => ".webp",
        "gif" => ".gif",
        _ => ".bmp",
    }
}

/// Length of the common folder prefix of all names, including the slash.
fn common_folder(names: &[String]) -> usize {
    let folder = |name: &str| name.rfind('/').map_or(0, |slash| slash + 1);
    let Some(first) = names.first() else { return 0 };
    let mut common = folder(first);
    for name in names {
        while common > 0 && !name.starts_with(&first[..common]) {
            common = folder(&first[..common - 1]);
        }
    }
    common
}
