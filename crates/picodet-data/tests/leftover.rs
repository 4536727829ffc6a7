//! Objects that a reader or a repair would leave out: those of equal images, in elements and files with other names.

mod common;

use std::path::Path;

use common::{picture, put, voc_object, voc_xml};
use picodet_data::{
    CheckOptions, DataError, FindingKind, FixReport, Format, Images, WriteOptions, check, convert, fix,
    open_lenient,
};
use serde_json::json;

fn count(root: &Path, kind: FindingKind) -> usize {
    let checked = check(root, None, &CheckOptions::default()).expect("a dataset");
    checked.report.findings.list().iter().filter(|finding| finding.kind == kind).count()
}

fn fixed(root: &Path, out: &Path, allow_loss: bool) -> Result<FixReport, DataError> {
    let checked = check(root, None, &CheckOptions::default())?;
    fix(&checked, out, WriteOptions::from(Images::Copy).with_loss(allow_loss))
}

fn objects(root: &Path, split: Option<&str>) -> usize {
    open_lenient(root, split).expect("a dataset").dataset.object_count()
}

/// Whether a conversion is refused.
fn is_refused(root: &Path, out: &Path) -> bool {
    match convert(root, None, Format::COCO, out, Images::Leave) {
        Err(DataError::WouldLose { .. } | DataError::Faulty { .. }) => true,
        Err(other) => panic!("{other}"),
        Ok(_) => false,
    }
}

/// A YOLO set of one folder with two classes.
fn yolo(root: &Path, images: &[(&str, u8, &str)]) {
    put(root.join("data.yaml"), "train: images/train\nval: images/val\nnames: [cat, dog]\n");
    for (name, seed, rows) in images {
        picture(root.join(format!("images/{name}.png")), 64, 64, *seed);
        put(root.join(format!("labels/{name}.txt")), rows);
    }
}

const A: &str = "0 0.5 0.5 0.2 0.2\n";
const B: &str = "1 0.3 0.3 0.2 0.2\n";

#[test]
fn objects_of_equal_images_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let both = format!("{A}{B}");
    yolo(&root, &[("train/a", 1, ""), ("train/b", 1, &both), ("train/c", 1, A), ("val/d", 2, B)]);
    let out = folder.path().join("fixed");
    let report = fixed(&root, &out, false).expect("nothing is lost");
    assert_eq!(report.actions.get("duplicate images removed, their objects merged"), Some(&2));
    assert_eq!(objects(&out, Some("train")), 2);
    assert_eq!(objects(&out, Some("val")), 1);
}

#[test]
fn objects_of_an_image_in_an_earlier_split_are_not_lost_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    yolo(&root, &[("train/a", 1, ""), ("train/b", 3, A), ("val/a", 1, A), ("val/d", 2, B)]);
    let refused = fixed(&root, &folder.path().join("refused"), false);
    assert!(
        matches!(&refused, Err(DataError::WouldLose { losses, .. }) if losses[0].count == 1),
        "{refused:?}"
    );
    let out = folder.path().join("fixed");
    fixed(&root, &out, true).expect("allowed");
    assert_eq!((objects(&out, Some("train")), objects(&out, Some("val"))), (1, 1));
    // The same objects in both splits are kept once.
    let same = folder.path().join("same");
    yolo(&same, &[("train/a", 1, A), ("val/a", 1, A), ("val/d", 2, B)]);
    assert!(fixed(&same, &folder.path().join("same_fixed"), false).is_ok());
    // No image of the split would remain.
    let empty = folder.path().join("empty");
    yolo(&empty, &[("train/a", 1, A), ("train/b", 2, A), ("val/a", 1, A)]);
    let refused = fixed(&empty, &folder.path().join("empty_fixed"), false);
    assert!(matches!(&refused, Err(DataError::SplitWouldBeEmpty { name }) if name == "val"), "{refused:?}");
}

#[test]
fn objects_of_voc_in_other_elements_are_a_loss() {
    let object = voc_object("cat", ["10", "10", "60", "60"]);
    let second = object.replace(
        "</bndbox>",
        "</bndbox><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>",
    );
    let capital = object.replace("object>", "Object>");
    for (objects, faults) in [
        (object.clone(), 0),
        (second, 1),
        (format!("{object}{capital}"), 1),
        (format!("{object}<objects>{object}{object}</objects>"), 2),
        (object.replace("<difficult>", "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part><difficult>"), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("set");
        picture(root.join("JPEGImages/a.png"), 200, 100, 1);
        put(root.join("Annotations/a.xml"), voc_xml("a.png", &objects));
        assert_eq!(count(&root, FindingKind::MissingField), faults, "{objects}");
        assert_eq!(is_refused(&root, &folder.path().join("out")), faults > 0, "{objects}");
    }
}

#[test]
fn lines_that_end_with_a_carriage_return_are_lines() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let rows = format!("{A}{B}{A}").replace('\n', "\r");
    yolo(&root, &[("train/a", 1, &rows), ("val/b", 2, A)]);
    assert_eq!(objects(&root, Some("train")), 3);
}

#[cfg(unix)]
#[test]
fn a_label_that_is_a_broken_link_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    yolo(&root, &[("train/a", 1, A), ("train/b", 2, A), ("val/c", 3, A)]);
    std::fs::remove_file(root.join("labels/train/b.txt")).unwrap();
    assert!(!is_refused(&root, &folder.path().join("background")));
    std::os::unix::fs::symlink("/nonexistent/b.txt", root.join("labels/train/b.txt")).unwrap();
    assert_eq!(count(&root, FindingKind::FileUnreadable), 1);
    assert!(is_refused(&root, &folder.path().join("out")));
}

#[test]
fn labels_of_formats_that_are_not_read_are_named_beside_others() {
    let cvat = "<?xml version=\"1.0\"?><annotations><version>1.1</version><image id=\"0\" name=\"train/b.png\">\
        <box label=\"cat\" xtl=\"1\" ytl=\"1\" xbr=\"9\" ybr=\"9\"/></image></annotations>";
    let csv = "filename,width,height,class,xmin,ymin,xmax,ymax\nb.png,64,64,cat,1,1,9,9\n";
    let create_ml = json!([{"image": "b.png", "annotations": [{"label": "cat", "coordinates":
        {"x": 5, "y": 5, "width": 8, "height": 8}}]}]);
    for (file, text) in [
        ("annotations.xml", cvat.to_string()),
        ("boxes.csv", csv.to_string()),
        ("ml.json", create_ml.to_string()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("set");
        yolo(&root, &[("train/a", 1, A), ("train/b", 2, ""), ("val/c", 3, A)]);
        put(root.join(file), &text);
        assert_eq!(count(&root, FindingKind::LabelOtherFormat), 1, "{file}");
        assert!(is_refused(&root, &folder.path().join("out")), "{file}");
        // A copy of labels that are read is no loss.
        let sound = folder.path().join("sound");
        yolo(&sound, &[("train/a", 1, A), ("train/b", 2, A), ("train/d", 4, ""), ("val/c", 3, A)]);
        put(sound.join(file), &text);
        assert_eq!(count(&sound, FindingKind::LabelOtherFormat), 0, "{file}");
        assert!(!is_refused(&sound, &folder.path().join("sound_out")), "{file}");
    }
}
