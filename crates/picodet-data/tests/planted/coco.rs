//! One planted fault of each kind in COCO files.

use std::fs;
use std::path::{Path, PathBuf};

use picodet_data::FindingKind;
use serde_json::{Value, json};

use crate::common::{picture, put, turned_jpeg};
use crate::{Expected, expect};

/// A COCO file under construction.
#[derive(Default)]
struct Coco {
    /// The folder of the images.
    folder: PathBuf,
    images: Vec<Value>,
    annotations: Vec<Value>,
    categories: Vec<Value>,
    expected: Vec<Expected>,
}

impl Coco {
    fn new(folder: &Path, categories: Vec<Value>) -> Self {
        Self { folder: folder.to_path_buf(), categories, ..Self::default() }
    }

    /// Adds an image and its file.
    fn fresh(&mut self, name: &str) -> usize {
        picture(self.folder.join(name), 200, 100, self.images.len() as u8 + 1);
        self.image(name)
    }

    /// Adds an image with an object, and the expectation of a fault of this image.
    fn faulty(&mut self, file: &str, kind: FindingKind, extra: &str) {
        let id = self.image(file);
        self.object(id, 1, json!([1, 1, 15, 15]));
        let pointer = format!("#/images/{}:", id - 1);
        self.plant(kind, &[&pointer, extra]);
    }

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

/// A sound box.
fn good() -> Value {
    json!([20.0, 20.0, 60.0, 50.0])
}

pub(crate) fn coco(root: &Path) -> Vec<Expected> {
    let names = ["cat", "dog", "Cat", "cat", " ", "ghost", "only val"];
    let categories =
        names.iter().enumerate().map(|(index, name)| json!({"id": index + 1, "name": name})).collect();
    let mut coco = Coco::new(&root.join("train"), categories);
    sound_entries_and_classes(&mut coco);
    boxes(&mut coco);
    fields(&mut coco);
    images(&mut coco);
    paths(&mut coco, root);
    coco.write(&root.join("annotations/instances_train.json"));
    second_split(coco, root)
}

fn sound_entries_and_classes(coco: &mut Coco) {
    // Entries without fault.
    for number in 0..4 {
        let image = coco.fresh(&format!("clean{number}.png"));
        coco.object(image, 1, good());
        coco.object(image, 2, json!([100.5, 10.25, 50.1, 60.7]));
    }
    // Class list.
    let image = coco.fresh("classes.png");
    for category in 3..=5 {
        coco.object(image, category, json!([10 * category, 20, 60, 50]));
    }
    coco.plant(FindingKind::ClassNameSimilar, &["train.json", "`cat` and `Cat`"]);
    coco.plant(FindingKind::DuplicateClassName, &["train.json", "`cat`"]);
    coco.plant(FindingKind::ClassNameEmpty, &["train.json", "class 4"]);
    coco.plant(FindingKind::ClassUnused, &["train.json", "`ghost`"]);
    coco.categories.push(json!({"id": 1, "name": "again"}));
    coco.plant(FindingKind::DuplicateCategoryId, &["#/categories/7:", "`again`"]);
}

/// One fault per image.
fn boxes(coco: &mut Coco) {
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
        let image = coco.fresh(&format!("box{number}.png"));
        coco.object(image, 2, good());
        let pointer = coco.object(image, 2, bbox);
        let file = format!("box{number}.png");
        coco.plant(kind, &[&pointer, &file]);
    }
    coco.plant(FindingKind::JsonNan, &["instances_train.json", "1 times"]);
    let image = coco.fresh("twice.png");
    coco.object(image, 1, good());
    let pointer = coco.object(image, 1, good());
    coco.plant(FindingKind::BoxDuplicate, &[&pointer, "cat"]);
    let image = coco.fresh("both.png");
    coco.object(image, 1, good());
    let pointer = coco.object(image, 2, good());
    coco.plant(FindingKind::BoxTwoClasses, &[&pointer, "both cat and dog"]);
}

/// Fields of annotations.
fn fields(coco: &mut Coco) {
    let image = coco.fresh("fields.png");
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
}

