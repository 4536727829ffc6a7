//! Messages about folders and images that are not read name what is there, and advise what works.

mod common;

use std::fs;
use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{
    CheckOptions, FindingKind, Format, Images, WriteOptions, check, convert, fix, open_lenient, split,
};
use serde_json::json;

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

/// All findings as text.
fn findings(root: &Path) -> Vec<String> {
    let report = check(root, None, &CheckOptions::default()).expect("a dataset").report;
    report.findings.list().iter().map(ToString::to_string).collect()
}

fn xml(file: &str) -> String {
    voc_xml(file, &voc_object("cat", ["1", "1", "50", "50"]))
}

#[test]
fn images_of_formats_that_are_not_read_are_named() {
    for (extension, format) in [("tif", "TIFF"), ("TIFF", "TIFF"), ("heic", "HEIC"), ("avif", "AVIF")] {
        let folder = tempfile::tempdir().unwrap();
        let (yolo, voc) = (folder.path().join("yolo"), folder.path().join("voc"));
        for name in ["a", "b"] {
            picture(yolo.join(format!("images/{name}.png")), 200, 100, name.as_bytes()[0]);
            put(yolo.join(format!("labels/{name}.txt")), ROW);
            picture(voc.join(format!("JPEGImages/{name}.png")), 200, 100, name.as_bytes()[0]);
            put(voc.join(format!("Annotations/{name}.xml")), xml(&format!("{name}.png")));
        }
        put(yolo.join("data.yaml"), "train: images\nnames: [cat]\n");
        for root in [&yolo, &voc] {
            assert!(!findings(root).iter().any(|text| text.contains("not read")), "{:?}", findings(root));
        }
        for (root, image) in [(&yolo, "images"), (&voc, "JPEGImages")] {
            fs::remove_file(root.join(image).join("b.png")).unwrap();
            fs::write(root.join(image).join(format!("b.{extension}")), "pixels").unwrap();
        }
        let of_yolo = findings(&yolo);
        let expected = format!("the image b.{extension} has the format {format}, which is not read");
        assert!(
            of_yolo.iter().any(|text| text.contains("label-without-image") && text.contains(&expected)),
            "{of_yolo:?}"
        );
        for file in ["b.png".to_string(), format!("b.{extension}")] {
            put(voc.join("Annotations/b.xml"), xml(&file));
            let of_voc = findings(&voc);
            let named = |text: &&String| {
                text.contains("image-unsupported")
                    && text.contains(&format!("has the format {format}, which is not read"))
            };
            assert_eq!(of_voc.iter().filter(named).count(), 1, "{file}: {of_voc:?}");
            assert!(!of_voc.iter().any(|text| text.contains("image-missing")), "{of_voc:?}");
        }
    }
}

#[test]
fn a_folder_that_is_no_dataset_is_described() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 5] = [
        (&[], &["the folder has no files"]),
        (
            &[("labels/a.txt", ROW), ("labels/b.txt", ROW)],
            &["0 images", "2 labels of yolo, the first is labels/a.txt"],
        ),
        (
            &[("images/a.png", ""), ("labels/a.mat", ""), ("labels/b.mat", "")],
            &["1 images", "no label files", "other files: 2 .mat"],
        ),
        (
            &[("a.tif", ""), ("b.tif", "")],
            &["0 images", "2 TIFF images, which are not read", "no label files"],
        ),
        (
            &[("images/a.tif", ""), ("labels/a.txt", ROW), ("classes.txt", "cat\n")],
            &[
                "YOLO labels, but the image images/a.tif has the format TIFF, which is not read; convert the images",
            ],
        ),
    ];
    for (files, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in files {
            put(folder.path().join(file), text);
        }
        let error = open_lenient(folder.path(), None).map(|_| ()).unwrap_err().to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn rows_and_images_that_are_missing_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    for name in ["a", "b"] {
        picture(root.join(format!("images/{name}.png")), 200, 100, name.as_bytes()[0]);
        put(root.join(format!("labels/{name}.txt")), "0 100 50 640 20\n0 90 40 20 20\n0 0.5 0.5 0.1 0.1\n");
    }
    put(root.join("data.yaml"), "train: train.txt\nnames: [cat]\n");
    put(root.join("train.txt"), "images/a.png\nimages/b.png\n");
    let lost = |kind: &str| {
        let _ = fs::remove_dir_all(&out);
        let options = WriteOptions::from(Images::Leave).with_loss(true);
        let report = convert(&root, None, Format::COCO, &out, options).unwrap();
        report.losses.iter().find(|loss| loss.what.contains(kind)).map(|loss| loss.count)
    };
    assert!(
        findings(&root)
            .iter()
            .any(|text| text.contains("4 of 6 rows have values far outside of 0 to 1, up to 640"))
    );
    assert_eq!(lost("rows outside"), Some(4));
    for name in ["a", "b"] {
        fs::remove_file(root.join(format!("images/{name}.png"))).unwrap();
        put(root.join(format!("labels/{name}.txt")), ROW);
    }
    assert!(findings(&root).iter().any(|text| text.contains("none of the 2 images exists")));
    assert_eq!(lost("label files whose image"), Some(2));
}

