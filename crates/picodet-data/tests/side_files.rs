//! Links, and files next to the labels that are no second labels: other tasks, files of a whole collection, predictions.
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::{picture, put};
use picodet_data::{CheckOptions, FindingKind, check, splits};
use serde_json::{Value, json};

const ROW: &str = "0 0.5 0.5 0.2 0.2\n";

/// A COCO file with one object per image, and one of another class for each of `more`.
fn coco(images: &[&str], more: &[usize]) -> Value {
    let records =
        |(id, name): (usize, &&str)| json!({"id": id, "file_name": name, "width": 200, "height": 100});
    let object = |(id, (image, x)): (usize, (usize, i32))| json!({"id": id, "image_id": image, "category_id": 1, "bbox": [x, 10, 50, 50]});
    let objects = (0..images.len()).map(|image| (image, 10)).chain(more.iter().map(|&image| (image, 90)));
    json!({
        "images": images.iter().enumerate().map(records).collect::<Vec<_>>(),
        "annotations": objects.enumerate().map(object).collect::<Vec<_>>(),
        "categories": [{"id": 1, "name": "cat"}],
    })
}

/// The findings that are not information.
fn found(root: &Path) -> Vec<String> {
    let report = check(root, None, &CheckOptions::default()).expect("a dataset").report;
    let list = report.findings.list().iter().filter(|finding| finding.severity.name() != "info");
    list.map(ToString::to_string).collect()
}

/// COCO after the download: instances, keypoints and captions of the same images, one of which has no instances.
fn download(annotations: &Path, images: &Path) {
    for (number, split) in ["train2017", "val2017"].into_iter().enumerate() {
        let (one, two, empty) =
            (format!("{number}1.png"), format!("{number}2.png"), format!("{number}3.png"));
        for (index, name) in [&one, &two, &empty].into_iter().enumerate() {
            picture(images.join(split).join(name), 200, 100, (10 * number + index) as u8);
        }
        let mut instances = coco(&[&one, &two, &empty], &[]);
        instances["annotations"].as_array_mut().unwrap().pop();
        let captions = json!({"images": instances["images"],
            "annotations": [{"id": 1, "image_id": 2, "caption": "an empty street"}]});
        put(annotations.join(format!("instances_{split}.json")), instances.to_string());
        put(annotations.join(format!("captions_{split}.json")), captions.to_string());
        let keypoints = coco(&[&one, &two, &empty], &[0]);
        put(annotations.join(format!("person_keypoints_{split}.json")), keypoints.to_string());
    }
}

#[test]
fn files_of_other_tasks_are_left_out_through_links() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    download(&disk.join("annotations"), &disk);
    let splits = ["train2017", "val2017"];
    let link = |root: &Path, name: &str| symlink(disk.join(name), root.join(name)).unwrap();
    assert_eq!(found(&disk), Vec::<String>::new());
    let linked_images = folder.path().join("linked_images");
    fs::create_dir(&linked_images).unwrap();
    fs::create_dir(linked_images.join("annotations")).unwrap();
    for file in fs::read_dir(disk.join("annotations")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), linked_images.join("annotations").join(file.file_name())).unwrap();
    }
    let all = folder.path().join("all");
    let files = folder.path().join("files");
    fs::create_dir_all(&all).unwrap();
    fs::create_dir_all(files.join("annotations")).unwrap();
    for file in fs::read_dir(disk.join("annotations")).unwrap() {
        let file = file.unwrap();
        // Each file in a folder that holds no other one.
        let store = folder.path().join("store").join(file.file_name());
        fs::create_dir_all(&store).unwrap();
        fs::copy(file.path(), store.join("data")).unwrap();
        symlink(store.join("data"), files.join("annotations").join(file.file_name())).unwrap();
    }
    link(&all, "annotations");
    for root in [&linked_images, &all, &files] {
        splits.iter().for_each(|split| link(root, split));
        assert_eq!(found(root), Vec::<String>::new(), "{}", root.display());
    }
    // A second file of instances is compared.
    put(all.join("old/instances_old.json"), coco(&["../train2017/01.png"], &[0]).to_string());
    let [only] = &found(&all)[..] else { panic!("{:?}", found(&all)) };
    assert!(only.contains("this second label has 2 objects, of which 1 are not there"), "{only}");
}

#[test]
fn entries_without_an_image_are_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (split, name) in [("train", "a.png"), ("validation", "b.png")] {
        picture(root.join(split).join("data").join(name), 200, 100, name.as_bytes()[0]);
        put(root.join(split).join("labels.json"), coco(&[name], &[]).to_string());
    }
    // The whole collection, of which FiftyOne has downloaded two images.
    put(root.join("raw/instances_train2017.json"), coco(&["a.png", "x.png", "y.png"], &[]).to_string());
    assert_eq!(found(root), Vec::<String>::new());
    picture(root.join("raw/x.png"), 200, 100, 9);
    let [only] = &found(root)[..] else { panic!("{:?}", found(root)) };
    assert!(only.contains("raw/x.png, labelled in raw/instances_train2017.json, is in no split"), "{only}");
}

#[test]
fn labels_of_whole_images_are_no_second_split() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (split, name) in [("train", "a.png"), ("val", "b.png")] {
        picture(root.join("images").join(split).join(name), 200, 100, name.as_bytes()[0]);
        let instances = coco(&[name], &[]);
        let mut labels = instances.clone();
        labels["annotations"] = json!([{"id": 1, "image_id": 0, "category_id": 1}]);
        put(root.join(format!("annotations/instances_{split}.json")), instances.to_string());
        put(root.join(format!("annotations/labels_{split}.json")), labels.to_string());
    }
    assert_eq!(splits(root).unwrap(), ["train", "val"]);
    assert_eq!(found(root), Vec::<String>::new());
    picture(root.join("images/test/c.png"), 200, 100, 3);
    put(root.join("annotations/labels_test.json"), coco(&["c.png"], &[]).to_string());
    assert_eq!(splits(root).unwrap(), ["train", "val", "test"]);
}

#[test]
fn predictions_are_no_labels() {
    for (place, lost) in [("runs/detect/predict", 0), ("predict2", 0), ("predicted_by_hand", 2)] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (split, name) in [("train", "a"), ("val", "b")] {
            picture(root.join(format!("images/{split}/{name}.png")), 200, 100, name.as_bytes()[0]);
            put(root.join(format!("labels/{split}/{name}.txt")), ROW);
            picture(root.join(format!("{place}/{name}.png")), 200, 100, name.as_bytes()[0] + 9);
            put(root.join(format!("{place}/labels/{name}.txt")), "0 0.4 0.4 0.2 0.2\n");
        }
        put(root.join("data.yaml"), "train: images/train\nval: images/val\nnames: [cat]\n");
        assert_eq!(found(root).len(), lost, "{place}: {:?}", found(root));
        let report = check(root, None, &CheckOptions::default()).unwrap().report;
        assert_eq!(report.findings.counts().get(&FindingKind::ImageUnused), None);
        // The images of a dataset can be there.
        put(root.join("data.yaml"), format!("train: images/train\nval: {place}\nnames: [cat]\n"));
        assert!(found(root).iter().any(|message| message.contains("labelled in labels/val/b.txt")));
    }
}