fn images(coco: &mut Coco) {
    let train = coco.folder.clone();
    coco.faulty("gone.png", FindingKind::ImageMissing, "gone.png");
    put(train.join("garbage.jpg"), "no image");
    coco.faulty("garbage.jpg", FindingKind::ImageUndecodable, "garbage.jpg");
    for name in ["cut.png", "cut.jpg"] {
        picture(train.join(name), 200, 100, 77);
        let bytes = fs::read(train.join(name)).unwrap();
        fs::write(train.join(name), &bytes[..bytes.len() * 2 / 3]).unwrap();
        coco.faulty(name, FindingKind::ImageUndecodable, name);
    }
    picture(train.join("other_size.png"), 220, 100, 78);
    coco.faulty("other_size.png", FindingKind::SizeMismatch, "220 × 100");
    turned_jpeg(&train.join("turned.jpg"), 200, 100, 6);
    coco.faulty("turned.jpg", FindingKind::SizeExif, "100 × 200");
    picture(train.join("no_size.png"), 200, 100, 79);
    coco.faulty("no_size.png", FindingKind::SizeUnknown, "no_size.png");
    coco.images.last_mut().unwrap()["width"] = json!(0);
    picture(train.join("huge.png"), 500, 300, 80);
    coco.faulty("huge.png", FindingKind::ImageHuge, "500 × 300");
    coco.images.last_mut().unwrap()["width"] = json!(500);
    coco.images.last_mut().unwrap()["height"] = json!(300);
    picture(train.join("tiny.png"), 20, 20, 81);
    coco.faulty("tiny.png", FindingKind::ImageTiny, "20 × 20");
    coco.images.last_mut().unwrap()["width"] = json!(20);
    coco.images.last_mut().unwrap()["height"] = json!(20);
    image::GrayImage::from_fn(200, 100, |x, _| image::Luma([x as u8])).save(train.join("grey.png")).unwrap();
    coco.faulty("grey.png", FindingKind::ImageNotRgb, "grey.png");
    picture(train.join("really.png"), 200, 100, 82);
    fs::rename(train.join("really.png"), train.join("said.jpg")).unwrap();
    coco.faulty("said.jpg", FindingKind::ImageWrongExtension, "png");
    fs::copy(train.join("clean0.png"), train.join("copy.png")).unwrap();
    coco.faulty("copy.png", FindingKind::ImageDuplicate, "clean0.png");
    coco.faulty("clean1.png", FindingKind::DuplicateFileName, "clean1.png");
    let image = coco.image("id_again.png");
    coco.images[image - 1]["id"] = json!(1);
    coco.plant(FindingKind::DuplicateImageId, &[&format!("#/images/{}:", image - 1), "id_again.png"]);
    picture(train.join("unused.png"), 200, 100, 83);
    coco.plant(FindingKind::ImageUnreferenced, &["train/unused.png"]);
    picture(train.join("background.png"), 200, 100, 84);
    coco.image("background.png");
    coco.plant(FindingKind::ImagesWithoutObjects, &["1 without objects"]);
}

fn paths(coco: &mut Coco, root: &Path) {
    let train = coco.folder.clone();
    picture(root.join("absolute.png"), 200, 100, 85);
    let absolute = root.canonicalize().unwrap().join("absolute.png");
    coco.faulty(absolute.to_str().unwrap(), FindingKind::PathAbsolute, "absolute.png");
    picture(root.join("../above.png"), 200, 100, 86);
    coco.faulty("../../above.png", FindingKind::PathEscapes, "../../above.png");
    picture(train.join("sub/slash.png"), 200, 100, 87);
    coco.faulty("sub\\slash.png", FindingKind::PathBackslash, "sub\\slash.png");
}

