//! One planted fault of each kind, in datasets of all formats: `check` must find exactly these, at their
//! locations.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use common::{picture, put, turned_jpeg, voc_object, voc_xml};
use picodet_data::{CheckOptions, FindingKind, Images, WriteOptions, check, fix};
use serde_json::{Value, json};

/// An expected finding: its kind, and texts that `location: message` must contain.
type Expected = (FindingKind, Vec<String>);

/// Compares findings with expectations one to one; returns the differences.
fn compare(name: &str, path: &Path, options: &CheckOptions, expected: &[Expected]) -> Vec<String> {
    let checked = check(path, None, options).unwrap();
    let mut wrong = Vec::new();
    let mut open: Vec<&Expected> = expected.iter().collect();
    for finding in checked.report.findings.list() {
        let text = format!("{}: {}", finding.location, finding.message);
        let fits = |expected: &&Expected| {
            expected.0 == finding.kind && expected.1.iter().all(|part| text.contains(part.as_str()))
        };
        match open.iter().position(fits) {
            Some(position) => {
                open.remove(position);
            }
            None => wrong.push(format!("{name}: not planted: {finding}")),
        }
    }
    wrong.extend(open.iter().map(|(kind, parts)| format!("{name}: missed {} {parts:?}", kind.id())));
    wrong
}

fn expect(kind: FindingKind, parts: &[&str]) -> Expected {
    (kind, parts.iter().map(|part| (*part).to_string()).collect())
}

/// A COCO file under construction.
struct Coco {
    images: Vec<Value>,
    annotations: Vec<Value>,
    categories: Vec<Value>,
    expected: Vec<Expected>,
}

impl Coco {
    fn image(&mut self, file: &str) -> usize {
        let id = self.images.len() + 1;
        self.images.push(json!({"id": id, "file_name": file, "width": 200, "height": 100}));
        id
    }

    /// Adds an annotation; returns its JSON pointer.
    fn object(&mut self, image: usize, category: usize, bbox: Value) -> String {
        let index = self.annotations.len();
        self.annotations.push(json!({
            "id": index + 1, "image_id": image, "category_id": category, "bbox": bbox,
            "area": 1.0, "iscrowd": 0
        }));
        format!("#/annotations/{index}:")
    }

    fn plant(&mut self, kind: FindingKind, parts: &[&str]) {
        self.expected.push(expect(kind, parts));
    }

    fn write(&self, path: &Path) {
        let Self { images, annotations, categories, .. } = self;
        let json =
            json!({"info": {}, "images": images, "annotations": annotations, "categories": categories});
        put(path, json.to_string().replace("\"@NaN@\"", "NaN"));
    }
}

#[test]
fn one_of_each_kind_is_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut wrong = Vec::new();
    let mut planted: BTreeSet<&str> = BTreeSet::new();
    let options = CheckOptions { huge_pixels: 100_000, ..CheckOptions::default() };
    let mut run = |name: &str, expected: Vec<Expected>| {
        planted.extend(expected.iter().map(|(kind, _)| kind.id()));
        wrong.extend(compare(name, &root.join(name), &options, &expected));
    };
    run("coco", coco(&root.join("coco")));
    run("voc", voc(&root.join("voc")));
    run("yolo", yolo(&root.join("yolo")));
    run("gap.yaml", gap(root));
    run("labelme", labelme(&root.join("labelme")));
    run("elsewhere", elsewhere(&root.join("elsewhere")));
    run("normalised", small_coco(&root.join("normalised"), FindingKind::BoxNormalised));
    run("corners", small_coco(&root.join("corners"), FindingKind::BoxLooksXyxy));
    run("no_objects", small_coco(&root.join("no_objects"), FindingKind::NoObjects));
    run("empty", small_coco(&root.join("empty"), FindingKind::DatasetEmpty));
    for kind in [
        FindingKind::TextId,
        FindingKind::CategoriesMissing,
        FindingKind::CategoryRoot,
        FindingKind::AllCrowds,
        FindingKind::ManyCrowds,
    ] {
        run(kind.id(), odd_coco(&root.join(kind.id()), kind));
    }
    run("two_lists", two_lists(&root.join("two_lists")));
    run("imbalance", small_coco(&root.join("imbalance"), FindingKind::ClassImbalance));
    put(root.join("broken/annotations/train.json"), "{\"images\": [\n{\"id\": }]}");
    run("broken", vec![expect(FindingKind::FileUnreadable, &["train.json:2:"])]);

    let all: BTreeSet<&str> = FindingKind::ALL.iter().map(|kind| kind.id()).collect();
    let never: Vec<_> = all
        .difference(&planted)
        .filter(|id| cfg!(unix) || !["link-loop", "name-not-utf8"].contains(id))
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(never.is_empty(), "kinds without a planted fault: {never:?}");
    assert!(all.len() >= 40);
}

