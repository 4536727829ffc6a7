//! Files that belong to a dataset as a whole: labels next to folders, backups, masks, images that are not labelled yet.

mod common;

use std::fs;
use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{
    CheckOptions, FindingKind, Format, Images, WriteOptions, check, convert, open_lenient, splits,
};
use serde_json::json;

fn labelme(image: &str, x: i32) -> String {
    let shape = json!({"label": "cat", "shape_type": "rectangle", "points": [[x, 10], [60, 60]]});
    json!({"shapes": [shape], "imagePath": image, "imageHeight": 100, "imageWidth": 200}).to_string()
}

/// Ids and locations of the findings.
fn found(root: &Path) -> Vec<(&'static str, String)> {
    let report = check(root, None, &CheckOptions::default()).expect("a dataset").report;
    let place = |text: String| text.replace(&format!("{}/", root.display()), "");
    let list = report.findings.list().iter();
    list.map(|finding| (finding.kind.id(), place(finding.location.to_string()))).collect()
}

fn with_label(root: &Path, stem: &str, seed: u8) {
    picture(root.join(format!("{stem}.png")), 200, 100, seed);
    let name = stem.rsplit('/').next().unwrap_or(stem);
    put(root.join(format!("{stem}.json")), labelme(&format!("{name}.png"), 10));
}

#[test]
fn labels_next_to_folders_are_read_with_those_in_them() {
    for (below, ignored) in [("day1", false), ("test", true)] {
        for list in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            with_label(root, "a", 1);
            with_label(root, &format!("{below}/b"), 2);
            if list {
                put(root.join("labels.txt"), "__ignore__\n_background_\ncat\n");
            }
            let expected = ignored.then(|| ("split-ignored", "test".to_string()));
            let found: Vec<_> = found(root)
                .into_iter()
                .map(|(kind, place)| (kind, place.rsplit('/').next().unwrap().to_string()))
                .collect();
            assert_eq!(found, Vec::from_iter(expected), "{below} {list}");
            assert_eq!(open_lenient(root, None).unwrap().dataset.images.len(), 2);
            fs::remove_file(root.join("a.json")).unwrap();
            fs::remove_file(root.join("a.png")).unwrap();
            with_label(root, "day0/a", 1);
            assert_eq!(!splits(root).unwrap().is_empty(), list || ignored, "{below} {list}");
        }
    }
}

#[test]
fn a_copy_of_the_labels_is_no_second_set() {
    for list in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        with_label(root, "a", 1);
        with_label(root, "b", 2);
        if list {
            put(root.join("labels.txt"), "cat\n");
        }
        fs::create_dir(root.join("backup")).unwrap();
        fs::copy(root.join("a.json"), root.join("backup/a.json")).unwrap();
        assert_eq!(found(root), [], "{list}");
        assert_eq!(open_lenient(root, None).unwrap().dataset.images.len(), 2);
        // Other contents are a label without image.
        put(root.join("backup/a.json"), labelme("a.png", 20));
        assert_ne!(found(root), [], "{list}");
    }
}

#[test]
fn masks_are_no_unused_images() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    picture(root.join("JPEGImages/a.jpg"), 200, 100, 1);
    put(root.join("Annotations/a.xml"), voc_xml("a.jpg", &voc_object("cat", ["1", "1", "50", "50"])));
    picture(root.join("JPEGImages/b.png"), 200, 100, 2);
    put(root.join("Annotations/b.xml"), voc_xml("b.png", &voc_object("cat", ["1", "1", "50", "50"])));
    for mask in ["SegmentationClass/a.png", "SegmentationObject/b.png", "annotations_/trimaps/a.png"] {
        picture(root.join(mask), 200, 100, 9);
    }
    assert!(!found(&root).iter().any(|(kind, _)| kind.starts_with("image-un")), "{:?}", found(&root));
    assert_eq!(convert(&root, None, Format::COCO, &out, Images::Leave).unwrap().losses, []);
    for other in ["more/b.png", "more/c.png", "SegmentationClass/d.png"] {
        picture(root.join(other), 200, 100, other.len() as u8);
    }
    let unused = found(&root).into_iter().filter(|(kind, _)| *kind == "image-unused").count();
    assert_eq!(unused, 3);
}

#[test]
fn pictures_with_the_name_of_another_one_are_no_masks() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("JPEGImages/a.jpg"), 200, 100, 1);
    put(root.join("Annotations/a.xml"), voc_xml("a.jpg", &voc_object("cat", ["1", "1", "50", "50"])));
    let grey = |place: &str, width: u32| {
        let pixels = image::GrayImage::from_fn(width, 100, |x, _| image::Luma([x as u8]));
        std::fs::create_dir_all(root.join(place)).unwrap();
        pixels.save(root.join(place).join("a.png")).unwrap();
    };
    // Grey and of the size of the picture, as a mask in a folder of any name.
    grey("ground_truth", 200);
    assert_eq!(found(root), []);
    grey("crops", 50);
    picture(root.join("second_camera/a.png"), 200, 100, 3);
    let unused = |place: &str| ("image-unused", place.to_string());
    assert_eq!(found(root), [unused("crops/a.png"), unused("second_camera/a.png")]);
}

#[test]
fn images_next_to_labels_that_are_not_labelled_yet_are_unused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    with_label(root, "a", 1);
    picture(root.join("b.png"), 200, 100, 2);
    assert_eq!(found(root), [("image-unused", "b.png".to_string())]);
}

#[test]
fn images_in_two_files_of_coco_are_referenced() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let coco = |names: &[&str]| {
        let image =
            |(id, name): (usize, &&str)| json!({"id": id, "file_name": name, "width": 200, "height": 100});
        let object = |id: usize| json!({"id": id, "image_id": id, "category_id": 1, "bbox": [1, 1, 50, 50]});
        json!({"images": names.iter().enumerate().map(image).collect::<Vec<_>>(),
            "annotations": (0..names.len()).map(object).collect::<Vec<_>>(),
            "categories": [{"id": 1, "name": "cat"}]})
        .to_string()
    };
    for name in ["a.png", "b.png", "c.png"] {
        picture(root.join("val2014").join(name), 200, 100, name.as_bytes()[0]);
    }
    put(root.join("annotations/instances_minival2014.json"), coco(&["a.png"]));
    put(root.join("annotations/instances_valminusminival2014.json"), coco(&["b.png"]));
    let places =
        || found(root).into_iter().filter(|(kind, _)| *kind == "image-unreferenced").map(|(_, place)| place);
    assert_eq!(places().collect::<Vec<_>>(), ["val2014/c.png"]);
}

#[test]
fn copied_images_that_cannot_be_read_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (root, out) = (folder.path().join("set"), folder.path().join("out"));
    for stem in ["a", "b"] {
        with_label(&root, stem, stem.as_bytes()[0]);
    }
    let losses = || {
        let _ = fs::remove_dir_all(&out);
        let options = WriteOptions::from(Images::Copy);
        let report = convert(&root, None, Format::VOC, &out, options).unwrap();
        let unread = report
            .losses
            .into_iter()
            .find(|loss| loss.what == "images that cannot be read (copied unchanged)");
        unread.map(|loss| loss.count)
    };
    assert_eq!(losses(), None);
    fs::write(root.join("b.png"), "").unwrap();
    assert_eq!(losses(), Some(1));
    assert_eq!(fs::read(out.join("JPEGImages/b.png")).unwrap(), b"");
    assert!(found(&root).iter().any(|(kind, _)| *kind == FindingKind::ImageUndecodable.id()));
}
