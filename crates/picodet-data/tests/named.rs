//! Changes by readers, and contents that they cannot read, are named: names of classes, quoted names, images without extension, label files without
//! image, damaged embedded images, rows of DOTA.

mod common;

use std::fs;
use std::path::Path;

use common::{picture, put, two_images, voc_object, voc_xml};
use picodet_data::{
    CheckOptions, Checked, DataError, Dataset, FindingKind, Format, Images, WriteOptions, check, convert,
    fix, open_lenient, split,
};
use serde_json::{Value, json};

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

fn checked(root: &Path) -> Checked {
    check(root, None, &CheckOptions { input: (64, 64), ..CheckOptions::default() }).unwrap()
}

/// Id and message of each error and warning.
fn faults(root: &Path) -> Vec<(&'static str, String)> {
    let report = checked(root).report;
    let shown = report.findings.list().iter().filter(|finding| finding.severity.name() != "info");
    shown.map(|finding| (finding.kind.id(), finding.message.clone())).collect()
}

/// A PNG under a name without extension.
fn bare(path: impl AsRef<Path>, seed: u8) {
    let path = path.as_ref();
    picture(path.with_extension("png"), 200, 100, seed);
    fs::rename(path.with_extension("png"), path).unwrap();
}

fn labelme(name: &str, label: &str, data: Value) -> String {
    let shape = json!({"label": label, "shape_type": "rectangle", "points": [[10, 10], [60, 60]]});
    json!({"version": "5", "shapes": [shape], "imagePath": format!("{name}.png"), "imageData": data,
        "imageHeight": 100, "imageWidth": 200})
    .to_string()
}

#[test]
fn labels_without_image_are_found_next_to_images() {
    for list in ["classes.txt", "_darknet.labels"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("set");
        for name in ["a", "b"] {
            picture(root.join(format!("{name}.png")), 200, 100, name.as_bytes()[0]);
            put(root.join(format!("{name}.txt")), ROW);
        }
        put(root.join(list), "cat\n");
        put(root.join("notes.txt"), "2 cats\n");
        assert_eq!(faults(&root), [], "{list}");
        put(root.join("gone.txt"), ROW);
        let report = checked(&root);
        let found = report.report.findings.list();
        assert_eq!((found.len(), found[0].kind.id()), (1, "label-without-image"), "{list}");
        assert!(found[0].location.file.ends_with("set/gone.txt"), "{}", found[0].location);

        // Every operation needs permission, and counts it.
        let out = folder.path().join("out");
        assert!(convert(&root, None, Format::COCO, &out, Images::Leave).is_err());
        assert!(matches!(fix(&report, &out, Images::Leave), Err(DataError::WouldLose { .. })));
        let options = WriteOptions::from(Images::Leave).with_loss(true);
        let losses = convert(&root, None, Format::COCO, &out, options).unwrap().losses;
        let lost =
            losses.iter().find(|loss| Some(loss.what.as_str()) == FindingKind::LabelWithoutImage.lost());
        assert_eq!(lost.map(|loss| loss.count), Some(1));
        let losses = fix(&report, folder.path().join("fixed"), options).unwrap().written.losses;
        assert!(losses.iter().any(|loss| Some(loss.what.as_str()) == FindingKind::LabelWithoutImage.lost()));
    }
}

#[test]
fn images_without_extension_are_read_in_every_layout() {
    let folder = tempfile::tempdir().unwrap();
    let set = |name: &str| folder.path().join(name);
    for name in ["a", "b"] {
        let seed = name.as_bytes()[0];
        bare(set("flat").join(name), seed);
        put(set("flat").join(format!("{name}.txt")), ROW);
        bare(set("folders/images").join(name), seed);
        put(set("folders/labels").join(format!("{name}.txt")), ROW);
        bare(set("voc").join(name), seed);
        let xml = voc_xml(name, &voc_object("cat", ["10", "10", "60", "60"]));
        put(set("voc").join(format!("{name}.xml")), xml);
    }
    put(set("flat/classes.txt"), "cat\n");
    put(set("folders/data.yaml"), "train: images\nnames: [cat]\n");
    for name in ["flat", "folders", "voc"] {
        // Files without extension that are no images.
        put(set(name).join("LICENSE"), "Copyright");
        put(set(name).join("Makefile"), "");
        assert_eq!(faults(&set(name)), [], "{name}");
        let out = set(&format!("{name}-out"));
        let report = convert(set(name), None, Format::COCO, &out, Images::Copy).unwrap();
        assert_eq!((report.images, report.objects, report.missing.len()), (2, 2, 0), "{name}");
    }
    // A missing image of a flat folder is expected next to its XML.
    fs::remove_file(set("voc/a")).unwrap();
    let found = faults(&set("voc"));
    assert_eq!((found.len(), found[0].0), (1, "image-missing"));
    assert!(found[0].1.ends_with("voc/a does not exist"), "{found:?}");
}

