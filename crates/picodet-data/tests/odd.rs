//! Odd paths, shapes, class lists and ids: one is a finding, and no object is lost without permission.

mod common;

use std::fs;
use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{
    CheckOptions, DataError, Dataset, FindingKind, Format, Images, WriteOptions, check, convert, fix,
    open_lenient,
};
use serde_json::{Value, json};

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

/// Messages of the findings of a kind, with their locations.
fn found(path: &Path, kind: FindingKind) -> Vec<String> {
    let report = check(path, None, &CheckOptions::default()).expect("a dataset").report;
    let list = report.findings.list().iter().filter(|finding| finding.kind == kind);
    list.map(|finding| format!("{}: {}", finding.location, finding.message)).collect()
}

fn coco(files: &[&str], annotations: &[Value]) -> String {
    let images: Vec<_> = (1..)
        .zip(files)
        .map(|(id, file)| json!({"id": id, "file_name": file, "width": 200, "height": 100}))
        .collect();
    json!({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": ""}]})
        .to_string()
}

fn annotation(id: u32, image: u32, category: u32, x: u32) -> Value {
    json!({"id": id, "image_id": image, "category_id": category, "bbox": [x, 10, 20, 20]})
}

fn labelme(shapes: &[Value]) -> String {
    json!({"shapes": shapes, "imagePath": "a.png", "imageWidth": 200, "imageHeight": 100}).to_string()
}

fn shape(kind: &str, points: &Value) -> Value {
    json!({"label": "cat", "shape_type": kind, "points": points})
}

#[test]
fn one_picture_under_two_paths_counts_once_in_yolo() {
    let spellings = ["./images/a.png", "images/./a.png", "images//a.png", "images/link.png", "linked/a.png"];
    for other in spellings {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        picture(root.join("images/a.png"), 200, 100, 1);
        put(root.join("labels/a.txt"), ROW);
        put(root.join("data.yaml"), "train: train.txt\nnames: [cat]\n");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a.png", root.join("images/link.png")).unwrap();
            std::os::unix::fs::symlink("images", root.join("linked")).unwrap();
        }
        if !cfg!(unix) && other.contains("link") {
            continue;
        }
        put(root.join("train.txt"), "images/a.png\n");
        assert_eq!(found(root, FindingKind::SplitDuplicate), Vec::<String>::new());
        for list in [format!("images/a.png\n{other}\n"), format!("{other}\nimages/a.png\n")] {
            put(root.join("train.txt"), &list);
            let dataset = open_lenient(root, None).unwrap().dataset;
            assert_eq!((dataset.images.len(), dataset.object_count()), (1, 1), "{list}");
            assert_eq!(found(root, FindingKind::SplitDuplicate).len(), 1, "{list}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_with_a_label_of_its_own_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"), 200, 100, 1);
    std::os::unix::fs::symlink("a.png", root.join("images/b.png")).unwrap();
    put(root.join("labels/a.txt"), ROW);
    put(root.join("labels/b.txt"), "0 0.2 0.2 0.2 0.2\n");
    put(root.join("data.yaml"), "train: images\nnames: [cat]\n");
    assert_eq!(open_lenient(root, None).unwrap().dataset.object_count(), 2);
    assert_eq!(found(root, FindingKind::DuplicateFileName).len(), 1);
}

#[test]
fn one_picture_under_two_paths_is_reported_in_coco() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("images/a.png"), 200, 100, 1);
    picture(root.join("images/b.png"), 200, 100, 2);
    let objects = [annotation(1, 1, 1, 10), annotation(2, 2, 1, 50)];
    put(root.join("train.json"), coco(&["images/a.png", "images/b.png"], &objects));
    assert_eq!(found(&root, FindingKind::DuplicateFileName), Vec::<String>::new());
    put(root.join("train.json"), coco(&["images/a.png", "./images/a.png"], &objects));
    assert_eq!(found(&root, FindingKind::DuplicateFileName).len(), 1);
    assert_eq!(found(&root, FindingKind::ImageDuplicate), Vec::<String>::new());
    let checked = check(&root, None, &CheckOptions::default()).unwrap();
    let fixed = fix(&checked, &out, Images::Copy).unwrap();
    assert_eq!((fixed.written.images, fixed.written.objects), (1, 2));
    fs::remove_dir_all(&out).unwrap();
    let report = convert(&root, None, Format::YOLO, &out, Images::Copy).unwrap();
    let twice = report.losses.iter().find(|loss| loss.what.contains("listed twice"));
    assert_eq!(twice.map(|loss| loss.count), Some(1), "{:?}", report.losses);
}

