//! Among labels of several formats in one folder those of most images are read, and the others are reported.

mod common;

use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{DataError, Format, Images, Loaded, convert, open_lenient};
use serde_json::json;

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

fn xml(name: &str) -> String {
    voc_xml(&format!("{name}.png"), &voc_object("cat", ["10", "10", "60", "60"]))
}

fn labelme(name: &str, shapes: usize) -> String {
    let shape = json!({"label": "cat", "shape_type": "rectangle", "points": [[10, 10], [60, 60]]});
    json!({"version": "5", "shapes": vec![shape; shapes], "imagePath": format!("{name}.png"), "imageData": null,
        "imageHeight": 100, "imageWidth": 200})
    .to_string()
}

/// Writes the images `a`, `b` and `c`, and a COCO file with objects in these images.
fn coco(root: &Path, labelled: &[&str]) {
    for name in ["a", "b", "c"] {
        picture(root.join(format!("{name}.png")), 200, 100, name.as_bytes()[0]);
    }
    let files = ["a", "b", "c"].map(|name| format!("{name}.png"));
    let images: Vec<_> = (1..)
        .zip(&files)
        .map(|(id, file)| json!({"id": id, "file_name": file, "width": 200, "height": 100}))
        .collect();
    let boxes: Vec<_> = (1..)
        .zip(&files)
        .filter(|(_, file)| labelled.contains(&&file[..1]))
        .map(|(id, _)| json!({"id": id, "image_id": id, "category_id": 1, "bbox": [10, 10, 50, 50]}))
        .collect();
    let categories = [json!({"id": 1, "name": "cat"})];
    let document = json!({"images": images, "annotations": boxes, "categories": categories});
    put(root.join("train.json"), document.to_string());
}

fn read(root: &Path) -> Loaded {
    let names = picodet_data::splits(root).unwrap();
    match &names[..] {
        [only] => {
            let mut loaded = open_lenient(root, Some(only)).unwrap();
            // The labels in no split are found for a dataset as a whole.
            loaded.findings = open_lenient(root, None).unwrap().findings;
            loaded
        }
        _ => open_lenient(root, None).unwrap(),
    }
}

fn messages(loaded: &Loaded) -> Vec<String> {
    let shown = loaded.findings.list().iter().filter(|finding| finding.severity.name() != "info");
    let mut messages: Vec<String> =
        shown.map(|finding| format!("{}: {}", finding.kind.id(), finding.message)).collect();
    messages.sort();
    messages
}

#[test]
fn one_stray_label_does_not_decide_the_format() {
    let labels: [(Format, &str, String); 3] = [
        (Format::VOC, "xml", xml("a")),
        (Format::LABELME, "json", labelme("a", 1)),
        (Format::YOLO, "txt", ROW.to_string()),
    ];
    for (format, extension, text) in labels {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        coco(root, &["a", "b", "c"]);
        if format == Format::YOLO {
            put(root.join("classes.txt"), "cat\n");
        }
        let mixed = format!("formats-mixed: read as coco; labels of {format} are here as well, and not read");
        // The image has objects in both.
        put(root.join(format!("a.{extension}")), &text);
        let loaded = read(root);
        assert_eq!((loaded.dataset.format, loaded.dataset.object_count()), (Format::COCO, 3), "{format}");
        assert_eq!(messages(&loaded), std::slice::from_ref(&mixed), "{format}");
        std::fs::remove_file(root.join(format!("a.{extension}"))).unwrap();
        // The image is not in the COCO file, or has no objects there.
        for image in ["d", "c"] {
            coco(root, &["a", "b"]);
            picture(root.join("d.png"), 200, 100, 100);
            put(root.join(format!("{image}.{extension}")), text.replace("a.png", &format!("{image}.png")));
            let other = format!(
                "label-other-format: {image}.png has no label of the format coco, but {image}.{extension}, which is not read"
            );
            let loaded = read(root);
            assert_eq!(
                (loaded.dataset.format, messages(&loaded)),
                (Format::COCO, vec![mixed.clone(), other])
            );
            let refused = convert(root, None, Format::COCO, root.with_extension("out"), Images::Leave);
            assert!(matches!(refused, Err(DataError::Faulty { .. })), "{format}: {refused:?}");
            std::fs::remove_file(root.join(format!("{image}.{extension}"))).unwrap();
            std::fs::remove_file(root.join("d.png")).unwrap();
        }
    }
}

