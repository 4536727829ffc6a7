//! All losses are reported: copies in the same format keep all fields, other formats count what they leave
//! out, and objects are lost only with permission.

mod common;

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use common::{picture, put, voc_object, voc_xml};
use picodet_data::{
    CheckOptions, DataError, Dataset, Format, Images, Part, WriteOptions, WriteReport, check, convert, fix,
    open_lenient, split, write,
};
use serde_json::{Value, json};

/// Fields that only COCO files of some tools have.
const EXTRA: [&str; 4] = ["segmentation", "keypoints", "attributes", "score"];

fn coco(root: &Path) -> Value {
    for index in 0..4u8 {
        picture(root.join(format!("images/a{index}.png")), 200, 100, index);
    }
    let images: Vec<Value> = (0..4)
        .map(|index| json!({"id": index + 1, "file_name": format!("a{index}.png"), "width": 200, "height": 100, "license": 1}))
        .collect();
    let annotations: Vec<Value> = (0..4)
        .map(|index| {
            json!({
                "id": index + 10, "image_id": index + 1, "category_id": 1 + index % 2, "bbox": [20.5, 30, 100, 60],
                "area": 3000, "iscrowd": 0, "segmentation": [[20.5, 30, 120.5, 30, 120.5, 90]],
                "keypoints": [50, 50, 2], "num_keypoints": 1, "attributes": {"occluded": true}, "score": 0.25
            })
        })
        .collect();
    let categories = json!([
        {"id": 1, "name": "cat", "supercategory": "animal", "skeleton": [[1, 2]]},
        {"id": 2, "name": "dog", "supercategory": "animal"}
    ]);
    json!({"info": {"description": "x"}, "licenses": [{"id": 1, "name": "CC-BY"}], "images": images,
        "annotations": annotations, "categories": categories})
}

