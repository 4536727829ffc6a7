//! Odd values of YOLO and VOC labels, each with its sound twin.

use std::fs;
use std::path::Path;

use picodet_data::{
    CheckOptions, FindingKind, Findings, Format, Images, Loaded, check, convert, fix, open_lenient, voc, yolo,
};

fn put(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Writes a picture whose colour depends on its name.
fn picture(path: impl AsRef<Path>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let colour = path.file_name().unwrap().as_encoded_bytes()[0];
    image::RgbImage::from_pixel(200, 100, image::Rgb([9, 99, colour])).save(path).unwrap();
}

fn kinds(findings: &Findings) -> Vec<&'static str> {
    findings.counts().keys().map(|kind| kind.id()).collect()
}

#[test]
fn rows_a_little_outside_are_kept_and_pixels_are_one_error() {
    let mut findings = Findings::default();
    let text =
        "0 0.5 0.5 1.002 0.5\n0 0.4 0.4 1.005 0.4 0.6 0.6\n0 0.9 0.5 0.2142 0.2\n0 -0.01 0.5 0.2 0.2\n";
    let objects = yolo::parse_labels(text, (100, 100), 1, "a.txt", &mut findings);
    assert_eq!((objects.len(), kinds(&findings)), (4, vec!["yolo-polygon"]));
    assert_eq!(objects[1].bbox, [40.0, 40.0, 100.49999999999999, 60.0]);

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root.join("classes.txt"), "cat\n");
    for name in ["a", "b"] {
        picture(root.join(format!("images/{name}.png")));
        put(root.join(format!("labels/{name}.txt")), "0 100 50 20 20\n0 90 40 20 20\n0 0.5 0.5 0.1 0.1\n");
    }
    let Loaded { findings, dataset, .. } = open_lenient(root, None).unwrap();
    // One finding that counts all rows.
    assert_eq!(findings.counts().get(&FindingKind::YoloRange), Some(&4));
    let ranges = findings.list().iter().filter(|finding| finding.kind == FindingKind::YoloRange).count();
    let text = findings.list()[0].to_string();
    assert!(
        text.contains("a.txt:1") && text.contains("4 of 6 rows") && text.contains("up to 100:"),
        "{text}"
    );
    assert_eq!(ranges, 1);
    assert_eq!(dataset.object_count(), 2);
    // A single row among good ones is a separate finding.
    for name in ["a", "b"] {
        put(
            root.join(format!("labels/{name}.txt")),
            "0 100 50 20 20\n0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.2 0.1\n",
        );
    }
    let findings = open_lenient(root, None).unwrap().findings;
    assert_eq!(findings.counts().get(&FindingKind::YoloRange), Some(&2));
}

#[test]
fn class_indices_from_one_are_shifted_in_all_splits() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root.join("data.yaml"), "names: [cat, dog]\ntrain: images/train\nval: images/val\n");
    let row = |class: u32| format!("{class} 0.5 0.5 0.2 0.2\n");
    for (name, rows) in [("train/a", row(1) + &row(2)), ("val/b", row(1))] {
        picture(root.join(format!("images/{name}.png")));
        put(root.join(format!("labels/{name}.txt")), rows);
    }
    let names = |split: Option<&str>| {
        let Loaded { dataset, findings, .. } = open_lenient(root, split).unwrap();
        let objects = dataset.images.iter().flat_map(|image| &image.objects);
        let names: Vec<String> = objects.map(|object| dataset.classes[object.class].name.clone()).collect();
        (names.join(" "), kinds(&findings))
    };
    // The rows of `val` are not sufficient to detect that classes are counted from 1.
    assert_eq!(names(Some("val")), ("cat".to_string(), vec!["yolo-from-one"]));
    assert_eq!(names(None), ("cat dog cat".to_string(), vec!["yolo-from-one"]));
    // One row of class 0 anywhere, or an index beyond, is another fault.
    put(root.join("labels/train/a.txt"), row(0) + &row(2));
    assert_eq!(names(Some("val")), ("dog".to_string(), vec![]));
    assert_eq!(names(Some("train")), ("cat".to_string(), vec!["yolo-class"]));
    put(root.join("labels/train/a.txt"), row(1) + &row(3));
    assert_eq!(names(Some("train")), ("dog".to_string(), vec!["yolo-class"]));
    // A single class.
    put(root.join("data.yaml"), "names: [cat]\ntrain: images/train\nval: images/val\n");
    put(root.join("labels/train/a.txt"), row(1));
    assert_eq!(names(None), ("cat cat".to_string(), vec!["yolo-from-one"]));
    let copy = tempfile::tempdir().unwrap();
    let copy = copy.path().join("fixed");
    fix(&check(root, None, &CheckOptions::default()).unwrap(), &copy, Images::Copy).unwrap();
    assert!(fs::read_to_string(copy.join("labels/train/a.txt")).unwrap().starts_with("0 "));
    assert_eq!(kinds(&open_lenient(&copy, None).unwrap().findings), Vec::<&str>::new());
}