#[test]
fn lists_with_quotes_and_wide_columns_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let voc = folder.path().join("voc");
    let yolo = folder.path().join("yolo");
    for name in ["a b", "c", "d"] {
        picture(voc.join(format!("JPEGImages/{name}.png")), 200, 100, name.as_bytes()[0]);
        let xml = voc_xml(&format!("{name}.png"), &voc_object("cat", ["10", "10", "60", "60"]));
        put(voc.join(format!("Annotations/{name}.xml")), xml);
        picture(yolo.join(format!("images/{name}.png")), 200, 100, name.as_bytes()[0]);
        put(yolo.join(format!("labels/{name}.txt")), ROW);
    }
    put(voc.join("ImageSets/Main/train.txt"), "'a b'  1\nc  1\n'd'\n");
    put(yolo.join("train.txt"), "\"images/a b.png\"\n'images/c.png'\nimages/d.png\n");
    put(yolo.join("data.yaml"), "train: train.txt\nnames: [cat]\n");
    for root in [voc, yolo] {
        assert_eq!(faults(&root), []);
        assert_eq!(Dataset::open(&root, Some("train")).unwrap().object_count(), 3);
    }
}

#[test]
fn classes_that_differ_in_spaces_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let set = |name: &str| folder.path().join(name);
    for (name, class) in [("a", "cat"), ("b", "cat ")] {
        for format in ["labelme", "voc", "yolo"] {
            picture(set(format).join(format!("{name}.png")), 200, 100, name.as_bytes()[0]);
        }
        put(set("labelme").join(format!("{name}.json")), labelme(name, class, Value::Null));
        let xml = voc_xml(&format!("{name}.png"), &voc_object(class, ["10", "10", "60", "60"]));
        put(set("voc").join(format!("{name}.xml")), xml);
        put(set("yolo").join(format!("{name}.txt")), ROW);
    }
    put(set("yolo/classes.txt"), "cat\ncat \n");
    for name in ["labelme", "voc", "yolo"] {
        let found = open_lenient(set(name), None).unwrap().findings;
        assert_eq!(
            found.counts().get(&FindingKind::ClassNameChanged),
            Some(&1),
            "{name}: {:?}",
            found.list()
        );
        let out = set(&format!("{name}-out"));
        let losses = convert(set(name), None, Format::COCO, out, Images::Leave).unwrap().losses;
        assert!(losses.iter().any(|loss| loss.what.contains("class names")), "{name}: {losses:?}");
    }
    // Spaces at the end of lines, and names on separate lines, are common and change no class.
    put(set("yolo/classes.txt"), "cat \ndog\r\n");
    let xml = fs::read_to_string(set("voc/a.xml")).unwrap();
    put(set("voc/b.xml"), xml.replace("<name>cat<", "<name>\n  cat\n<").replace("a.png", "b.png"));
    put(set("labelme/a.json"), labelme("a", "cat ", Value::Null));
    for name in ["labelme", "voc", "yolo"] {
        let found = open_lenient(set(name), None).unwrap().findings;
        assert_eq!(found.counts().len(), 0, "{name}: {:?}", found.list());
    }
}

#[test]
fn class_names_lose_their_spaces_in_copies_of_coco_too() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    picture(root.join("a.png"), 200, 100, 1);
    coco(&root, &[("a.png", 200)], &[[10.0, 10.0, 50.0, 50.0]]);
    let file = root.join("train.json");
    let text = fs::read_to_string(&file).unwrap().replace("\"cat\"", "\" big\\tcat \"");
    put(&file, text);
    assert_eq!(faults(&root).iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["class-name-changed"]);
    let copies = ["converted", "fixed"].map(|name| folder.path().join(name));
    convert(&root, None, Format::COCO, &copies[0], Images::Copy).unwrap();
    // No object is lost, so that no permission is needed.
    fix(&checked(&root), &copies[1], Images::Copy).unwrap();
    for copy in copies {
        assert_eq!(faults(&copy), []);
        assert_eq!(Dataset::open(&copy, None).unwrap().classes[0].name, "big cat");
    }
}

#[test]
fn an_embedded_image_that_is_damaged_is_not_a_missing_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("a.png"), 200, 100, 1);
    put(root.join("a.json"), labelme("a", "cat", Value::Null));
    assert_eq!(faults(root), []);
    put(root.join("b.json"), labelme("b", "cat", json!("***")));
    assert_eq!(faults(root).iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["image-undecodable"]);
    put(root.join("b.json"), labelme("b", "cat", Value::Null));
    assert_eq!(faults(root).iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["image-missing"]);
}