/// The second split: one leaked image, a class without objects in train, a different class list.
fn second_split(mut coco: Coco, root: &Path) -> Vec<Expected> {
    let train = coco.folder.clone();
    fs::create_dir_all(root.join("val")).unwrap();
    fs::copy(train.join("clean3.png"), root.join("val/leaked.png")).unwrap();
    let mut categories = coco.categories.clone();
    categories.retain(|category| category["name"] != "again" && category["name"] != "ghost");
    categories.retain(|category| category["id"].as_u64().unwrap() != 4);
    categories.push(json!({"id": 50, "name": "new in val"}));
    let expected = std::mem::take(&mut coco.expected);
    let mut val = Coco { expected, ..Coco::new(&root.join("val"), categories) };
    let image = val.image("leaked.png");
    val.object(image, 7, good());
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
pub(crate) fn odd_coco(root: &Path, kind: FindingKind) -> Vec<Expected> {
    let categories = vec![
        json!({"id": 1, "name": "a", "supercategory": "all"}),
        json!({"id": 2, "name": "b", "supercategory": "all"}),
    ];
    let mut coco = Coco::new(root, categories);
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
        FindingKind::ClassNameChanged => {
            let name = coco.categories[0]["name"].as_str().unwrap_or_default().to_string();
            coco.categories[0]["name"] = json!(format!("{name}\t"));
            coco.plant(kind, &["train.json:", &format!("{name}\\t")]);
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
pub(crate) fn two_lists(root: &Path) -> Vec<Expected> {
    for (seed, (split, names)) in [("train", ["a", "b"]), ("val", ["b", "a"])].into_iter().enumerate() {
        let categories = (1..).zip(names).map(|(id, name)| json!({"id": id, "name": name})).collect();
        let mut coco = Coco::new(root, categories);
        picture(root.join(split).join(format!("{split}.png")), 200, 100, seed as u8);
        let image = coco.image(&format!("{split}.png"));
        coco.object(image, 1, json!([10, 10, 50, 50]));
        coco.object(image, 2, json!([70, 10, 50, 50]));
        coco.write(&root.join(format!("annotations/instances_{split}.json")));
    }
    vec![expect(FindingKind::ClassIdsDiffer, &["val.json", "other ids [\"b\", \"a\"]"])]
}

/// A file with a part of the images of another one, and one whose images are elsewhere.
pub(crate) fn parts(root: &Path) -> Vec<Expected> {
    let files = [("val2014", &["a.png", "b.png"][..]), ("minival2014", &["b.png"]), ("old", &["x.png"])];
    for (split, images) in files {
        let mut coco = Coco::new(root, vec![json!({"id": 1, "name": "a"})]);
        for name in images {
            let image = coco.image(name);
            coco.object(image, 1, json!([10, 10, 50, 50]));
            if split != "old" {
                picture(root.join("val2014").join(name), 200, 100, name.as_bytes()[0]);
            }
        }
        let folder = if split == "old" { "old" } else { "annotations" };
        coco.write(&root.join(format!("{folder}/instances_{split}.json")));
    }
    vec![
        expect(FindingKind::SplitContained, &["minival2014.json", "1 of the 2 images of `val2014`"]),
        expect(FindingKind::ImagesElsewhere, &["old/instances_old.json", "1 labelled images", "x.png"]),
    ]
}

pub(crate) fn small_coco(root: &Path, kind: FindingKind) -> Vec<Expected> {
    picture(root.join("a.png"), 200, 100, 1);
    picture(root.join("b.png"), 200, 100, 2);
    let categories = vec![json!({"id": 1, "name": "a"}), json!({"id": 2, "name": "b"})];
    let mut coco = Coco::new(root, categories);
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

/// Image paths of another machine: found by their end, or ambiguous.
pub(crate) fn elsewhere(root: &Path) -> Vec<Expected> {
    for (seed, name) in ["a/1.png", "b/1.png", "b/2.png"].into_iter().enumerate() {
        picture(root.join("pictures").join(name), 200, 100, seed as u8 + 1);
    }
    let categories = vec![json!({"id": 1, "name": "cat"})];
    let mut coco = Coco::new(root, categories);
    for file in ["/content/set/b/1.png", "/content/set/2.png", "/content/1.png"] {
        let image = coco.image(file);
        coco.object(image, 1, json!([20, 20, 60, 50]));
    }
    coco.plant(FindingKind::PathElsewhere, &["#/images/0:", "2 of 3", "`pictures/b/1.png`"]);
    coco.plant(FindingKind::PathAmbiguous, &["#/images/2:", "pictures/a/1.png", "pictures/b/1.png"]);
    coco.plant(FindingKind::ImageMissing, &["#/images/2:"]);
    coco.plant(FindingKind::PathAbsolute, &["#/images/2:"]);
    coco.plant(FindingKind::ImageUnused, &["pictures/a/1.png"]);
    coco.write(&root.join("train.json"));
    coco.expected
}
