//! Lists folders recursively: sorted, bounded, robust against cyclic links and names that are not UTF-8.

use std::collections::HashMap;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use crate::dataset::display;
use crate::error::DataError;
use crate::finding::{FindingKind, Findings, Location};
use crate::image_file::{EXTENSIONS, begins_as_image};

/// Maximum depth below the root.
const MAX_DEPTH: usize = 32;
/// Maximum number of paths to one folder that are followed: links to folders of links multiply exponentially.
const MAX_PATHS: u32 = 8;
/// Maximum number of entries.
const MAX_ENTRIES: usize = 20_000_000;

/// Whether an entry of a folder is a folder, or a link to one. Only links need an access to the disk.
pub(crate) fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()))
}

/// Returns the files below `root` with one of the extensions, as `/`-separated paths relative to `root`,
/// sorted. Links to folders are followed unless they lead to a parent folder, or to a folder that was already
/// reached by eight paths. Hidden files and folders and those of systems are skipped.
///
/// # Errors
/// [`DataError::Io`] when `root` cannot be listed; [`DataError::BadArgument`] for more than twenty million
/// entries.
pub(crate) fn files(
    root: &Path,
    extensions: &[&str],
    findings: &mut Findings,
) -> Result<Vec<String>, DataError> {
    select(root, &|name, _| has_extension(name, extensions), findings)
}

/// Returns all files below `root` as [`files`].
///
/// # Errors
/// As [`files`].
pub(crate) fn all(root: &Path) -> Result<Vec<String>, DataError> {
    select(root, &|_, _| true, &mut Findings::default())
}

/// Returns the images below `root` as [`files`]: those with an extension of images, and files without extension that begin
/// as an image.
///
/// # Errors
/// As [`files`].
pub(crate) fn images(root: &Path, findings: &mut Findings) -> Result<Vec<String>, DataError> {
    select(root, &is_image, findings)
}

/// Whether a file is an image by its extension, or without one by its first bytes.
pub(crate) fn is_image(name: &str, path: &Path) -> bool {
    has_extension(name, EXTENSIONS) || (!name.contains('.') && begins_as_image(path))
}

/// Returns the images directly in a folder, sorted; hidden ones are left out.
pub(crate) fn images_in(folder: &Path) -> Vec<String> {
    let listing = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = listing.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry)));
    let mut images: Vec<String> = names
        .filter(|(name, entry)| !name.starts_with('.') && is_image(name, &entry.path()))
        .map(|(name, _)| name)
        .collect();
    images.sort_unstable();
    images
}

/// Returns the files below `root` that `accept` admits by name and path.
fn select(
    root: &Path,
    accept: &dyn Fn(&str, &Path) -> bool,
    findings: &mut Findings,
) -> Result<Vec<String>, DataError> {
    let top = root.canonicalize().map_err(|source| DataError::io(root, source))?;
    let mut found = Vec::new();
    let mut entries = 0usize;
    let mut paths: HashMap<PathBuf, u32> = HashMap::new();
    // The folder, its path relative to the root, and its parent folders without links.
    let mut todo: Vec<(PathBuf, String, Vec<PathBuf>)> = vec![(root.to_path_buf(), String::new(), vec![top])];
    while let Some((folder, relative, above)) = todo.pop() {
        let listing = match std::fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(source) if relative.is_empty() => return Err(DataError::io(root, source)),
            Err(source) => {
                findings.push(
                    FindingKind::FileUnreadable,
                    Location::file(display(&folder)),
                    format!("the folder cannot be listed: {source}"),
                );
                continue;
            }
        };
        for entry in listing.flatten() {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(DataError::BadArgument {
                    what: format!("{}: more than {MAX_ENTRIES} entries", root.display()),
                });
            }
            let path = entry.path();
            let is_folder = is_folder(&entry);
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                if is_folder || accept(&name.to_string_lossy(), &path) {
                    findings.push(
                        FindingKind::NameNotUtf8,
                        Location::file(display(&path)),
                        "the name is not UTF-8, so no label file can refer to it; skipped".to_string(),
                    );
                }
                continue;
            };
            if picodet_image::is_ignored_name(name) {
                continue;
            }
            let below = if relative.is_empty() { name.to_string() } else { format!("{relative}/{name}") };
            if !is_folder {
                if accept(name, &path) {
                    found.push(below);
                }
                continue;
            }
            if above.len() > MAX_DEPTH {
                continue;
            }
            let Ok(real) = path.canonicalize() else { continue };
            if above.contains(&real) {
                findings.push(
                    FindingKind::LinkLoop,
                    Location::file(display(&path)),
                    "the link leads to a parent folder; not followed".to_string(),
                );
                continue;
            }
            let count = paths.entry(real.clone()).or_default();
            *count += 1;
            if *count > MAX_PATHS {
                findings.push(
                    FindingKind::LinkLoop,
                    Location::file(display(&path)),
                    format!("links lead to this folder by more than {MAX_PATHS} paths; not followed"),
                );
                continue;
            }
            let mut above = above.clone();
            above.push(real);
            todo.push((path, below, above));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns the path below a folder that a relative path means: as written, otherwise in another letter case.
pub(crate) fn existing(root: &Path, relative: &str) -> Option<String> {
    if root.join(relative).exists() {
        return Some(relative.to_string());
    }
    let mut found = String::new();
    for part in relative.split('/') {
        let listing = std::fs::read_dir(root.join(&found)).ok()?.flatten();
        let names = listing.filter_map(|entry| entry.file_name().into_string().ok());
        let own = names.filter(|name| name.eq_ignore_ascii_case(part)).min()?;
        found = if found.is_empty() { own } else { format!("{found}/{own}") };
    }
    Some(found)
}

/// Whether a name has one of the extensions, in any letter case.
pub(crate) fn has_extension(name: &str, extensions: &[&str]) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, ext)| extensions.iter().any(|known| known.eq_ignore_ascii_case(ext)))
}

/// Returns the path without the extension of its last component.
pub(crate) fn without_extension(path: &str) -> &str {
    let name_start = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[name_start..].rfind('.') {
        Some(dot) if dot > 0 => &path[..name_start + dot],
        _ => path,
    }
}

/// Returns the last component of a `/`- or `\`-separated path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
