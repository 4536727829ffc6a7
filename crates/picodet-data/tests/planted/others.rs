//! One planted fault of each kind in Pascal VOC, YOLO and LabelMe datasets.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use picodet_data::FindingKind;
use serde_json::{Value, json};

use crate::common::{picture, put, voc_object, voc_xml};
use crate::{Expected, expect};

pub(crate) fn voc(root: &Path) -> Vec<Expected> {
    let mut expected = Vec::new();
    let good = voc_object("cat", ["10", "10", "60", "60"]) + &voc_object("dog", ["70", "20", "150", "90"]);
    let mut listed = Vec::new();
    let mut add = |name: &str, objects: &str| {
        picture(root.join(format!("JPEGImages/{name}.png")), 200, 100, listed.len() as u8 + 1);
        put(root.join(format!("Annotations/{name}.xml")), voc_xml(&format!("{name}.png"), objects));
        listed.push(name.to_string());
    };
    add("good1", &good);
    add("good2", &good);
    add("number", &(good.clone() + &voc_object("cat", ["1", "2", "3O", "40"])));
    expected.push(expect(FindingKind::BadNumber, &["number.xml:6:", "<xmax> is `3O`"]));
    add("flag", &good.replace("<difficult>0<", "<difficult>maybe<").replacen("maybe", "0", 1));
    expected.push(expect(FindingKind::BadFlag, &["flag.xml:5:", "maybe"]));
    add("noname", &(good.clone() + "<object><bndbox><xmin>1</xmin></bndbox></object>\n"));
    expected.push(expect(FindingKind::MissingField, &["noname.xml:6:"]));
    add("renamed", &good);
    let xml = fs::read_to_string(root.join("Annotations/renamed.xml")).unwrap();
    put(root.join("Annotations/renamed.xml"), xml.replace("renamed.png", "elsewhere.png"));
    expected.push(expect(FindingKind::VocFileName, &["renamed.xml", "elsewhere.png"]));
    add("nosize", &good);
    let xml = fs::read_to_string(root.join("Annotations/nosize.xml")).unwrap();
    put(root.join("Annotations/nosize.xml"), xml.replace(">200<", ">0<").replace(">100<", ">0<"));
    expected.push(expect(FindingKind::SizeUnknown, &["nosize.xml"]));
    add("nan", &(good.clone() + &voc_object("cat", ["nan", "1", "30", "40"])));
    expected.push(expect(FindingKind::BoxNotFinite, &["nan.xml:6:"]));
    add("flat", &(good.clone() + &voc_object("cat", ["5", "5", "5", "40"])));
    expected.push(expect(FindingKind::BoxEmpty, &["flat.xml:6:", "0 × 35"]));
    add("unlisted_class", &(good.clone() + &voc_object("horse", ["5", "5", "50", "40"])));
    expected.push(expect(FindingKind::UnknownCategory, &["label_list.txt", "horse"]));
    put(root.join("label_list.txt"), "cat\ndog\n");
    for (name, content) in [
        ("broken", &b"<annotation>\n<object></annotation>"[..]),
        ("bomb", &b"<!DOCTYPE a [<!ENTITY x \"xxxx\">]>\n<annotation>&x;</annotation>"[..]),
        ("latin1", &b"<annotation><size><width>200</width><height>100</height></size><object><name>cat</name><bndbox><xmin>20</xmin><ymin>20</ymin><xmax>90</xmax><ymax>80</ymax></bndbox></object>\xe9</annotation>"[..]),
    ] {
        put(root.join(format!("Annotations/{name}.xml")), content);
        listed.push(name.to_string());
    }
    expected.push(expect(FindingKind::FileUnreadable, &["broken.xml:2:"]));
    expected.push(expect(FindingKind::FileUnreadable, &["bomb.xml:1:"]));
    expected.push(expect(FindingKind::LabelNotUtf8, &["latin1.xml"]));
    picture(root.join("JPEGImages/latin1.png"), 200, 100, 98);
    listed.push("good1".to_string());
    expected.push(expect(FindingKind::SplitDuplicate, &["train.txt:14:", "line 1"]));
    listed.push("nowhere".to_string());
    expected.push(expect(FindingKind::SplitUnlabelled, &["train.txt:15:", "nowhere"]));
    listed.push("scan".to_string());
    put(root.join("Annotations/scan.xml"), voc_xml("scan.tif", &good));
    put(root.join("JPEGImages/scan.tif"), b"II*\0");
    expected.push(expect(
        FindingKind::ImageUnsupported,
        &["scan.xml", "scan.tif has the format TIFF, which is not read"],
    ));
    put(root.join("ImageSets/Main/train.txt"), listed.join("\n"));
    picture(root.join("JPEGImages/nolabel.png"), 200, 100, 99);
    expected.push(expect(FindingKind::ImageUnreferenced, &["nolabel.png"]));
    picture(root.join("JPEGImages/unlisted.png"), 200, 100, 97);
    put(root.join("Annotations/unlisted.xml"), voc_xml("unlisted.png", &good));
    expected.push(expect(FindingKind::LabelUnread, &["unlisted.png", "Annotations/unlisted.xml"]));
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        std::os::unix::fs::symlink("..", root.join("Annotations/loop")).unwrap();
        expected.push(expect(FindingKind::LinkLoop, &["Annotations/loop"]));
        let name = std::ffi::OsStr::from_bytes(b"bad\xff.xml");
        put(root.join("Annotations").join(name), "<annotation/>");
        expected.push(expect(FindingKind::NameNotUtf8, &["Annotations/bad"]));
    }
    expected
}

