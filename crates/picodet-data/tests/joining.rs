//! Joining the splits of COCO datasets.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use common::{picture, put};
use picodet_data::{
    CheckOptions, Dataset, Format, Images, Joined, Part, check, open_joined, open_lenient, split, write,
};
use serde_json::{Value, json};

/// One annotation with fields that a dataset does not represent.
fn annotation(id: i64, image: i64, category: i64, corner: i64) -> Value {
    json!({"id": id, "image_id": image, "category_id": category, "bbox": [corner, 10, 40, 30], "area": 700,
        "iscrowd": 0, "segmentation": [[corner, 10, corner + 40, 10, corner, 40]], "note": format!("of {corner}")})
}

fn image(id: i64, file: &str) -> Value {
    json!({"id": id, "file_name": file, "width": 200, "height": 100, "license": 1, "camera": file})
}

/// A file of COCO with two licences and this description.
fn coco(description: &str, images: &[Value], annotations: &[Value], categories: &Value) -> Value {
    json!({"info": {"description": description}, "licenses": [{"id": 1, "name": "A"}, {"id": 2, "name": "B"}],
        "images": images, "annotations": annotations, "categories": categories})
}

/// `instances_train2017.json` and `instances_val2017.json` with the same file names, image ids and annotation ids, and the
/// same classes under other ids.
fn two_files(root: &Path) {
    let classes = [
        json!([{"id": 1, "name": "cat", "supercategory": "animal"}, {"id": 2, "name": "dog", "keypoints": ["nose"]}]),
        json!([{"id": 1, "name": "dog", "keypoints": ["nose"]}, {"id": 2, "name": "cat", "supercategory": "animal"},
            {"id": 3, "name": "cow"}]),
    ];
    for ((split, categories), seed) in ["train2017", "val2017"].into_iter().zip(&classes).zip([10, 50]) {
        let names: Vec<String> = (1..=5).map(|number| format!("{number}.png")).collect();
        for (name, seed) in names.iter().zip(seed..) {
            picture(root.join(split).join(name), 200, 100, seed);
        }
        let images: Vec<Value> = (1..).zip(&names).map(|(id, name)| image(id, name)).collect();
        let ids = if split.starts_with("train") { 1..=2 } else { 1..=3 };
        let of_image = |image| ids.clone().map(move |category| (image, category));
        let annotations: Vec<Value> = (1..=5)
            .flat_map(of_image)
            .zip(1..)
            .map(|((image, category), id)| annotation(id, image, category, category * i64::from(seed)))
            .collect();
        let file = coco("one", &images, &annotations, categories);
        put(root.join(format!("annotations/instances_{split}.json")), file.to_string());
    }
}