#[test]
fn pose_rows_have_the_length_that_the_data_file_states() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"));
    let pose = |shape: &str, row: &str| {
        put(root.join("data.yaml"), format!("train: images\n{shape}names: [cat]\n"));
        put(root.join("labels/a.txt"), row);
        let Loaded { dataset, findings, .. } = open_lenient(root, None).unwrap();
        (dataset.images[0].objects.first().map(|object| object.bbox), kinds(&findings))
    };
    let bbox = Some([75.0, 37.5, 125.0, 62.5]);
    let even = "0 0.5 0.5 0.25 0.25 0.1 0.1 2\n";
    let odd = "0 0.5 0.5 0.25 0.25 0.1 0.1 2 0.2 0.2 1\n";
    let flat = "0 0.5 0.5 0.25 0.25 0.1 0.1 0.2 0.2\n";
    assert_eq!(pose("kpt_shape: [1, 3]\n", even), (bbox, vec![]));
    assert_eq!(pose("kpt_shape: [2, 3]\n", odd), (bbox, vec![]));
    assert_eq!(pose("kpt_shape: [2, 2]\n", flat), (bbox, vec![]));
    assert_eq!(pose("kpt_shape: [2, 3]\n", even), (None, vec!["yolo-columns"]));
    assert_eq!(pose("kpt_shape: [17, 3]\n", flat), (None, vec!["yolo-columns"]));
    assert_eq!(pose("", even), (None, vec!["yolo-columns"]));
    assert_eq!(pose("", flat).1, ["yolo-polygon"]);
}

#[test]
fn class_indices_are_those_of_the_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"));
    put(root.join("labels/a.txt"), "1 0.5 0.5 0.1 0.1\n7 0.5 0.5 0.2 0.2\n");
    put(root.join("coco8.yaml"), "train: images\nnames: {1: cat, 7: dog}\n");
    let Loaded { dataset, findings, .. } = open_lenient(root, None).unwrap();
    let classes: Vec<usize> = dataset.images[0].objects.iter().map(|object| object.class).collect();
    assert_eq!((classes, findings.errors()), (vec![0, 1], 0));
    assert_eq!(dataset.classes.iter().map(|class| class.id).collect::<Vec<_>>(), [1, 7]);
    put(root.join("coco8.yaml"), "train: images\nnames: {1: cat, 2: dog}\n");
    let findings = open_lenient(root, None).unwrap().findings;
    assert_eq!(findings.counts().get(&FindingKind::YoloClass), Some(&1));
}

