//! Expands image arguments to files, reads images and maps them to COCO ids.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{DirEntry, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use picodet::crates::image::{IMAGE_EXTENSIONS, is_ignored_name};
use picodet::{Image, Limits};

use crate::host;
use crate::output::status;

/// Maximum number of bytes that are read from a file.
const MAX_FILE_SIZE: u64 = 1 << 30;
/// Bytes of a file without extension in which an image is recognised.
const SIGNATURE: u64 = 1 << 12;
/// Extensions that are listed when files are passed over.
const LISTED_EXTENSIONS: usize = 8;

/// Returns the images of a file, folder, glob pattern or `-`, in sorted order. Reports what of a folder is passed over.
pub(crate) fn expand(path: &Path) -> Result<Vec<PathBuf>> {
    let name = || path.display().to_string();
    if path.is_dir() {
        return images_of_folder(path);
    }
    if path == Path::new("-") || path.exists() {
        return Ok(vec![path.to_owned()]);
    }
    let pattern = path.to_str().filter(|pattern| pattern.contains(['*', '?', '[']));
    let Some(pattern) = pattern else { bail!("{}: no such file or folder", name()) };
    let found = matches(pattern).with_context(name)?;
    if found.is_empty() {
        bail!("{}: the pattern matches no files", name());
    }
    Ok(found)
}

