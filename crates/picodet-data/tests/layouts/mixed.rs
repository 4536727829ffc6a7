//! Folders with labels of several formats, and class lists that differ between splits.

use std::path::Path;

use picodet_data::{
    DataError, Dataset, Finding, FindingKind, Findings, Format, Images, convert, open_lenient, splits,
};

use crate::absent::{picture, put};

const JSON: &str = r#"{"version": "5.0", "shapes": [{"label": "cat", "shape_type": "rectangle", "points": [[1, 2], [9, 9]]}], "imagePath": "x.png", "imageWidth": 64, "imageHeight": 48}"#;

/// Kind and message of each finding, sorted, except the image without label.
fn messages(findings: &Findings) -> Vec<String> {
    let message = |finding: &Finding| format!("{}: {}", finding.kind.id(), finding.message);
    let others = findings.list().iter().filter(|finding| finding.kind != FindingKind::ImageUnused);
    let mut messages: Vec<String> = others.map(message).collect();
    messages.sort();
    messages
}

/// VOC labels of the images `a` and `b`, and the image `c` without.
fn voc(root: &Path) {
    for name in ["a", "b", "c"] {
        picture(root.join(format!("JPEGImages/{name}.png")));
    }
    for name in ["a", "b"] {
        let xml = format!(
            "<annotation><filename>{name}.png</filename><size><width>64</width><height>48</height></size>\
             <object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
        );
        put(root.join(format!("Annotations/{name}.xml")), xml);
    }
}

#[test]
fn other_labels_beside_those_of_voc_are_reported() {
    let row = "0 0.5 0.5 0.2 0.2\n";
    let cases: [(&[&str], &str, &str); 6] = [
        (&["JPEGImages/c.json"], JSON, "labelme"),
        (&["Annotations/c.json"], JSON, "labelme"),
        (&["labels/a.txt", "labels/c.txt"], row, "yolo"),
        (&["JPEGImages/c.txt"], row, "yolo"),
        (&["JPEGImages/a.json"], JSON, "labelme"),
        (&["labels/a.txt", "labels/b.txt"], row, "yolo"),
    ];
    for (files, text, format) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        voc(root);
        for file in files {
            put(root.join(file), text);
        }
        let loaded = open_lenient(root, None).expect("a dataset");
        let found = messages(&loaded.findings);
        assert_eq!((loaded.dataset.format, loaded.dataset.images.len()), (Format::VOC, 2), "{files:?}");
        let mixed = format!("formats-mixed: read as voc; labels of {format} are here as well, and not read");
        assert!(found.contains(&mixed), "{files:?}: {found:?}");
        let lost = files.iter().find(|file| file.contains("/c."));
        let only = lost.map(|file| {
            format!(
                "label-other-format: JPEGImages/c.png has no label of the format voc, but {file}, which is not read"
            )
        });
        assert_eq!([&mixed].into_iter().chain(&only).cloned().collect::<Vec<_>>(), found, "{files:?}");
        assert_eq!(Dataset::open(root, None).is_err(), lost.is_some(), "{files:?}");
        let copied = convert(root, None, Format::COCO, root.with_extension("out"), Images::Leave);
        assert_eq!(matches!(copied, Err(DataError::Faulty { .. })), lost.is_some(), "{files:?}");
        let _ = std::fs::remove_dir_all(root.with_extension("out"));
    }
}

#[test]
fn texts_and_settings_beside_labels_are_no_labels() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    voc(root);
    put(root.join("JPEGImages/a.txt"), "2 cats on a mat\n");
    put(root.join("JPEGImages/c.txt"), "a cat on mat 7\n");
    put(root.join("labels.txt"), "cat\n");
    put(root.join("settings.json"), "{\"theme\": \"dark\"}");
    let loaded = open_lenient(root, None).expect("a dataset");
    assert_eq!(messages(&loaded.findings), Vec::<String>::new());
}

#[test]
fn labels_beside_those_of_labelme_are_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for name in ["x", "y"] {
        picture(root.join(format!("{name}.png")));
    }
    put(root.join("x.json"), JSON);
    put(root.join("y.txt"), "0 0.5 0.5 0.2 0.2\n");
    let loaded = open_lenient(root, None).expect("a dataset");
    assert_eq!(
        messages(&loaded.findings),
        [
            "formats-mixed: read as labelme; labels of yolo are here as well, and not read",
            "label-other-format: y.png has no label of the format labelme, but y.txt, which is not read"
        ]
    );
}

#[test]
fn splits_with_class_lists_of_their_own_are_matched_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for (split, names) in [("train", "cat\ndog\n"), ("valid", "dog\ncat\n")] {
        picture(root.join(format!("{split}/{split}.png")));
        put(root.join(format!("{split}/{split}.txt")), "0 0.5 0.5 0.2 0.2\n");
        put(root.join(split).join("_darknet.labels"), names);
    }
    assert_eq!(splits(root).expect("splits"), ["train", "valid"]);
    for (split, expected) in [("train", "cat"), ("valid", "dog")] {
        let dataset = Dataset::open(root, Some(split)).expect("a split");
        assert_eq!(dataset.classes[dataset.images[0].objects[0].class].name, expected);
    }
}