fn load(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn lost(report: &WriteReport) -> String {
    report.losses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Splits a dataset in halves and writes the parts in its own format.
fn halves(root: &Path, out: &Path) -> WriteReport {
    let dataset = Dataset::open(root, None).unwrap();
    let parts = split(&dataset, &[("train", 0.5), ("val", 0.5)], 0).unwrap();
    let named: Vec<Part<'_>> =
        ["train", "val"].iter().zip(&parts).map(|(name, dataset)| Part { name, dataset }).collect();
    write(&named, dataset.format, out, Images::Copy).unwrap()
}

#[test]
fn coco_copies_keep_every_field() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut document = coco(&root);
    // One box reaches beyond the image, which the repair clips.
    document["annotations"][2]["bbox"] = json!([150.0, 30, 100, 60]);
    put(root.join("annotations/instances_all.json"), document.to_string());
    let original = load(root.join("annotations/instances_all.json"));

    let parts = folder.path().join("parts");
    assert_eq!(lost(&halves(&root, &parts)), "");
    let mut seen = 0;
    for part in ["train", "val"] {
        let written = load(parts.join(format!("annotations/instances_{part}.json")));
        assert_eq!((&written["info"], &written["licenses"]), (&original["info"], &original["licenses"]));
        assert_eq!(written["categories"], original["categories"]);
        for list in ["images", "annotations"] {
            for entry in written[list].as_array().unwrap() {
                assert!(original[list].as_array().unwrap().contains(entry), "{entry}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 8);

    let checked = check(&root, None, &CheckOptions::default()).unwrap();
    let fixed = folder.path().join("fixed");
    fix(&checked, &fixed, Images::Copy).unwrap();
    let written = load(fixed.join("annotations/instances_all.json"));
    for (before, after) in
        original["annotations"].as_array().unwrap().iter().zip(written["annotations"].as_array().unwrap())
    {
        for field in EXTRA {
            assert_eq!(before[field], after[field]);
        }
    }
    assert_eq!(written["annotations"][2]["bbox"], json!([150.0, 30.0, 50.0, 60.0]));
}

#[test]
fn boxes_that_yolo_would_read_as_pixels_are_lost_only_with_permission() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut document = coco(&root);
    // Twice the size of the image around it, and far outside.
    document["annotations"][1]["bbox"] = json!([-100, -50, 400, 200]);
    document["annotations"][2]["bbox"] = json!([500, 30, 100, 60]);
    document["annotations"][3]["bbox"] = json!([0, 0, 401, 60]);
    put(root.join("annotations/instances_all.json"), document.to_string());
    let refused = convert(&root, None, Format::YOLO, folder.path().join("refused"), Images::Copy);
    match refused {
        Err(DataError::WouldLose { losses, .. }) => assert_eq!(losses[0].count, 2),
        other => panic!("{other:?}"),
    }
    let out = folder.path().join("yolo");
    let options = WriteOptions::from(Images::Copy).with_loss(true);
    let report = convert(&root, None, Format::YOLO, &out, options).unwrap();
    assert!(lost(&report).contains("boxes far outside of their images (left out) (2 times)"), "{report:?}");
    let dataset = Dataset::open(&out, None).unwrap();
    let read: usize = dataset.images.iter().map(|image| image.objects.len()).sum();
    assert_eq!((report.objects, read), (2, 2));
}

#[test]
fn images_without_classes_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    picture(root.join("a.png"), 20, 10, 1);
    put(root.join("a.json"), json!({"imagePath": "a.png", "shapes": []}).to_string());
    for format in Format::all() {
        let out = folder.path().join(format.name());
        convert(&root, None, format, &out, WriteOptions::from(Images::Copy).with_loss(true)).unwrap();
        let read = Dataset::open(&out, None).map(|dataset| (dataset.images.len(), dataset.classes.len()));
        assert_eq!(read.map_err(|error| error.to_string()), Ok((1, 0)), "{format}");
    }
}

#[test]
fn other_formats_count_what_they_leave_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    put(root.join("annotations/instances_all.json"), coco(&root).to_string());
    for format in [Format::VOC, Format::YOLO, Format::LABELME] {
        let report = convert(&root, None, format, folder.path().join(format.name()), Images::Leave).unwrap();
        let lost = lost(&report);
        for expected in [
            "segmentations (4 times)",
            "`keypoints` of annotations (4 times)",
            "`attributes` of annotations (4 times)",
            "`license` of images (4 times)",
            "`info` of the file (1 times)",
        ] {
            assert!(lost.contains(expected), "{format}: {expected} is not in {lost}");
        }
    }
}

#[test]
fn voc_copies_keep_parts_and_poses() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let object = |name: &str, xmax: u32| {
        format!(
            "<object><name>{name}</name><pose>Left</pose><occluded>1</occluded><bndbox><xmin>20</xmin><ymin>30</ymin>\
             <xmax>{xmax}</xmax><ymax>90</ymax></bndbox><part><name>head</name><bndbox><xmin>1</xmin><ymin>2</ymin>\
             <xmax>3</xmax><ymax>4</ymax></bndbox></part></object>"
        )
    };
    for (index, xmax) in [120u32, 250].into_iter().enumerate() {
        picture(root.join(format!("JPEGImages/v{index}.png")), 200, 100, index as u8);
        let xml = format!(
            "<annotation><filename>v{index}.png</filename><owner>me &amp; you</owner><size><width>200</width><height>100</height>\
             <depth>3</depth></size>{}{}</annotation>",
            object("cat", xmax),
            object("dog", 100)
        );
        put(root.join(format!("Annotations/v{index}.xml")), xml);
    }
    let parts = folder.path().join("parts");
    assert_eq!(lost(&halves(&root, &parts)), "");
    for index in 0..2 {
        let name = format!("Annotations/v{index}.xml");
        assert_eq!(
            fs::read_to_string(root.join(&name)).unwrap(),
            fs::read_to_string(parts.join(&name)).unwrap()
        );
    }
    let checked = check(&root, None, &CheckOptions::default()).unwrap();
    let fixed = folder.path().join("fixed");
    fix(&checked, &fixed, Images::Copy).unwrap();
    let text = fs::read_to_string(fixed.join("Annotations/v1.xml")).unwrap();
    assert!(text.contains("<xmax>200</xmax>") && !text.contains("250"), "{text}");
    assert_eq!((text.matches("<part>").count(), text.matches("<pose>Left").count()), (2, 2), "{text}");
    let report = convert(&root, None, Format::COCO, folder.path().join("coco"), Images::Leave).unwrap();
    let lost = lost(&report);
    assert!(
        lost.contains("<part> of objects (4 times)") && lost.contains("<owner> of images (2 times)"),
        "{lost}"
    );
}

#[test]
fn yolo_copies_keep_polygons_and_keypoints() {
    let folder = tempfile::tempdir().unwrap();
    for (name, yaml, rows, clipped, what) in [
        (
            "segment",
            "",
            "0 0.1 0.1 0.5 0.1 0.5 0.6\n1 0.5 0.5 0.2 0.2\n",
            ("0 0.1 0.1 1.2 0.1 1.2 0.6", "0 0.1 0.1 1 0.1 1 0.6"),
            "polygons",
        ),
        (
            "pose",
            "kpt_shape: [1, 3]\nflip_idx: [0]\n",
            "0 0.5 0.5 0.25 0.5 0.5 0.5 2\n1 0.5 0.5 0.2 0.2\n",
            ("0 0.875 0.5 0.5 0.5 0.7 0.5 2", "0 0.8125 0.5 0.375 0.5 0.7 0.5 2"),
            "keypoints",
        ),
    ] {
        let root = folder.path().join(name);
        for index in 0..2u8 {
            picture(root.join(format!("images/y{index}.png")), 200, 100, index);
            put(root.join(format!("labels/y{index}.txt")), rows);
        }
        put(root.join("data.yaml"), format!("path: .\ntrain: images\nnames: [a, b]\n{yaml}"));
        let parts = folder.path().join(format!("{name}-parts"));
        assert_eq!(lost(&halves(&root, &parts)), "");
        let found: Vec<String> = ["train", "val"]
            .into_iter()
            .flat_map(|part| fs::read_dir(parts.join("labels").join(part)).unwrap())
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        assert_eq!(found, [rows, rows], "{name}");
        let text = fs::read_to_string(parts.join("data.yaml")).unwrap();
        assert!(text.ends_with(yaml), "{text}");

        let (before, after) = clipped;
        put(root.join("labels/y0.txt"), before);
        let checked = check(&root, None, &CheckOptions::default()).unwrap();
        let fixed = folder.path().join(format!("{name}-fixed"));
        fix(&checked, &fixed, Images::Copy).unwrap();
        let label = fs::read_dir(fixed.join("labels"))
            .unwrap()
            .flat_map(|part| fs::read_dir(part.unwrap().path()).unwrap())
            .map(|entry| entry.unwrap().path())
            .find(|path| path.ends_with("y0.txt"))
            .unwrap();
        assert_eq!(fs::read_to_string(label).unwrap().trim(), after, "{name}");
        let report =
            convert(&root, None, Format::COCO, folder.path().join(format!("{name}-coco")), Images::Leave);
        assert!(lost(&report.unwrap()).contains(what), "{name}");
    }
}

#[test]
fn labelme_copies_keep_shapes_and_embedded_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let picture_of = |name: &str, seed: u8| {
        let path = folder.path().join(name);
        picture(&path, 200, 100, seed);
        fs::read(path).unwrap()
    };
    let shapes = json!([
        {"label": "cat", "shape_type": "polygon", "points": [[10, 10], [50, 10], [50, 90]], "group_id": 3, "flags": {"night": true}},
        {"label": "dog", "shape_type": "circle", "points": [[100, 50], [110, 50]], "attributes": {"age": 2}},
        {"label": "bird", "shape_type": "point", "points": [[7, 8]]},
        {"label": "cat", "shape_type": "rotation", "points": [[150, 20], [190, 20], [190, 60], [150, 60]], "direction": 0.1}
    ]);
    for (index, name) in ["a", "b"].into_iter().enumerate() {
        let bytes = picture_of(&format!("{name}.png"), index as u8);
        let document = json!({"version": "5.4.1", "flags": {"checked": true}, "shapes": shapes, "imagePath": format!("{name}.png"),
            "imageData": BASE64_STANDARD.encode(&bytes), "imageHeight": 100, "imageWidth": 200});
        put(root.join(format!("{name}.json")), document.to_string());
    }
    let dataset = Dataset::open(&root, None).unwrap();
    let names: Vec<&str> = dataset.classes.iter().map(|class| class.name.as_str()).collect();
    assert_eq!((names, dataset.object_count()), (vec!["bird", "cat", "dog"], 6));
    assert_eq!(dataset.images[0].objects[1].bbox, [90.0, 40.0, 110.0, 60.0]);
    assert_eq!(dataset.read_image(0).unwrap(), fs::read(folder.path().join("a.png")).unwrap());

    let parts = folder.path().join("parts");
    let report = halves(&root, &parts);
    assert_eq!((lost(&report).as_str(), report.missing.len()), ("", 0));
    for part in ["train", "val"] {
        let mut files: Vec<_> =
            fs::read_dir(parts.join(part)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let [json, image] = &files[..] else { panic!("{files:?}") };
        assert_eq!(load(json)["shapes"], shapes);
        assert_eq!(load(json)["flags"], json!({"checked": true}));
        assert!(image.extension().unwrap() == "png" && fs::metadata(image).unwrap().len() > 100);
    }
    let options = WriteOptions::from(Images::Copy).with_loss(true);
    let report = convert(&root, None, Format::COCO, folder.path().join("coco"), options).unwrap();
    let lost = lost(&report);
    for expected in [
        "shapes without area (points and lines) (2 times)",
        "outlines of polygon shapes",
        "`group_id` of shapes",
    ] {
        assert!(lost.contains(expected), "{expected} is not in {lost}");
    }
    let report = check(&root, None, &CheckOptions::default()).unwrap().report;
    assert_eq!(report.findings.errors(), 0, "{:?}", report.findings.list());
}

#[test]
fn objects_are_lost_only_with_permission() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut document = coco(&root);
    document["annotations"][0]["iscrowd"] = json!(1);
    document["annotations"][1]["image_id"] = json!(99);
    put(root.join("annotations/instances_all.json"), document.to_string());
    let out = folder.path().join("out");
    let strict = convert(&root, None, Format::YOLO, &out, Images::Leave);
    assert!(matches!(strict, Err(DataError::Faulty { count: 1, .. })), "{strict:?}");
    let lossy = WriteOptions::from(Images::Leave).with_loss(true);
    let report = convert(&root, None, Format::YOLO, &out, lossy).unwrap();
    let lost = lost(&report);
    assert_eq!(report.objects, 2);
    assert!(
        lost.contains("annotations of images that are not listed (1 times)") && lost.contains("crowd"),
        "{lost}"
    );
    let objects = WriteOptions::from(Images::Leave).with_loss(true).with_crowds_as_objects(true);
    let report = convert(&root, None, Format::YOLO, folder.path().join("objects"), objects).unwrap();
    assert_eq!(report.objects, 3);

    document["images"] = json!([]);
    document["annotations"] = json!([]);
    put(root.join("annotations/instances_all.json"), document.to_string());
    let empty = convert(&root, None, Format::YOLO, folder.path().join("empty"), lossy);
    assert!(matches!(empty, Err(DataError::NothingToWrite { what: "images", .. })), "{empty:?}");
}

