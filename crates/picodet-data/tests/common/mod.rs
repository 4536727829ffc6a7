//! Shared by several tests: small images, files, the reference data.
#![allow(dead_code, unreachable_pub, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};

/// `../shared` next to the repository, or `PICODET_SHARED`; `None` (with a message) when absent.
pub fn shared() -> Option<PathBuf> {
    let root = std::env::var("PICODET_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_string());
    let root = PathBuf::from(root);
    if root.is_dir() {
        return Some(root);
    }
    eprintln!("skipped: ../shared is absent");
    None
}

/// Writes a file and its parent folders.
pub fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Writes an RGB image of this size whose content depends on `seed`; the extension decides the format.
pub fn picture(path: impl AsRef<Path>, width: u32, height: u32, seed: u8) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixels = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([(x * 3) as u8 ^ seed, (y * 5) as u8, seed.wrapping_mul(37)])
    });
    pixels.save(path).unwrap();
}

/// A JPEG with an EXIF orientation before its other segments.
pub fn turned_jpeg(path: &Path, width: u32, height: u32, orientation: u8) {
    picture(path, width, height, 99);
    let plain = fs::read(path).unwrap();
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1];
    bytes.extend(((exif.len() + 2) as u16).to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&plain[2..]);
    fs::write(path, bytes).unwrap();
}

/// One VOC object.
pub fn voc_object(name: &str, corners: [&str; 4]) -> String {
    let [x1, y1, x2, y2] = corners;
    format!(
        "<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>\n"
    )
}

/// A VOC file for a 200 × 100 image.
pub fn voc_xml(file: &str, objects: &str) -> String {
    format!(
        "<annotation>\n<filename>{file}</filename>\n<size><width>200</width><height>100</height><depth>3</depth></size>\n{objects}</annotation>\n"
    )
}

/// A YOLO set with the images `a.png` and `b.png` in `images/`, without a data file.
#[derive(Debug, Clone, Copy)]
pub struct TwoImages<'a>(&'a Path);

/// Writes a YOLO set of two images with the same rows.
pub fn two_images<'a>(root: &'a Path, rows: &str) -> TwoImages<'a> {
    for (seed, name) in (1..).zip(["a", "b"]) {
        picture(root.join(format!("images/{name}.png")), 200, 100, seed);
        put(root.join(format!("labels/{name}.txt")), rows);
    }
    TwoImages(root)
}

impl TwoImages<'_> {
    /// Writes the rows of one image.
    pub fn label(self, name: &str, rows: &str) -> Self {
        put(self.0.join(format!("labels/{name}.txt")), rows);
        self
    }
}
