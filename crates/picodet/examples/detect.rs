//! Detects the objects in an image, prints them and saves the image with the boxes drawn in.
//!
//! ```sh
//! cargo run --release -p picodet --example detect -- IMAGE OUTPUT.png [MODEL.safetensors]
//! ```
//!
//! Without a model it uses the embedded one, which finds the 80 classes of COCO, such as the cup in `examples/coffee.jpg`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use picodet::{Detector, Options, default_model, open_image};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, output, model) = match &arguments[..] {
        [path, output] => (path, output, None),
        [path, output, model] => (path, output, Some(model)),
        _ => return Err("usage: detect IMAGE OUTPUT.png [MODEL.safetensors]".into()),
    };
    let detector = match model {
        Some(model) => Detector::load(model)?,
        None => Detector::new(&default_model()?, &Options::new().with_score_threshold(0.4))?,
    };
    let image = open_image(path)?;
    let detections = detector.detect(&image)?;
    for found in detections.by_score() {
        let [x1, y1, x2, y2] = found.bbox.xyxy();
        println!("{} {:.2}: ({x1:.0}, {y1:.0}) to ({x2:.0}, {y2:.0})", found.label, found.score);
    }
    detections.draw(&image).save(output)?;
    Ok(())
}
