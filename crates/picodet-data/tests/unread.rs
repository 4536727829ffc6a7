//! Labels that no split contains are findings and losses, whatever the layout; sound datasets have none.

mod common;

use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{
    CheckOptions, DataError, FindingKind, Format, Images, WriteOptions, check, convert, open_lenient,
};
use serde_json::json;

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

/// Writes an image and its label of a format; `path` is that of the image without extension.
fn labelled(root: &Path, path: &str, format: Format) {
    let name = path.rsplit('/').next().unwrap();
    let seed = path.bytes().fold(7u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    picture(root.join(format!("{path}.png")), 200, 100, seed);
    let file = root.join(path);
    if format == Format::VOC {
        let objects = voc_object("cat", ["10", "10", "60", "60"]);
        put(file.with_extension("xml"), voc_xml(&format!("{name}.png"), &objects));
    } else if format == Format::LABELME {
        put(file.with_extension("json"), labelme(name, true));
    } else if format == Format::YOLO {
        put(file.with_extension("txt"), ROW);
    } else {
        put(file.with_file_name("_annotations.coco.json"), coco(&[&format!("{name}.png")]));
    }
}

fn labelme(name: &str, with_shape: bool) -> String {
    let shape = json!({"label": "cat", "shape_type": "rectangle", "points": [[10, 10], [60, 60]]});
    let shapes = if with_shape { vec![shape] } else { Vec::new() };
    json!({"version": "5", "shapes": shapes, "imagePath": format!("{name}.png"), "imageData": null,
        "imageHeight": 100, "imageWidth": 200})
    .to_string()
}

/// A COCO file with one object in each image.
fn coco(files: &[&str]) -> String {
    let images: Vec<_> = (1..)
        .zip(files)
        .map(|(id, file)| json!({"id": id, "file_name": file, "width": 200, "height": 100}))
        .collect();
    let boxes: Vec<_> = (1..=files.len())
        .map(|id| json!({"id": id, "image_id": id, "category_id": 1, "bbox": [10, 10, 50, 50]}))
        .collect();
    json!({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]}).to_string()
}

/// Kind and end of the location of each error and warning.
fn faults(root: &Path) -> Vec<(&'static str, String)> {
    let options = CheckOptions { input: (64, 64), ..CheckOptions::default() };
    let report = check(root, None, &options).expect("a dataset").report;
    let faults = report.findings.list().iter().filter(|finding| finding.severity.name() != "info");
    let base = root.to_string_lossy().into_owned();
    faults
        .map(|finding| {
            let file = finding.location.file.strip_prefix(&base).unwrap_or(&finding.location.file);
            (finding.kind.id(), file.trim_start_matches(['/', '.']).to_string())
        })
        .collect()
}

/// Expects that conversion is refused, and with permission counts one loss of this kind.
fn expect_loss(root: &Path, kind: FindingKind) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for format in Format::all() {
        let refused = convert(root, None, format, &out, Images::Leave);
        assert!(matches!(refused, Err(DataError::Faulty { .. })), "{}: {refused:?}", root.display());
    }
    let options = WriteOptions::from(Images::Leave).with_loss(true);
    let report = convert(root, None, Format::COCO, &out, options).unwrap();
    let lost = report.losses.iter().find(|loss| Some(loss.what.as_str()) == kind.lost());
    assert_eq!(lost.map(|loss| loss.count), Some(1), "{}: {:?}", root.display(), report.losses);
}

/// Expects that a dataset has no fault and is converted without loss.
fn expect_sound(root: &Path, objects: usize) {
    assert_eq!(faults(root), [], "{}", root.display());
    let folder = tempfile::tempdir().unwrap();
    let report = convert(root, None, Format::COCO, folder.path().join("out"), Images::Copy).unwrap();
    assert_eq!((report.objects, report.missing.len()), (objects, 0), "{}", root.display());
}

#[test]
fn labels_beside_folders_of_splits_are_reported() {
    for format in Format::all() {
        for place in ["more/x", "x"] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            for split in ["train", "valid"] {
                labelled(root, &format!("{split}/{split}1"), format);
            }
            put(root.join("classes.txt"), "cat\n");
            expect_sound(root, 2);
            labelled(root, place, format);
            let expected = match format {
                Format::COCO => place.replace('x', "_annotations.coco.json"),
                Format::VOC => format!("{place}.xml"),
                Format::LABELME => format!("{place}.json"),
                _ => format!("{place}.txt"),
            };
            assert_eq!(faults(root), [("label-unread", expected)], "{format} {place}");
            expect_loss(root, FindingKind::LabelUnread);
        }
    }
}