#[test]
fn paths_with_dots_that_end_inside_of_the_dataset_do_not_escape() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    picture(root.join("images/a.png"), 200, 100, 1);
    picture(folder.path().join("b.png"), 200, 100, 2);
    let file = root.join("annotations/train.json");
    for (image, escapes) in
        [("../images/a.png", 0), ("../annotations/../images/a.png", 0), ("../../b.png", 1)]
    {
        put(&file, coco(&[image], &[annotation(1, 1, 1, 10)]));
        for path in [&root, &file] {
            assert_eq!(found(path, FindingKind::PathEscapes).len(), escapes, "{image} {}", path.display());
        }
    }
    fs::remove_dir_all(root.join("annotations")).unwrap();
    let text = labelme(&[shape("rectangle", &json!([[1, 1], [50, 50]]))]);
    put(root.join("labels/a.json"), text.replace("a.png", "../images/a.png"));
    assert_eq!(found(&root, FindingKind::PathEscapes), Vec::<String>::new());
    put(root.join("labels/a.json"), text.replace("a.png", "../../b.png"));
    assert_eq!(found(&root, FindingKind::PathEscapes).len(), 1);
}

#[test]
fn shapes_of_unknown_types_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("a.png"), 200, 100, 1);
    let square = json!([[10, 10], [60, 10], [60, 60], [10, 60]]);
    let known = [shape("rectangle", &json!([[1, 1], [50, 50]])), shape("quadrilateral", &square)];
    put(root.join("a.json"), labelme(&known));
    for kind in [FindingKind::ShapeUnknown, FindingKind::OddValue, FindingKind::ShapeUnsupported] {
        assert_eq!(found(&root, kind), Vec::<String>::new());
    }
    // With an area it is read as a polygon.
    put(root.join("a.json"), labelme(&[known[0].clone(), shape("ellipse", &square)]));
    let [only] = &found(&root, FindingKind::OddValue)[..] else { panic!("one finding") };
    assert!(
        only.ends_with("a.json#/shapes/1/shape_type: `shape_type` is `ellipse`; read as a polygon"),
        "{only}"
    );
    assert_eq!(open_lenient(&root, None).unwrap().dataset.object_count(), 2);
    // Without one it is left out, with permission.
    put(root.join("a.json"), labelme(&[known[0].clone(), shape("ellipse", &json!([[10, 10], [60, 60]]))]));
    let [only] = &found(&root, FindingKind::ShapeUnknown)[..] else { panic!("one finding") };
    assert!(
        only.ends_with("a.json#/shapes/1: unknown `shape_type` `ellipse` with 2 points; left out"),
        "{only}"
    );
    assert_eq!(found(&root, FindingKind::ShapeUnsupported), Vec::<String>::new());
    for format in Format::all() {
        let refused = convert(&root, None, format, &out, Images::Leave);
        assert!(matches!(refused, Err(DataError::Faulty { .. })), "{format}: {refused:?}");
    }
    let options = WriteOptions::from(Images::Leave).with_loss(true);
    let report = convert(&root, None, Format::COCO, &out, options).unwrap();
    assert_eq!(report.losses[0].to_string(), "shapes of an unknown type (1 times)");
}

