//! Every parser on its input cut at every n-th byte: a typed error or a sound result, never a panic.

mod common;

use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{
    CheckOptions, Dataset, FindingKind, Findings, check, coco, labelme, read_header, voc, yolo,
};

const COCO: &str = r#"{"info": {"year": 2017},
"images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
"annotations": [{"id": 1, "image_id": 1, "category_id": 7, "bbox": [1.5, 2, 30, 40], "area": 1200, "iscrowd": 0}],
"categories": [{"id": 7, "name": "cup \u00e9", "supercategory": null}]}"#;

const LABELME: &str = r#"{"version": "5.5.0", "flags": {}, "shapes": [
{"label": "cup", "points": [[1, 2], [30.5, 40]], "shape_type": "rectangle", "flags": {"truncated": true}},
{"label": "mug", "points": [[1, 2], [30, 40], [5, 60]], "shape_type": "polygon"}],
"imagePath": "a.png", "imageData": "aGFsbG8=", "imageHeight": 100, "imageWidth": 200}"#;

const DATA_YAML: &str = "path: .\ntrain: images/train\nval: [images/val, 'more images']\nnc: 2\nnames:\n  0: cup\n  1: \"mug\\n\"\n";

const ROWS: &str = "0 0.5 0.5 0.25 0.5\n1 0.1 0.1 0.9 0.1 0.5 0.9\n\n1 0.25 0.25 0.1 0.1\n";

/// All prefixes of a text that end at a character.
fn prefixes(text: &str) -> impl Iterator<Item = &str> {
    (0..text.len()).filter_map(|cut| text.get(..cut))
}

#[test]
fn coco_json() {
    assert!(coco::parse(COCO.as_bytes(), "x").is_ok());
    for cut in 0..COCO.len() {
        assert!(coco::parse(&COCO.as_bytes()[..cut], "x").is_err(), "cut at {cut}");
    }
}

#[test]
fn labelme_json() {
    let parse = |bytes: &[u8]| labelme::parse(bytes, "x", &mut Findings::default());
    assert_eq!(parse(LABELME.as_bytes()).unwrap().objects.len(), 2);
    for cut in 0..LABELME.len() {
        assert!(parse(&LABELME.as_bytes()[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn voc_xml_files() {
    let objects = voc_object("cup & mug".replace('&', "&amp;").as_str(), ["1", "2", "30.5", "40"]);
    let xml = voc_xml("a.png", &objects);
    let whole = voc::parse(&xml, "x", &mut Findings::default()).unwrap();
    assert_eq!(whole.objects.len(), 1);
    for prefix in prefixes(&xml) {
        match voc::parse(prefix, "x", &mut Findings::default()) {
            Ok(cut) => assert!(cut == whole && prefix == xml.trim_end(), "{prefix:?}"),
            Err(error) => assert!(error.line >= 1 && !error.problem.is_empty()),
        }
    }
}

#[test]
fn yolo_rows() {
    let parse = |text: &str| {
        let mut findings = Findings::default();
        (yolo::parse_labels(text, (200, 100), 2, "x", &mut findings), findings)
    };
    let (whole, _) = parse(ROWS);
    assert_eq!(whole.len(), 3);
    for prefix in prefixes(ROWS) {
        let (objects, findings) = parse(prefix);
        // Complete rows are read; the last one can be shorter, and is then a finding or a box of other
        // digits.
        let complete = prefix.matches('\n').count().min(whole.len()).saturating_sub(1);
        assert_eq!(objects[..complete.min(objects.len())], whole[..complete.min(objects.len())]);
        assert!(objects.len() + findings.errors() <= whole.len(), "{prefix:?}");
    }
}

#[test]
fn yolo_data_yaml() {
    let parse = |text: &str| yolo::parse_data_yaml(text, Path::new("data.yaml"), &mut Findings::default());
    assert_eq!(parse(DATA_YAML).unwrap().names, ["cup", "mug\n"]);
    for prefix in prefixes(DATA_YAML) {
        match parse(prefix) {
            Ok(yaml) => assert!(yaml.names.len() <= 2 && yaml.splits.len() <= 2, "{prefix:?} gave {yaml:?}"),
            Err(error) => assert!(error.to_string().starts_with("data.yaml"), "{error}"),
        }
    }
}

#[test]
fn image_headers() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.png", "a.jpg", "a.webp", "a.bmp"] {
        let path = folder.path().join(name);
        picture(&path, 60, 40, 7);
        let bytes = std::fs::read(&path).unwrap();
        let whole = read_header(&path).unwrap();
        assert_eq!((whole.width, whole.height), (60, 40));
        let cut_path = folder.path().join("cut");
        // Every byte of the header, then every 97th.
        for cut in (0..bytes.len().min(400)).chain((400..bytes.len()).step_by(97)) {
            std::fs::write(&cut_path, &bytes[..cut]).unwrap();
            if let Ok(header) = read_header(&cut_path) {
                assert_eq!(header, whole, "{name} cut at {cut}");
            }
        }
    }
}

/// Whole datasets whose label file is cut: opening is an error or loses no object silently, and checking
/// reports it.
#[test]
fn datasets_with_a_cut_label_file() {
    let folder = tempfile::tempdir().unwrap();
    let objects = voc_object("cup", ["1", "2", "30", "40"]);
    let cases = [
        ("coco", "annotations.json", "a.png", COCO.to_string()),
        ("voc", "Annotations/a.xml", "JPEGImages/a.png", voc_xml("a.png", &objects)),
        ("labelme", "a.json", "a.png", LABELME.to_string()),
        ("yolo", "data.yaml", "images/train/a.png", DATA_YAML.to_string()),
    ];
    let options = CheckOptions { decode: false, hash: false, ..CheckOptions::default() };
    let mut silent = Vec::new();
    for (name, label, image, text) in cases {
        let root = folder.path().join(name);
        picture(root.join(image), 200, 100, 1);
        put(root.join(label), &text);
        if name == "yolo" {
            put(root.join("labels/train/a.txt"), ROWS);
            put(root.join("images/val/.keep"), "");
            put(root.join("more images/.keep"), "");
        }
        let whole = Dataset::open(&root, None).unwrap().object_count();
        assert!(whole > 0, "{name}");
        for cut in (0..text.len()).step_by(11) {
            put(root.join(label), &text.as_bytes()[..cut]);
            let opened = Dataset::open(&root, None).map(|dataset| dataset.object_count());
            let errors = check(&root, None, &options).map(|checked| checked.report.findings.errors());
            // Fewer objects than before must be an error or a finding.
            let reported =
                opened.as_ref().map_or(true, |&count| count == whole) || errors.map_or(true, |n| n > 0);
            if !reported {
                silent.push(format!("{name} cut at {cut}: {opened:?}"));
            }
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
    let mut findings = Findings::default();
    yolo::parse_labels("0 0.5 0.5 0.25", (200, 100), 1, "x", &mut findings);
    assert_eq!(findings.counts()[&FindingKind::YoloColumns], 1);
}
