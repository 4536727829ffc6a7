//! Files next to those that are read: images without labels, class lists, keys that occur twice, names in another letter case.

mod common;

use std::fs;
use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{
    CheckOptions, DataError, FindingKind, Format, Images, WriteOptions, check, convert, fix, open_lenient,
    splits,
};
use serde_json::json;

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

/// Messages of the findings of a kind, with their locations.
fn found(root: &Path, kind: FindingKind) -> Vec<String> {
    let report = check(root, None, &CheckOptions::default()).expect("a dataset").report;
    let list = report.findings.list().iter().filter(|finding| finding.kind == kind);
    list.map(|finding| format!("{}: {}", finding.location, finding.message)).collect()
}

/// A dataset of a format with the labelled image `train/a.png` (YOLO: `images/train/a.png`).
fn dataset(root: &Path, format: Format) {
    let image = if format == Format::YOLO { "images/train/a.png" } else { "train/a.png" };
    picture(root.join(image), 200, 100, 1);
    if format == Format::YOLO {
        put(root.join("labels/train/a.txt"), ROW);
        put(root.join("data.yaml"), "train: images/train\nnames: [cat]\n");
    } else if format == Format::VOC {
        put(root.join("train/a.xml"), voc_xml("a.png", &voc_object("cat", ["1", "1", "50", "50"])));
    } else if format == Format::LABELME {
        let shape = json!({"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [50, 50]]});
        let file = json!({"shapes": [shape], "imagePath": "a.png", "imageWidth": 200, "imageHeight": 100});
        put(root.join("train/a.json"), file.to_string());
    } else {
        put(root.join("train/train.json"), coco("").replace("images/a.png", "a.png"));
    }
}

/// A COCO file with one object; `more` is inserted before its end.
fn coco(more: &str) -> String {
    format!(
        r#"{{"images": [{{"id": 1, "file_name": "images/a.png", "width": 200, "height": 100}}],
"annotations": [{{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50]}}],
"categories": [{{"id": 1, "name": "cat"}}]{more}}}"#
    )
}

#[test]
fn images_without_labels_outside_of_the_splits_are_counted() {
    for format in Format::all() {
        let folder = tempfile::tempdir().unwrap();
        let (root, out) = (folder.path().join("set"), folder.path().join("out"));
        dataset(&root, format);
        assert_eq!(found(&root, FindingKind::ImageUnused), Vec::<String>::new(), "{format}");
        let sound = convert(&root, None, Format::COCO, &out, Images::Leave).unwrap();
        assert!(!sound.losses.iter().any(|loss| loss.what.contains("without labels")), "{format}");
        for image in ["more/b.png", "c.png"] {
            picture(root.join(image), 200, 100, image.len() as u8);
        }
        assert_eq!(found(&root, FindingKind::ImageUnused).len(), 2, "{format}");
        let written = [Format::COCO, Format::YOLO].map(|to| {
            let _ = fs::remove_dir_all(&out);
            convert(&root, None, to, &out, Images::Leave).unwrap().losses
        });
        for losses in written {
            let unused = losses.iter().find(|loss| Some(&*loss.what) == FindingKind::ImageUnused.lost());
            assert_eq!(unused.map(|loss| loss.count), Some(2), "{format}: {losses:?}");
        }
        // As a whole, which is what `data split` reads.
        let whole = open_lenient(&root, splits(&root).unwrap().first().map(String::as_str)).unwrap();
        assert_eq!((whole.findings.errors(), whole.dataset.images.len()), (0, 1));
        let _ = fs::remove_dir_all(&out);
        let checked = check(&root, None, &CheckOptions::default()).unwrap();
        let fixed = fix(&checked, &out, WriteOptions::from(Images::Leave)).unwrap();
        assert_eq!(fixed.written.losses.iter().map(|loss| loss.count).sum::<usize>(), 2, "{format}");
    }
}