/// Joins, splits and writes a dataset, and returns the JSON of each part.
fn split_again(root: &Path, out: &Path) -> (Joined, Vec<Value>) {
    let joined = open_joined(root).unwrap();
    let dataset = joined.loaded.clone().for_copy(root, false).unwrap();
    let parts = split(&dataset, &[("train", 0.7), ("val", 0.3)], 0).unwrap();
    let named: Vec<Part<'_>> =
        ["train", "val"].into_iter().zip(&parts).map(|(name, dataset)| Part { name, dataset }).collect();
    let report = write(&named, dataset.format, out, Images::Copy).unwrap();
    assert_eq!((report.images, report.missing.len()), (dataset.images.len(), 0));
    let read = |name| {
        let text = fs::read_to_string(out.join(format!("annotations/instances_{name}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    (joined, vec![read("train"), read("val")])
}

/// The entries of a list in all parts.
fn entries<'a>(parts: &'a [Value], list: &'a str) -> impl Iterator<Item = &'a Value> {
    parts.iter().flat_map(move |part| part[list].as_array().unwrap())
}

#[test]
fn several_coco_files_are_joined_with_all_their_fields() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    two_files(&root);
    let (joined, parts) = split_again(&root, &out);
    assert_eq!((joined.splits, joined.losses), (vec!["train2017".into(), "val2017".into()], vec![]));

    // Ids are unique, and every annotation is of an image of its part.
    for list in ["images", "annotations"] {
        let ids: Vec<i64> = entries(&parts, list).map(|entry| entry["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{list}");
        assert_eq!(ids.len(), if list == "images" { 10 } else { 25 });
    }
    let expected = json!([{"id": 1, "name": "cat", "supercategory": "animal"},
        {"id": 2, "name": "dog", "keypoints": ["nose"]}, {"id": 3, "name": "cow"}]);
    for part in &parts {
        let images: BTreeMap<i64, &str> = (part["images"].as_array().unwrap().iter())
            .map(|image| (image["id"].as_i64().unwrap(), image["file_name"].as_str().unwrap()))
            .collect();
        for entry in part["annotations"].as_array().unwrap() {
            let corner = entry["bbox"][0].as_f64().unwrap() as i64;
            let file = images[&entry["image_id"].as_i64().unwrap()];
            // The corner is the seed of the split times the category id of the source.
            let (split, id) =
                if corner <= 20 { ("train2017", corner / 10) } else { ("val2017", corner / 50) };
            assert_eq!(file.split('/').next(), Some(split));
            let name = match (split, id) {
                ("train2017", 1) | ("val2017", 2) => 1,
                ("val2017", 3) => 3,
                _ => 2,
            };
            assert_eq!(entry["category_id"], name);
            assert_eq!(entry["note"], format!("of {corner}"));
            assert_eq!(entry["segmentation"][0].as_array().unwrap().len(), 6);
        }
        for image in part["images"].as_array().unwrap() {
            let name = image["file_name"].as_str().unwrap();
            assert_eq!(image["camera"], name.split('/').nth(1).unwrap());
        }
        assert_eq!(part["categories"], expected);
        assert_eq!(part["info"], json!({"description": "one"}));
        assert_eq!(part["licenses"].as_array().unwrap().len(), 2);
    }

    // The result is a sound dataset, and no picture was exchanged for another of the same name.
    let report = check(&out, None, &CheckOptions::default()).unwrap().report;
    assert_eq!(report.findings.errors(), 0, "{:?}", report.findings.list());
    for name in ["train", "val"] {
        let dataset = open_lenient(&out, Some(name)).unwrap().dataset;
        for index in 0..dataset.images.len() {
            let source = root.join(&dataset.images[index].file);
            assert_eq!(fs::read(dataset.image_path(index).unwrap()).unwrap(), fs::read(source).unwrap());
        }
    }
}

#[test]
fn folders_of_splits_of_roboflow_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    for (split, seed) in [("train", 10), ("valid", 20), ("test", 30)] {
        let names: Vec<String> = (0..4).map(|number| format!("{number}_png.rf.0123.png")).collect();
        for (name, seed) in names.iter().zip(seed..) {
            picture(root.join(split).join(name), 200, 100, seed);
        }
        let images: Vec<Value> = (0..).zip(&names).map(|(id, name)| image(id, name)).collect();
        let annotations: Vec<Value> = (0..4).map(|id| annotation(id, id, 1, i64::from(seed))).collect();
        let categories = json!([{"id": 0, "name": "animals", "supercategory": "none"},
            {"id": 1, "name": "cat", "supercategory": "animals"}]);
        let file = coco("three", &images, &annotations, &categories);
        put(root.join(split).join("_annotations.coco.json"), file.to_string());
    }
    let (joined, parts) = split_again(&root, &out);
    assert_eq!(joined.splits, ["train", "valid", "test"]);
    assert_eq!((entries(&parts, "images").count(), entries(&parts, "annotations").count()), (12, 12));
    let names: BTreeSet<&str> =
        entries(&parts, "images").map(|image| image["file_name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 12);
}

#[test]
fn contents_that_the_joined_dataset_lacks_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let names = ["a.png", "b.png", "c.png"];
    for (name, seed) in names.into_iter().zip(1..) {
        picture(root.join("images").join(name), 200, 100, seed);
    }
    let cat = json!([{"id": 1, "name": "cat", "supercategory": "animal"}]);
    let pet = json!([{"id": 1, "name": "cat", "supercategory": "pet"}]);
    // `a.png` has the same objects in both files, `b.png` has others.
    let train = coco(
        "the first",
        &[image(1, "a.png"), image(2, "b.png")],
        &[annotation(1, 1, 1, 10), annotation(2, 2, 1, 20)],
        &cat,
    );
    let val = coco(
        "the second",
        &[image(1, "a.png"), image(2, "b.png"), image(3, "c.png")],
        &[annotation(1, 1, 1, 10), annotation(2, 2, 1, 30), annotation(3, 3, 1, 40)],
        &pet,
    );
    picture(root.join("test/t.png"), 200, 100, 9);
    let test = coco("the first", &[image(1, "t.png")], &[], &cat);
    for (split, file) in [("train", train), ("val", val), ("test", test)] {
        put(root.join(format!("annotations/instances_{split}.json")), file.to_string());
    }
    let joined = open_joined(&root).unwrap();
    let losses: Vec<String> = joined.losses.iter().map(ToString::to_string).collect();
    let expected = [
        "images of splits without objects (1 times)",
        "entries of images that an earlier split lists with the same objects (1 times)",
        "`info` of files (that of the first split is kept) (1 times)",
        "fields of categories (those of the first split are kept) (1 times)",
    ];
    assert_eq!(losses, expected);
    assert_eq!(joined.splits, ["train", "val"]);
    let dataset = joined.loaded.dataset;
    let files: Vec<(&str, usize)> =
        dataset.images.iter().map(|image| (image.file.as_str(), image.objects.len())).collect();
    assert_eq!(files, [("images/a.png", 1), ("images/b.png", 1), ("images/b.png", 1), ("images/c.png", 1)]);
    // The entries of one picture stay together.
    for seed in 0..6 {
        let parts = split(&dataset, &[("train", 0.5), ("val", 0.5)], seed).unwrap();
        let of_b = |part: &Dataset| part.images.iter().filter(|image| image.file.ends_with("b.png")).count();
        assert_ne!(of_b(&parts[0]), 1);
    }
}

#[test]
fn splits_that_would_be_confused_are_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let set = |name: &str, change: &dyn Fn(&mut Value)| {
        let root = folder.path().join(name);
        two_files(&root);
        let path = root.join("annotations/instances_val2017.json");
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        put(&path, value.to_string());
        open_joined(&root)
            .map(|_| ())
            .map_err(|error| error.to_string().replace(root.to_str().unwrap(), "set"))
    };
    let licences = set("a", &|value| value["licenses"][1]["name"] = json!("C"));
    let expected = "set/annotations/instances_val2017.json: /licenses: the entry with id 2 differs from that of an earlier \
                    split, so the splits cannot be joined; make both equal, or give the file of one split";
    assert_eq!(licences, Err(expected.to_string()));
    let unnamed = set("b", &|value| value["categories"][2]["name"] = Value::Null);
    let expected = "set/annotations/instances_val2017.json: the category with id 3 has no name, and the splits are joined \
                    by the names of their classes; give it a name in each split";
    assert_eq!(unnamed, Err(expected.to_string()));
    // Other licences are added, and entries without ids cannot clash.
    let sound = set("c", &|value| {
        value["licenses"][1] = json!({"id": 3, "name": "C"});
        value["tags"] = json!(["x", "y"]);
    });
    assert_eq!(sound, Ok(()));
}

#[test]
fn splits_of_different_formats_are_not_joined() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("train/a.png"), 200, 100, 1);
    let file =
        coco("x", &[image(1, "a.png")], &[annotation(1, 1, 1, 10)], &json!([{"id": 1, "name": "cat"}]));
    put(root.join("train/_annotations.coco.json"), file.to_string());
    picture(root.join("valid/b.png"), 200, 100, 2);
    let xml = common::voc_xml("b.png", &common::voc_object("cat", ["1", "1", "50", "50"]));
    put(root.join("valid/b.xml"), xml);
    let error = open_joined(root).map(|_| ()).map_err(|error| error.to_string());
    let expected = format!(
        "{}: the split `train` is coco and `valid` is voc, and splits of different formats are not joined; \
         `picodet data convert` writes them in one",
        root.display()
    );
    assert_eq!(error, Err(expected));
}

#[test]
fn other_formats_are_read_as_before() {
    let folder = tempfile::tempdir().unwrap();
    common::two_images(folder.path(), "0 0.5 0.5 0.2 0.2\n");
    put(folder.path().join("classes.txt"), "cat\n");
    let joined = open_joined(folder.path()).unwrap();
    assert_eq!((joined.splits.len(), joined.losses.len()), (0, 0));
    assert_eq!(joined.loaded, open_lenient(folder.path(), None).unwrap());
    assert_eq!(joined.loaded.dataset.format, Format::YOLO);
}

#[test]
fn unlabelled_test_images_are_no_background_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (split, seed) in [("train", 1), ("val", 2), ("test", 3)] {
        picture(root.join(format!("images/{split}/{split}.png")), 200, 100, seed);
        put(root.join(format!("labels/{split}/{split}.txt")), "0 0.5 0.5 0.2 0.2\n");
    }
    // Background images of other splits stay.
    picture(root.join("images/val/background.png"), 200, 100, 4);
    put(root.join("data.yaml"), "train: images/train\nval: images/val\ntest: images/test\nnames: [cat]\n");
    let joined = open_joined(root).unwrap();
    assert_eq!((joined.loaded.dataset.images.len(), joined.splits.len(), joined.losses.len()), (4, 3, 0));

    fs::remove_file(root.join("labels/test/test.txt")).unwrap();
    let joined = open_joined(root).unwrap();
    let losses: Vec<String> = joined.losses.iter().map(ToString::to_string).collect();
    assert_eq!(losses, ["images of splits without objects (1 times)"]);
    assert_eq!((joined.loaded.dataset.images.len(), joined.splits), (3, vec!["train".into(), "val".into()]));
}

