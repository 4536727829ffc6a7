//! Expands image arguments to files, reads images and maps them to COCO ids.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use picodet::{Image, Limits};

/// Extensions of the files that are read from a folder.
const EXTENSIONS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "bmp"];
/// Maximum number of bytes that are read from a file.
const MAX_FILE_SIZE: u64 = 1 << 30;

/// Returns the images of a file, folder, glob pattern or `-`, in sorted order.
pub(crate) fn expand(argument: &str) -> Result<Vec<PathBuf>> {
    let path = Path::new(argument);
    if argument == "-" || path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if path.is_dir() {
        let mut found: Vec<PathBuf> = std::fs::read_dir(path)
            .with_context(|| argument.to_owned())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_file() && has_image_extension(path))
            .collect();
        found.sort_unstable();
        if found.is_empty() {
            bail!("{argument}: no images in this folder (expected {})", EXTENSIONS.join(", "));
        }
        return Ok(found);
    }
    if argument.contains(['*', '?', '[']) {
        let found: Vec<PathBuf> =
            glob::glob(argument).with_context(|| argument.to_owned())?.filter_map(Result::ok).collect();
        if found.is_empty() {
            bail!("{argument}: the pattern matches no files");
        }
        return Ok(found);
    }
    bail!("{argument}: no such file or folder")
}

fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    EXTENSIONS.contains(&extension.as_str())
}

/// Reads an image from a file, or from standard input for `-`.
pub(crate) fn read(source: &Path) -> Result<Image> {
    let mut bytes = Vec::new();
    if source == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE_SIZE).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(source)?.take(MAX_FILE_SIZE).read_to_end(&mut bytes)?;
    }
    Ok(picodet::crates::image::decode(&bytes, &Limits::default())?)
}

/// Returns a progress bar, which is visible only in a terminal and for more than one image.
pub(crate) fn progress(count: usize, activity: &str) -> ProgressBar {
    let target = if count > 1 { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(count as u64), target);
    let template = "{msg} {bar:30} {pos}/{len} images, {per_sec}, {eta} left";
    ProgressStyle::with_template(template).map(|style| bar.set_style(style)).ok();
    bar.set_message(activity.to_owned());
    bar
}