fn coco(root: &Path) -> Vec<Expected> {
    let train = root.join("train");
    let names = ["cat", "dog", "Cat", "cat", " ", "ghost", "only val"];
    let categories =
        names.iter().enumerate().map(|(index, name)| json!({"id": index + 1, "name": name})).collect();
    let mut coco = Coco { images: vec![], annotations: vec![], categories, expected: vec![] };
    let good = json!([20.0, 20.0, 60.0, 50.0]);
    let mut seed = 0;
    let mut fresh = |coco: &mut Coco, name: &str| {
        seed += 1;
        picture(train.join(name), 200, 100, seed);
        coco.image(name)
    };
    // Entries without fault.
    for number in 0..4 {
        let image = fresh(&mut coco, &format!("clean{number}.png"));
        coco.object(image, 1, good.clone());
        coco.object(image, 2, json!([100.5, 10.25, 50.1, 60.7]));
    }
    // Class list.
    let image = fresh(&mut coco, "classes.png");
    for category in 3..=5 {
        coco.object(image, category, json!([10 * category, 20, 60, 50]));
    }
    coco.plant(FindingKind::ClassNameSimilar, &["train.json", "`cat` and `Cat`"]);
    coco.plant(FindingKind::DuplicateClassName, &["train.json", "`cat`"]);
    coco.plant(FindingKind::ClassNameEmpty, &["train.json", "class 4"]);
    coco.plant(FindingKind::ClassUnused, &["train.json", "`ghost`"]);
    coco.categories.push(json!({"id": 1, "name": "again"}));
    coco.plant(FindingKind::DuplicateCategoryId, &["#/categories/7:", "`again`"]);

    // Boxes, one per image.
    let boxes = [
        (FindingKind::BoxOutside, json!([250, 10, 20, 20])),
        (FindingKind::BoxPartlyOutside, json!([150, 10, 70, 20])),
        (FindingKind::BoxEmpty, json!([10, 10, 0, 20])),
        (FindingKind::BoxInverted, json!([50, 50, -20, 20])),
        (FindingKind::BoxNotFinite, json!([10, null, 20, 20])),
        (FindingKind::BoxNotFinite, json!(["@NaN@", 10, 20, 20])),
        (FindingKind::BoxVanishes, json!([10, 10, 1, 1])),
    ];
    for (number, (kind, bbox)) in boxes.into_iter().enumerate() {
        let image = fresh(&mut coco, &format!("box{number}.png"));
        coco.object(image, 2, good.clone());
        let pointer = coco.object(image, 2, bbox);
        let file = format!("box{number}.png");
        coco.plant(kind, &[&pointer, &file]);
    }
    coco.plant(FindingKind::JsonNan, &["instances_train.json", "1 times"]);
    let image = fresh(&mut coco, "twice.png");
    coco.object(image, 1, good.clone());
    let pointer = coco.object(image, 1, good.clone());
    coco.plant(FindingKind::BoxDuplicate, &[&pointer, "cat"]);
    let image = fresh(&mut coco, "both.png");
    coco.object(image, 1, good.clone());
    let pointer = coco.object(image, 2, good.clone());
    coco.plant(FindingKind::BoxTwoClasses, &[&pointer, "both cat and dog"]);

    // Fields of annotations.
    let image = fresh(&mut coco, "fields.png");
    let pointer = coco.object(image, 1, json!([1, 1, 20, 20]));
    coco.annotations.last_mut().unwrap()["area"] = json!(5000);
    coco.plant(FindingKind::AreaWrong, &[&pointer, "5000"]);
    let pointer = coco.object(image, 1, json!([2, 2, 20, 20]));
    coco.annotations.last_mut().unwrap()["iscrowd"] = json!(2);
    coco.plant(FindingKind::BadFlag, &[&pointer, "iscrowd"]);
    let pointer = coco.object(image, 1, json!([3, 3, 20, 20]));
    coco.annotations.last_mut().unwrap()["id"] = json!(1);
    coco.plant(FindingKind::DuplicateAnnotationId, &[&pointer, "id 1 "]);
    let pointer = coco.object(image, 99, json!([4, 4, 20, 20]));
    coco.plant(FindingKind::UnknownCategory, &[&pointer, "99"]);
    let pointer = coco.object(9999, 1, json!([5, 5, 20, 20]));
    coco.plant(FindingKind::UnknownImageId, &[&pointer, "9999"]);
    let pointer = coco.object(image, 1, json!([6, 6, 20, 20]));
    coco.annotations.last_mut().unwrap().as_object_mut().unwrap().remove("bbox");
    coco.plant(FindingKind::MissingField, &[&pointer]);
    let pointer = coco.object(image, 1, json!([7, 7, 20]));
    coco.plant(FindingKind::MissingField, &[&pointer, "3 values"]);

    coco.object(image, 1, json!([8, 8, 0, 20]));
    coco.annotations.last_mut().unwrap()["segmentation"] = json!([[8, 8, 28, 8, 28, 28]]);
    let pointer = format!("#/annotations/{}/bbox:", coco.annotations.len() - 1);
    coco.plant(FindingKind::BoxDerived, &[&pointer, "empty"]);
    coco.object(image, 1, json!([9, 9, 20, 20]));
    coco.annotations.last_mut().unwrap()["area"] = json!("large");
    let pointer = format!("#/annotations/{}/area:", coco.annotations.len() - 1);
    coco.plant(FindingKind::OddValue, &[&pointer, "large"]);

    // Images.
    let faulty = |coco: &mut Coco, file: &str, kind: FindingKind, extra: &str| {
        let id = coco.image(file);
        coco.object(id, 1, json!([1, 1, 15, 15]));
        let pointer = format!("#/images/{}:", id - 1);
        coco.plant(kind, &[&pointer, extra]);
    };
    faulty(&mut coco, "gone.png", FindingKind::ImageMissing, "gone.png");
    put(train.join("garbage.jpg"), "no image");
    faulty(&mut coco, "garbage.jpg", FindingKind::ImageUndecodable, "garbage.jpg");
    for name in ["cut.png", "cut.jpg"] {
        picture(train.join(name), 200, 100, 77);
        let bytes = fs::read(train.join(name)).unwrap();
        fs::write(train.join(name), &bytes[..bytes.len() * 2 / 3]).unwrap();
        faulty(&mut coco, name, FindingKind::ImageUndecodable, name);
    }
    picture(train.join("other_size.png"), 220, 100, 78);
    faulty(&mut coco, "other_size.png", FindingKind::SizeMismatch, "220 × 100");
    turned_jpeg(&train.join("turned.jpg"), 200, 100, 6);
    faulty(&mut coco, "turned.jpg", FindingKind::SizeExif, "100 × 200");
    picture(train.join("no_size.png"), 200, 100, 79);
    faulty(&mut coco, "no_size.png", FindingKind::SizeUnknown, "no_size.png");
    coco.images.last_mut().unwrap()["width"] = json!(0);
    picture(train.join("huge.png"), 500, 300, 80);
    faulty(&mut coco, "huge.png", FindingKind::ImageHuge, "500 × 300");
    coco.images.last_mut().unwrap()["width"] = json!(500);
    coco.images.last_mut().unwrap()["height"] = json!(300);
    picture(train.join("tiny.png"), 20, 20, 81);
    faulty(&mut coco, "tiny.png", FindingKind::ImageTiny, "20 × 20");
    coco.images.last_mut().unwrap()["width"] = json!(20);
    coco.images.last_mut().unwrap()["height"] = json!(20);
    image::GrayImage::from_fn(200, 100, |x, _| image::Luma([x as u8])).save(train.join("grey.png")).unwrap();
    faulty(&mut coco, "grey.png", FindingKind::ImageNotRgb, "grey.png");
    picture(train.join("really.png"), 200, 100, 82);
    fs::rename(train.join("really.png"), train.join("said.jpg")).unwrap();
    faulty(&mut coco, "said.jpg", FindingKind::ImageWrongExtension, "png");
    fs::copy(train.join("clean0.png"), train.join("copy.png")).unwrap();
    faulty(&mut coco, "copy.png", FindingKind::ImageDuplicate, "clean0.png");
    faulty(&mut coco, "clean1.png", FindingKind::DuplicateFileName, "clean1.png");
    let image = coco.image("id_again.png");
    coco.images[image - 1]["id"] = json!(1);
    coco.plant(FindingKind::DuplicateImageId, &[&format!("#/images/{}:", image - 1), "id_again.png"]);
    picture(train.join("unused.png"), 200, 100, 83);
    coco.plant(FindingKind::ImageUnreferenced, &["train/unused.png"]);
    picture(train.join("background.png"), 200, 100, 84);
    coco.image("background.png");
    coco.plant(FindingKind::ImagesWithoutObjects, &["1 without objects"]);

    // Paths.
    picture(root.join("absolute.png"), 200, 100, 85);
    let absolute = root.canonicalize().unwrap().join("absolute.png");
    faulty(&mut coco, absolute.to_str().unwrap(), FindingKind::PathAbsolute, "absolute.png");
    picture(root.join("above.png"), 200, 100, 86);
    faulty(&mut coco, "../above.png", FindingKind::PathEscapes, "../above.png");
    picture(train.join("sub/slash.png"), 200, 100, 87);
    faulty(&mut coco, "sub\\slash.png", FindingKind::PathBackslash, "sub\\slash.png");
    coco.write(&root.join("annotations/instances_train.json"));

    // The second split: one leaked image, a class without objects in train, a different class list.
    fs::create_dir_all(root.join("val")).unwrap();
    fs::copy(train.join("clean3.png"), root.join("val/leaked.png")).unwrap();
    let mut categories = coco.categories.clone();
    categories.retain(|category| category["name"] != "again" && category["name"] != "ghost");
    categories.retain(|category| category["id"].as_u64().unwrap() != 4);
    categories.push(json!({"id": 50, "name": "new in val"}));
    let expected = std::mem::take(&mut coco.expected);
    let mut val = Coco { images: vec![], annotations: vec![], categories, expected };
    let image = val.image("leaked.png");
    val.object(image, 7, good);
    val.plant(FindingKind::Leakage, &["instances_val.json#/images/0:", "leaked.png", "clean3.png"]);
    val.plant(FindingKind::ClassUntrained, &["val.json", "`only val`"]);
    val.plant(FindingKind::ClassesDiffer, &["val.json", "only here [\"new in val\"]", "ghost"]);
    val.plant(FindingKind::ClassUnused, &["val.json", "`new in val`"]);
    val.plant(FindingKind::ClassNameSimilar, &["val.json", "`cat` and `Cat`"]);
    val.plant(FindingKind::ClassNameEmpty, &["val.json"]);
    val.write(&root.join("annotations/instances_val.json"));
    val.expected
}

