//! A synthetic dataset, and short runs on it.

use std::path::{Path, PathBuf};

use picodet::crates::image::{Image, encode_png};
use picodet::crates::train::random::{Purpose, Stream};
use picodet::crates::train::recipes::recipe;
use picodet::crates::train::{Experiment, InputSize};
use picodet::train::{DatasetPaths, Request};

/// Writes `count` images of discs and squares on noise as a COCO dataset.
pub(crate) fn shapes(folder: &Path, count: usize) -> PathBuf {
    const SIDE: usize = 128;
    let mut images = Vec::new();
    let mut annotations = Vec::new();
    for number in 0..count {
        let mut stream = Stream::new(11, Purpose::Image, number as u64, 0);
        let mut image = Image::filled(SIDE, SIDE, [0; 3]);
        for at in 0..SIDE * SIDE {
            let grey = 90 + stream.index(40) as u8;
            image.set_pixel(at % SIDE, at / SIDE, [grey, grey, grey]);
        }
        for place in 0..2 {
            let class = stream.index(2);
            let side = 24 + stream.index(24);
            // One in the left half, one in the right.
            let (left, top) = (place * 64 + stream.index(64 - side), stream.index(SIDE - side));
            let colour = [[220, 60, 60], [60, 80, 230]][class];
            for dy in 0..side {
                for dx in 0..side {
                    let (x, y) = (2 * dx as i64 + 1 - side as i64, 2 * dy as i64 + 1 - side as i64);
                    if class == 1 || x * x + y * y <= (side * side) as i64 {
                        image.set_pixel(left + dx, top + dy, colour);
                    }
                }
            }
            annotations.push(serde_json::json!({
                "id": annotations.len() + 1, "image_id": number + 1, "category_id": class + 1,
                "bbox": [left, top, side, side], "area": side * side, "iscrowd": 0,
            }));
        }
        let file = format!("{number}.png");
        std::fs::write(folder.join(&file), encode_png(&image)).expect("an image");
        images.push(serde_json::json!({"id": number + 1, "file_name": file, "width": SIDE, "height": SIDE}));
    }
    let categories =
        [(1, "disc"), (2, "square")].map(|(id, name)| serde_json::json!({"id": id, "name": name}));
    let path = folder.join("shapes.json");
    let text = serde_json::json!({"images": images, "annotations": annotations, "categories": categories});
    std::fs::write(&path, text.to_string()).expect("annotations");
    path
}

/// Returns the settings of a run on such images.
pub(crate) fn request(data: &Path, experiment: Experiment, batch: usize) -> Request {
    let paths = DatasetPaths { data: data.to_path_buf(), ..DatasetPaths::default() };
    Request { experiment, paths, weights: None, batch, seed: 5, frozen: Vec::new(), threads: 2 }
}

/// Returns a recipe with few epochs and a square network input of `side` pixels.
pub(crate) fn short(name: &str, epochs: usize, side: usize) -> Experiment {
    let mut experiment = recipe(name).expect("a recipe");
    experiment.epochs = epochs;
    experiment.rate.epochs = epochs;
    experiment.rate.warm_up = 20;
    experiment.batch.sizes = vec![InputSize::Square(side)];
    experiment
}
