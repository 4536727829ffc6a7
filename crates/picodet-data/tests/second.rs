//! A second label of an image that is read is reported if its objects differ, and only then.

mod common;

use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{CheckOptions, DataError, FindingKind, Format, Images, WriteOptions, check, convert};
use serde_json::json;

/// The second label has the objects of the one that is read in another notation and order, other ones, or fewer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Second {
    Equal,
    Moved,
    Fewer,
    Empty,
}

fn rows(second: Second) -> &'static str {
    match second {
        Second::Equal => "1 0.2500 0.5 0.1 0.2\n0 5e-1 0.5 0.2 0.2\n",
        Second::Moved => "0 0.5 0.5 0.2 0.2\n1 0.3 0.5 0.1 0.2\n",
        Second::Fewer => "0 0.5 0.5 0.2 0.2\n",
        Second::Empty => "",
    }
}

/// Class and corners of the objects of [`rows`].
fn corners(second: Second) -> Vec<(&'static str, [f64; 4])> {
    let cat = ("cat", [80.0, 40.0, 120.0, 60.0]);
    match second {
        Second::Equal => vec![("dog", [40.0, 40.0, 60.0, 60.0]), cat],
        Second::Moved => vec![cat, ("dog", [50.0, 40.0, 70.0, 60.0])],
        Second::Fewer => vec![cat],
        Second::Empty => vec![],
    }
}

fn xml(second: Second) -> String {
    let object = |(name, bbox): (&str, [f64; 4])| {
        let texts = bbox.map(|value| value.to_string());
        voc_object(name, [&texts[0], &texts[1], &texts[2], &texts[3]])
    };
    voc_xml("a.png", &corners(second).into_iter().map(object).collect::<String>())
}

fn labelme(second: Second) -> String {
    let shape = |(name, [x1, y1, x2, y2]): (&str, [f64; 4])| json!({"label": name, "shape_type": "rectangle", "points": [[x1, y1], [x2, y2]]});
    let shapes: Vec<_> = corners(second).into_iter().map(shape).collect();
    json!({"shapes": shapes, "imagePath": "a.png", "imageHeight": 100, "imageWidth": 200}).to_string()
}

fn coco(file: &str, second: Second) -> String {
    let annotation = |(id, (name, [x1, y1, x2, y2])): (usize, (&str, [f64; 4]))| {
        let category = if name == "cat" { 1 } else { 2 };
        json!({"id": id, "image_id": 1, "category_id": category, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    };
    let annotations: Vec<_> = corners(second).into_iter().enumerate().map(annotation).collect();
    json!({"images": [{"id": 1, "file_name": file, "width": 200, "height": 100}], "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]})
    .to_string()
}

/// Locations and messages of the labels that are not read.
fn unread(root: &Path) -> Vec<(String, String)> {
    let report = check(root, None, &CheckOptions::default()).expect("a dataset").report;
    let faults = report.findings.list().iter().filter(|finding| finding.severity.name() == "error");
    let base = format!("{}/", root.display());
    faults
        .map(|finding| {
            assert_eq!(finding.kind, FindingKind::LabelUnread, "{finding}");
            (finding.location.to_string().replace(&base, ""), finding.message.clone())
        })
        .collect()
}

/// Expects this finding, refusal of a conversion, and with permission one loss; with `None` a conversion without loss.
fn expect(root: &Path, expected: Option<(&str, &str)>) {
    let expected = expected.map(|(location, message)| (location.to_string(), message.to_string()));
    assert_eq!(unread(root), Vec::from_iter(expected.clone()));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let plain = convert(root, None, Format::COCO, &out, Images::Leave);
    match expected {
        None => assert_eq!(plain.unwrap().objects, 2),
        Some(_) => {
            assert!(matches!(plain, Err(DataError::Faulty { .. })), "{plain:?}");
            let options = WriteOptions::from(Images::Leave).with_loss(true);
            let report = convert(root, None, Format::COCO, &out, options).unwrap();
            let lost = report.losses.iter().find(|loss| Some(&*loss.what) == FindingKind::LabelUnread.lost());
            assert_eq!(lost.map(|loss| loss.count), Some(1), "{:?}", report.losses);
        }
    }
}

const MOVED: &str = "has 2 objects, of which 1 are not there";
const FEWER: &str = "lacks 1 of the objects there";

/// Expects the finding for the second label at `place` of an image that is read from `own`.
fn expect_second(root: &Path, second: Second, image: &str, own: &str, place: &str) {
    let differs = match second {
        Second::Equal | Second::Empty => return expect(root, None),
        Second::Moved => MOVED,
        Second::Fewer => FEWER,
    };
    let message = format!("{image} is read from {own}; this second label {differs}, and is not read");
    expect(root, Some((place, &message)));
}

const ALL: [Second; 4] = [Second::Equal, Second::Moved, Second::Fewer, Second::Empty];

#[test]
fn second_folders_of_yolo_are_compared() {
    for second in ALL {
        for place in ["labels_corrected/a.txt", "labels_old/train/a.txt", "images/train/a.txt"] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            picture(root.join("images/train/a.png"), 200, 100, 1);
            put(root.join("labels/train/a.txt"), "0 0.5 0.5 0.2 0.2\n1 0.25 0.5 0.1 0.2\n");
            put(root.join("data.yaml"), "train: images/train\nnames: [cat, dog]\n");
            put(root.join(place), rows(second));
            expect_second(root, second, "images/train/a.png", "labels/train/a.txt", place);
        }
    }
}

#[test]
fn second_folders_of_voc_are_compared() {
    for second in ALL {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        picture(root.join("JPEGImages/a.png"), 200, 100, 1);
        put(root.join("Annotations/a.xml"), xml(Second::Equal));
        for place in ["Annotations_v2/a.xml", "Annotations_v2/a_1.xml"] {
            put(root.join(place), xml(second));
            expect_second(root, second, "JPEGImages/a.png", "Annotations/a.xml", place);
            std::fs::remove_file(root.join(place)).unwrap();
        }
    }
}

#[test]
fn second_folders_of_labelme_are_compared() {
    for second in ALL {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        picture(root.join("train/a.png"), 200, 100, 1);
        put(root.join("train/a.json"), labelme(Second::Equal));
        put(root.join("old/a.json"), labelme(second));
        expect_second(root, second, "train/a.png", "train/a.json", "old/a.json");
    }
}

#[test]
fn second_files_of_coco_are_compared() {
    for second in ALL {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        picture(root.join("images/a.png"), 200, 100, 1);
        put(root.join("result.json"), coco("images/a.png", Second::Equal));
        put(root.join("old/result.json"), coco("../images/a.png", second));
        expect_second(root, second, "images/a.png", "result.json", "old/result.json#/images/0");
    }
}

#[test]
fn a_copy_of_a_label_with_faults_is_equal() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"), 200, 100, 1);
    put(root.join("classes.txt"), "cat\n");
    let text = "0 0.5 0.5 0.2 0.2\n0 nan 0.5 0.1 0.2\n";
    put(root.join("labels/a.txt"), text);
    put(root.join("labels_old/a.txt"), text);
    let report = check(root, None, &CheckOptions::default()).unwrap().report;
    assert_eq!(report.findings.counts().get(&FindingKind::LabelUnread), None);
}