/// A sound file of two images but for one oddity of the whole file.
fn odd_coco(root: &Path, kind: FindingKind) -> Vec<Expected> {
    let categories = vec![
        json!({"id": 1, "name": "a", "supercategory": "all"}),
        json!({"id": 2, "name": "b", "supercategory": "all"}),
    ];
    let mut coco = Coco { images: vec![], annotations: vec![], categories, expected: vec![] };
    for (seed, file) in ["a.png", "b.png"].into_iter().enumerate() {
        picture(root.join(file), 200, 100, seed as u8);
        let image = coco.image(file);
        coco.object(image, seed + 1, json!([10, 10, 50, 50]));
        coco.object(image, seed + 1, json!([70, 10, 50, 50]));
    }
    match kind {
        FindingKind::TextId => {
            coco.annotations.iter_mut().for_each(|entry| entry["id"] = json!(format!("x{}", entry["id"])));
            coco.plant(kind, &["train.json#/annotations:"]);
        }
        FindingKind::CategoriesMissing => {
            coco.categories.clear();
            coco.plant(kind, &["train.json:", "2 classes"]);
        }
        FindingKind::CategoryRoot => {
            coco.categories.insert(0, json!({"id": 0, "name": "all", "supercategory": "none"}));
            coco.plant(kind, &["#/categories/0:", "`all`"]);
        }
        _ => {
            let crowds = if kind == FindingKind::AllCrowds { 4 } else { 1 };
            coco.annotations.iter_mut().take(crowds).for_each(|entry| entry["iscrowd"] = json!(1));
            coco.plant(kind, &["train.json:", &format!("{crowds} of 4")]);
        }
    }
    coco.write(&root.join("train.json"));
    coco.expected
}

