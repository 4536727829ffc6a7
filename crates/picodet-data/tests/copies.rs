//! Copies of labels and parts of datasets are read once; lists of PaddleX are splits.

mod common;

use std::fs;
use std::path::Path;

use common::{picture, put};
use picodet_data::{
    CheckOptions, DataError, Dataset, FindingKind, Findings, Format, Images, check, convert, open_lenient,
    splits,
};
use serde_json::json;

fn count(findings: &Findings, kind: FindingKind) -> usize {
    findings.counts().get(&kind).copied().unwrap_or(0)
}

/// The warnings and errors of a check.
fn kinds(root: &Path) -> Vec<&'static str> {
    let report = check(root, None, &CheckOptions::default()).expect("a dataset").report;
    let list = report.findings.list().iter().filter(|finding| finding.severity.name() != "info");
    list.map(|finding| finding.kind.id()).collect()
}

/// A LabelMe file with one rectangle.
fn labelme(image: &str, x: i32) -> String {
    let shape = json!({"label": "cat", "shape_type": "rectangle", "points": [[x, 10], [x + 50, 60]]});
    json!({"shapes": [shape], "imagePath": image, "imageHeight": 100, "imageWidth": 200}).to_string()
}

#[test]
fn copies_of_labelme_files_with_their_images_are_read_once() {
    for (folder_of_set, split) in [("", None), ("train/", Some("train"))] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("set");
        for (name, x) in [("a", 10), ("b", 20)] {
            picture(root.join(format!("{folder_of_set}{name}.png")), 200, 100, x as u8);
            put(root.join(format!("{folder_of_set}{name}.json")), labelme(&format!("{name}.png"), x));
        }
        let copy = |name: &str| {
            let target = root.join(format!("{folder_of_set}backup/{name}"));
            put(target, fs::read(root.join(format!("{folder_of_set}{name}"))).unwrap());
        };
        copy("a.png");
        copy("a.json");
        let loaded = open_lenient(&root, split).unwrap();
        assert_eq!(loaded.dataset.object_count(), 2);
        assert_eq!(count(&loaded.findings, FindingKind::LabelCopied), 1);
        assert_eq!(kinds(&root), ["label-copied"]);
        let report = convert(&root, None, Format::COCO, folder.path().join("out"), Images::Copy).unwrap();
        assert_eq!((report.images, report.objects), (2, 2));
        // The copy of the label has other objects.
        put(root.join(format!("{folder_of_set}backup/a.json")), labelme("a.png", 70));
        assert_eq!(open_lenient(&root, split).unwrap().dataset.object_count(), 3);
        assert_eq!(kinds(&root), ["image-duplicate"]);
        // Another picture of this name is no copy.
        picture(root.join(format!("{folder_of_set}backup/a.png")), 200, 100, 99);
        assert_eq!(open_lenient(&root, split).unwrap().dataset.object_count(), 3);
        assert_eq!(kinds(&root), [""; 0]);
    }
}

#[test]
fn a_copy_in_another_split_is_an_image_of_that_split() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for split in ["train", "val"] {
        picture(root.join(split).join("a.png"), 200, 100, 1);
        put(root.join(split).join("a.json"), labelme("a.png", 10));
    }
    assert_eq!(kinds(root), ["leakage"]);
    assert_eq!(open_lenient(root, None).unwrap().dataset.object_count(), 2);
}

#[test]
fn lists_of_paddlex_are_splits_of_labelme() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (name, x) in [("a", 10), ("b", 20), ("c", 30)] {
        picture(root.join(format!("images/{name}.png")), 200, 100, x as u8);
        put(root.join(format!("annotations/{name}.json")), labelme(&format!("../images/{name}.png"), x));
    }
    put(root.join("labels.txt"), "dog\ncat\n");
    put(
        root.join("train_anno_list.txt"),
        "images/b.png annotations/b.json\nimages/a.png annotations/a.json\n",
    );
    put(root.join("val_anno_list.txt"), "images/c.png annotations/c.json\n");
    assert_eq!(splits(root).unwrap(), ["train", "val"]);
    let names = |split: Option<&str>| -> Vec<String> {
        let dataset = Dataset::open(root, split).unwrap();
        assert_eq!(dataset.classes[1].name, "cat");
        let name = |file: &str| file.rsplit('/').next().unwrap_or_default().to_string();
        dataset.images.iter().map(|image| name(&image.file)).collect()
    };
    assert_eq!(names(Some("train")), ["b.png", "a.png"]);
    assert_eq!(names(Some("valid")), ["c.png"]);
    assert_eq!(names(None), ["b.png", "a.png", "c.png"]);
    put(root.join("val_anno_list.txt"), "annotations/none.json\n");
    assert_eq!(kinds(root), ["split-unlabelled", "label-unread", "dataset-empty", "class-unused"]);
}