#[test]
fn a_box_is_derived_from_its_segmentation() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut document = coco(&root);
    document["annotations"][0]["bbox"] = json!([]);
    document["annotations"][1]["bbox"] = json!([20, 30, 0, 0]);
    document["annotations"][2]["bbox"] = json!("unknown");
    document["annotations"][2]["segmentation"] = json!({"size": [100, 200], "counts": [1005, 10, 18985]});
    document["annotations"][3].as_object_mut().unwrap().remove("bbox");
    put(root.join("annotations/instances_all.json"), document.to_string());
    let boxes = |dataset: &Dataset| -> Vec<[f64; 4]> {
        dataset.images.iter().flat_map(|image| &image.objects).map(|object| object.bbox).collect()
    };
    let polygon = [20.5, 30.0, 120.5, 90.0];
    let expected = [polygon, polygon, [10.0, 5.0, 11.0, 15.0], polygon];
    let loaded = open_lenient(&root, None).unwrap();
    assert_eq!((boxes(&loaded.dataset), loaded.findings.errors()), (expected.to_vec(), 0));
    let checked = check(&root, None, &CheckOptions::default()).unwrap();
    let fixed = folder.path().join("fixed");
    fix(&checked, &fixed, Images::Copy).unwrap();
    let again = open_lenient(&fixed, None).unwrap();
    assert_eq!(boxes(&again.dataset), expected);
    assert!(again.findings.list().is_empty(), "{:?}", again.findings.list());
}