/// Two splits with the same classes under other ids.
fn two_lists(root: &Path) -> Vec<Expected> {
    for (seed, (split, names)) in [("train", ["a", "b"]), ("val", ["b", "a"])].into_iter().enumerate() {
        let categories = (1..).zip(names).map(|(id, name)| json!({"id": id, "name": name})).collect();
        let mut coco = Coco { images: vec![], annotations: vec![], categories, expected: vec![] };
        picture(root.join(split).join(format!("{split}.png")), 200, 100, seed as u8);
        let image = coco.image(&format!("{split}.png"));
        coco.object(image, 1, json!([10, 10, 50, 50]));
        coco.object(image, 2, json!([70, 10, 50, 50]));
        coco.write(&root.join(format!("annotations/instances_{split}.json")));
    }
    vec![expect(FindingKind::ClassIdsDiffer, &["val.json", "other ids [\"b\", \"a\"]"])]
}

fn small_coco(root: &Path, kind: FindingKind) -> Vec<Expected> {
    picture(root.join("a.png"), 200, 100, 1);
    picture(root.join("b.png"), 200, 100, 2);
    let categories = vec![json!({"id": 1, "name": "a"}), json!({"id": 2, "name": "b"})];
    let mut coco = Coco { images: vec![], annotations: vec![], categories, expected: vec![] };
    let place = match kind {
        FindingKind::BoxNormalised | FindingKind::BoxLooksXyxy | FindingKind::ClassImbalance => {
            let (a, b) = (coco.image("a.png"), coco.image("b.png"));
            let mut boxes = vec![[0.1, 0.1, 0.3, 0.4], [0.5, 0.5, 0.2, 0.2], [0.0, 0.0, 1.0, 1.0]];
            if kind == FindingKind::BoxLooksXyxy {
                boxes = vec![[110., 20., 190., 90.], [120., 40., 180., 95.], [101., 10., 150., 60.]];
            }
            if kind == FindingKind::ClassImbalance {
                boxes = (0..101).map(|n| [f64::from(n), 0.0, 50.0, 50.0]).collect();
            }
            for bbox in &boxes {
                coco.object(a, 1, json!(bbox));
            }
            coco.object(b, 2, json!(boxes[0]));
            "train.json"
        }
        FindingKind::NoObjects => {
            coco.image("a.png");
            coco.image("b.png");
            "none of the 2 images"
        }
        _ => "train.json",
    };
    if kind == FindingKind::ClassImbalance {
        coco.plant(kind, &[place, "`b` has 1 objects", "has 101"]);
    } else {
        coco.plant(kind, &[place]);
    }
    if kind == FindingKind::BoxNormalised {
        for class in ["`a`", "`b`"] {
            coco.plant(FindingKind::BoxVanishes, &[class]);
        }
    }
    if kind == FindingKind::DatasetEmpty {
        fs::remove_file(root.join("a.png")).unwrap();
        fs::remove_file(root.join("b.png")).unwrap();
    }
    coco.write(&root.join("train.json"));
    coco.expected
}

