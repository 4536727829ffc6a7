//! A small dataset for tests of training.

use std::path::{Path, PathBuf};

use picodet::crates::image::{Image, encode_png};

/// Eight pictures of a bright square on grey, as a COCO dataset.
pub(crate) fn dataset(folder: &Path) -> PathBuf {
    const SIDE: usize = 64;
    let mut images = Vec::new();
    let mut annotations = Vec::new();
    for number in 0..8 {
        let mut image = Image::filled(SIDE, SIDE, [90; 3]);
        let (left, top) = (4 + 3 * number, 30 - 2 * number);
        for at in 0..24 * 24 {
            image.set_pixel(left + at % 24, top + at / 24, [220, 200, 40]);
        }
        let file = format!("{number}.png");
        std::fs::write(folder.join(&file), encode_png(&image)).expect("a picture");
        images.push(serde_json::json!({"id": number, "file_name": file, "width": SIDE, "height": SIDE}));
        annotations.push(serde_json::json!({
            "id": number + 1, "image_id": number, "category_id": 1, "bbox": [left, top, 24, 24], "area": 576,
            "iscrowd": 0,
        }));
    }
    let text = serde_json::json!({
        "images": images, "annotations": annotations, "categories": [{"id": 1, "name": "square"}],
    });
    let path = folder.join("squares.json");
    std::fs::write(&path, text.to_string()).expect("annotations");
    path
}