/// Returns the files that a glob pattern matches, in sorted order. Hidden files and leftovers of other systems are left out, as
/// of a folder; each folder is read once, whatever the number of links to it.
fn matches(pattern: &str) -> Result<Vec<PathBuf>> {
    // `**` at the end stands for all files below.
    let everything = pattern == "**" || pattern.ends_with("/**");
    let pattern: PathBuf = Path::new(pattern)
        .components()
        .chain(everything.then(|| Component::Normal(OsStr::new("*"))))
        .collect();
    let components: Vec<&OsStr> = pattern.iter().collect();
    let is_wild = |component: &&OsStr| component.to_string_lossy().contains(['*', '?', '[']);
    let literal = components.iter().take_while(|component| !is_wild(component)).count();
    let depth = if components.contains(&OsStr::new("**")) { usize::MAX } else { components.len() - literal };
    let pattern = glob::Pattern::new(&pattern.to_string_lossy())?;
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };

    let base: PathBuf = components[..literal].iter().collect();
    let (mut found, mut read) = (Vec::new(), BTreeSet::new());
    let mut todo = vec![(base, 1)];
    while let Some((folder, level)) = todo.pop() {
        let place = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        if !place.canonicalize().is_ok_and(|real| read.insert(real)) {
            continue;
        }
        let Ok(listing) = std::fs::read_dir(place) else { continue };
        let mut entries: Vec<DirEntry> = listing.flatten().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
        for entry in entries {
            let name = entry.file_name();
            if is_ignored_name(&name.to_string_lossy()) && !components.contains(&name.as_os_str()) {
                continue;
            }
            let path = folder.join(&name);
            match kind(&entry) {
                Kind::Folder if level < depth => todo.push((path, level + 1)),
                Kind::File if pattern.matches_path_with(&path, options) => found.push(path),
                _ => {}
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Returns the images directly in a folder, in sorted order.
fn images_of_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut passed_over = PassedOver::default();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry.with_context(|| folder.display().to_string())?;
        if is_ignored_name(&entry.file_name().to_string_lossy()) {
            continue;
        }
        match kind(&entry) {
            Kind::Folder => passed_over.folders += 1,
            Kind::File if is_image(&entry.path()) => found.push(entry.path()),
            Kind::File => passed_over.add(&entry.path()),
            Kind::Other => {}
        }
    }
    found.sort_unstable();
    let passed_over = passed_over.to_string();
    if found.is_empty() {
        let rest =
            if passed_over.is_empty() { String::new() } else { format!("; passed over: {passed_over}") };
        bail!(
            "{}: no images in this folder (expected {}){rest}",
            folder.display(),
            IMAGE_EXTENSIONS.join(", ")
        );
    }
    if !passed_over.is_empty() {
        status(&format!("{}: passed over: {passed_over}", folder.display()));
    }
    Ok(found)
}

/// The kind of a folder entry.
enum Kind {
    File,
    Folder,
    /// A device, a socket, or a link that leads to itself.
    Other,
}

/// Returns the kind of an entry, following links. A link to a missing file counts as a file, so that it is reported.
fn kind(entry: &DirEntry) -> Kind {
    let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
    let kind = if is_link {
        std::fs::metadata(entry.path()).map(|data| data.file_type())
    } else {
        entry.file_type()
    };
    match kind {
        Ok(kind) if kind.is_dir() => Kind::Folder,
        Ok(kind) if kind.is_file() => Kind::File,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kind::File,
        Ok(_) | Err(_) => Kind::Other,
    }
}

/// Whether a file is read as an image: by its extension, or without one by its content.
fn is_image(path: &Path) -> bool {
    match path.extension() {
        Some(extension) => {
            let extension = extension.to_string_lossy().to_ascii_lowercase();
            IMAGE_EXTENSIONS.contains(&extension.as_str())
        }
        None => {
            let mut bytes = Vec::new();
            let read = File::open(path).and_then(|file| file.take(SIGNATURE).read_to_end(&mut bytes));
            read.is_ok() && picodet::crates::image::is_supported(&bytes)
        }
    }
}

/// The entries of a folder that are not read as images.
#[derive(Debug, Default)]
struct PassedOver {
    /// Number of files of each extension, in lower case with its dot; empty for files without extension.
    files: BTreeMap<String, usize>,
    folders: usize,
}

impl PassedOver {
    fn add(&mut self, path: &Path) {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let extension = extension.map_or_else(String::new, |extension| format!(".{extension}"));
        *self.files.entry(extension).or_default() += 1;
    }
}

impl std::fmt::Display for PassedOver {
    /// Writes `2 files (.heic 1, .txt 1), 1 folder`; an empty text if all files are read.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let noun = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        let mut parts = Vec::new();
        let files: usize = self.files.values().sum();
        if files > 0 {
            let mut by_count: Vec<_> = self.files.iter().collect();
            by_count.sort_by_key(|&(_, &count)| std::cmp::Reverse(count));
            let listed = by_count.iter().take(LISTED_EXTENSIONS).map(|&(extension, count)| {
                if extension.is_empty() {
                    format!("without extension {count}")
                } else {
                    format!("{extension} {count}")
                }
            });
            let more = if by_count.len() > LISTED_EXTENSIONS { ", …" } else { "" };
            let listed = listed.collect::<Vec<_>>().join(", ");
            parts.push(format!("{} ({listed}{more})", noun(files, "file")));
        }
        if self.folders > 0 {
            parts.push(noun(self.folders, "folder"));
        }
        formatter.write_str(&parts.join(", "))
    }
}

/// Reads an image from a file, or from standard input for `-`.
pub(crate) fn read(source: &Path, limits: &Limits) -> Result<Image> {
    let mut bytes = Vec::new();
    if source == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE_SIZE).read_to_end(&mut bytes)?;
    } else {
        File::open(source)?.take(MAX_FILE_SIZE).read_to_end(&mut bytes)?;
    }
    Ok(picodet::crates::image::decode(&bytes, limits)?)
}

/// Returns a progress bar over images, as [`progress_of`].
pub(crate) fn progress(count: usize, activity: &str) -> ProgressBar {
    progress_of(count, activity, "images")
}

/// Returns a progress bar, which is visible only in a terminal, without a host, and for more than one item; `unit` is the name
/// of the items.
pub(crate) fn progress_of(count: usize, activity: &str, unit: &str) -> ProgressBar {
    let target = if count > 1 && host::current().is_none() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(count as u64), target);
    let template = format!("{{msg}} {{bar:30}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
    ProgressStyle::with_template(&template).map(|style| bar.set_style(style)).ok();
    bar.set_message(activity.to_owned());
    bar
}