#[test]
fn images_of_a_split_through_links_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("pool/a.png"), 200, 100, 1);
    put(root.join("labels/train/a.txt"), ROW);
    put(root.join("data.yaml"), "train: images/train\nnames: [cat]\n");
    fs::create_dir_all(root.join("images/train")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../../pool/a.png", root.join("images/train/a.png")).unwrap();
        assert_eq!(found(root, FindingKind::ImageUnused), Vec::<String>::new());
    }
}

#[test]
fn class_lists_that_contradict_the_one_that_is_read_are_named() {
    let lists = ["classes.txt", "obj.names", "labels.txt", "predefined_classes.txt", "other.yaml"];
    for list in lists {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        picture(root.join("images/a.png"), 200, 100, 1);
        put(root.join("labels/a.txt"), ROW);
        put(root.join("data.yaml"), "train: images\nnames: [cat, dog]\n");
        let text = |names: &[&str]| match list {
            "other.yaml" => format!("train: images\nnames: [{}]\n", names.join(", ")),
            _ => format!("{}\n", names.join("\n")),
        };
        for sound in [&["cat", "dog"][..], &["cat"], &["cat", "dog", "cow"]] {
            put(root.join(list), text(sound));
            assert_eq!(found(root, FindingKind::ClassListsDiffer), Vec::<String>::new(), "{list}");
        }
        put(root.join(list), text(&["dog", "cat"]));
        let [only] = &found(root, FindingKind::ClassListsDiffer)[..] else { panic!("{list}") };
        assert!(only.contains(list) && only.contains("class 0 is `dog` here, but `cat` in "), "{only}");
        assert!(only.contains("data.yaml, which is read"), "{only}");
    }
}

#[test]
fn data_files_of_other_datasets_do_not_contradict() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (set, names) in [("one", "[cat]"), ("two", "[dog]")] {
        picture(root.join(set).join("images/a.png"), 200, 100, 1);
        put(root.join(set).join("labels/a.txt"), ROW);
        put(root.join(format!("{set}.yaml")), format!("path: {set}\ntrain: images\nnames: {names}\n"));
    }
    assert_eq!(found(&root.join("one.yaml"), FindingKind::ClassListsDiffer), Vec::<String>::new());
}

#[test]
fn class_lists_of_voc_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("JPEGImages/a.png"), 200, 100, 1);
    put(root.join("Annotations/a.xml"), voc_xml("a.png", &voc_object("cat", ["1", "1", "50", "50"])));
    put(root.join("label_list.txt"), "cat\ndog\n");
    put(root.join("labels.txt"), "__ignore__\n_background_\ndog\ncat\n");
    assert_eq!(found(root, FindingKind::ClassListsDiffer), Vec::<String>::new());
    put(root.join("labels.txt"), "cat\nbird\n");
    let [only] = &found(root, FindingKind::ClassListsDiffer)[..] else { panic!("one finding") };
    assert!(only.contains("labels.txt: class `bird` is only here, and "), "{only}");
    assert!(only.contains("label_list.txt is read"), "{only}");
}