#[test]
fn points_are_lost_with_permission_only() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("a.png"), 200, 100, 1);
    let point = shape("point", &json!([[30, 30]]));
    put(root.join("a.json"), labelme(&[shape("rectangle", &json!([[1, 1], [50, 50]])), point]));
    let refused = convert(&root, None, Format::COCO, &out, Images::Leave);
    assert!(matches!(refused, Err(DataError::WouldLose { .. })), "{refused:?}");
    let options = WriteOptions::from(Images::Leave).with_loss(true);
    let report = convert(&root, None, Format::COCO, &out, options).unwrap();
    assert_eq!(report.losses[0].to_string(), "shapes without area (points and lines) (1 times)");
    fs::remove_dir_all(&out).unwrap();
    // A copy keeps them.
    convert(&root, None, Format::LABELME, &out, Images::Leave).unwrap();
    assert!(fs::read_to_string(out.join("all/a.json")).unwrap().contains("\"point\""));
}

#[test]
fn nan_in_a_labelme_file_is_one_box() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("a.png"), 200, 100, 1);
    let square = json!([[10, 10], [60, 10], [60, 60], [10, 60]]);
    for kind in ["rectangle", "polygon", "linestrip", "ellipse"] {
        let text = labelme(&[shape("rectangle", &json!([[1, 1], [50, 50]])), shape(kind, &square)]);
        let text = text.replace("[10,60]", "[NaN,60]");
        assert!(text.contains("NaN"));
        put(root.join("a.json"), text);
        let [nan] = &found(&root, FindingKind::JsonNan)[..] else { panic!("{kind}") };
        assert!(nan.ends_with("a.json: 1 times NaN or Infinity; read as missing values"), "{nan}");
        let [only] = &found(&root, FindingKind::BoxNotFinite)[..] else { panic!("{kind}") };
        assert!(only.contains("a.json#/shapes/1: "), "{only}");
        assert_eq!(found(&root, FindingKind::FileUnreadable), Vec::<String>::new());
        let options = WriteOptions::from(Images::Leave).with_loss(true);
        for format in [Format::YOLO, Format::LABELME] {
            assert!(convert(&root, None, format, &out, Images::Leave).is_err());
            let report = convert(&root, None, format, &out, options).unwrap();
            assert_eq!(report.objects, 1, "{kind} {format}: {:?}", report.losses);
            fs::remove_dir_all(&out).unwrap();
        }
    }
}

#[test]
fn nan_in_a_coco_file_is_not_blamed_on_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("a.png"), 200, 100, 1);
    let text = coco(&["a.png"], &[annotation(1, 1, 1, 10)]).replace("[10,10,20,20]", "[NaN,10,20,20]");
    put(root.join("train.json"), text);
    let [only] = &found(root, FindingKind::JsonNan)[..] else { panic!("one finding") };
    assert!(only.ends_with("train.json: 1 times NaN or Infinity, the first in line 1"), "{only}");
}

#[test]
fn label_maps_of_voc_list_the_classes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("JPEGImages/a.png"), 200, 100, 1);
    let classes = || -> Vec<String> {
        let dataset = Dataset::open(root, None).unwrap();
        dataset.classes.into_iter().map(|class| class.name).collect()
    };
    put(root.join("Annotations/a.xml"), voc_xml("a.png", &voc_object("cat", ["1", "1", "50", "50"])));
    let map =
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:128,0,0::\ncat:0,128,0:head,tail:run\n";
    let cases = [
        (None, vec!["cat"]),
        (Some(map), vec!["dog", "cat"]),
        (Some("# label:color_rgb:parts:actions\ndog:1,1,1::\na:b:2,2,2::\n"), vec!["dog", "a:b", "cat"]),
        // Another file of this name.
        (Some("item {\n  id: 1\n  name: 'dog'\n}\n"), vec!["cat"]),
    ];
    for (map, expected) in cases {
        if let Some(map) = map {
            put(root.join("labelmap.txt"), map);
        }
        assert_eq!(classes(), expected, "{map:?}");
    }
    put(root.join("labelmap.txt"), map);
    put(root.join("label_list.txt"), "cat\n");
    assert_eq!(classes(), ["cat"]);
}