/// A COCO file with one object per image.
fn coco(images: &[&str], x: i32) -> String {
    let image =
        |(id, name): (usize, &&str)| json!({"id": id, "file_name": name, "width": 200, "height": 100});
    let object = |id: usize| json!({"id": id, "image_id": id, "category_id": 1, "bbox": [x, 10, 50, 50]});
    json!({
        "images": images.iter().enumerate().map(image).collect::<Vec<_>>(),
        "annotations": (0..images.len()).map(object).collect::<Vec<_>>(),
        "categories": [{"id": 1, "name": "cat"}],
    })
    .to_string()
}

#[test]
fn a_part_of_a_coco_split_is_not_read_twice() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    for (seed, name) in ["a", "b", "c"].into_iter().enumerate() {
        picture(root.join(format!("val2014/{name}.png")), 200, 100, seed as u8);
    }
    picture(root.join("train2014/d.png"), 200, 100, 9);
    put(root.join("annotations/instances_train2014.json"), coco(&["d.png"], 10));
    put(root.join("annotations/instances_val2014.json"), coco(&["a.png", "b.png", "c.png"], 10));
    put(root.join("annotations/instances_minival2014.json"), coco(&["c.png"], 10));
    put(root.join("annotations/instances_valminusminival2014.json"), coco(&["a.png", "b.png"], 10));
    assert_eq!(kinds(&root), ["split-contained"; 2]);
    let report = convert(&root, None, Format::YOLO, folder.path().join("out"), Images::Copy).unwrap();
    assert_eq!((report.images, report.objects), (4, 4));
    assert_eq!(Dataset::open(&root, Some("minival2014")).unwrap().images.len(), 1);
    // A part of two splits is counted.
    put(root.join("annotations/instances_minival2014.json"), coco(&["c.png", "../train2014/d.png"], 10));
    let report = convert(&root, None, Format::YOLO, folder.path().join("both"), Images::Leave).unwrap();
    let twice =
        report.losses.iter().find(|loss| loss.what.starts_with("files of images that are in two splits"));
    assert_eq!(twice.map(|loss| loss.count), Some(2), "{:?}", report.losses);
}

#[test]
fn several_coco_files_of_one_split_are_an_error_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (split, name) in [("train", "a.png"), ("valid", "b.png")] {
        picture(root.join(split).join(name), 200, 100, name.as_bytes()[0]);
        put(root.join(split).join("_annotations.coco.json"), coco(&[name], 10));
    }
    put(root.join("train/corrected.json"), coco(&["a.png"], 30));
    for split in [None, Some("train")] {
        let error = match split {
            None => check(root, None, &CheckOptions::default()).map(|_| ()),
            Some(_) => open_lenient(root, split).map(|_| ()),
        };
        let error = error.unwrap_err();
        assert!(matches!(&error, DataError::SeveralFiles { files, .. } if files.len() == 2), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("train: several label files for one split: _annotations.coco.json, corrected.json"),
            "{text}"
        );
        assert!(!text.contains("choose one"), "{text}");
    }
    assert_eq!(Dataset::open(root.join("train/corrected.json"), None).unwrap().images.len(), 1);
}

#[test]
fn images_that_are_cut_off_are_counted_by_a_conversion() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let names = ["a.jpg", "b.jpg", "c.png", "d.png"];
    for (seed, name) in names.into_iter().enumerate() {
        picture(root.join(name), 200, 100, seed as u8);
    }
    for name in ["b.jpg", "d.png"] {
        let bytes = fs::read(root.join(name)).unwrap();
        fs::write(root.join(name), &bytes[..bytes.len() * 2 / 3]).unwrap();
    }
    // A trailer behind the end of the picture, as of a camera.
    let mut trailer = fs::read(root.join("a.jpg")).unwrap();
    trailer.extend([0; 1000]);
    fs::write(root.join("a.jpg"), trailer).unwrap();
    put(root.join("train.json"), coco(&names, 10));
    let report = convert(&root, None, Format::YOLO, folder.path().join("out"), Images::Copy).unwrap();
    let cut = report.losses.iter().find(|loss| loss.what == "images that are cut off (copied unchanged)");
    assert_eq!(cut.map(|loss| loss.count), Some(2), "{:?}", report.losses);
}