#[test]
fn the_images_of_a_coco_file_that_is_not_read_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    coco(root, &["c"]);
    put(root.join("a.xml"), xml("a"));
    put(root.join("b.xml"), xml("b"));
    let loaded = read(root);
    assert_eq!((loaded.dataset.format, loaded.dataset.object_count()), (Format::VOC, 2));
    let expected = [
        "formats-mixed: read as voc; labels of coco are here as well, and not read",
        "label-other-format: c.png has no label of the format voc, but train.json, which is not read",
    ];
    assert_eq!(messages(&loaded), expected);
}

#[test]
fn formats_with_labels_of_equally_many_images_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    coco(root, &["a"]);
    put(root.join("b.xml"), xml("b"));
    let loaded = read(root);
    assert_eq!(loaded.dataset.format, Format::VOC);
    let mixed = "formats-mixed: read as voc; labels of coco are here as well, and not read; each format has labels of 1 images";
    assert_eq!(messages(&loaded)[0], mixed);
}

#[test]
fn texts_and_settings_do_not_decide_the_format() {
    for format in [Format::COCO, Format::VOC, Format::LABELME] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        coco(root, &["a", "b", "c"]);
        for (name, caption) in [("a", ""), ("b", "2 cats\n"), ("c", "3 dogs\n")] {
            put(root.join(format!("{name}.txt")), caption);
            if format == Format::VOC {
                put(root.join(format!("{name}.xml")), xml(name));
            } else if format == Format::LABELME {
                put(root.join(format!("{name}.json")), labelme(name, 1));
            }
        }
        if format != Format::COCO {
            std::fs::remove_file(root.join("train.json")).unwrap();
        }
        put(root.join("classes.txt"), "cat\n");
        put(root.join("data.yaml"), "model: small\nepochs: 3\n");
        let loaded = read(root);
        assert_eq!((loaded.dataset.format, loaded.dataset.object_count()), (format, 3));
        assert_eq!(messages(&loaded), Vec::<String>::new(), "{format}");
    }
}

#[test]
fn an_empty_label_does_not_hide_one_of_another_format() {
    for (extension, text) in [("json", labelme("c", 1)), ("xml", xml("c"))] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["a", "b", "c"] {
            picture(root.join(format!("{name}.png")), 200, 100, name.as_bytes()[0]);
            put(root.join(format!("{name}.txt")), if name == "c" { "" } else { ROW });
        }
        put(root.join("classes.txt"), "cat\n");
        assert_eq!(messages(&read(root)), Vec::<String>::new());
        put(root.join(format!("c.{extension}")), text);
        let found = messages(&read(root));
        assert!(found.iter().any(|message| message.starts_with("label-other-format: the label file c.txt")));
        // Neither file has objects.
        let empty = if extension == "json" { labelme("c", 0) } else { voc_xml("c.png", "") };
        put(root.join(format!("c.{extension}")), empty);
        let found = messages(&read(root));
        assert!(!found.iter().any(|message| message.starts_with("label-other-format")), "{found:?}");
    }
}

#[test]
fn a_data_file_without_classes_is_opened_for_its_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"), 200, 100, 1);
    put(root.join("labels/a.txt"), ROW);
    put(root.join("data.yaml"), "train: images\n");
    let error = open_lenient(root, None).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("`names` is missing"), "{error}");
    put(root.join("data.yaml"), "epochs: 3\n");
    let error = open_lenient(root, None).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("`names` is missing"), "{error}");
}
