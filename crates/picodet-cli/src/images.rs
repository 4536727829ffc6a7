//! Expands image arguments to files, reads images and maps them to COCO ids.

use std::collections::BTreeMap;
use std::fs::{DirEntry, File};
use std::io::Read;
use std::path::{Path, PathBuf};

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
    let matches = glob::glob(pattern).with_context(name)?.filter_map(Result::ok);
    let found: Vec<PathBuf> = matches.filter(|path| !path.is_dir()).collect();
    if found.is_empty() {
        bail!("{}: the pattern matches no files", name());
    }
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
