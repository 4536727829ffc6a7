//! Results in other forms than COCO's are recognised, and right ones are not doubted.

use picodet_eval::{Category, Detection, GroundTruth, ImageSize, reading_note};
use picodet_testing::Cases;

const SIDES: [f64; 2] = [640.0, 480.0];
const OBJECTS: [[f64; 4]; 6] = [
    [10.0, 20.0, 60.0, 200.0],
    [300.0, 40.0, 200.0, 90.0],
    [0.0, 300.0, 100.0, 150.0],
    [500.0, 350.0, 120.0, 100.0],
    [200.0, 200.0, 40.0, 40.0],
    [620.0, 0.0, 20.0, 50.0],
];

fn categories() -> Vec<Category> {
    [1, 2, 5].map(|id| Category { id, name: format!("class {id}") }).into()
}

fn objects() -> Vec<GroundTruth> {
    let ids = [1, 2, 5].into_iter().cycle();
    (OBJECTS.into_iter().zip(ids).zip(1..))
        .map(|((bbox, category_id), id)| {
            let area = bbox[2] * bbox[3];
            GroundTruth { id, image_id: 7, category_id, bbox, area, crowd: false, ignore: false }
        })
        .collect()
}

fn detections(change: impl Fn([f64; 4]) -> [f64; 4]) -> Vec<Detection> {
    (objects().iter())
        .map(|object| {
            let bbox = change(object.bbox.map(|value| value + 1.0));
            Detection { image_id: 7, category_id: object.category_id, bbox, score: 0.5 }
        })
        .collect()
}

fn size(id: i64) -> ImageSize {
    ImageSize { id, width: SIDES[0] as u32, height: SIDES[1] as u32 }
}

fn notes(detections: &[Detection]) -> String {
    reading_note(detections, &objects(), &categories(), &[size(7)]).unwrap_or_default()
}

#[test]
fn right_results_are_not_doubted() {
    assert_eq!(notes(&detections(|bbox| bbox)), "");
    assert_eq!(notes(&[]), "");
    // Boxes that match no object in any form.
    assert_eq!(notes(&detections(|_| [0.0, 0.0, 1.0, 1.0])), "");
}

type Change<'a> = &'a dyn Fn([f64; 4]) -> [f64; 4];