/// Test images without labels.
pub(crate) fn test_images(root: &Path) -> Vec<Expected> {
    put(root.join("data.yaml"), "train: images/train\ntest: images/test\nnames: [cat]\n");
    picture(root.join("images/train/a.png"), 200, 100, 1);
    picture(root.join("images/test/b.png"), 200, 100, 2);
    put(root.join("labels/train/a.txt"), "0 0.25 0.5 0.2 0.4\n");
    let place = "b.png: images/test/b.png has no label file";
    vec![
        expect(FindingKind::SplitWithoutObjects, &["data.yaml", "none of the 1 images of `test`"]),
        expect(FindingKind::ImageWithoutLabel, &[place]),
    ]
}

/// A folder with the name of a split next to labels that are in none.
pub(crate) fn ignored(root: &Path) -> Vec<Expected> {
    for (place, name) in [("", "a"), ("test/", "b")] {
        picture(root.join(format!("{place}{name}.png")), 200, 100, name.as_bytes()[0]);
        let shape = json!({"label": "cat", "shape_type": "rectangle", "points": [[10, 10], [60, 60]]});
        let file = json!({"shapes": [shape], "imagePath": format!("{name}.png"), "imageHeight": 100, "imageWidth": 200});
        put(root.join(format!("{place}{name}.json")), file.to_string());
    }
    vec![expect(FindingKind::SplitIgnored, &["ignored/test: `test` is read as part of the whole"])]
}