fn voc(root: &Path) -> Vec<Expected> {
    let mut expected = Vec::new();
    let good = voc_object("cat", ["10", "10", "60", "60"]) + &voc_object("dog", ["70", "20", "150", "90"]);
    let mut listed = Vec::new();
    let mut add = |name: &str, objects: &str| {
        picture(root.join(format!("JPEGImages/{name}.png")), 200, 100, listed.len() as u8 + 1);
        put(root.join(format!("Annotations/{name}.xml")), voc_xml(&format!("{name}.png"), objects));
        listed.push(name.to_string());
    };
    add("good1", &good);
    add("good2", &good);
    add("number", &(good.clone() + &voc_object("cat", ["1", "2", "3O", "40"])));
    expected.push(expect(FindingKind::BadNumber, &["number.xml:6:", "<xmax> is `3O`"]));
    add("flag", &good.replace("<difficult>0<", "<difficult>maybe<").replacen("maybe", "0", 1));
    expected.push(expect(FindingKind::BadFlag, &["flag.xml:5:", "maybe"]));
    add("noname", &(good.clone() + "<object><bndbox><xmin>1</xmin></bndbox></object>\n"));
    expected.push(expect(FindingKind::MissingField, &["noname.xml:6:"]));
    add("renamed", &good);
    let xml = fs::read_to_string(root.join("Annotations/renamed.xml")).unwrap();
    put(root.join("Annotations/renamed.xml"), xml.replace("renamed.png", "elsewhere.png"));
    expected.push(expect(FindingKind::VocFileName, &["renamed.xml", "elsewhere.png"]));
    add("nosize", &good);
    let xml = fs::read_to_string(root.join("Annotations/nosize.xml")).unwrap();
    put(root.join("Annotations/nosize.xml"), xml.replace(">200<", ">0<").replace(">100<", ">0<"));
    expected.push(expect(FindingKind::SizeUnknown, &["nosize.xml"]));
    add("nan", &(good.clone() + &voc_object("cat", ["nan", "1", "30", "40"])));
    expected.push(expect(FindingKind::BoxNotFinite, &["nan.xml:6:"]));
    add("flat", &(good.clone() + &voc_object("cat", ["5", "5", "5", "40"])));
    expected.push(expect(FindingKind::BoxEmpty, &["flat.xml:6:", "0 × 35"]));
    add("unlisted_class", &(good.clone() + &voc_object("horse", ["5", "5", "50", "40"])));
    expected.push(expect(FindingKind::UnknownCategory, &["label_list.txt", "horse"]));
    put(root.join("label_list.txt"), "cat\ndog\n");
    for (name, content) in [
        ("broken", &b"<annotation>\n<object></annotation>"[..]),
        ("bomb", &b"<!DOCTYPE a [<!ENTITY x \"xxxx\">]>\n<annotation>&x;</annotation>"[..]),
        ("latin1", &b"<annotation><size><width>200</width><height>100</height></size><object><name>cat</name><bndbox><xmin>20</xmin><ymin>20</ymin><xmax>90</xmax><ymax>80</ymax></bndbox></object>\xe9</annotation>"[..]),
    ] {
        put(root.join(format!("Annotations/{name}.xml")), content);
        listed.push(name.to_string());
    }
    expected.push(expect(FindingKind::FileUnreadable, &["broken.xml:2:"]));
    expected.push(expect(FindingKind::FileUnreadable, &["bomb.xml:1:"]));
    expected.push(expect(FindingKind::LabelNotUtf8, &["latin1.xml"]));
    picture(root.join("JPEGImages/latin1.png"), 200, 100, 98);
    listed.push("good1".to_string());
    expected.push(expect(FindingKind::SplitDuplicate, &["train.txt:14:", "line 1"]));
    listed.push("nowhere".to_string());
    expected.push(expect(FindingKind::SplitUnlabelled, &["train.txt:15:", "nowhere"]));
    put(root.join("ImageSets/Main/train.txt"), listed.join("\n"));
    picture(root.join("JPEGImages/nolabel.png"), 200, 100, 99);
    expected.push(expect(FindingKind::ImageUnreferenced, &["nolabel.png"]));
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        std::os::unix::fs::symlink("..", root.join("Annotations/loop")).unwrap();
        expected.push(expect(FindingKind::LinkLoop, &["Annotations/loop"]));
        let name = std::ffi::OsStr::from_bytes(b"bad\xff.xml");
        put(root.join("Annotations").join(name), "<annotation/>");
        expected.push(expect(FindingKind::NameNotUtf8, &["Annotations/bad"]));
    }
    expected
}

