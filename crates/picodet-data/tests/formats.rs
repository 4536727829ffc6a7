//! Round trips through all four formats, detection of formats, and splitting.

mod common;

use std::collections::HashMap;
use std::path::Path;

use common::{picture, put};
use picodet_data::{
    Class, DataError, Dataset, Format, ImageRecord, Images, Object, Part, WriteOptions, convert, split, write,
};
use proptest::prelude::*;

const FORMATS: [Format; 4] = [Format::COCO, Format::VOC, Format::YOLO, Format::LABELME];

/// A dataset with all properties that formats represent differently.
fn sample(root: &Path) -> Dataset {
    let names = ["cat", "über <dog> & \"co\"", "never used"];
    let ids = [3, 7, 90];
    let classes = names.iter().zip(ids).map(|(name, id)| Class {
        id,
        name: (*name).to_string(),
        supercategory: Some("animal".to_string()),
    });
    let mut images = Vec::new();
    for (index, (file, width, height)) in
        [("b.jpg", 200, 100), ("a & é.png", 123, 77), ("empty.jpg", 64, 64), ("sub/c.webp", 90, 91)]
            .into_iter()
            .enumerate()
    {
        picture(root.join(file), width, height, index as u8);
        images.push(ImageRecord {
            id: 1000 - index as i64,
            file: file.to_string(),
            width,
            height,
            objects: Vec::new(),
            label: None,
            source: index as u32,
        });
    }
    let boxes = [[0.1, 0.2, 33.37, 44.01], [10.0, 10.0, 60.5, 70.25], [1.0 / 3.0, 2.0 / 7.0, 50.7, 60.6]];
    for (number, bbox) in boxes.into_iter().enumerate() {
        for (index, image) in [0usize, 1, 3].into_iter().enumerate() {
            images[image].objects.push(Object {
                difficult: number == 1,
                truncated: index == 1,
                crowd: number == 2 && index == 2,
                stated_area: Some(17.25 + number as f64),
                id: Some((number * 10 + index) as i64 + 5),
                source: (number * 3 + index) as u32,
                ..Object::new(number % 2, bbox)
            });
        }
    }
    let classes = classes.collect();
    let (split, root) = (Some("train".to_string()), root.to_path_buf());
    Dataset { format: Format::COCO, root, annotations: None, split, classes, images }
}

/// Width, height, and objects.
type Essence = (u32, u32, Vec<(String, [f64; 4])>);

/// The properties that every format must preserve, by file name: size, and class name and box of each object.
fn essence(dataset: &Dataset, crowd: bool) -> HashMap<String, Essence> {
    dataset
        .images
        .iter()
        .map(|image| {
            let objects = image
                .objects
                .iter()
                .filter(|object| crowd || !object.crowd)
                .map(|object| (dataset.classes[object.class].name.clone(), object.bbox))
                .collect();
            let name = image.file.rsplit('/').next().unwrap().to_string();
            (name, (image.width, image.height, objects))
        })
        .collect()
}

fn same(a: &Dataset, b: &Dataset, tolerance: f64) -> Result<(), String> {
    let names = |d: &Dataset| d.classes.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    if names(a) != names(b) {
        return Err(format!("classes {:?} and {:?}", names(a), names(b)));
    }
    // YOLO leaves out crowd regions.
    let crowd = tolerance == 0.0;
    let (a, b) = (essence(a, crowd), essence(b, crowd));
    if a.len() != b.len() {
        return Err(format!("{} and {} images", a.len(), b.len()));
    }
    for (name, (width, height, objects)) in &a {
        let Some((w, h, others)) = b.get(name) else {
            return Err(format!("{name} is gone"));
        };
        let close = objects.len() == others.len()
            && objects.iter().zip(others).all(|((class, bbox), (other, box2))| {
                class == other && bbox.iter().zip(box2).all(|(x, y)| (x - y).abs() <= tolerance)
            });
        if (width, height) != (w, h) || !close {
            return Err(format!("{name}: {objects:?} became {others:?}"));
        }
    }
    Ok(())
}