pub(crate) fn yolo(root: &Path) -> Vec<Expected> {
    let yaml = "path: .\ntrain: images/train\nval: images/val\nvalidation: images/none\ntest: images/nowhere\nnc: 2\nnc: 5\nnames: [cat, dog]\n";
    put(root.join("data.yaml"), yaml);
    put(root.join("classes.txt"), "cat\nbird\n");
    picture(root.join("images/more/unlabelled.jpg"), 200, 100, 102);
    let mut expected = vec![
        expect(FindingKind::YoloCount, &["data.yaml", "`nc` is 5"]),
        expect(FindingKind::DuplicateKey, &["data.yaml", "`nc`"]),
        expect(FindingKind::ClassListsDiffer, &["classes.txt", "`bird`", "`dog`", "data.yaml"]),
        expect(FindingKind::ImageUnused, &["images/more/unlabelled.jpg"]),
        expect(FindingKind::SplitMissing, &["data.yaml", "images/none"]),
        // The missing split has no images.
        expect(FindingKind::DatasetEmpty, &["data.yaml", "`validation`"]),
        expect(FindingKind::SplitAbsent, &["data.yaml", "images/nowhere"]),
    ];
    let good = "0 0.25 0.5 0.2 0.4\n1 0.75 0.5 0.2 0.4\n";
    let mut seed = 0;
    let mut add = |name: &str, rows: &[u8]| {
        seed += 1;
        picture(root.join(format!("images/{name}.jpg")), 200, 100, seed);
        put(root.join(format!("labels/{name}.txt")), rows);
    };
    let with = |row: &str| format!("{good}{row}\n").into_bytes();
    add("train/good", good.as_bytes());
    add("val/good", good.as_bytes());
    add("train/range", &with("0 100 50 20 20"));
    expected.push(expect(FindingKind::YoloRange, &["range.txt:3:", "100"]));
    add("train/columns", &with("0 0.5 0.5 0.1 0.1 0.9"));
    expected.push(expect(FindingKind::YoloColumns, &["columns.txt:3:", "score"]));
    add("train/million", &with(&format!("0{}", " 0.5".repeat(1_000_000))));
    expected.push(expect(FindingKind::YoloColumns, &["million.txt:3:", "1000001 columns"]));
    add("train/class", &with("2 0.5 0.5 0.1 0.1"));
    expected.push(expect(FindingKind::YoloClass, &["class.txt:3:", "`2`"]));
    add("train/word", &with("cat 0.5 0.5 0.1 0.1"));
    expected.push(expect(FindingKind::YoloClass, &["word.txt:3:", "`cat`"]));
    add("train/number", &with("0 0,5 0.5 0.1 0.1"));
    expected.push(expect(FindingKind::BadNumber, &["number.txt:3:", "0,5"]));
    add("train/inverted", &with("0 0.5 0.5 -0.1 0.1"));
    expected.push(expect(FindingKind::BoxInverted, &["inverted.txt:3:"]));
    add("train/nan", &with("0 nan 0.5 0.1 0.1"));
    expected.push(expect(FindingKind::BadNumber, &["nan.txt:3:", "`nan`"]));
    add("train/outside", &with("0 0.95 0.5 0.2 0.1"));
    expected.push(expect(FindingKind::BoxPartlyOutside, &["outside.txt:3:"]));
    add("train/polygon", &with("0 0.1 0.1 0.5 0.1 0.3 0.6"));
    expected.push(expect(FindingKind::YoloPolygon, &["polygon.txt:3:", "3 points"]));
    add("train/latin1", b"\xe9");
    expected.push(expect(FindingKind::LabelNotUtf8, &["latin1.txt", "windows-1252"]));
    expected.push(expect(FindingKind::YoloColumns, &["latin1.txt:1:"]));
    put(root.join("images/train/damaged.jpg"), [0; 40]);
    put(root.join("labels/train/damaged.txt"), good);
    expected.push(expect(FindingKind::YoloSize, &["damaged.txt", "2 rows", "cannot be read"]));
    expected.push(expect(FindingKind::ImageUndecodable, &["damaged.jpg"]));
    picture(root.join("images/train/twin.png"), 200, 100, 103);
    put(root.join("labels/train/twin.txt"), good);
    add("val/twin", good.as_bytes());
    expected.push(expect(FindingKind::LeakagePossible, &["twin.jpg", "twin.png", "`val`", "`train`"]));
    put(root.join("images/train/scan.tif"), b"II*\0");
    put(root.join("labels/train/scan.txt"), good);
    expected.push(expect(
        FindingKind::LabelWithoutImage,
        &["scan.txt", "has the format TIFF, which is not read"],
    ));
    put(root.join("labels/train/orphan.txt"), good);
    expected.push(expect(FindingKind::LabelWithoutImage, &["orphan.txt"]));
    picture(root.join("images/train/nolabel.jpg"), 200, 100, 100);
    expected.push(expect(FindingKind::ImageWithoutLabel, &["nolabel.jpg"]));
    picture(root.join("images/train/other.jpg"), 200, 100, 101);
    put(root.join("images/train/other.xml"), voc_xml("other.jpg", &voc_object("cat", ["1", "1", "9", "9"])));
    expected.push(expect(FindingKind::LabelOtherFormat, &["other.jpg", "other.xml"]));
    expected.push(expect(FindingKind::FormatsMixed, &["read as yolo", "labels of voc"]));
    // The images without label, and the one with an unreadable label.
    expected.push(expect(FindingKind::ImagesWithoutObjects, &["4 without objects"]));
    expected
}