#[test]
fn files_of_other_encodings_keep_their_fields() {
    let gbk = |text: &str| {
        let characters = "\u{597d}\u{7684}\u{6570}\u{636e}\u{7ea2}\u{7eff}\u{706f}";
        let codes = [0xBAC3u16, 0xB5C4, 0xCAFD, 0xBEDD, 0xBAEC, 0xC2CC, 0xB5C6];
        let code = |c: char| characters.chars().position(|other| other == c).map(|index| codes[index]);
        let bytes = |c: char| code(c).map_or(vec![c as u8], |code| code.to_be_bytes().to_vec());
        text.chars().flat_map(bytes).collect::<Vec<u8>>()
    };
    let utf16 = |text: &str| {
        let mut bytes = vec![0xFF, 0xFE];
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    };
    for encode in [&gbk as &dyn Fn(&str) -> Vec<u8>, &utf16] {
        for splits in [&["train"][..], &["train", "val"]] {
            let folder = tempfile::tempdir().unwrap();
            let (root, out) = (folder.path().join("set"), folder.path().join("out"));
            for (split, seed) in splits.iter().zip([10, 50]) {
                let names = ["a.png", "b.png", "c.png"];
                for (name, seed) in names.into_iter().zip(seed..) {
                    picture(root.join(split).join(name), 200, 100, seed);
                }
                let images: Vec<Value> = (1..).zip(names).map(|(id, name)| image(id, name)).collect();
                let mut annotations: Vec<Value> = (1..=3).map(|id| annotation(id, id, 1, 10 * id)).collect();
                annotations.iter_mut().for_each(|entry| entry["note"] = json!("\u{597d}\u{7684}"));
                let classes = json!([{"id": 1, "name": "\u{7ea2}\u{7eff}\u{706f}", "colour": "red"}]);
                let text = coco("\u{6570}\u{636e}", &images, &annotations, &classes).to_string();
                put(root.join(format!("annotations/instances_{split}.json")), encode(&text));
            }
            let (_, parts) = split_again(&root, &out);
            assert_eq!(entries(&parts, "annotations").count(), 3 * splits.len());
            for entry in entries(&parts, "annotations") {
                assert_eq!(entry["note"], "\u{597d}\u{7684}");
                assert!(entry["segmentation"].is_array());
            }
            let class = json!({"id": 1, "name": "\u{7ea2}\u{7eff}\u{706f}", "colour": "red"});
            assert_eq!(parts[0]["categories"], json!([class]));
        }
    }
}