#[test]
fn labels_beside_the_folders_of_yolo_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a", "b"] {
        picture(root.join(format!("images/{name}.png")), 200, 100, name.as_bytes()[0]);
        put(root.join(format!("labels/{name}.txt")), ROW);
    }
    put(root.join("classes.txt"), "cat\n");
    // Captions and background images are not losses.
    picture(root.join("d.png"), 200, 100, 3);
    put(root.join("d.txt"), "3 dogs and a cat\n");
    picture(root.join("e.png"), 200, 100, 4);
    put(root.join("e.txt"), "");
    // The results of a detector have scores.
    picture(root.join("runs/f.png"), 200, 100, 5);
    put(root.join("runs/labels/f.txt"), "0 0.5 0.5 0.2 0.2 0.9\n");
    expect_sound(root, 2);
    labelled(root, "c", Format::YOLO);
    assert_eq!(faults(root), [("label-unread", "c.txt".to_string())]);
    expect_loss(root, FindingKind::LabelUnread);
}

#[test]
fn labelled_images_that_no_entry_of_a_data_file_names_are_reported() {
    for (yaml, lists) in [
        ("train: train.txt\nval: val.txt\nnames: [cat]\n", true),
        ("train: images/train\nval: images/val\nnames: [cat]\n", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let add = |split: &str| {
            picture(root.join(format!("images/{split}/{split}.png")), 200, 100, split.as_bytes()[1]);
            put(root.join(format!("labels/{split}/{split}.txt")), ROW);
            if lists {
                put(root.join(format!("{split}.txt")), format!("images/{split}/{split}.png\n"));
            }
        };
        put(root.join("data.yaml"), yaml);
        put(root.join("settings.yaml"), "epochs: 3\n");
        add("train");
        add("val");
        expect_sound(root, 2);
        expect_sound(&root.join("data.yaml"), 2);
        add("more");
        for path in [root.to_path_buf(), root.join("data.yaml")] {
            let found = check(&path, None, &CheckOptions::default()).unwrap().report.findings;
            assert_eq!(found.counts().get(&FindingKind::LabelUnread), Some(&1), "{yaml}");
            expect_loss(&path, FindingKind::LabelUnread);
        }
        // One split is read on purpose.
        let one = convert(root, Some("val"), Format::COCO, root.with_extension("out"), Images::Leave);
        assert_eq!(one.map(|report| report.objects).ok(), Some(1));
        std::fs::remove_dir_all(root.with_extension("out")).unwrap();
    }
}

#[test]
fn images_of_voc_in_no_list_are_reported_by_every_operation() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a", "b", "c"] {
        labelled(root, name, Format::VOC);
        std::fs::create_dir_all(root.join("JPEGImages")).unwrap();
        std::fs::rename(root.join(format!("{name}.png")), root.join(format!("JPEGImages/{name}.png")))
            .unwrap();
        let xml = std::fs::read(root.join(format!("{name}.xml"))).unwrap();
        put(root.join(format!("Annotations/{name}.xml")), xml);
        std::fs::remove_file(root.join(format!("{name}.xml"))).unwrap();
    }
    put(root.join("ImageSets/Main/train.txt"), "a\n");
    put(root.join("ImageSets/Main/val.txt"), "b\nc\n");
    expect_sound(root, 3);
    put(root.join("ImageSets/Main/val.txt"), "b\n");
    assert_eq!(faults(root), [("label-unread", "Annotations/c.xml".to_string())]);
    expect_loss(root, FindingKind::LabelUnread);
    // As a whole, which is what `data split` reads.
    let loaded = open_lenient(root, None).unwrap();
    assert_eq!((loaded.dataset.images.len(), loaded.findings.errors()), (2, 1));
    // An image without objects is no loss.
    put(root.join("Annotations/c.xml"), voc_xml("c.png", ""));
    assert_eq!(faults(root), [("image-unreferenced", "JPEGImages/c.png".to_string())]);
}

#[test]
fn a_coco_file_in_another_folder_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["t", "sub/v"] {
        picture(root.join(format!("{name}.png")), 200, 100, name.len() as u8);
    }
    put(root.join("train.json"), coco(&["t.png"]));
    put(root.join("sub/val.json"), coco(&["v.png"]));
    assert_eq!(faults(root), [("label-unread", "sub/val.json".to_string())]);
    expect_loss(root, FindingKind::LabelUnread);
    // A file with the same images loses none.
    put(root.join("sub/val.json"), coco(&["../t.png"]));
    assert_eq!(faults(root), []);
}