pub(crate) fn gap(root: &Path) -> Vec<Expected> {
    picture(root.join("gap/images/a.jpg"), 200, 100, 1);
    put(root.join("gap/labels/a.txt"), "0 0.5 0.5 0.2 0.4\n2 0.3 0.3 0.2 0.4\n");
    put(root.join("gap.yaml"), "path: gap\ntrain: images\nnames:\n  0: cat\n  2: dog\n");
    vec![expect(FindingKind::YoloNamesGap, &["gap.yaml", "index 1 is missing"])]
}

pub(crate) fn from_one(root: &Path) -> Vec<Expected> {
    picture(root.join("one/images/a.jpg"), 200, 100, 1);
    put(root.join("one/labels/a.txt"), "1 0.5 0.5 0.2 0.4\n2 0.3 0.3 0.2 0.4\n");
    put(root.join("one.yaml"), "path: one\ntrain: images\nnames: [cat, dog]\n");
    vec![expect(FindingKind::YoloFromOne, &["one.yaml", "1 to 2 for 2 names"])]
}

pub(crate) fn labelme(root: &Path) -> Vec<Expected> {
    let shape = |label: &str, kind: &str, points: Value| json!({"label": label, "shape_type": kind, "points": points, "flags": {}, "group_id": null});
    let file = |name: &str, shapes: Vec<Value>| {
        let json = json!({"version": "5", "flags": {}, "shapes": shapes, "imagePath": format!("{name}.png"), "imageData": "AAAA", "imageHeight": 100, "imageWidth": 200});
        put(root.join(format!("{name}.json")), json.to_string());
    };
    let good = shape("cat", "rectangle", json!([[60, 50], [10, 10]]));
    let polygon = shape("dog", "polygon", json!([[100, 10], [150, 20], [120, 80]]));
    for (seed, name) in ["good", "circle", "short", "nolabel", "unknown"].into_iter().enumerate() {
        picture(root.join(format!("{name}.png")), 200, 100, seed as u8 + 1);
    }
    file("good", vec![good.clone(), polygon.clone()]);
    file("circle", vec![good.clone(), shape("cat", "line", json!([[1, 1], [5, 5]]))]);
    file("short", vec![polygon, shape("cat", "rectangle", json!([[1, 1]]))]);
    file("unknown", vec![good, shape("cat", "ellipse", json!([[1, 1], [9, 9]]))]);
    // The image of one file exists only inside of it.
    picture(root.join("inside.png"), 200, 100, 77);
    let image = base64::prelude::BASE64_STANDARD.encode(fs::read(root.join("inside.png")).unwrap());
    fs::remove_file(root.join("inside.png")).unwrap();
    let circle = shape("cat", "circle", json!([[50, 50], [60, 50]]));
    let json = json!({"shapes": [circle], "imagePath": "inside.png", "imageData": image, "imageHeight": 100, "imageWidth": 200});
    put(root.join("inside.json"), json.to_string());
    put(root.join("settings.json"), "{\"theme\": \"dark\"}");
    for name in ["good.png", "good.json"] {
        put(root.join("backup").join(name), fs::read(root.join(name)).unwrap());
    }
    vec![
        expect(FindingKind::LabelCopied, &["backup/good.json", "backup/good.png"]),
        expect(FindingKind::ShapeUnsupported, &["circle.json#/shapes/1:", "line"]),
        expect(FindingKind::ImageEmbedded, &["inside.json", "inside.png"]),
        expect(FindingKind::ShapeUnknown, &["unknown.json#/shapes/1:", "`ellipse`"]),
        expect(FindingKind::ShapePoints, &["short.json#/shapes/1:", "1 points"]),
        expect(FindingKind::ImageUnused, &["nolabel.png"]),
    ]
}