/// Converts from every format to every format; losses must be reported.
#[test]
fn every_pair_of_formats_round_trips() {
    let folder = tempfile::tempdir().unwrap();
    let source = sample(&folder.path().join("source"));
    let mut wrong = Vec::new();
    for first in FORMATS {
        let once = folder.path().join(format!("{first}"));
        let part = [Part { name: "train", dataset: &source }];
        let options = WriteOptions::from(Images::Copy);
        let strict = write(&part, first, &once, options);
        // YOLO has no crowd regions.
        let refused = matches!(strict, Err(DataError::WouldLose { .. }));
        assert_eq!(refused, first == Format::YOLO, "{first}: {strict:?}");
        let report = if refused { write(&part, first, &once, options.with_loss(true)) } else { strict };
        let report = report.unwrap();
        let opened = Dataset::open(&once, Some("train")).unwrap();
        // Text preserves every bit; YOLO divides by the size and multiplies again.
        let tolerance = if first == Format::YOLO { 1e-10 } else { 0.0 };
        if let Err(what) = same(&source, &opened, tolerance) {
            wrong.push(format!("coco to {first}: {what}"));
        }
        if (first == Format::COCO) != report.losses.is_empty() {
            wrong.push(format!("{first} losses: {:?}", report.losses));
        }
        for second in FORMATS {
            let twice = folder.path().join(format!("{first}-{second}"));
            convert(&once, None, second, &twice, options.with_loss(true)).unwrap();
            let again = Dataset::open(&twice, Some("train")).unwrap();
            let tolerance = if [first, second].contains(&Format::YOLO) { 1e-10 } else { 0.0 };
            if let Err(what) = same(&opened, &again, tolerance) {
                wrong.push(format!("{first} to {second}: {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_format_keeps_everything_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let source = sample(&folder.path().join("source"));
    let mut wrong = Vec::new();
    for format in FORMATS {
        let once = folder.path().join(format!("{format}-1"));
        let twice = folder.path().join(format!("{format}-2"));
        let lossy = WriteOptions::from(Images::Copy).with_loss(true);
        write(&[Part { name: "train", dataset: &source }], format, &once, lossy).unwrap();
        let a = Dataset::open(&once, Some("train")).unwrap();
        let report = convert(&once, Some("train"), format, &twice, Images::Copy).unwrap();
        let b = Dataset::open(&twice, Some("train")).unwrap();
        if !report.losses.is_empty() {
            wrong.push(format!("{format}: {:?}", report.losses));
        }
        let (mut x, mut y) = (a.clone(), b.clone());
        for dataset in [&mut x, &mut y] {
            dataset.root.clear();
            dataset.annotations = None;
            for object in dataset.images.iter_mut().flat_map(|image| &mut image.objects) {
                if format == Format::YOLO {
                    object.bbox = object.bbox.map(|value| (value * 1e9).round() / 1e9);
                }
            }
        }
        if x != y {
            wrong.push(format!("{format}: {x:#?}\nbecame {y:#?}"));
        }
        let flags = |d: &Dataset| {
            let all = || d.images.iter().flat_map(|image| &image.objects);
            [
                all().filter(|o| o.crowd).count(),
                all().filter(|o| o.difficult).count(),
                all().filter(|o| o.truncated).count(),
                all().filter(|o| o.id.is_some()).count(),
            ]
        };
        let expected = match format.name() {
            "coco" => [1, 3, 3, 9],
            "labelme" => [1, 3, 3, 0],
            "voc" => [0, 4, 3, 0],
            _ => [0, 0, 0, 0],
        };
        if flags(&b) != expected {
            wrong.push(format!("{format}: flags {:?}, not {expected:?}", flags(&b)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn coco_to_coco_is_the_same_dataset_bit_for_bit() {
    let Some(shared) = common::shared() else { return };
    let source = Dataset::open(shared.join("data/coco-mini"), Some("val")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write(&[Part { name: "val", dataset: &source }], Format::COCO, folder.path(), Images::Copy).unwrap();
    let again = Dataset::open(folder.path(), Some("val")).unwrap();
    assert_eq!(source.images, again.images);
    assert_eq!(source.classes, again.classes);
    // Width and height have the digits of the original file.
    let raw: serde_json::Value = serde_json::from_reader(
        std::fs::File::open(shared.join("data/coco-mini/instances_val.json")).unwrap(),
    )
    .unwrap();
    let mut wrong = 0;
    for object in again.images.iter().flat_map(|image| &image.objects) {
        let stated: [f64; 4] =
            serde_json::from_value(raw["annotations"][object.source as usize]["bbox"].clone()).unwrap();
        wrong += usize::from(stated != object.xywh());
    }
    assert_eq!(wrong, 0);
}

#[test]
fn hostile_names_stay_inside_the_output() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = sample(&folder.path().join("deep/source"));
    dataset.images[0].file = "../../../escape.jpg".to_string();
    dataset.images[1].file = "/tmp/escape.png".to_string();
    dataset.images[3].file = "..\\..\\escape.webp".to_string();
    for format in FORMATS {
        let out = folder.path().join(format!("deep/out/{format}"));
        let lossy = WriteOptions::from(Images::Copy).with_loss(true);
        write(&[Part { name: "../../evil", dataset: &dataset }], format, &out, lossy).unwrap();
    }
    // A name outside of the dataset must not copy a file that is not an image.
    put(folder.path().join("deep/secret.txt"), "secret");
    dataset.images[0].file = "../secret.txt".to_string();
    dataset.images[1].file = folder.path().join("deep/secret.txt").to_str().unwrap().to_string();
    dataset.images[3].file = "..\\secret.txt".to_string();
    for format in FORMATS {
        let out = folder.path().join(format!("deep/out/{format}-2"));
        let lossy = WriteOptions::from(Images::Copy).with_loss(true);
        let report = write(&[Part { name: "a", dataset: &dataset }], format, &out, lossy).unwrap();
        assert_eq!(report.missing.len(), 3, "{format}: {:?}", report.missing);
    }
    let mut outside: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    outside.retain(|name| name != "deep");
    assert!(outside.is_empty(), "{outside:?}");
    assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 3);
}

#[test]
fn roboflow_and_ultralytics_layouts_open() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(root.join("train/images/a.jpg"), 200, 100, 1);
    put(root.join("train/labels/a.txt"), "1 0.5 0.5 0.5 0.5\n");
    put(root.join("data.yaml"), "train: ../train/images\nval: ../train/images\nnc: 2\nnames: ['a', 'b']\n");
    let dataset = Dataset::open(root, Some("train")).unwrap();
    assert_eq!(dataset.images[0].objects[0].bbox, [50.0, 25.0, 150.0, 75.0]);
    assert_eq!(dataset.images[0].file, "train/images/a.jpg");

    put(root.join("list/data.yaml"), "path: ..\ntrain: list/train.txt\nnames: {0: a, 1: b}\n");
    put(root.join("list/train.txt"), "./train/images/a.jpg\n");
    let dataset = Dataset::open(root.join("list"), None).unwrap();
    assert_eq!(dataset.images[0].objects.len(), 1);

    put(root.join("empty/readme.txt"), "");
    let error = Dataset::open(root.join("empty"), None).unwrap_err();
    assert!(matches!(error, DataError::UnknownFormat { .. }), "{error}");
}

#[test]
fn splitting_is_stratified_seeded_and_keeps_duplicates_together() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut images = Vec::new();
    for index in 0..200u32 {
        let file = format!("{index:03}.png");
        // Images 0 to 19 are pairs of the same content.
        let content = if index < 20 { index / 2 } else { index };
        picture(root.join(&file), 40 + content % 7, 32 + content / 7, content as u8);
        let mut objects = vec![Object::new(0, [1.0, 1.0, 20.0, 20.0]); (index % 3) as usize];
        if index % 20 == 5 {
            objects.push(Object::new(1, [1.0, 1.0, 9.0, 9.0]));
        }
        let id = i64::from(index);
        images.push(ImageRecord { id, file, width: 40, height: 40, objects, label: None, source: index });
    }
    let classes =
        ["common", "rare"].map(|name| Class { id: 1, name: name.to_string(), supercategory: None }).to_vec();
    let (root, annotations) = (root.to_path_buf(), None);
    let dataset = Dataset { format: Format::COCO, root, annotations, split: None, classes, images };
    let shares = [("train", 0.7), ("val", 0.2), ("test", 0.1)];
    let parts = split(&dataset, &shares, 7).unwrap();
    let total = |d: &Dataset| (d.images.len(), d.images_without_objects(), d.class_counts());
    let whole = total(&dataset);
    assert_eq!(whole.2[1], 10);
    for (part, (name, share)) in parts.iter().zip(shares) {
        assert_eq!(part.split.as_deref(), Some(name));
        let (images, empty, counts) = total(part);
        assert!((images as f64 - 200.0 * share).abs() <= 8.0, "{name}: {images} images");
        assert!((empty as f64 - whole.1 as f64 * share).abs() <= 3.0, "{name}: {empty} empty");
        assert!((counts[0] as f64 - whole.2[0] as f64 * share).abs() <= 4.0, "{name}: {counts:?}");
        assert!((counts[1] as f64 - 10.0 * share).abs() <= 1.0, "{name}: {counts:?}");
        assert!(part.images.windows(2).all(|pair| pair[0].id < pair[1].id));
    }
    let part_of = |id: i64| parts.iter().position(|p| p.images.iter().any(|i| i.id == id)).unwrap();
    let torn: Vec<i64> = (0..20).step_by(2).filter(|&id| part_of(id) != part_of(id + 1)).collect();
    assert!(torn.is_empty(), "{torn:?}");
    let ids: usize = parts.iter().map(|part| part.images.len()).sum();
    assert_eq!(ids, 200);
    assert_eq!(parts, split(&dataset, &shares, 7).unwrap());
    assert_ne!(parts, split(&dataset, &shares, 8).unwrap());
    for bad in [vec![], vec![("a", 0.5)], vec![("a", 0.5), ("a", 0.5)], vec![("a", -1.0), ("b", 2.0)]] {
        assert!(split(&dataset, &bad, 0).is_err(), "{bad:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Arbitrary finite boxes round-trip exactly through COCO and LabelMe.
    #[test]
    fn boxes_round_trip_exactly_through_text(boxes in prop::collection::vec(prop::array::uniform4(-1e6f64..1e6), 1..8)) {
        let mut dataset = Dataset {
            format: Format::COCO,
            root: Default::default(),
            annotations: None,
            split: None,
            classes: vec![Class { id: 1, name: "a".to_string(), supercategory: None }],
            images: vec![ImageRecord { id: 1, file: "a.jpg".to_string(), width: 9, height: 9, objects: vec![], label: None, source: 0 }],
        };
        dataset.images[0].objects = boxes.iter().enumerate().map(|(n, &[x, y, w, h])| Object {
            source: n as u32, id: Some(n as i64), stated_area: Some(w), ..Object::new(0, [x, y, x + w.abs(), y + h.abs()])
        }).collect();
        let mut text = Vec::new();
        picodet_data::coco::write_to(&mut text, &dataset).unwrap();
        let (again, findings) = picodet_data::coco::parse(&text[..], "x").unwrap();
        prop_assert!(findings.list().is_empty());
        for (a, b) in dataset.images[0].objects.iter().zip(&again.images[0].objects) {
            // Corners are preserved; a sum that no width reproduces exactly differs by one bit at most.
            for (x, y) in a.bbox.iter().zip(&b.bbox) {
                prop_assert!((x - y).abs() <= x.abs() * f64::EPSILON, "{:?} {:?}", a, b);
            }
        }
        let mut findings = Default::default();
        let text = picodet_data::labelme::write_one(&dataset, &dataset.images[0], "a.jpg").unwrap();
        let again = picodet_data::labelme::parse(text.as_bytes(), "x", &mut findings).unwrap();
        for (a, (_, b)) in dataset.images[0].objects.iter().zip(&again.objects) {
            prop_assert_eq!(a.bbox, b.bbox);
        }
    }
}