#[test]
fn keys_that_occur_twice_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"), 200, 100, 1);
    put(root.join("labels/a.txt"), ROW);
    let cases = [
        ("train: images\nnames: [cat]\n", None),
        (
            "train: images\nnames: [dog]\nnames: [cat]\n",
            Some("the key `names` occurs more than once; the last one is read"),
        ),
        (
            "train: images\nnames: {0: dog, 0: cat}\n",
            Some("the key `0` occurs more than once; the last one is read"),
        ),
        ("train: nowhere\nnames: [cat]\ntrain: images\n", Some("the key `train` occurs")),
        ("train: images\nnames: [cat]\nlr: 1\nlr: 2\n", None),
    ];
    for (text, expected) in cases {
        put(root.join("data.yaml"), text);
        let messages = found(root, FindingKind::DuplicateKey);
        assert_eq!(messages.len(), usize::from(expected.is_some()), "{text}: {messages:?}");
        assert!(
            messages.iter().all(|message| message.contains(expected.unwrap_or_default())),
            "{messages:?}"
        );
        let dataset = open_lenient(root, None).unwrap().dataset;
        assert_eq!((dataset.classes[0].name.as_str(), dataset.object_count()), ("cat", 1), "{text}");
    }
    fs::remove_file(root.join("data.yaml")).unwrap();
    fs::remove_dir_all(root.join("labels")).unwrap();
    put(root.join("train.json"), coco(""));
    assert_eq!(found(root, FindingKind::DuplicateKey), Vec::<String>::new());
    let more = r#", "annotations": [{"id": 2, "image_id": 1, "category_id": 1, "bbox": [80, 10, 50, 50]}]"#;
    put(root.join("train.json"), coco(more));
    let [only] = &found(root, FindingKind::DuplicateKey)[..] else { panic!("one finding") };
    assert!(only.ends_with(
        "train.json#/annotations: the key `annotations` occurs more than once; the entries of all are read"
    ));
    assert_eq!(open_lenient(root, Some("train")).unwrap().dataset.object_count(), 2);
}

#[test]
fn folders_of_voc_are_found_in_any_letter_case() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("Annotations", "ImageSets/Main", "JPEGImages"),
        ("annotations", "imagesets/main", "jpegimages"),
        ("ANNOTATIONS", "ImageSets/main", "JPEGimages"),
        ("annotations", "Imagesets", "images"),
    ];
    for (index, (labels, lists, images)) in cases.into_iter().enumerate() {
        for devkit in [false, true] {
            let set = folder.path().join(format!("{index}{devkit}"));
            let root = if devkit { set.join("VOC2007") } else { set.clone() };
            for name in ["a", "b"] {
                picture(root.join(format!("{images}/{name}.png")), 200, 100, name.as_bytes()[0]);
                let xml = voc_xml(&format!("{name}.png"), &voc_object("cat", ["1", "1", "50", "50"]));
                put(root.join(format!("{labels}/{name}.xml")), xml);
            }
            put(root.join(format!("{lists}/train.txt")), "a\n");
            put(root.join(format!("{lists}/val.txt")), "b\n");
            if devkit {
                // A devkit has two years.
                fs::create_dir_all(set.join("results")).unwrap();
            }
            assert_eq!(splits(&set).unwrap(), ["train", "val"], "{labels} {lists} {devkit}");
            let faults = check(&set, None, &CheckOptions::default()).unwrap().report.findings;
            assert_eq!((faults.errors(), faults.counts().get(&FindingKind::ImageUnreferenced)), (0, None));
            let train = open_lenient(&set, Some("train")).unwrap().dataset;
            assert_eq!((train.images.len(), train.object_count()), (1, 1));
        }
    }
}

#[test]
fn keys_of_a_data_file_are_found_in_any_letter_case() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    for name in ["train", "val"] {
        picture(root.join(format!("images/{name}/{name}.png")), 200, 100, name.len() as u8);
        put(root.join(format!("labels/{name}/{name}.txt")), ROW);
    }
    put(root.join("data.yaml"), "Train: images/train\nVAL: images/val\nNames: [cat]\nlr: 1\n");
    assert_eq!(splits(&root).unwrap(), ["train", "val"]);
    let report = convert(&root, None, Format::YOLO, &out, Images::Copy).unwrap();
    assert_eq!((report.images, report.objects), (2, 2));
    let text = fs::read_to_string(out.join("data.yaml")).unwrap();
    assert!(text.contains("lr: 1") && !text.contains("Names") && !text.contains("VAL"), "{text}");
    // Without names the file is opened, which fails.
    put(root.join("data.yaml"), "Train: images/train\n");
    let error = open_lenient(&root, None).map(|_| ());
    assert!(matches!(error, Err(DataError::Syntax { .. })), "{error:?}");
}
