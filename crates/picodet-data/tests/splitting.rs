//! Splitting and checking datasets whose images are files, embedded in label files, or absent.

mod common;

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use common::{picture, put};
use picodet_data::{
    CheckOptions, Dataset, FindingKind, Images, WriteOptions, check, fix, open_lenient, split,
};
use serde_json::{Value, json};

/// A LabelMe file with one object; `data` is the embedded image.
fn labelme(root: &Path, name: &str, data: Option<String>, size: Option<[u32; 2]>) {
    let shape =
        json!({"label": "cat", "shape_type": "rectangle", "points": [[10, 10], [60, 50]], "flags": {}});
    let mut document =
        json!({"version": "5", "shapes": [shape], "imagePath": format!("{name}.png"), "imageData": data});
    if let Some([width, height]) = size {
        document["imageWidth"] = width.into();
        document["imageHeight"] = height.into();
    }
    put(root.join(format!("{name}.json")), document.to_string());
}

/// The bytes of an image.
fn bytes(seed: u8) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    picture(&path, 200, 100, seed);
    fs::read(path).unwrap()
}

fn encoded(seed: u8) -> Option<String> {
    Some(BASE64_STANDARD.encode(bytes(seed)))
}

#[test]
fn equal_images_are_in_one_part_wherever_they_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for pair in 0..6u8 {
        // Embedded, embedded in lines with a prefix, and a file.
        labelme(root, &format!("{pair}_a"), encoded(pair), Some([200, 100]));
        let text = encoded(pair).unwrap();
        let (start, end) = text.split_at(60);
        let lines = format!("data:image/png;base64,{start}\r\n{end}");
        labelme(root, &format!("{pair}_b"), Some(lines), Some([200, 100]));
        labelme(root, &format!("{pair}_c"), None, Some([200, 100]));
        put(root.join(format!("{pair}_c.png")), bytes(pair));
    }
    // Two label files of an image that does not exist.
    for name in ["x", "y"] {
        labelme(root, name, None, Some([200, 100]));
        let text = fs::read_to_string(root.join(format!("{name}.json"))).unwrap();
        put(root.join(format!("{name}.json")), text.replace(&format!("{name}.png"), "absent.png"));
    }
    let dataset = Dataset::open(root, None).unwrap();
    for seed in 0..8 {
        let parts = split(&dataset, &[("train", 0.5), ("val", 0.5)], seed).unwrap();
        let key = |file: &str| file.split('_').next().unwrap().to_owned();
        let of = |part: &Dataset| part.images.iter().map(|image| key(&image.file)).collect::<Vec<_>>();
        let (train, val) = (of(&parts[0]), of(&parts[1]));
        assert_eq!(train.len() + val.len(), 20);
        assert!(train.iter().all(|name| !val.contains(name)), "{train:?} {val:?}");
    }
}

#[test]
fn equal_embedded_images_are_found_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (name, seed) in [("train/a", 1), ("train/b", 1), ("train/c", 2), ("val/d", 2)] {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        labelme(root, name, encoded(seed), Some([200, 100]));
        let text = fs::read_to_string(root.join(format!("{name}.json"))).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let path = document["imagePath"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        put(root.join(format!("{name}.json")), text.replace(&format!("{name}.png"), &path));
    }
    let counts = check(root, None, &CheckOptions::default()).unwrap().report.findings.counts().clone();
    let count = |kind| counts.get(&kind).copied().unwrap_or_default();
    assert_eq!((count(FindingKind::ImageDuplicate), count(FindingKind::Leakage)), (1, 1), "{counts:?}");
}

#[test]
fn sizes_of_embedded_images_are_taken_from_the_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    labelme(&root, "absent", encoded(1), None);
    labelme(&root, "wrong", encoded(2), Some([400, 300]));
    labelme(&root, "damaged", Some(BASE64_STANDARD.encode(&bytes(3)[..200])), Some([200, 100]));
    let loaded = open_lenient(&root, None).unwrap();
    assert_eq!(loaded.findings.counts().get(&FindingKind::SizeUnknown), Some(&1));
    assert_eq!((loaded.dataset.images[0].width, loaded.dataset.images[0].height), (200, 100));

    let checked = check(&root, None, &CheckOptions::default()).unwrap();
    let found = |kind| checked.report.findings.list().iter().any(|finding| finding.kind == kind);
    assert!(found(FindingKind::SizeMismatch) && found(FindingKind::ImageUndecodable));
    let out = folder.path().join("fixed");
    fix(&checked, &out, WriteOptions::from(Images::Copy).with_loss(true)).unwrap();
    let mut sizes = Vec::new();
    for entry in fs::read_dir(out.join("all")).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|extension| extension == "json") {
            let document: Value = serde_json::from_slice(&fs::read(entry).unwrap()).unwrap();
            sizes.push((document["imageWidth"].clone(), document["imageHeight"].clone()));
        }
    }
    assert_eq!(sizes, [(json!(200), json!(100)), (json!(200), json!(100))]);
}
