//! Test images without labels are no fault; images without labels in `train` and `val` are.

mod common;

use std::fs;
use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{CheckOptions, Format, Images, check, convert, open_lenient, splits};
use serde_json::json;

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

/// Kinds and messages of the warnings and errors.
fn found(root: &Path) -> Vec<(&'static str, &'static str, String)> {
    let report = check(root, None, &CheckOptions::default()).expect("a dataset").report;
    let list = report.findings.list().iter().filter(|finding| finding.severity.name() != "info");
    list.map(|finding| (finding.severity.name(), finding.kind.id(), finding.message.clone())).collect()
}

fn yolo(root: &Path, labelled: &[&str], unlabelled: &[&str]) {
    let mut data = "names: [cat]\n".to_string();
    for split in labelled.iter().chain(unlabelled) {
        picture(root.join(format!("images/{split}/{split}.png")), 200, 100, split.as_bytes()[1]);
        data += &format!("{split}: images/{split}\n");
    }
    for split in labelled {
        put(root.join(format!("labels/{split}/{split}.txt")), ROW);
    }
    put(root.join("data.yaml"), data);
}

#[test]
fn test_images_without_labels_are_a_warning() {
    let cases: [(&[&str], &[&str], &str, &str); 6] = [
        (&["train", "val"], &["test"], "warning", "split-without-objects"),
        (&["train", "val"], &["test-dev"], "warning", "split-without-objects"),
        (&["train", "val"], &["pool"], "warning", "split-without-objects"),
        (&["train"], &["val"], "error", "no-objects"),
        (&["val"], &["train"], "error", "no-objects"),
        (&[], &["train"], "error", "no-objects"),
    ];
    for (labelled, unlabelled, severity, kind) in cases {
        let folder = tempfile::tempdir().unwrap();
        yolo(folder.path(), labelled, unlabelled);
        let split = unlabelled[0];
        let message = format!("none of the 1 images of `{split}` has objects");
        let mut found = found(folder.path());
        found.retain(|(_, kind, _)| *kind != "class-untrained");
        assert_eq!(found, [(severity, kind, message)]);
    }
    let folder = tempfile::tempdir().unwrap();
    yolo(folder.path(), &["train", "val"], &["test"]);
    fs::remove_file(folder.path().join("images/test/test.png")).unwrap();
    let message = "split `test` has no images".to_string();
    assert_eq!(found(folder.path()), [("warning", "split-without-objects", message)]);
    fs::remove_file(folder.path().join("images/val/val.png")).unwrap();
    assert!(found(folder.path()).iter().any(|(_, kind, _)| *kind == "dataset-empty"));
}

#[test]
fn test_images_of_coco_without_annotations_are_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for split in ["train2017", "val2017", "test-dev2017"] {
        let name = format!("{split}.png");
        picture(root.join(split).join(&name), 200, 100, split.as_bytes()[1]);
        let annotation = json!({"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 50, 50]});
        let annotations = if split.starts_with("test") { vec![] } else { vec![annotation] };
        let file = json!({"images": [{"id": 1, "file_name": name, "width": 200, "height": 100}],
            "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]});
        put(root.join(format!("annotations/instances_{split}.json")), file.to_string());
    }
    let message = "none of the 1 images of `test-dev2017` has objects".to_string();
    assert_eq!(found(root), [("warning", "split-without-objects", message)]);
}

#[test]
fn lists_of_test_images_that_are_not_there_are_absent() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    yolo(&root, &["train", "val"], &[]);
    put(root.join("test-dev2017.txt"), "./images/test2017/1.png\n./images/test2017/2.png\n");
    put(
        root.join("coco.yaml"),
        "train: images/train\nval: images/val\ntest: test-dev2017.txt\nnames: [cat]\n",
    );
    fs::remove_file(root.join("data.yaml")).unwrap();
    let message = format!(
        "none of the images in `test: test-dev2017.txt` exists under {}",
        root.canonicalize().unwrap().display()
    );
    let expected = [("warning", "split-absent", message)];
    assert_eq!(found(&root.canonicalize().unwrap()), expected);
    assert_eq!(splits(&root).unwrap(), ["train", "val"]);
    assert_eq!(convert(&root, None, Format::COCO, &out, Images::Copy).unwrap().images, 2);
    // With a label or another image it is a fault.
    put(root.join("labels/test2017/1.txt"), ROW);
    assert!(found(&root).iter().any(|(severity, ..)| *severity == "error"));
    fs::remove_dir_all(root.join("labels/test2017")).unwrap();
    picture(root.join("images/test2017/1.png"), 200, 100, 99);
    assert_eq!(splits(&root).unwrap(), ["train", "val", "test"]);
    let kinds: Vec<_> = found(&root).into_iter().map(|(severity, kind, _)| (severity, kind)).collect();
    assert_eq!(kinds, [("error", "image-missing"), ("warning", "split-without-objects")]);
}

#[test]
fn test_lists_of_voc_without_xml_are_read() {
    for inside in ["", "VOCdevkit/VOC2012/"] {
        let folder = tempfile::tempdir().unwrap();
        let (top, out) = (folder.path().join("set"), folder.path().join("out"));
        let root = top.join(inside);
        for (split, name) in [("train", "a"), ("val", "b"), ("test", "c")] {
            picture(root.join(format!("JPEGImages/{name}.png")), 200, 100, name.as_bytes()[0]);
            put(root.join(format!("ImageSets/Main/{split}.txt")), format!("{name}\n"));
        }
        for name in ["a", "b"] {
            let xml = voc_xml(&format!("{name}.png"), &voc_object("cat", ["1", "1", "50", "50"]));
            put(root.join(format!("Annotations/{name}.xml")), xml);
        }
        let message = "none of the 1 images of `test` has objects".to_string();
        assert_eq!(found(&top), [("warning", "split-without-objects", message)], "{inside}");
        let report = convert(&top, None, Format::COCO, &out, Images::Copy).unwrap();
        assert_eq!((report.images, report.losses.len()), (3, 0), "{:?}", report.losses);
        let test = open_lenient(&top, Some("test")).unwrap().dataset;
        assert_eq!((test.images[0].width, test.images[0].label.as_deref()), (200, None));
        // As a whole, the test images are no background images.
        assert_eq!(open_lenient(&top, None).unwrap().dataset.images.len(), 2);
        // A list of which some images are labelled is a fault, and so is one for training.
        put(root.join("ImageSets/Main/test.txt"), "b\nc\n");
        assert!(found(&top).iter().any(|(_, kind, _)| *kind == "split-unlabelled"));
        put(root.join("ImageSets/Main/test.txt"), "x\n");
        fs::remove_file(root.join("JPEGImages/c.png")).unwrap();
        let kinds: Vec<_> = found(&top).into_iter().map(|(severity, kind, _)| (severity, kind)).collect();
        assert_eq!(kinds, [("warning", "split-absent"), ("warning", "split-without-objects")]);
        put(root.join("ImageSets/Main/val.txt"), "x\n");
        assert!(found(&top).iter().any(|(_, kind, _)| *kind == "split-unlabelled"));
    }
}