#[test]
fn boxes_in_other_forms_are_named() {
    let corners = |[x, y, w, h]: [f64; 4]| [x, y, x + w, y + h];
    let fraction = |[a, b, c, d]: [f64; 4]| [a / SIDES[0], b / SIDES[1], c / SIDES[0], d / SIDES[1]];
    let forms: [(Change<'_>, &str); 12] = [
        (&corners, "[left, top, right, bottom] in pixels of the image"),
        (
            &|[x, y, w, h]| [x + w / 2.0, y + h / 2.0, w, h],
            "[centre x, centre y, width, height] in pixels of the image",
        ),
        (&fraction, "[left, top, width, height] in fractions"),
        (&|bbox| fraction(corners(bbox)), "[left, top, right, bottom] in fractions"),
        (
            &|bbox| fraction(corners(bbox)).map(|value| value * 100.0),
            "[left, top, right, bottom] in percent of the image's sides",
        ),
        (&|bbox| fraction(bbox).map(|value| value * 100.0), "[left, top, width, height] in percent"),
        (
            &|bbox| fraction(corners(bbox)).map(|value| (value * 1000.0).round()),
            "[left, top, right, bottom] in thousandths of the image's sides",
        ),
        (
            &|bbox| {
                let [left, top, right, bottom] =
                    fraction(corners(bbox)).map(|value| (value * 1000.0).round());
                [top, left, bottom, right]
            },
            "[top, left, bottom, right] in thousandths of the image's sides",
        ),
        (&|[x, y, w, h]| [y, x, h, w], "[top, left, height, width] in pixels of the image"),
        (&|[x, y, w, h]| [y, x, y + h, x + w], "[top, left, bottom, right] in pixels of the image"),
        (&|bbox| fraction(bbox).map(|value| value * 416.0), "in pixels of an input of 416×416"),
        (
            &|[x, y, w, h]| [x, y + 80.0, w, h].map(|value| value / 2.0),
            "in pixels of a letterboxed input of 320×320",
        ),
    ];
    for (change, expected) in forms {
        let notes = notes(&detections(change));
        assert!(notes.contains(expected), "{expected}: {notes}");
        assert_eq!(notes.lines().count(), 1, "{notes}");
    }
}

#[test]
fn category_ids_in_other_forms_and_negative_scores_are_named() {
    let changed = |change: &dyn Fn(i64) -> i64| {
        let mut detections = detections(|bbox| bbox);
        detections.iter_mut().for_each(|found| found.category_id = change(found.category_id));
        notes(&detections)
    };
    let zero_based = changed(&|id| [1, 2, 5].iter().position(|&other| other == id).unwrap_or(0) as i64);
    assert!(zero_based.contains("positions in the dataset's list, from 0, 6"), "{zero_based}");
    assert!(changed(&|id| id - 1).contains("one less than the dataset's ids, 6"));
    assert_eq!(changed(&|_| 2), "");
}

#[test]
fn reversed_scores_and_boxes_that_match_nothing_are_named() {
    let sizes: Vec<ImageSize> = (0..5).map(size).collect();
    let in_image = |id: i64, object: GroundTruth| GroundTruth { image_id: id, ..object };
    let objects: Vec<GroundTruth> =
        (0..5).flat_map(|id| objects().into_iter().map(move |object| in_image(id, object))).collect();
    let notes = |right: f64, wrong: f64, shift: f64| {
        let mut found = Vec::new();
        for object in &objects {
            let [x, y, w, h] = object.bbox;
            let (image_id, category_id) = (object.image_id, object.category_id);
            let bbox = [x + shift, y, w, h];
            found.push(Detection { image_id, category_id, bbox, score: right });
            found.push(Detection { image_id, category_id, bbox: [x, y, 3.0, 3.0], score: wrong });
        }
        reading_note(&found, &objects, &categories(), &sizes).unwrap_or_default()
    };
    assert_eq!(notes(0.9, 0.1, 0.0), "");
    // Logarithms of probabilities.
    assert_eq!(notes(-0.1, -3.0, 0.0), "");
    assert!(notes(0.1, 0.9, 0.0).starts_with("detections that match an object have lower scores"));
    assert!(notes(-0.9, -0.1, 0.0).starts_with("detections that match an object have lower scores"));
    assert!(notes(0.9, 0.1, 5000.0).starts_with("the boxes match 0 of 30 objects"));
}

#[test]
fn shifted_image_ids_are_named() {
    // Every image has its object at another place.
    let ids = [3, 8, 9, 20, 21, 40, 7, 50, 51, 60];
    let (mut objects, mut found) = (Vec::new(), Vec::new());
    for (index, image_id) in (0..).zip(ids) {
        let bbox = [60.0 * f64::from(index), 40.0 * f64::from(index), 60.0, 40.0];
        let id = i64::from(index) + 1;
        let area = 2400.0;
        objects.push(GroundTruth { id, image_id, category_id: 1, bbox, area, crowd: false, ignore: false });
        found.push(Detection { image_id, category_id: 1, bbox, score: 0.5 });
    }
    let sizes = ids.map(size);
    let notes = |change: &dyn Fn(i64) -> i64| {
        let mut found = found.clone();
        found.iter_mut().for_each(|found| found.image_id = change(found.image_id));
        reading_note(&found, &objects, &categories(), &sizes).unwrap_or_default()
    };
    let position = |id: i64| ids.iter().position(|&other| other == id).unwrap_or_default() as i64;
    let mut cases = Cases::new();
    let forms: [(&dyn Fn(i64) -> i64, &str); 4] = [
        (&position, "with image ids read as positions in the dataset's list, from 0, 10"),
        (&|id| position(id) + 1, "with image ids read as positions in the dataset's list, from 1, 10"),
        (&|id| id - 1, "with image ids read as one less than the dataset's ids, 10"),
        (&|id| id + 1, "with image ids read as one more than the dataset's ids, 10"),
    ];
    assert_eq!(notes(&|id| id), "");
    // Ids that are no shift.
    assert_eq!(notes(&|id| 1000 - id), "");
    for (change, expected) in forms {
        let found = notes(change);
        cases.check(format!("{expected}: {found}"), found.contains(expected));
    }
    cases.finish();
}

/// Twenty images with six objects each, of ten classes, and their detections.
fn many() -> (Vec<GroundTruth>, Vec<Detection>, Vec<ImageSize>, Vec<Category>) {
    let categories = [1, 2, 3, 4, 5, 6, 7, 10, 20, 21];
    let (mut all, mut found) = (Vec::new(), Vec::new());
    for image_id in 1..=20_i64 {
        let x = image_id as f64;
        for (index, bbox) in (0_i64..).zip(OBJECTS) {
            let bbox = [bbox[0] + x, bbox[1] + x, bbox[2], bbox[3]];
            let category_id = categories[((image_id + index) % 10) as usize];
            let id = all.len() as i64 + 1;
            let area = bbox[2] * bbox[3];
            all.push(GroundTruth { id, image_id, category_id, bbox, area, crowd: false, ignore: false });
            let score = 0.99 - 0.1 * index as f64;
            found.push(Detection { image_id, category_id, bbox: bbox.map(|value| value + 1.0), score });
        }
    }
    let categories = categories.map(|id| Category { id, name: format!("class {id}") }).into();
    (all, found, (1..=20).map(size).collect(), categories)
}

/// Whether a detection is in a part of the results.
type Part<'a> = &'a dyn Fn(&Detection) -> bool;

#[test]
fn parts_of_results_are_judged_by_their_images_and_detections() {
    let (objects, found, sizes, categories) = many();
    let parts: [(&str, Part<'_>); 3] = [
        ("one image", &|found| found.image_id == 4),
        ("one class", &|found| found.category_id == 2),
        ("high scores", &|found| found.score > 0.8),
    ];
    let corners = |[x, y, w, h]: [f64; 4]| [x, y, x + w, y + h];
    let fractions = |[x, y, w, h]: [f64; 4]| [x / SIDES[0], y / SIDES[1], w / SIDES[0], h / SIDES[1]];
    let forms: [(Change<'_>, &str); 3] = [
        (&|bbox| bbox, ""),
        (&corners, "read as [left, top, right, bottom] in pixels of the image"),
        (&fractions, "read as [left, top, width, height] in fractions"),
    ];
    let mut cases = Cases::new();
    for (part, keep) in parts {
        for (change, expected) in forms {
            let mut found: Vec<Detection> = found.iter().filter(|found| keep(found)).copied().collect();
            found.iter_mut().for_each(|found| found.bbox = change(found.bbox));
            let note = reading_note(&found, &objects, &categories, &sizes).unwrap_or_default();
            let is_right = note.contains(expected) && note.is_empty() == expected.is_empty();
            cases.check(format!("{part}, {expected}: {note}"), is_right);
        }
    }
    cases.finish();
}

#[test]
fn the_side_of_a_network_input_is_found() {
    let (objects, found, sizes, categories) = many();
    let mut cases = Cases::new();
    let mut check = |change: Change<'_>, expected: String| {
        let mut found = found.clone();
        found.iter_mut().for_each(|found| found.bbox = change(found.bbox));
        let note = reading_note(&found, &objects, &categories, &sizes).unwrap_or_default();
        cases.check(format!("{expected}: {note}"), note.contains(&expected));
    };
    for side in [300.0, 800.0, 960.0, 1024.0, 1333.0] {
        let stretched = |[x, y, w, h]: [f64; 4]| {
            [x / SIDES[0], y / SIDES[1], w / SIDES[0], h / SIDES[1]].map(|value| value * side)
        };
        check(&stretched, format!("in pixels of an input of {side}×{side}"));
    }
    let thousandths = |[x, y, w, h]: [f64; 4]| [x / SIDES[0], y / SIDES[1], w / SIDES[0], h / SIDES[1]];
    check(&|bbox| thousandths(bbox).map(|value| value * 1000.0), "in thousandths".to_owned());
    check(&|bbox| bbox.map(|value| value * 800.0 / SIDES[0]), "a longer side of 800".to_owned());
    cases.finish();
}

#[test]
fn category_ids_of_a_part_of_the_classes_and_in_another_order_are_named() {
    let (objects, found, sizes, categories) = many();
    let ids: Vec<i64> = categories.iter().map(|category| category.id).collect();
    let position = |id: i64| ids.iter().position(|&other| other == id).unwrap_or_default();
    let note = |ids: &[i64], change: &dyn Fn(i64) -> i64| {
        let mut found: Vec<Detection> =
            found.iter().filter(|found| ids.contains(&found.category_id)).copied().collect();
        found.iter_mut().for_each(|found| found.category_id = change(found.category_id));
        reading_note(&found, &objects, &categories, &sizes).unwrap_or_default()
    };
    assert_eq!(note(&[7, 10, 20], &|id| id), "");
    let of_some = note(&[7, 10, 20], &|id| position(id) as i64);
    assert!(of_some.contains("positions in the dataset's list, from 0, 36"), "{of_some}");
    // The last class becomes the first one, all others the next one.
    let rotated = note(&ids[..7], &|id| id % 7 + 1);
    assert!(rotated.ends_with("seem to be in another order than the dataset's"), "{rotated}");
    assert!(!rotated.contains("more"), "{rotated}");
}

#[test]
fn ids_of_coco_in_a_dataset_with_its_number_of_classes_are_named() {
    let categories: Vec<Category> = (0..80).map(|id| Category { id, name: format!("class {id}") }).collect();
    let gaps = [12, 26, 29, 30, 45, 66, 68, 69, 71, 83];
    let of_coco: Vec<i64> = (1..=90).filter(|id| !gaps.contains(id)).collect();
    let (mut objects, mut found) = (Vec::new(), Vec::new());
    for category_id in 0..80_i64 {
        let bbox = [7.0 * category_id as f64, 10.0, 6.0, 20.0];
        let (id, area) = (category_id + 1, 120.0);
        objects.push(GroundTruth { id, image_id: 1, category_id, bbox, area, crowd: false, ignore: false });
        found.push(Detection { image_id: 1, category_id: of_coco[category_id as usize], bbox, score: 0.5 });
    }
    let note = reading_note(&found, &objects, &categories, &[size(1)]).unwrap_or_default();
    assert!(note.contains("read as COCO's ids from 1 to 90, 80"), "{note}");
    found.iter_mut().zip(0..).for_each(|(found, id)| found.category_id = id);
    assert_eq!(reading_note(&found, &objects, &categories, &[size(1)]), None);
}
