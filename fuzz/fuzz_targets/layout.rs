//! Small folders in the layouts of labelling tools, which are opened, checked, repaired, converted and split.
//!
//! The input is a byte that chooses the operation, then files: each is the byte 0xF8, a path, the byte 0xF9 and
//! the content. Neither byte is part of UTF-8.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use picodet_data::{CheckOptions, Dataset, Format, Images, Part, WriteOptions};

/// A picture of one pixel, the content of each picture that has none.
const PICTURE: &[u8] = b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0\x04\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20\x40\x60\0";

/// The most files of one input.
const MAX_FILES: usize = 24;

fuzz_target!(|bytes: &[u8]| {
    let Some((&operation, files)) = bytes.split_first() else { return };
    let folder = std::env::temp_dir().join(format!("picodet-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let root = folder.join("set");
    let _ = fs::create_dir_all(&root);
    for file in files.split(|&byte| byte == 0xF8).take(MAX_FILES) {
        let Some(end) = file.iter().position(|&byte| byte == 0xF9) else { continue };
        write(&root, &file[..end], &file[end + 1..]);
    }
    let _ = run(operation, &root, &folder.join("out"));
    let _ = fs::remove_dir_all(&folder);
});

/// Writes a file below `root`; the path cannot leave it.
fn write(root: &Path, path: &[u8], content: &[u8]) {
    let Ok(path) = std::str::from_utf8(path) else { return };
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "." | "..") && !part.contains('\0'));
    let path: PathBuf = root.join(parts.take(5).collect::<PathBuf>());
    let is_picture = path.extension().is_some_and(|extension| extension == "png" || extension == "jpg");
    let content = if is_picture && content.is_empty() { PICTURE } else { content };
    if let Some(parent) = path.parent() {
        let _ = fs::create_dir_all(parent);
    }
    let _ = fs::write(&path, content);
}

fn run(operation: u8, root: &Path, out: &Path) -> Result<(), picodet_data::DataError> {
    let options = WriteOptions::from(Images::Copy).with_loss(operation & 0x80 != 0);
    let formats: Vec<Format> = Format::all().collect();
    match operation % 8 {
        0 => {
            for name in picodet_data::splits(root)?.iter().take(4) {
                let _ = picodet_data::open_lenient(root, Some(name));
            }
            let _ = picodet_data::open_lenient(root, None);
        }
        1 | 2 => {
            let checked = picodet_data::check(root, None, &CheckOptions::default())?;
            let _ = picodet_data::render_text(&checked.report);
            let _ = picodet_data::render_json(&checked.report);
            let _ = picodet_data::render_html(&checked);
            let _ = picodet_data::fix(&checked, out, options);
        }
        3 => {
            let loaded = picodet_data::open_lenient(root, None)?;
            let parts = picodet_data::split(&loaded.dataset, &[("train", 0.7), ("val", 0.3)], 0)?;
            let parts = [Part { name: "train", dataset: &parts[0] }, Part { name: "val", dataset: &parts[1] }];
            picodet_data::write(&parts, loaded.dataset.format, out, options)?;
        }
        choice => {
            let format = formats[usize::from(choice) % formats.len()];
            let report = picodet_data::convert(root, None, format, out, options)?;
            if report.losses.is_empty() && report.missing.is_empty() {
                objects_are_kept(report.objects, out);
            }
        }
    }
    Ok(())
}

/// What was written without loss is read back with the same number of objects.
fn objects_are_kept(written: usize, out: &Path) {
    let names = picodet_data::splits(out).expect("splits of our own dataset");
    let names: Vec<Option<&str>> =
        if names.is_empty() { vec![None] } else { names.iter().map(|name| Some(name.as_str())).collect() };
    let read: usize = names
        .into_iter()
        .map(|name| Dataset::open(out, name).expect("our own dataset"))
        .map(|dataset| dataset.images.iter().map(|image| image.objects.len()).sum::<usize>())
        .sum();
    assert_eq!(read, written, "objects of our own dataset");
}
