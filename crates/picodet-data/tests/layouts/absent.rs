//! Missing folders and label files, and label files of another format.

use std::path::Path;

use picodet_data::{Dataset, Findings, open_lenient, splits};

pub(crate) fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

pub(crate) fn picture(path: impl AsRef<Path>) {
    let path = path.as_ref();
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    image::RgbImage::from_pixel(64, 48, image::Rgb([9, 99, 199])).save(path).expect("a picture");
}

fn kinds(findings: &Findings) -> Vec<&'static str> {
    findings.list().iter().map(|finding| finding.kind.id()).collect()
}

/// A set as Roboflow exports it, with these folders.
fn roboflow(root: &Path, folders: &[&str]) {
    for folder in folders {
        for name in ["a", "b"] {
            picture(root.join(format!("{folder}/images/{folder}-{name}.png")));
            put(root.join(format!("{folder}/labels/{folder}-{name}.txt")), "0 0.5 0.5 0.2 0.2\n");
        }
    }
    let yaml = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 1\nnames: ['a']\n";
    put(root.join("data.yaml"), yaml);
}

#[test]
fn a_folder_of_another_split_does_not_stand_in_for_a_missing_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    roboflow(root, &["train"]);
    let loaded = open_lenient(root, Some("val")).expect("a data file");
    assert!(loaded.dataset.images.is_empty());
    assert_eq!(kinds(&loaded.findings), ["split-absent", "split-missing"]);
    let whole = open_lenient(root, None).expect("a data file");
    assert_eq!(whole.dataset.images.len(), 2);
    // The form without `..`.
    let yaml = "train: train/images\nval: valid/images\nnc: 1\nnames: ['a']\n";
    put(root.join("data.yaml"), yaml);
    assert!(open_lenient(root, Some("val")).expect("a data file").dataset.images.is_empty());
}

#[test]
fn a_missing_folder_of_test_images_does_not_stop_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    roboflow(root, &["train", "valid"]);
    assert_eq!(splits(root).expect("a data file"), ["train", "val"]);
    for split in ["train", "val"] {
        assert_eq!(Dataset::open(root, Some(split)).expect("a split").images.len(), 2);
    }
    let whole = open_lenient(root, None).expect("a data file");
    assert_eq!((whole.dataset.images.len(), kinds(&whole.findings)), (4, vec!["split-absent"]));
    assert_eq!(whole.findings.errors(), 0);
}

#[test]
fn folders_that_a_path_from_another_machine_names_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    roboflow(root, &["train", "valid", "test"]);
    // Folders of that machine that have the name of a split, before those of the set.
    let yaml = "train: /home/dev/test/train/images\nval: C:\\\\eval\\\\valid\\\\images\ntest: D:/train/sets/test/images\nnames: ['a']\n";
    put(root.join("data.yaml"), yaml);
    for split in ["train", "val", "test"] {
        let dataset = Dataset::open(root, Some(split)).expect("a split");
        let own = if split == "val" { "valid" } else { split };
        assert!(dataset.images.iter().all(|image| image.file.starts_with(own)), "{split}");
        assert_eq!(dataset.images.len(), 2, "{split}");
    }
}

#[test]
fn label_files_with_an_extension_in_capitals_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for (name, extension) in [("a", "TXT"), ("b", "txt")] {
        picture(root.join(format!("images/{name}.png")));
        put(root.join(format!("labels/{name}.{extension}")), "0 0.5 0.5 0.2 0.2\n");
    }
    put(root.join("classes.txt"), "cat\n");
    let dataset = Dataset::open(root, None).expect("a set");
    assert_eq!(dataset.images.iter().map(|image| image.objects.len()).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn labels_of_another_format_are_a_loss() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for name in ["a", "b", "c", "d"] {
        picture(root.join(format!("{name}.png")));
    }
    put(root.join("classes.txt"), "cat\n");
    put(root.join("a.txt"), "0 0.5 0.5 0.2 0.2\n");
    put(
        root.join("b.xml"),
        "<annotation><filename>b.png</filename><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>",
    );
    let shapes =
        |shapes: &str| format!(r#"{{"version": "5.0", "shapes": [{shapes}], "imagePath": "c.png"}}"#);
    let shape = r#"{"label": "cat", "shape_type": "rectangle", "points": [[1, 2], [9, 9]]}"#;
    put(root.join("c.json"), shapes(shape));
    // A file without shapes is no loss.
    put(root.join("d.json"), shapes(""));
    let loaded = open_lenient(root, None).expect("a set");
    let expected = ["label-other-format", "label-other-format", "image-without-label", "formats-mixed"];
    assert_eq!(kinds(&loaded.findings), expected);
    let losses: Vec<String> = loaded.findings.losses().iter().map(ToString::to_string).collect();
    assert_eq!(losses, ["label files of another format (2 times)"]);
    assert!(Dataset::open(root, None).is_err());
}

#[test]
fn an_empty_voc_box_is_derived_from_its_polygon() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let polygon = "<polygon><x1>20</x1><y1>10</y1><x2>50</x2><y2>10</y2><x3>50</x3><y3>40</y3></polygon>";
    let zeros = "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>0</xmax><ymax>0</ymax></bndbox>";
    let object = |bndbox: &str, rest: &str| format!("<object><name>cat</name>{bndbox}{rest}</object>");
    let objects = object("<bndbox/>", polygon) + &object(zeros, polygon);
    picture(root.join("JPEGImages/a.png"));
    put(
        root.join("Annotations/a.xml"),
        format!("<annotation><filename>a.png</filename>{objects}</annotation>"),
    );
    let loaded = open_lenient(root, None).expect("a set");
    let boxes: Vec<[f64; 4]> = loaded.dataset.images[0].objects.iter().map(|object| object.bbox).collect();
    assert_eq!(boxes, [[20.0, 10.0, 50.0, 40.0]; 2]);
    assert_eq!(loaded.findings.counts().len(), 2, "{:?}", loaded.findings.list());
    // Without a polygon the first is left out.
    put(
        root.join("Annotations/a.xml"),
        format!("<annotation><filename>a.png</filename>{}</annotation>", object("<bndbox/>", "")),
    );
    assert!(open_lenient(root, None).expect("a set").dataset.images[0].objects.is_empty());
}