#[test]
fn data_files_of_other_machines_lead_to_the_folders_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for split in ["train", "valid"] {
        picture(root.join(format!("set/{split}/images/{split}.png")));
        put(root.join(format!("set/{split}/labels/{split}.txt")), "0 0.5 0.5 0.1 0.1\n");
    }
    let mut wrong = Vec::new();
    for (train, val) in [
        ("train/images", "valid/images"),
        ("../train/images", "../valid/images"),
        ("C:\\x\\set\\train\\images", "C:\\x\\set\\valid\\images"),
        ("/content/set/train/images/", "/content/set/valid/images/"),
        ("file:///data/my%20set/train/images", "./valid/images"),
        ("Train/Images", "VALID/IMAGES"),
        ("train", "valid"),
    ] {
        let yaml = format!("path: D:/x/set\ntrain: {train}\nval: [{val}]\ntest: ~\nnames: [cat]\n");
        put(root.join("set/data.yaml"), yaml);
        for split in ["train", "val"] {
            match open_lenient(root.join("set"), Some(split)) {
                Ok(loaded) if loaded.dataset.object_count() == 1 && loaded.findings.errors() == 0 => {}
                other => wrong.push(format!("{train} {split}: {other:?}")),
            }
        }
    }
    // Two folders fit: an error that names both.
    picture(root.join("set/copy/pictures/a.png"));
    picture(root.join("set/other/pictures/a.png"));
    put(root.join("set/data.yaml"), "train: /content/pictures\nnames: [cat]\n");
    let findings = open_lenient(root.join("set"), None).unwrap().findings;
    let text = findings.list()[0].to_string();
    if !(text.contains("path-ambiguous") && text.contains("copy/pictures") && text.contains("other/pictures"))
    {
        wrong.push(text);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lists_in_every_encoding_give_the_same_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/图片.png"));
    put(root.join("labels/图片.txt"), "0 0.5 0.5 0.1 0.1\n");
    put(root.join("data.yaml"), "train: train.txt\nnames: [cat]\n");
    let text = "images/图片.png\r\n";
    let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    let gbk = [&b"images/"[..], &[0xCD, 0xBC, 0xC6, 0xAC], &b".png\r\n"[..]].concat();
    let marked = [&[0xEF, 0xBB, 0xBF][..], text.as_bytes()].concat();
    for (bytes, expected) in [(text.as_bytes().to_vec(), 0), (marked, 0), (wide, 0), (gbk, 1)] {
        put(root.join("train.txt"), bytes);
        let Loaded { dataset, findings, .. } = open_lenient(root, None).unwrap();
        let guessed = findings.counts().get(&FindingKind::LabelNotUtf8).copied().unwrap_or(0);
        assert_eq!((dataset.object_count(), guessed, findings.errors()), (1, expected, 0));
    }
}

/// Parses one VOC object with these elements.
fn voc_object(inner: &str) -> (Option<[f64; 4]>, bool, Vec<&'static str>) {
    let mut findings = Findings::default();
    let xml = format!("<annotation><object><name>cat</name>{inner}</object></annotation>");
    let annotation = voc::parse(&xml, "a.xml", &mut findings).unwrap();
    let object = annotation.objects.first().map(|(_, object)| object);
    (object.map(|object| object.bbox), object.is_some_and(|object| object.difficult), kinds(&findings))
}

