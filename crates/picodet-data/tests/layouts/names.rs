//! Names of files and classes with spaces or quotation marks around or in them, and files without an extension.

use std::path::Path;

use picodet_data::{Dataset, Format, Images, convert, open_lenient, splits};

use crate::absent::{picture, put};

/// The name of each image of a split, with the classes of its objects.
fn contents(path: &Path, split: Option<&str>) -> Vec<(String, Vec<String>)> {
    let loaded = open_lenient(path, split).expect("a dataset");
    assert_eq!(loaded.findings.counts().len(), 0, "{:?}", loaded.findings.list());
    let dataset = loaded.dataset;
    let mut all = Vec::new();
    for (index, image) in dataset.images.iter().enumerate() {
        assert!(
            dataset.image_path(index).is_some_and(|path| path.is_file()),
            "{} does not exist",
            image.file
        );
        let classes = image.objects.iter().map(|object| dataset.classes[object.class].name.clone()).collect();
        let file = image.file.rsplit('/').next().unwrap_or_default();
        all.push((file.to_string(), classes));
    }
    all.sort();
    all
}

fn xml(file: &str, class: &str) -> String {
    format!(
        "<annotation><filename>{file}</filename><size><width>64</width><height>48</height></size><object><name>{class}</name>\
         <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )
}

/// A VOC set with images of these names.
fn voc(root: &Path, names: &[&str]) {
    for name in names {
        picture(root.join(format!("JPEGImages/{name}.png")));
        put(root.join(format!("Annotations/{name}.xml")), xml(&format!("{name}.png"), "cat"));
    }
}

#[test]
fn lists_with_quoted_names_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    voc(root, &["a b", "a", " c", "d e 1", "x/f g"]);
    // CVAT and Datumaro quote names with spaces.
    put(root.join("ImageSets/Main/train.txt"), "\"a b\"\n c\n\"x/f g\"\n");
    put(root.join("ImageSets/Main/val.txt"), "a\n\"d e 1\"\n");
    // Lists of one class.
    put(root.join("ImageSets/Main/cat_train.txt"), "\"a b\"  1\n c  1\n\"x/f g\"  1\n");
    put(root.join("ImageSets/Main/cat_val.txt"), "a  1\n\"d e 1\" -1\n");
    assert_eq!(splits(root).expect("lists"), ["train", "val"]);
    let names =
        |split: &str| contents(root, Some(split)).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names("train"), [" c.png", "a b.png", "f g.png"]);
    assert_eq!(names("val"), ["a.png", "d e 1.png"]);
    // With flags in the list of a split.
    put(root.join("ImageSets/Main/val.txt"), "a 1\n\"d e 1\" 0\n");
    assert_eq!(names("val"), ["a.png", "d e 1.png"]);
}

#[test]
fn every_format_keeps_spaces_around_names_of_images() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("source");
    let files = [" a", "a", "b ", "\"c d\"", "e 1"];
    voc(&root, &files);
    put(root.join("ImageSets/Main/train.txt"), files.join("\n"));
    let mut expected: Vec<_> =
        files.iter().map(|name| (format!("{name}.png"), vec!["cat".to_string()])).collect();
    expected.sort();
    assert_eq!(contents(&root, Some("train")), expected);
    for format in Format::all() {
        let out = folder.path().join(format.name());
        let report = convert(&root, None, format, &out, Images::Copy).expect("a copy");
        assert_eq!((report.images, report.missing.len()), (5, 0), "{format}");
        assert_eq!(contents(&out, Some("train")), expected, "{format}");
    }
    // A list of YOLO.
    let yolo = folder.path().join("yolo-list");
    put(yolo.join("data.yaml"), "train: train.txt\nnames: [cat]\n");
    for name in [" x", "x"] {
        picture(yolo.join(format!("{name}.png")));
        put(yolo.join(format!("{name}.txt")), "0 0.5 0.5 0.2 0.2\n");
    }
    put(yolo.join("train.txt"), " x.png\nx.png \n");
    let names: Vec<_> = contents(&yolo, None).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [" x.png", "x.png"]);
}

#[test]
fn spaces_around_class_names_are_no_part_of_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let labelme = folder.path().join("labelme");
    picture(labelme.join("a.png"));
    let shape = |label: &str, x: u32| {
        format!(r#"{{"label": "{label}", "shape_type": "rectangle", "points": [[{x}, 1], [20, 30]]}}"#)
    };
    let document = format!(
        r#"{{"shapes": [{}, {}, {}], "imagePath": "a.png", "imageWidth": 64, "imageHeight": 48}}"#,
        shape("cat ", 1),
        shape("cat", 2),
        shape(" dog", 3)
    );
    put(labelme.join("a.json"), &document);
    put(labelme.join("labels.txt"), "__ignore__\n dog\ncat \n");
    let voc = folder.path().join("voc");
    picture(voc.join("JPEGImages/a.png"));
    put(voc.join("Annotations/a.xml"), xml("a.png", "cat ").replace("</annotation>", ""));
    let objects = [xml("a.png", "cat "), xml("a.png", "cat"), xml("a.png", " dog")];
    let object = |xml: &String| xml[xml.find("<object>").expect("one")..xml.len() - 13].to_string();
    let objects: String = objects.iter().map(object).collect();
    let start = "<annotation><filename>a.png</filename><size><width>64</width><height>48</height></size>";
    put(voc.join("Annotations/a.xml"), format!("{start}{objects}</annotation>"));
    put(voc.join("label_list.txt"), " dog\ncat \n");
    for root in [&labelme, &voc] {
        let dataset = Dataset::open(root, None).expect("a dataset");
        let names: Vec<_> = dataset.classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!((names, dataset.class_counts()), (vec!["dog", "cat"], vec![1, 2]), "{}", root.display());
    }
    // A copy keeps the shapes unchanged.
    let out = folder.path().join("copy");
    convert(&labelme, None, Format::LABELME, &out, Images::Copy).expect("a copy");
    let copied = std::fs::read_to_string(out.join("all/a.json")).expect("a file");
    assert!(copied.contains(r#""label":"cat ""#) && copied.contains(r#""label":" dog""#), "{copied}");
}

#[test]
fn images_without_an_extension_are_read_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("source");
    let files = ["a", "b.v2", "sub/c", "d.png", "d"];
    let mut images = Vec::new();
    let mut annotations = Vec::new();
    for (file, id) in files.iter().zip(1..) {
        let path = root.join("images").join(file);
        picture(path.with_extension("png"));
        if !file.ends_with(".png") {
            std::fs::rename(path.with_extension("png"), &path).expect("a file");
            picture(root.join("images/d.png"));
        }
        images.push(format!(r#"{{"id": {id}, "file_name": "{file}", "width": 64, "height": 48}}"#));
        annotations.push(format!(
            r#"{{"id": {id}, "image_id": {id}, "category_id": 1, "bbox": [{id}, 2, 10, 10]}}"#
        ));
    }
    let (images, annotations) = (images.join(", "), annotations.join(", "));
    put(
        root.join("annotations/instances_train.json"),
        format!(
            r#"{{"images": [{images}], "annotations": [{annotations}], "categories": [{{"id": 1, "name": "cat"}}]}}"#
        ),
    );
    for format in Format::all() {
        let out = folder.path().join(format.name());
        let report = convert(&root, None, format, &out, Images::Copy).expect("a copy");
        assert_eq!((report.images, report.missing.len()), (5, 0), "{format}");
        let read = contents(&out, None);
        assert_eq!(read.len(), 5, "{format}: {read:?}");
        assert!(read.iter().all(|(_, classes)| classes == &["cat"]), "{format}: {read:?}");
    }
}