#[test]
fn fields_of_x_anylabeling_stay_in_copies() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("a.png"), 200, 100, 1);
    let full = json!({"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [50, 1], [50, 50], [1, 50]],
        "score": 0.87, "difficult": true, "group_id": 4, "attributes": {"colour": "red"}, "description": "left",
        "flags": {"blurred": true}, "kie_linking": [[1, 2]]});
    let plain = json!({"label": "cat", "shape_type": "rectangle", "points": [[60, 1], [90, 50]], "difficult": 1,
        "score": null, "flags": null, "attributes": {}});
    put(root.join("a.json"), labelme(&[full.clone(), plain]));
    let dataset = Dataset::open(&root, None).unwrap();
    assert!(dataset.images[0].objects.iter().all(|object| object.difficult));
    let shapes = |file: &Path| -> Vec<Value> {
        let file: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        file["shapes"].as_array().cloned().unwrap()
    };
    convert(&root, None, Format::LABELME, &out, Images::Copy).unwrap();
    assert_eq!(shapes(&out.join("all/a.json"))[0], full);
    fs::remove_dir_all(&out).unwrap();
    let checked = check(&root, None, &CheckOptions::default()).unwrap();
    fix(&checked, &out, Images::Copy).unwrap();
    assert_eq!(shapes(&out.join("all/a.json"))[0], full);
    fs::remove_dir_all(&out).unwrap();
    let report = convert(&root, None, Format::VOC, &out, Images::Copy).unwrap();
    let lost: Vec<&str> = report.losses.iter().map(|loss| loss.what.as_str()).collect();
    for field in ["score", "group_id", "attributes", "description", "flags", "kie_linking"] {
        assert!(lost.contains(&format!("`{field}` of shapes").as_str()), "{field}: {lost:?}");
    }
    assert!(fs::read_to_string(out.join("Annotations/a.xml")).unwrap().contains("<difficult>1</difficult>"));
}

#[test]
fn annotation_ids_are_unique_in_every_coco_file() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("a.png"), 200, 100, 1);
    let ids = |out: &Path| -> Vec<i64> {
        let file: Value =
            serde_json::from_slice(&fs::read(out.join("annotations/instances_train.json")).unwrap()).unwrap();
        file["annotations"].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect()
    };
    let cases = [([4, 5, 6], vec![4, 5, 6], 0), ([4, 4, 6], vec![4, 7, 6], 1), ([4, 4, 4], vec![4, 5, 6], 2)];
    for (written, expected, renumbered) in cases {
        let objects: Vec<Value> =
            (0u32..).zip(written).map(|(at, id)| annotation(id, 1, 1, 30 * at)).collect();
        put(root.join("train.json"), coco(&["a.png"], &objects));
        let report = convert(&root, None, Format::COCO, &out, Images::Copy).unwrap();
        assert_eq!(ids(&out), expected);
        let loss = report.losses.iter().find(|loss| loss.what.contains("renumbered"));
        assert_eq!(loss.map_or(0, |loss| loss.count), renumbered);
        fs::remove_dir_all(&out).unwrap();
    }
}

#[test]
fn objects_of_a_class_without_name_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("a.png"), 200, 100, 1);
    put(root.join("train.json"), coco(&["a.png"], &[annotation(1, 1, 1, 10), annotation(2, 1, 2, 50)]));
    for format in Format::all() {
        convert(&root, None, format, &out, Images::Copy).unwrap();
        let again = open_lenient(&out, Some("train")).unwrap();
        assert_eq!(
            (again.dataset.object_count(), again.findings.errors()),
            (2, 0),
            "{format}: {:?}",
            again.findings
        );
        assert_eq!(again.dataset.class_counts(), [1, 1], "{format}");
        fs::remove_dir_all(&out).unwrap();
    }
}
