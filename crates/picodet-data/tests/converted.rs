//! Images of COCO datasets that were converted to another format, and rows that are counted as lost.

mod common;

use std::path::Path;

use common::{picture, put};
use picodet_data::{FindingKind, Format, Images, WriteOptions, convert, open_lenient};
use serde_json::json;

/// A COCO file of these images.
fn coco(root: &Path, files: &[&str]) {
    let images: Vec<_> = (1..)
        .zip(files)
        .map(|(id, file)| json!({"id": id, "file_name": file, "width": 200, "height": 100}))
        .collect();
    let annotations: Vec<_> = (1..=files.len())
        .map(|id| json!({"id": id, "image_id": id, "category_id": 1, "bbox": [1, 1, 50, 50]}))
        .collect();
    let file =
        json!({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]});
    put(root.join("annotations/instances_train.json"), file.to_string());
}

/// The images that exist, with their paths, and the number of findings about paths.
fn found(root: &Path) -> (Vec<String>, usize) {
    let loaded = open_lenient(root, None).unwrap();
    let dataset = &loaded.dataset;
    let there = (0..dataset.images.len()).filter(|&index| dataset.image_path(index).unwrap().is_file());
    let files = there.map(|index| dataset.image_path(index).unwrap());
    let files = files.map(|file| file.strip_prefix(root).unwrap().display().to_string()).collect();
    (files, loaded.findings.counts().get(&FindingKind::PathElsewhere).copied().unwrap_or(0))
}

#[test]
fn images_with_another_extension_are_found_in_the_folders_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    coco(root, &["a.png", "b.jpg", "c.JPEG"]);
    for (seed, file) in (1..).zip(["images/a.png", "images/b.png", "images/c.png", "masks/b.png"]) {
        picture(root.join(file), 200, 100, seed);
    }
    let files = ["images/a.png", "images/b.png", "images/c.png"].map(str::to_string).to_vec();
    assert_eq!(found(root), (files, 1));
    // All of them were converted.
    coco(root, &["a.jpg", "b.jpg", "c.jpg"]);
    let (files, findings) = found(root);
    assert_eq!(
        (files, findings),
        (["images/a.png", "images/b.png", "images/c.png"].map(str::to_string).to_vec(), 1)
    );
}

#[test]
fn masks_and_images_of_other_entries_are_no_converted_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // `b.jpg` was not downloaded, and `a.bmp` is not `a.png`, which has an entry.
    coco(root, &["a.png", "b.jpg", "a.bmp"]);
    picture(root.join("images/a.png"), 200, 100, 1);
    picture(root.join("masks/b.png"), 200, 100, 2);
    assert_eq!(found(root), (vec!["images/a.png".to_string()], 0));
    coco(root, &["b.jpg"]);
    assert_eq!(found(root), (vec![], 0));
}

#[test]
fn a_path_stands_for_a_missing_file_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let image = |id, path| json!({"id": id, "path": path, "width": 200, "height": 100});
    let images = [image(1, "/datasets/set/images/a.png"), image(2, "images/b.png"), image(3, "")];
    let boxes = [1, 2].map(|id| json!({"id": id, "image_id": id, "category_id": 1, "bbox": [1, 1, 50, 50]}));
    let file = json!({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]});
    put(root.join("annotations/instances_train.json"), file.to_string());
    for (seed, file) in (1..).zip(["images/a.png", "images/b.png"]) {
        picture(root.join(file), 200, 100, seed);
    }
    assert_eq!(found(root), (["images/a.png", "images/b.png"].map(str::to_string).to_vec(), 1));
}

#[test]
fn listed_images_with_another_extension_are_found_in_a_folder_of_the_same_name() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root.join("data.yaml"), "train: train.txt\nval: val.txt\nnames: [cat]\n");
    // `b.jpg` of the list is in no folder `train`; `c.jpg` is `c.png`, which is listed as well.
    put(
        root.join("train.txt"),
        "/data/set/images/train/a.jpg\nimages/train/b.jpg\nimages/train/c.jpg\nimages/train/c.png\n",
    );
    put(root.join("val.txt"), "images/val/b.png\n");
    for (seed, file) in
        (1..).zip(["images/train/a.png", "images/train/c.png", "images/val/b.png", "masks/b.png"])
    {
        picture(root.join(file), 200, 100, seed);
    }
    for file in ["train/a", "train/c", "val/b"] {
        put(root.join(format!("labels/{file}.txt")), "0 0.5 0.5 0.2 0.2\n");
    }
    let data = root.join("data.yaml");
    let loaded = open_lenient(&data, Some("train")).unwrap();
    let files: Vec<&str> = loaded.dataset.images.iter().map(|image| image.file.as_str()).collect();
    assert_eq!(
        files,
        ["images/train/a.png", "images/train/b.jpg", "images/train/c.jpg", "images/train/c.png"]
    );
    assert_eq!(loaded.dataset.images[0].objects.len(), 1);
    assert_eq!(loaded.findings.counts().get(&FindingKind::PathElsewhere), Some(&1));
}

#[test]
fn rows_that_are_left_out_are_not_counted_as_polygons() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let polygon = "0 0.1 0.1 0.5 0.1 0.5 0.5\n";
    // Keypoints without `kpt_shape`: the number of columns fits no polygon.
    let pose = "0 0.5 0.5 0.2 0.2 0.1 0.1 2 0.2 0.2 2 0.3 0.3 1\n";
    common::two_images(&root, polygon).label("b", &format!("{pose}0 0.5 0.5 0.2 0.2\n"));
    put(root.join("classes.txt"), "cat\n");
    let options = WriteOptions::from(Images::Copy).with_loss(true);
    let report = convert(&root, None, Format::COCO, folder.path().join("out"), options).unwrap();
    let losses: Vec<String> = report.losses.iter().map(ToString::to_string).collect();
    assert_eq!(
        losses,
        [
            "rows with the wrong number of columns (1 times)",
            "polygons (their bounding boxes are kept) (1 times)"
        ]
    );
}