#[test]
fn rows_of_dota_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"), 200, 100, 1);
    put(root.join("data.yaml"), "train: images\nnames: [plane]\n");
    for (row, is_dota) in [
        ("1.0 2.0 30.0 2.0 30.0 40.0 1.0 40.0 plane 0", true),
        ("1 2 30 2 30 40 1 40 plane", true),
        ("0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5 1", false),
    ] {
        put(root.join("labels/a.txt"), row);
        let found = open_lenient(root, None).unwrap().findings;
        let columns = found.list().iter().find(|finding| finding.kind == FindingKind::YoloColumns);
        assert_eq!(columns.map(|finding| finding.message.contains("DOTA")), Some(is_dota), "{row}");
    }
}

#[test]
fn names_of_parts_are_names_of_folders() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a", "b"] {
        picture(root.join(format!("{name}.png")), 200, 100, name.as_bytes()[0]);
        put(root.join(format!("{name}.json")), labelme(name, "cat", Value::Null));
    }
    let dataset = open_lenient(root, None).unwrap().dataset;
    for name in ["..", ".", ".hidden", "a/b", "a\\b", "../x", "c:", "/"] {
        let error = split(&dataset, &[(name, 0.5), ("val", 0.5)], 0).unwrap_err().to_string();
        assert!(error.contains("name of a folder"), "{name}: {error}");
    }
    for name in ["train", "part 1", "train.v2", "teil-ä"] {
        assert!(split(&dataset, &[(name, 0.5), ("val", 0.5)], 0).is_ok(), "{name}");
    }
}

#[test]
fn other_keys_of_a_data_file_stay_in_copies() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    two_images(&root, ROW);
    let rest = "license: MIT\nroboflow:\n  workspace: x\n  tags:\n  - y\ndownload: |\n  # a script\n  import os\n\n  os.listdir()\n";
    let yaml = format!("path: .\ntrain: images\nextra: images/extra\nnames: [cat]\n# comment\n{rest}");
    put(root.join("data.yaml"), yaml);
    picture(root.join("images/extra/c.png"), 200, 100, 9);
    put(root.join("labels/extra/c.txt"), ROW);
    let copy = folder.path().join("copy");
    let report = convert(&root, None, Format::YOLO, &copy, Images::Copy).unwrap();
    let [twice] = &report.losses[..] else { panic!("{:?}", report.losses) };
    assert!(twice.what.contains("in two splits") && twice.count == 1, "{twice}");
    let text = fs::read_to_string(copy.join("data.yaml")).unwrap();
    assert!(text.ends_with(rest), "{text}");
    assert_eq!(text.matches("extra:").count(), 1, "{text}");
    let losses =
        convert(&root, None, Format::COCO, folder.path().join("coco"), Images::Leave).unwrap().losses;
    let of_file = losses.iter().filter(|loss| *loss != twice);
    let lost: Vec<String> = of_file.map(ToString::to_string).collect();
    assert_eq!(
        lost,
        ["license", "roboflow", "download"].map(|key| format!("`{key}` of the data file (1 times)"))
    );
}

/// A COCO file with these images and boxes, one box in each image.
fn coco(root: &Path, images: &[(&str, u32)], boxes: &[[f64; 4]]) {
    let images: Vec<Value> = (1..)
        .zip(images)
        .map(|(id, (file, width))| json!({"id": id, "file_name": file, "width": width, "height": 100}))
        .collect();
    let boxes: Vec<Value> = (1..)
        .zip(boxes)
        .map(|(id, bbox)| json!({"id": id, "image_id": id, "category_id": 1, "bbox": bbox}))
        .collect();
    let document = json!({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "cat"}]});
    put(root.join("train.json"), document.to_string());
}

#[test]
fn conversions_name_wrong_sizes_swapped_corners_and_repeated_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    for name in ["a", "b"] {
        picture(root.join(format!("{name}.png")), 200, 100, name.as_bytes()[0]);
    }
    let good = [10.0, 10.0, 50.0, 50.0];
    let convert_to = |format: Format, name: &str| {
        let report =
            convert(&root, None, format, folder.path().join(format!("{name}-{format}")), Images::Copy);
        let report = report.unwrap();
        let lost = report.losses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        (report.corrected_sizes, lost)
    };
    coco(&root, &[("a.png", 200), ("b.png", 200)], &[good, good]);
    for format in Format::all() {
        let (sizes, lost) = convert_to(format, "sound");
        assert!(sizes == 0 && !lost.contains("corners") && !lost.contains("twice"), "{format}: {lost}");
    }
    coco(&root, &[("a.png", 640), ("b.png", 200)], &[good, good]);
    for format in Format::all() {
        assert_eq!(convert_to(format, "size").0, 1, "{format}");
    }
    coco(&root, &[("a.png", 200), ("b.png", 200)], &[good, [60.0, 60.0, -20.0, -20.0]]);
    assert!(convert_to(Format::LABELME, "corners").1.contains("swapped corners of boxes"));
    coco(&root, &[("a.png", 200), ("a.png", 200)], &[good, good]);
    for format in Format::all() {
        assert!(convert_to(format, "twice").1.contains("listed twice"), "{format}");
    }
}
