//! Trained weights on real pictures give the detections that other engines give.

use std::collections::BTreeMap;
use std::path::Path;

use picodet::crates::zoo::variant;
use picodet::{ConvertOptions, convert};
use picodet::{Detection, Detector, ImageBox, Interpolation, Options};
use picodet_testing::{shared, shared_path};
use serde_json::Value;

/// A detection by COCO's category id.
#[derive(Clone, Copy, Debug)]
struct Found {
    category: u64,
    score: f32,
    bbox: ImageBox,
}

fn parsed(path: &str) -> Option<Value> {
    Some(serde_json::from_slice(&shared(path)?).expect("sound JSON"))
}

fn box_of(entry: &Value) -> ImageBox {
    let side = |index: usize| entry["bbox"][index].as_f64().unwrap_or(f64::NAN) as f32;
    ImageBox([side(0), side(1), side(0) + side(2), side(1) + side(3)])
}

/// The reference's detections by image id.
fn reference(path: &str) -> Option<BTreeMap<u64, Vec<Found>>> {
    let mut by_image: BTreeMap<u64, Vec<Found>> = BTreeMap::new();
    for entry in parsed(path)?.as_array()? {
        let found = Found {
            category: entry["category_id"].as_u64()?,
            score: entry["score"].as_f64()? as f32,
            bbox: box_of(entry),
        };
        by_image.entry(entry["image_id"].as_u64()?).or_default().push(found);
    }
    Some(by_image)
}

/// Of the detections in `of` with a score of at least 0.3, how many have a counterpart, and which have none.
fn matched(of: &BTreeMap<u64, Vec<Found>>, among: &BTreeMap<u64, Vec<Found>>) -> (usize, usize, Vec<String>) {
    let (mut total, mut hits, mut missed) = (0, 0, Vec::new());
    let none = Vec::new();
    for (image, found) in of {
        for one in found.iter().filter(|one| one.score >= 0.3) {
            total += 1;
            let same = |other: &&Found| {
                other.category == one.category
                    && (other.score - one.score).abs() <= 0.01
                    && other.bbox.iou(one.bbox) >= 0.99
            };
            match among.get(image).unwrap_or(&none).iter().find(same) {
                Some(_) => hits += 1,
                None => missed.push(format!("{image}: {one:?}")),
            }
        }
    }
    (hits, total, missed)
}

/// Runs a detector over the validation images, in two threads.
fn detect_all(source: &str, name: &str, options: &Options, clip: bool) -> Option<BTreeMap<u64, Vec<Found>>> {
    let model =
        convert(&shared_path(source)?, variant(name)?, &ConvertOptions::default()).expect("sound weights");
    let annotations = parsed("data/coco-mini/instances_val.json")?;
    let images = annotations["images"].as_array()?;
    let folder = shared_path("data/coco-mini/val")?;
    let run = |images: &[Value]| {
        let detector = Detector::new(&model, options).expect("sound options");
        let ids = detector.category_ids().to_vec();
        images
            .iter()
            .map(|image| {
                let file =
                    Path::new(image["file_name"].as_str().expect("a name")).file_name().expect("a name");
                let picture = picodet::open_image(folder.join(file)).expect("a sound picture");
                let one = |found: Detection| {
                    let bbox = found.bbox;
                    let bbox = if clip { bbox.clipped(picture.width(), picture.height()) } else { bbox };
                    Found { category: ids[found.class].into(), score: found.score, bbox }
                };
                let found = detector.detect(&picture).expect("a detection").into_iter().map(one).collect();
                (image["id"].as_u64().expect("an id"), found)
            })
            .collect::<Vec<(u64, Vec<Found>)>>()
    };
    let (first, second) = images.split_at(images.len() / 2);
    let found = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(second));
        let mut found = run(first);
        found.extend(other.join().expect("no panic"));
        found
    });
    Some(found.into_iter().collect())
}

/// `clip` where the other engine cut its boxes to the picture.
fn compare(source: &str, name: &str, resize: Interpolation, clip: bool, expected: &str) {
    let options = Options::new().with_score_threshold(0.025).with_resize(resize);
    let Some(expected) = reference(&format!("data/coco-mini/{expected}")) else {
        return;
    };
    let Some(found) = detect_all(source, name, &options, clip) else {
        return;
    };
    for (direction, (hits, total, missed)) in
        [("of the reference", matched(&expected, &found)), ("of ours", matched(&found, &expected))]
    {
        assert!(total > 100, "{name}: only {total} detections {direction}");
        let share = hits as f64 / total as f64;
        assert!(share >= 0.99, "{name}: {hits} of {total} {direction} matched; not:\n{}", missed.join("\n"));
    }
}

#[test]
fn legacy_s_416_equals_ncnn() {
    let source = "data/weights/picodet_s_416_esnet_legacy.ncnn.param";
    compare(source, "legacy_s_416", Interpolation::Linear, true, "detections_picodet_s_416_ncnn.json");
}

#[test]
fn v2_xs_320_equals_onnx_runtime() {
    let source = "data/weights/picodet_xs_320_lcnet_postprocessed.onnx";
    compare(source, "v2_xs_320", Interpolation::Cubic, false, "detections_picodet_xs_320_onnxruntime.json");
}

/// PubLayNet's tables, figures and titles on the pages, by the embedded layout model, whose other classes differ.
#[test]
fn the_layout_model_finds_tables_figures_and_titles() {
    let Some(annotations) = parsed("data/publaynet/samples.json") else {
        return;
    };
    let Some(folder) = shared_path("data/publaynet") else {
        return;
    };
    let name_of: BTreeMap<u64, &str> = annotations["categories"]
        .as_array()
        .expect("categories")
        .iter()
        .filter_map(|category| Some((category["id"].as_u64()?, category["name"].as_str()?)))
        .collect();
    let model = picodet::layout_model().expect("the embedded model");
    let options = Options::new().with_score_threshold(0.4);
    let detector = Detector::new(&model, &options).expect("the embedded model");
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for image in annotations["images"].as_array().expect("images") {
        let Ok(picture) = picodet::open_image(folder.join(image["file_name"].as_str().expect("a name")))
        else {
            continue;
        };
        let found = detector.detect(&picture).expect("a detection");
        for truth in annotations["annotations"].as_array().expect("annotations") {
            let name = name_of[&truth["category_id"].as_u64().expect("a category")];
            if truth["image_id"] != image["id"] || !["table", "figure", "title"].contains(&name) {
                continue;
            }
            let hit = found.iter().any(|found| &*found.label == name && found.bbox.iou(box_of(truth)) >= 0.5);
            let count = counts.entry(name).or_default();
            count.0 += usize::from(hit);
            count.1 += 1;
        }
    }
    let (hits, total) = counts.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    assert!(counts.contains_key("table") && counts.contains_key("figure"), "{counts:?}");
    for (name, count) in &counts {
        // Titles of these pages are annotated tighter and more often than the model's classes have them.
        let share = if *name == "title" { 0.6 } else { 0.8 };
        assert!(count.0 as f64 >= share * count.1 as f64, "{name}: {count:?} of {counts:?}");
    }
    assert!(total >= 10 && hits * 10 >= total * 7, "{counts:?}");
}