fn yolo(root: &Path) -> Vec<Expected> {
    let yaml = "path: .\ntrain: images/train\nval: images/val\ntest: images/none\nnc: 5\nnames: [cat, dog]\n";
    put(root.join("data.yaml"), yaml);
    let mut expected = vec![
        expect(FindingKind::YoloCount, &["data.yaml", "`nc` is 5"]),
        expect(FindingKind::SplitMissing, &["data.yaml", "images/none"]),
        // The missing split has no images.
        expect(FindingKind::DatasetEmpty, &["data.yaml", "`test`"]),
    ];
    let good = "0 0.25 0.5 0.2 0.4\n1 0.75 0.5 0.2 0.4\n";
    let mut seed = 0;
    let mut add = |name: &str, rows: &[u8]| {
        seed += 1;
        picture(root.join(format!("images/{name}.jpg")), 200, 100, seed);
        put(root.join(format!("labels/{name}.txt")), rows);
    };
    let with = |row: &str| format!("{good}{row}\n").into_bytes();
    add("train/good", good.as_bytes());
    add("val/good", good.as_bytes());
    add("train/range", &with("0 100 50 20 20"));
    expected.push(expect(FindingKind::YoloRange, &["range.txt:3:", "100"]));
    add("train/columns", &with("0 0.5 0.5 0.1 0.1 0.9"));
    expected.push(expect(FindingKind::YoloColumns, &["columns.txt:3:", "score"]));
    add("train/million", &with(&format!("0{}", " 0.5".repeat(1_000_000))));
    expected.push(expect(FindingKind::YoloColumns, &["million.txt:3:", "1000001 columns"]));
    add("train/class", &with("2 0.5 0.5 0.1 0.1"));
    expected.push(expect(FindingKind::YoloClass, &["class.txt:3:", "`2`"]));
    add("train/word", &with("cat 0.5 0.5 0.1 0.1"));
    expected.push(expect(FindingKind::YoloClass, &["word.txt:3:", "`cat`"]));
    add("train/number", &with("0 0,5 0.5 0.1 0.1"));
    expected.push(expect(FindingKind::BadNumber, &["number.txt:3:", "0,5"]));
    add("train/inverted", &with("0 0.5 0.5 -0.1 0.1"));
    expected.push(expect(FindingKind::BoxInverted, &["inverted.txt:3:"]));
    add("train/nan", &with("0 nan 0.5 0.1 0.1"));
    expected.push(expect(FindingKind::BoxNotFinite, &["nan.txt:3:"]));
    add("train/outside", &with("0 0.95 0.5 0.2 0.1"));
    expected.push(expect(FindingKind::BoxPartlyOutside, &["outside.txt:3:"]));
    add("train/polygon", &with("0 0.1 0.1 0.5 0.1 0.3 0.6"));
    expected.push(expect(FindingKind::YoloPolygon, &["polygon.txt:3:", "3 points"]));
    add("train/latin1", b"\xe9");
    expected.push(expect(FindingKind::LabelNotUtf8, &["latin1.txt", "windows-1252"]));
    expected.push(expect(FindingKind::YoloColumns, &["latin1.txt:1:"]));
    put(root.join("labels/train/orphan.txt"), good);
    expected.push(expect(FindingKind::LabelWithoutImage, &["orphan.txt"]));
    picture(root.join("images/train/nolabel.jpg"), 200, 100, 100);
    expected.push(expect(FindingKind::ImageWithoutLabel, &["nolabel.jpg"]));
    // The image without label, and the one with an unreadable label.
    expected.push(expect(FindingKind::ImagesWithoutObjects, &["2 without objects"]));
    expected
}