#[test]
fn a_category_that_is_listed_twice_stays_so_in_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut file = coco(root);
    file["categories"][1]["name"] = json!("cat");
    put(root.join("set.json"), file.to_string());
    let source = root.join("set.json");
    let dataset = open_lenient(&source, None).unwrap().dataset;
    let out = root.join("copy");
    let part = Part { name: "train", dataset: &dataset };
    write(&[part], Format::COCO, &out, Images::Copy).unwrap();
    let copy = open_lenient(&out, None).unwrap();
    assert_eq!(copy.findings.errors(), 0, "{:?}", copy.findings.list());
    let classes = |dataset: &Dataset| -> Vec<(i64, String)> {
        dataset.classes.iter().map(|class| (class.id, class.name.clone())).collect()
    };
    assert_eq!(classes(&copy.dataset), classes(&dataset));
    let ids = |dataset: &Dataset| -> Vec<i64> {
        let objects = dataset.images.iter().flat_map(|image| &image.objects);
        objects.map(|object| dataset.classes[object.class].id).collect()
    };
    assert_eq!(ids(&copy.dataset), ids(&dataset));
}

#[test]
fn boxes_that_are_not_finite_are_lost_only_with_permission() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("set");
    let root = source.as_path();
    let sound = voc_object("cat", ["10", "10", "60", "60"]);
    for (name, more) in [("a", voc_object("cat", ["nan", "10", "60", "60"])), ("b", String::new())] {
        picture(root.join(format!("JPEGImages/{name}.png")), 200, 100, name.as_bytes()[0]);
        let xml = voc_xml(&format!("{name}.png"), &format!("{sound}{more}"));
        put(root.join(format!("Annotations/{name}.xml")), xml);
    }
    for format in Format::all() {
        let out = folder.path().join(format.to_string());
        let refused = convert(root, None, format, &out, Images::Copy);
        assert!(refused.is_err_and(|error| error.to_string().contains("NaN")), "{format}");
        let report =
            convert(root, None, format, &out, WriteOptions::from(Images::Copy).with_loss(true)).unwrap();
        assert_eq!(report.objects, 2, "{format}");
        assert!(report.losses.iter().any(|loss| loss.to_string().contains("NaN")), "{format}");
        let copy = open_lenient(&out, None).unwrap();
        let objects = copy.dataset.images.iter().flat_map(|image| &image.objects);
        assert_eq!((objects.count(), copy.findings.errors()), (2, 0), "{format}");
    }
}
