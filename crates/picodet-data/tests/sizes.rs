//! Datasets whose images are missing, or have another size than their labels state, and refusals to lose objects.

mod common;

use std::path::Path;

use common::{picture, put};
use picodet_data::{DataError, Dataset, Format, Images, WriteOptions, convert, open_lenient};
use serde_json::json;

fn errors(path: &Path) -> Vec<String> {
    match open_lenient(path, None) {
        Ok(loaded) => loaded
            .findings
            .list()
            .iter()
            .map(|finding| format!("{}: {}", finding.kind.id(), finding.message))
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

#[test]
fn yolo_rows_are_fractions_of_the_image_whatever_a_label_states() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut images = Vec::new();
    // The stated sizes are right, wrong, so small that the box seems far outside, and missing.
    for (index, size) in [[200, 100], [400, 300], [20, 10], [0, 0]].into_iter().enumerate() {
        picture(root.join(format!("images/{index}.png")), 200, 100, index as u8);
        images.push(
            json!({"id": index, "file_name": format!("{index}.png"), "width": size[0], "height": size[1]}),
        );
    }
    let annotations: Vec<_> = (0..4)
        .map(|index| json!({"id": index + 1, "image_id": index, "category_id": 1, "bbox": [50, 25, 100, 50]}))
        .collect();
    let document =
        json!({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]});
    put(root.join("annotations/instances_train.json"), document.to_string());
    let out = folder.path().join("yolo");
    let report = convert(&root, None, Format::YOLO, &out, Images::Copy).unwrap();
    assert_eq!((report.objects, report.corrected_sizes), (4, 2));
    let dataset = Dataset::open(&out, None).unwrap();
    let boxes: Vec<[f64; 4]> = dataset.images.iter().map(|image| image.objects[0].bbox).collect();
    assert_eq!(boxes, [[50.0, 25.0, 150.0, 75.0]; 4]);
}

#[test]
fn yolo_labels_without_images_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let row = "0 0.5 0.5 0.2 0.2\n";
    // `YOLO 1.1` of CVAT.
    let cvat = folder.path().join("cvat");
    put(cvat.join("obj.data"), "classes = 1\ntrain = data/train.txt\nnames = data/obj.names\n");
    put(cvat.join("obj.names"), "cat\n");
    put(cvat.join("train.txt"), "data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n");
    for name in ["a", "b"] {
        put(cvat.join(format!("obj_train_data/{name}.txt")), row);
    }
    let found = errors(&cvat);
    let named = |found: &[String], parts: &[&str]| {
        found.iter().any(|message| parts.iter().all(|part| message.contains(part)))
    };
    assert!(
        named(&found, &["yolo-size: none of the 2 images exists", "a.jpg", "export with images"]),
        "{found:?}"
    );
    let copied = convert(&cvat, None, Format::COCO, folder.path().join("out"), Images::Copy);
    let refused = copied.unwrap_err();
    assert!(matches!(refused, DataError::Faulty { .. }), "{refused}");
    // Folders.
    let folders = folder.path().join("folders");
    put(folders.join("data.yaml"), "train: images/train\nnames: [cat]\n");
    put(folders.join("labels/train/a.txt"), row);
    let found = errors(&folders);
    assert!(
        named(&found, &["images/train` does not exist", "labels/train do", "export with images"]),
        "{found:?}"
    );
    // `YOLO` of Label Studio.
    let studio = folder.path().join("studio");
    put(studio.join("classes.txt"), "cat\n");
    put(studio.join("labels/a.txt"), row);
    let found = errors(&studio);
    assert!(named(&found, &["labels without images", "labels/a.txt", "export with images"]), "{found:?}");
    // One image of two.
    picture(cvat.join("obj_train_data/a.jpg"), 200, 100, 1);
    let found = errors(&cvat);
    assert!(named(&found, &["yolo-size: 1 rows, but", "b.jpg does not exist"]), "{found:?}");
}

#[test]
fn messages_name_the_indices_of_names_with_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"), 200, 100, 1);
    put(root.join("labels/a.txt"), "1 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n");
    for (names, expected) in [
        ("  0: a\n  2: b\n  3: c\n  7: d\n", "class `1` is not one of the indices 0, 2 to 3, 7 of `names`"),
        ("  2: b\n  3: c\n", "class `1` is not one of the indices 2 to 3 of `names`"),
        ("  0: a\n", "class `1` is not an index below 1, the number of names"),
    ] {
        put(root.join("data.yaml"), format!("train: images\nnames:\n{names}"));
        let found = errors(root);
        assert!(found.iter().any(|message| message.contains(expected)), "{found:?}");
    }
}

#[test]
fn refusals_to_lose_objects_name_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    picture(root.join("images/a.png"), 200, 100, 1);
    put(root.join("data.yaml"), "train: images\nnames: [cat]\n");
    put(root.join("labels/a.txt"), "0 0.5 0.5 0.2 0.2\n0 0.5 oops 0.2 0.2\n");
    let out = folder.path().join("out");
    let convert_to = |options: WriteOptions| convert(&root, None, Format::COCO, &out, options);
    let copy = || WriteOptions::from(Images::Copy);
    let error = convert_to(copy()).unwrap_err().to_string();
    assert!(error.ends_with("--allow-loss leaves them out"), "{error}");
    let error = open_lenient(&root, None).unwrap().for_copy(&root, false).unwrap_err().to_string();
    assert!(error.ends_with("--allow-loss leaves them out"), "{error}");
    let error = Dataset::open(&root, None).unwrap_err().to_string();
    assert!(error.contains("--fix FOLDER --allow-loss"), "{error}");
    assert_eq!(open_lenient(&root, None).unwrap().for_copy(&root, true).unwrap().object_count(), 1);
    convert_to(copy().with_loss(true)).unwrap();
    // Without any object.
    put(root.join("labels/a.txt"), "");
    let error =
        convert(&root, None, Format::COCO, folder.path().join("none"), copy()).unwrap_err().to_string();
    assert!(error.contains("no objects") && error.contains("--allow-loss"), "{error}");
}