#[test]
fn class_ids_beyond_every_range_are_findings() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"), 200, 100, 1);
    put(root.join("data.yaml"), "train: images\nnames: [cat]\n");
    for class in ["-1", "18446744073709551616", "1e300", "nan", "0.5"] {
        put(root.join("labels/a.txt"), format!("{ROW}{class} 0.5 0.5 0.1 0.1\n"));
        let found = findings(root);
        let expected = format!("class `{class}` is not an index below 1");
        assert!(found.iter().any(|text| text.contains("a.txt:2") && text.contains(&expected)), "{found:?}");
    }
    fs::remove_dir_all(root.join("labels")).unwrap();
    fs::remove_file(root.join("data.yaml")).unwrap();
    for id in [json!(-5), json!(u64::MAX), json!(1e300)] {
        let file = json!({"images": [{"id": id, "file_name": "images/a.png", "width": 200, "height": 100}],
            "annotations": [{"id": id, "image_id": id, "category_id": id, "bbox": [1, 1, 50, 50]}],
            "categories": [{"id": id, "name": "cat"}]});
        put(root.join("train.json"), file.to_string());
        let loaded = open_lenient(root, Some("train")).unwrap();
        assert_eq!((loaded.dataset.object_count(), loaded.findings.errors()), (1, 0), "{id}");
    }
}

#[test]
fn one_picture_in_two_formats_stays_together() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let shape = json!({"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [50, 50]]});
    let add = |place: &str, file: &str, seed: u8| {
        picture(root.join(place).join(file), 200, 100, seed);
        let text = json!({"shapes": [shape], "imagePath": file, "imageWidth": 200, "imageHeight": 100});
        put(root.join(place).join(format!("{file}.json")), text.to_string());
    };
    for (number, seed) in (0..6).zip(1..) {
        add("all", &format!("{number}.png"), seed);
        add("all", &format!("{number}.jpg"), seed);
    }
    let dataset = open_lenient(root.join("all"), None).unwrap().dataset;
    for seed in 0..5 {
        let parts = split(&dataset, &[("train", 0.5), ("val", 0.5)], seed).unwrap();
        for part in &parts {
            let names: Vec<&str> = part.images.iter().map(|image| image.file.as_str()).collect();
            let twins = (0..6)
                .filter(|n| names.contains(&&*format!("{n}.png")) != names.contains(&&*format!("{n}.jpg")));
            assert_eq!((names.len(), twins.count()), (6, 0), "{names:?}");
        }
    }
    fs::remove_dir_all(root.join("all")).unwrap();
    add("train", "a.png", 1);
    add("val", "b.jpg", 2);
    assert!(!findings(root).iter().any(|text| text.contains("leakage-possible")));
    add("val", "a.jpg", 1);
    let found = findings(root);
    let message = "a.jpg of `val` has the name and size of a.png of `train`";
    assert!(
        found.iter().any(|text| text.contains("info[leakage-possible]") && text.ends_with(message)),
        "{found:?}"
    );
}

#[test]
fn advice_to_repair_names_the_permission_that_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("images/a.png"), 200, 100, 1);
    put(
        root.join("labels/a.txt"),
        "0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0 0.2\n0 nan 0.5 0.1 0.2\n0 1.4 0.5 0.2 0.2\n",
    );
    put(root.join("data.yaml"), "train: images\nnames: [cat]\n");
    let checked = check(&root, None, &CheckOptions::default()).unwrap();
    let list = checked.report.findings.list();
    for kind in ["box-empty", "box-outside"] {
        let finding =
            list.iter().find(|finding| finding.kind.id() == kind).unwrap_or_else(|| panic!("{kind}"));
        assert!(finding.fix.contains("--fix with --allow-loss"), "{kind}: {}", finding.fix);
    }
    assert!(FindingKind::BoxNotFinite.fix().contains("--fix with --allow-loss"));
    assert!(fix(&checked, &out, Images::Copy).is_err());
    let fixed = fix(&checked, &out, WriteOptions::from(Images::Copy).with_loss(true)).unwrap();
    assert_eq!(fixed.written.objects, 1);
}