fn gap(root: &Path) -> Vec<Expected> {
    picture(root.join("gap/images/a.jpg"), 200, 100, 1);
    put(root.join("gap/labels/a.txt"), "0 0.5 0.5 0.2 0.4\n2 0.3 0.3 0.2 0.4\n");
    put(root.join("gap.yaml"), "path: gap\ntrain: images\nnames:\n  0: cat\n  2: dog\n");
    vec![expect(FindingKind::YoloNamesGap, &["gap.yaml", "index 1 is missing"])]
}

/// Image paths of another machine: found by their end, or ambiguous.
fn elsewhere(root: &Path) -> Vec<Expected> {
    for (seed, name) in ["a/1.png", "b/1.png", "b/2.png"].into_iter().enumerate() {
        picture(root.join("pictures").join(name), 200, 100, seed as u8 + 1);
    }
    let categories = vec![json!({"id": 1, "name": "cat"})];
    let mut coco = Coco { images: vec![], annotations: vec![], categories, expected: vec![] };
    for file in ["/content/set/b/1.png", "/content/set/2.png", "/content/1.png"] {
        let image = coco.image(file);
        coco.object(image, 1, json!([20, 20, 60, 50]));
    }
    coco.plant(FindingKind::PathElsewhere, &["#/images/0:", "2 of 3", "`pictures/b/1.png`"]);
    coco.plant(FindingKind::PathAmbiguous, &["#/images/2:", "pictures/a/1.png", "pictures/b/1.png"]);
    coco.plant(FindingKind::ImageMissing, &["#/images/2:"]);
    coco.plant(FindingKind::PathAbsolute, &["#/images/2:"]);
    coco.write(&root.join("train.json"));
    coco.expected
}