#[test]
fn absolute_paths_below_the_dataset_become_relative() {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("set"), folder.path().join("elsewhere/x.png"));
    picture(&outside, 200, 100, 99);
    for (split, seed) in [("train", 10), ("valid", 20)] {
        let names: Vec<String> =
            ["a", "b"].map(|name| root.join(format!("{split}/{name}.png")).display().to_string()).to_vec();
        for (name, seed) in names.iter().zip(seed..) {
            picture(name, 200, 100, seed);
        }
        let mut images: Vec<Value> = (1..).zip(&names).map(|(id, name)| image(id, name)).collect();
        if split == "valid" {
            images.push(image(3, outside.to_str().unwrap()));
        }
        let annotations: Vec<Value> = (1..=2).map(|id| annotation(id, id, 1, 10)).collect();
        let file = coco("x", &images, &annotations, &json!([{"id": 1, "name": "cat"}]));
        put(root.join(split).join("_annotations.coco.json"), file.to_string());
    }
    let dataset = open_joined(&root).unwrap().loaded.dataset;
    let files: Vec<&str> = dataset.images.iter().map(|image| image.file.as_str()).collect();
    let outside = outside.to_str().unwrap();
    assert_eq!(files, ["train/a.png", "train/b.png", "valid/a.png", "valid/b.png", outside]);
}

#[test]
#[cfg(unix)]
fn links_to_images_on_another_disk_stay_below_the_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    two_files(&root);
    let disk = folder.path().join("disk/images");
    fs::create_dir_all(disk.parent().unwrap()).unwrap();
    fs::rename(root.join("train2017"), &disk).unwrap();
    std::os::unix::fs::symlink(&disk, root.join("train2017")).unwrap();
    for path in [
        root.clone(),
        folder.path().join("disk/../set"),
        root.join("annotations/.."),
        root.join("annotations"),
    ] {
        let dataset = open_joined(&path).unwrap().loaded.dataset;
        let folders: BTreeSet<&str> =
            dataset.images.iter().map(|image| image.file.split('/').next().unwrap()).collect();
        assert_eq!(folders.into_iter().collect::<Vec<_>>(), ["train2017", "val2017"], "{}", path.display());
        let there = (0..10).filter(|&index| dataset.image_path(index).unwrap().is_file());
        assert_eq!(there.count(), 10);
    }
    assert_eq!(entries(&split_again(&folder.path().join("disk/../set"), &out).1, "images").count(), 10);
}