#[test]
fn voc_flags_and_shapes_are_read() {
    let corners = "<bndbox><xmin>1.5</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>";
    let bbox = Some([1.5, 2.0, 30.0, 40.0]);
    for (flag, expected) in [
        ("1", true),
        ("true", true),
        ("YES", true),
        ("0", false),
        ("No", false),
        ("Unspecified", false),
        ("", false),
    ] {
        let object = voc_object(&format!("<difficult>{flag}</difficult>{corners}"));
        assert_eq!(object, (bbox, expected, vec![]), "{flag}");
    }
    assert_eq!(voc_object(&format!("<difficult>maybe</difficult>{corners}")), (bbox, true, vec!["bad-flag"]));
    // A part has its own box.
    let part = "<part><name>head</name><bndbox><xmin>3</xmin><ymin>3</ymin><xmax>4</xmax><ymax>4</ymax></bndbox></part>";
    assert_eq!(voc_object(&format!("{part}{corners}")), (bbox, false, vec![]));
    let rotated = "<robndbox><cx>50</cx><cy>40</cy><w>20</w><h>10</h><angle>0</angle></robndbox>";
    assert_eq!(voc_object(rotated), (Some([40.0, 35.0, 60.0, 45.0]), false, vec![]));
    let turned = "<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes>";
    let (quarter, _, found) = voc_object(&format!("{corners}{turned}"));
    let quarter = quarter.map(|bbox| bbox.map(|value| (value * 1e6).round() / 1e6));
    assert_eq!((quarter, found), (Some([-3.25, 6.75, 34.75, 35.25]), vec![]));
    let polygon = "<polygon><x1>5</x1><y1>6</y1><x2>50</x2><y2>60</y2><x3>7</x3><y3>61</y3></polygon>";
    assert_eq!(voc_object(polygon), (Some([5.0, 6.0, 50.0, 61.0]), false, vec![]));
    let points = "<polygon><pt><x>5</x><y>6</y></pt><pt><x>50</x><y>60</y></pt></polygon>";
    assert_eq!(voc_object(points), (Some([5.0, 6.0, 50.0, 60.0]), false, vec![]));
    assert_eq!(voc_object("<bndbox><xmin>1</xmin></bndbox>"), (None, false, vec!["missing-field"]));
    assert_eq!(voc_object("<polygon><x1>a</x1><y1>6</y1></polygon>"), (None, false, vec!["bad-number"]));
    assert_eq!(voc_object(""), (None, false, vec!["missing-field"]));
}