fn labelme(root: &Path) -> Vec<Expected> {
    let shape = |label: &str, kind: &str, points: Value| json!({"label": label, "shape_type": kind, "points": points, "flags": {}, "group_id": null});
    let file = |name: &str, shapes: Vec<Value>| {
        let json = json!({"version": "5", "flags": {}, "shapes": shapes, "imagePath": format!("{name}.png"), "imageData": "AAAA", "imageHeight": 100, "imageWidth": 200});
        put(root.join(format!("{name}.json")), json.to_string());
    };
    let good = shape("cat", "rectangle", json!([[60, 50], [10, 10]]));
    let polygon = shape("dog", "polygon", json!([[100, 10], [150, 20], [120, 80]]));
    for (seed, name) in ["good", "circle", "short", "nolabel"].into_iter().enumerate() {
        picture(root.join(format!("{name}.png")), 200, 100, seed as u8 + 1);
    }
    file("good", vec![good.clone(), polygon.clone()]);
    file("circle", vec![good.clone(), shape("cat", "line", json!([[1, 1], [5, 5]]))]);
    file("short", vec![polygon, shape("cat", "rectangle", json!([[1, 1]]))]);
    // The image of one file exists only inside of it.
    picture(root.join("inside.png"), 200, 100, 77);
    let image = base64::prelude::BASE64_STANDARD.encode(fs::read(root.join("inside.png")).unwrap());
    fs::remove_file(root.join("inside.png")).unwrap();
    let circle = shape("cat", "circle", json!([[50, 50], [60, 50]]));
    let json = json!({"shapes": [circle], "imagePath": "inside.png", "imageData": image, "imageHeight": 100, "imageWidth": 200});
    put(root.join("inside.json"), json.to_string());
    put(root.join("settings.json"), "{\"theme\": \"dark\"}");
    vec![
        expect(FindingKind::ShapeUnsupported, &["circle.json#/shapes/1:", "line"]),
        expect(FindingKind::ImageEmbedded, &["inside.json", "inside.png"]),
        expect(FindingKind::ShapePoints, &["short.json#/shapes/1:", "1 points"]),
        expect(FindingKind::ImageUnreferenced, &["nolabel.png"]),
    ]
}

/// After `fix` only faults that need a human decision remain; the original is unchanged.
#[test]
fn the_repaired_copy_is_clean_and_the_original_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let options = CheckOptions { huge_pixels: 100_000, ..CheckOptions::default() };
    let mut wrong = Vec::new();
    type Build = fn(&Path) -> Vec<Expected>;
    let cases: [(&str, Build, &[FindingKind]); 4] = [
        (
            "coco",
            coco,
            &[
                FindingKind::ClassNameSimilar,
                FindingKind::ClassNameEmpty,
                FindingKind::ClassUnused,
                FindingKind::BoxVanishes,
                FindingKind::BoxTwoClasses,
                FindingKind::SizeExif,
                FindingKind::ImageHuge,
                FindingKind::ImageTiny,
                FindingKind::ImageNotRgb,
                FindingKind::ImageWrongExtension,
                FindingKind::ImagesWithoutObjects,
                // The only image of val had leaked.
                FindingKind::DatasetEmpty,
            ],
        ),
        ("voc", voc, &[]),
        (
            "yolo",
            yolo,
            // Polygons stay in the copy.
            &[FindingKind::ImagesWithoutObjects, FindingKind::DatasetEmpty, FindingKind::YoloPolygon],
        ),
        // Points and lines stay in the copy.
        ("labelme", labelme, &[FindingKind::ShapeUnsupported]),
    ];
    for (name, build, remaining) in cases {
        let source = folder.path().join(name);
        build(&source);
        let before = snapshot(&source);
        let options_of_fix = WriteOptions::from(Images::Copy).with_loss(true);
        let checked = check(&source, None, &options).unwrap();
        assert_eq!(checked.report.exit_code(), 2);
        let inside = fix(&checked, checked.datasets[0].root.join("fixed"), options_of_fix);
        assert!(inside.is_err(), "{name}: an output inside the source must be refused");
        let out = folder.path().join(format!("{name}-fixed"));
        let refused = fix(&checked, &out, Images::Copy).map_err(|error| error.to_string());
        assert!(
            refused.is_err_and(|error| error.contains("--allow-loss")),
            "{name}: loss without permission"
        );
        let report = fix(&checked, &out, options_of_fix).unwrap();
        assert!(!report.written.losses.is_empty(), "{name}: losses are counted");
        assert!(!report.actions.is_empty() || name == "labelme", "{name}: nothing done");
        assert!(fix(&checked, &out, options_of_fix).is_err(), "{name}: an existing output must be refused");
        assert_eq!(before, snapshot(&source), "{name}: the original changed");
        let again = check(&out, None, &options).unwrap();
        for finding in again.report.findings.list() {
            if !remaining.contains(&finding.kind) {
                wrong.push(format!("{name}: still there: {finding}"));
            }
        }
        for kind in remaining {
            if !again.report.findings.counts().contains_key(kind) {
                wrong.push(format!("{name}: {} is gone", kind.id()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn snapshot(root: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                files.push((entry.path(), fs::read(entry.path()).unwrap()));
            }
        }
    }
    files.sort();
    files
}
