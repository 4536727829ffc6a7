//! Prints the detections in the images of a folder: one line per image with its name, a tabulator and an array in JSON.
//!
//! ```sh
//! cargo run --release -p picodet --example pictures -- FOLDER
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::path::PathBuf;

use picodet::{Detector, Options, default_model};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: pictures FOLDER")?;
    let detector = Detector::new(&default_model()?, &Options::new().with_score_threshold(0.4))?;
    let files: Result<Vec<PathBuf>, _> =
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut files = files?;
    files.sort();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        match detector.detect(&file) {
            Ok(found) => println!("{name}\t{}", found.to_json()),
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