#[test]
fn boxes_that_cvat_rotates_in_coco_files_are_enclosed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"));
    let annotation = |id: u32, bbox: &str, attributes: &str| {
        format!(
            r#"{{"id": {id}, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 800, "bbox": {bbox}{attributes}}}"#
        )
    };
    let turned = r#", "attributes": {"occluded": false, "rotation": 90.0}"#;
    let annotations = [
        annotation(1, "[80, 40, 40, 20]", ""),
        annotation(2, "[80, 40, 40, 20]", r#", "attributes": {"occluded": true, "rotation": 0.0}"#),
        annotation(3, "[80, 40, 40, 20]", turned),
        annotation(4, "[150, 40, 100, 20]", r#", "attributes": {"rotation": "180"}"#),
        annotation(5, "[80, 40, 40, 20]", r#", "attributes": ["rotation", 90]"#),
    ];
    let file = root.join("annotations/instances_default.json");
    let head = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}], "categories": [{"id": 1, "name": "cat"}], "annotations": ["#;
    put(&file, format!("{head}{}]}}", annotations.join(",")));
    let boxes = |path: &Path| -> Vec<[f64; 4]> {
        let objects = open_lenient(path, None).unwrap().dataset.images[0].objects.clone();
        objects.iter().map(|object| object.bbox.map(|value| (value * 1e6).round() / 1e6)).collect()
    };
    let (flat, upright) = ([80.0, 40.0, 120.0, 60.0], [90.0, 30.0, 110.0, 70.0]);
    assert_eq!(boxes(root), [flat, flat, upright, [150.0, 40.0, 250.0, 60.0], flat]);
    // A copy keeps the rotation of boxes that it does not change.
    let out = tempfile::tempdir().unwrap();
    let copy = out.path().join("fixed");
    fix(&check(root, None, &CheckOptions::default()).unwrap(), &copy, Images::Copy).unwrap();
    assert_eq!(boxes(&copy), [flat, upright, [150.0, 40.0, 200.0, 60.0]]);
    let text = fs::read_to_string(copy.join("annotations/instances_default.json")).unwrap();
    assert_eq!(text.matches("\"rotation\"").count(), 1, "{text}");
}

#[test]
fn document_types_are_skipped_and_entities_refused() {
    let body = "<annotation><filename>a.png</filename></annotation>";
    let parse = |head: &str| voc::parse(&format!("{head}{body}"), "a.xml", &mut Findings::default());
    for head in [
        "<!DOCTYPE annotation>",
        "<?xml version=\"1.0\"?>\n<!DOCTYPE annotation SYSTEM \"voc.dtd\">\n",
        "<!DOCTYPE annotation [\n<!ELEMENT annotation (filename)>\n]>\n",
    ] {
        assert!(parse(head).is_ok(), "{head}");
    }
    assert!(parse("<!DOCTYPE annotation [<!ENTITY a \"b\">]>").is_err());
}

/// Writes a file in GBK; `text` may have the characters of this list.
fn gbk(path: impl AsRef<Path>, text: &str) {
    let pairs: [(char, [u8; 2]); 4] =
        [('猫', [0xC3, 0xA8]), ('狗', [0xB9, 0xB7]), ('图', [0xCD, 0xBC]), ('片', [0xC6, 0xAC])];
    let mut bytes = Vec::new();
    for character in text.chars() {
        match pairs.iter().find(|(known, _)| *known == character) {
            Some((_, pair)) => bytes.extend(pair),
            None => bytes.push(u8::try_from(character).unwrap()),
        }
    }
    put(path, bytes);
}

#[test]
fn labels_of_every_format_are_read_in_gbk() {
    let folder = tempfile::tempdir().unwrap();
    let shape = r#"{"label": "猫狗", "shape_type": "rectangle", "points": [[10, 10], [90, 90]]}"#;
    let labelme =
        format!(r#"{{"shapes": [{shape}], "imagePath": "a.png", "imageHeight": 100, "imageWidth": 200}}"#);
    let coco = r#"{"images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 80, 80], "area": 6400, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "猫狗"}]}"#;
    let object = "<object><name>猫狗</name><bndbox><xmin>10</xmin><ymin>10</ymin><xmax>90</xmax><ymax>90</ymax></bndbox></object>";
    let size = "<size><width>200</width><height>100</height></size>";
    let voc = format!("<annotation><filename>a.png</filename>{size}{object}</annotation>");
    let declared = format!("<?xml version=\"1.0\" encoding=\"gb2312\"?>{voc}");
    for (name, label, text, guessed) in [
        ("labelme", "a.json", labelme.as_str(), 1),
        ("coco", "train.json", coco, 1),
        ("voc", "a.xml", &voc, 1),
        ("declared", "a.xml", &declared, 0),
    ] {
        let root = folder.path().join(name);
        picture(root.join("a.png"));
        gbk(root.join(label), text);
        let Loaded { dataset, findings, .. } = open_lenient(&root, None).unwrap();
        let count = findings.counts().get(&FindingKind::LabelNotUtf8).copied().unwrap_or(0);
        let class = dataset.classes.first().map(|class| class.name.as_str());
        assert_eq!(
            (class, dataset.object_count(), count),
            (Some("猫狗"), 1, guessed),
            "{name}: {findings:?}"
        );
        assert_eq!(findings.errors(), 0, "{name}");
    }
}

#[test]
fn several_data_files_are_an_error_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("images/a.png"));
    put(root.join("labels/a.txt"), "0 0.5 0.5 0.1 0.1\n");
    for name in ["first.yaml", "second.yml"] {
        put(root.join(name), "train: images\nnames: [cat]\n");
    }
    // A file of hyperparameters is not a data file.
    put(root.join("hyp.yaml"), "lr0: 0.01\n");
    let message = open_lenient(root, None).unwrap_err().to_string();
    assert!(message.contains("first.yaml") && message.contains("second.yml"), "{message}");
    fs::remove_file(root.join("second.yml")).unwrap();
    assert_eq!(open_lenient(root, None).unwrap().dataset.object_count(), 1);
}

