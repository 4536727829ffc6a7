//! Detects the objects in all images of a folder, on all cores, and prints a line of JSON per image.
//!
//! ```sh
//! cargo run --release -p picodet --example batch -- FOLDER [MODEL.safetensors]
//! ```
//!
//! The images are processed in batches, so that the decoded images of only one batch are in memory.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use picodet::{Detector, Model, Options, default_model};

const BATCH: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, model) = match &arguments[..] {
        [folder] => (folder, default_model()?),
        [folder, model] => (folder, Model::from_bytes(&std::fs::read(model)?)?),
        _ => return Err("usage: batch FOLDER [MODEL.safetensors]".into()),
    };
    let threads = available_parallelism().map_or(1, usize::from);
    let options = Options::new().with_threads(threads).with_score_threshold(0.4);
    let detector = Detector::new(&model, &options)?;
    for paths in images(Path::new(folder))?.chunks(BATCH) {
        for (path, detections) in paths.iter().zip(detector.detect_batch(paths)?) {
            println!(
                r#"{{"image": {:?}, "detections": {}}}"#,
                path.display().to_string(),
                detections.to_json()
            );
        }
    }
    Ok(())
}

/// The image files of a folder, by name.
fn images(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        if ["jpg", "jpeg", "png", "webp", "bmp"].iter().any(|known| extension == *known) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
