//! Lists of splits without a data file, copies of COCO files, labels of two formats, and classes of one name.

mod common;

use std::fs;
use std::path::Path;

use common::{picture, put, two_images, voc_object, voc_xml};
use picodet_data::{CheckOptions, FindingKind, Format, Images, check, convert, splits};
use serde_json::json;

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

/// Kinds of the warnings and errors.
fn kinds(root: &Path) -> Vec<&'static str> {
    let report = check(root, None, &CheckOptions::default()).expect("a dataset").report;
    let list = report.findings.list().iter().filter(|finding| finding.severity.name() != "info");
    list.map(|finding| finding.kind.id()).collect()
}

#[test]
fn lists_next_to_a_class_list_are_splits() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    two_images(root, ROW);
    put(root.join("classes.txt"), "cat\n");
    assert_eq!(splits(root).unwrap(), [""; 0]);
    put(root.join("train.txt"), "an essay about training\n");
    assert_eq!(splits(root).unwrap(), [""; 0]);
    put(root.join("train.txt"), "images/a.png\n");
    put(root.join("val.txt"), "./images/b.png\n");
    assert_eq!(splits(root).unwrap(), ["train", "val"]);
    assert_eq!(kinds(root), [""; 0]);
    // An image in no list is reported.
    put(root.join("val.txt"), "");
    assert_eq!(kinds(root), ["label-unread"]);
}

#[test]
fn data_files_of_darknet_are_found_one_folder_below() {
    for valid in ["valid", "test"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["a", "b"] {
            picture(root.join(format!("data/obj/{name}.png")), 200, 100, name.as_bytes()[0]);
            put(root.join(format!("data/obj/{name}.txt")), ROW);
        }
        put(root.join("data/obj.names"), "cat\n");
        put(root.join("data/train.txt"), "data/obj/a.png\n");
        put(root.join(format!("data/{valid}.txt")), "data/obj/b.png\n");
        let lists = format!("train = data/train.txt\nvalid = data/{valid}.txt\n");
        put(
            root.join("data/obj.data"),
            format!("classes = 1\n{lists}names = data/obj.names\nbackup = backup/\n"),
        );
        for path in [root.to_path_buf(), root.join("data")] {
            assert_eq!(splits(&path).unwrap(), ["train", "valid"]);
            assert_eq!(kinds(&path), [""; 0], "{}", path.display());
        }
    }
}

fn coco(categories: [&str; 2], x: i32) -> String {
    json!({"images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [x, 10, 50, 50]},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [100, 10, 50, 50]}],
        "categories": [{"id": 1, "name": categories[0]}, {"id": 2, "name": categories[1]}]})
    .to_string()
}

#[test]
fn equal_copies_of_a_coco_file_are_no_splits() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("train/a.png"), 200, 100, 1);
    let text = coco(["cat", "dog"], 10);
    put(root.join("train/_annotations.coco.json"), &text);
    put(root.join("train/_annotations.coco (1).json"), &text);
    assert_eq!(kinds(root), [""; 0]);
    assert_eq!(splits(root.join("train")).unwrap().len(), 1);
    put(root.join("train/_annotations.coco (1).json"), coco(["cat", "dog"], 30));
    assert_eq!(splits(root.join("train")).unwrap().len(), 2);
}

#[test]
fn classes_of_one_name_that_become_one_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("a.png"), 200, 100, 1);
    for (names, merged) in [(["cat", "cat"], 1), (["cat", "dog"], 0)] {
        put(root.join("train.json"), coco(names, 10));
        for format in [Format::VOC, Format::LABELME, Format::COCO] {
            let _ = fs::remove_dir_all(&out);
            let losses = convert(&root, None, format, &out, Images::Leave).unwrap().losses;
            let count = losses.iter().filter(|loss| loss.what.ends_with("another class (merged)")).count();
            assert_eq!(count, if format == Format::COCO { 0 } else { merged }, "{format}: {losses:?}");
        }
    }
}

#[test]
fn labels_of_another_format_are_reported_if_their_objects_differ() {
    // `x` of the second label; the first has 10.
    for (x, differs) in [(10, false), (11, false), (30, true)] {
        let row = format!("0 {} 0.35 0.25 0.5\n", f64::from(x + 25) / 200.0);
        let xml = |x: i32| {
            let texts = [x, 10, x + 50, 60].map(|value| value.to_string());
            voc_xml("a.png", &voc_object("cat", texts.each_ref().map(String::as_str)))
        };
        let json = |x: i32| {
            let shape = json!({"label": "cat", "shape_type": "rectangle", "points": [[x, 10], [x + 50, 60]]});
            json!({"shapes": [shape], "imagePath": "a.png", "imageHeight": 100, "imageWidth": 200})
                .to_string()
        };
        let coco = |x: i32, file: &str| {
            json!({"images": [{"id": 1, "file_name": file, "width": 200, "height": 100}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [x, 10, 50, 50]}],
                "categories": [{"id": 1, "name": "cat"}]})
            .to_string()
        };
        let yolo = "0 0.175 0.35 0.25 0.5\n".to_string();
        let cases: [&[(&str, String)]; 6] = [
            &[("a.json", json(10)), ("labels/a.txt", row.clone())],
            &[("a.xml", xml(10)), ("labels/a.txt", row.clone())],
            &[("labels.json", coco(10, "a.png")), ("labels/a.txt", row.clone())],
            &[("data.yaml", "train: .\nnames: [cat]\n".into()), ("a.txt", yolo.clone()), ("a.json", json(x))],
            &[("data.yaml", "train: .\nnames: [cat]\n".into()), ("a.txt", yolo.clone()), ("a.xml", xml(x))],
            &[
                ("data.yaml", "train: .\nnames: [cat]\n".into()),
                ("a.txt", yolo.clone()),
                ("annotations/instances_train.json", coco(x, "a.png")),
            ],
        ];
        for files in cases {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            picture(root.join("a.png"), 200, 100, 1);
            for (name, text) in files {
                put(root.join(name), text);
            }
            let expected = differs.then(|| FindingKind::FormatsMixed.id());
            assert_eq!(kinds(root), Vec::from_iter(expected), "{x} {:?}", files.last());
        }
    }
}