#[test]
fn labelled_images_beside_a_folder_of_labelled_images_are_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("yolo");
    put(root.join("classes.txt"), "cat\n");
    for (number, name) in ["JPEGImages/a", "JPEGImages/b", "a", "b"].into_iter().enumerate() {
        picture(root.join(format!("{name}.png")));
        put(root.join(format!("{name}.txt")), "0 0.5 0.5 0.1 0.1\n".repeat(number + 1));
    }
    let counts = |root: &Path| {
        let loaded = open_lenient(root, None).unwrap();
        let mut counts: Vec<usize> = loaded.dataset.images.iter().map(|image| image.objects.len()).collect();
        counts.sort_unstable();
        (loaded.findings.counts().get(&FindingKind::PathAmbiguous).copied(), counts)
    };
    assert_eq!(counts(&root), (None, vec![1, 2, 3, 4]));
    for format in Format::all() {
        let out = folder.path().join(format!("as {format}"));
        convert(&root, None, format, &out, Images::Copy).unwrap();
        assert_eq!(counts(&out), (None, vec![1, 2, 3, 4]), "{format}");
    }
    // Without labels, the folder around them is not read.
    for name in ["a.txt", "b.txt"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    assert_eq!(counts(&root), (None, vec![1, 2]));
}

#[test]
fn class_names_have_one_line_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("coco");
    picture(root.join("a.png"));
    put(
        root.join("instances.json"),
        r#"{"images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 50, 50]}],
            "categories": [{"id": 1, "name": "traffic\r\n light\t"}]}"#,
    );
    for format in Format::all() {
        let out = folder.path().join(format!("as {format}"));
        convert(&root, None, format, &out, Images::Copy).unwrap();
        let Loaded { dataset, .. } = open_lenient(&out, None).unwrap();
        assert_eq!(
            (dataset.classes[0].name.as_str(), dataset.object_count()),
            ("traffic light", 1),
            "{format}"
        );
    }
}

#[test]
fn names_with_colons_in_a_class_list_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("yolo");
    put(root.join("classes.txt"), "cat\nroad: wet\n");
    picture(root.join("images/a.png"));
    put(root.join("labels/a.txt"), "1 0.5 0.5 0.1 0.1\n");
    let out = folder.path().join("out");
    convert(&root, None, Format::YOLO, &out, Images::Copy).unwrap();
    let dataset = open_lenient(&out, None).unwrap().dataset;
    let names: Vec<&str> = dataset.classes.iter().map(|class| class.name.as_str()).collect();
    assert_eq!((names, dataset.object_count()), (vec!["cat", "road: wet"], 1));
    let data = fs::read_to_string(out.join("data.yaml")).unwrap();
    assert_eq!(data.matches("road").count(), 1, "{data}");
}

#[test]
fn hidden_names_are_written_as_visible_ones() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("source");
    put(root.join("data.yaml"), "train: images/train\nnames: [cat]\n");
    // As on another system: `\` is no separator here, and what remains behind it is a hidden name.
    picture(root.join("images/train/a 1..\\.png"));
    put(root.join("labels/train/a 1..\\.txt"), "0 0.5 0.5 0.1 0.1\n");
    for format in Format::all() {
        let out = folder.path().join(format.to_string());
        let report = convert(&root, None, format, &out, Images::Copy).unwrap();
        assert_eq!((report.objects, &report.missing[..]), (1, &[][..]), "{format}");
        let dataset = open_lenient(&out, Some("train")).unwrap().dataset;
        assert_eq!((dataset.images.len(), dataset.object_count()), (1, 1), "{format}");
        assert!(dataset.image_path(0).is_some_and(|path| path.is_file()), "{format}");
    }
}

#[test]
fn folders_named_images_below_the_folder_of_images_keep_their_labels() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("source");
    put(
        root.join("instances_images.json"),
        r#"{"images": [{"id": 1, "file_name": "a/images/1.png", "width": 1, "height": 1},
        {"id": 2, "file_name": "b/2.png", "width": 1, "height": 1}], "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0},
        {"id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1, "iscrowd": 0}]}"#,
    );
    picture(root.join("images/a/images/1.png"));
    picture(root.join("images/b/2.png"));
    for format in Format::all() {
        let out = folder.path().join(format.to_string());
        assert_eq!(convert(&root, None, format, &out, Images::Copy).unwrap().objects, 2, "{format}");
        let names = picodet_data::splits(&out).unwrap();
        let dataset = open_lenient(&out, names.first().map(String::as_str)).unwrap().dataset;
        assert_eq!((dataset.images.len(), dataset.object_count()), (2, 2), "{format}");
    }
}
