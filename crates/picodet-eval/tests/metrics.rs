//! Compares the metrics with a direct evaluation of random boxes, and with the output of pycocotools 2.0.11
//! for small cases and real detections.

mod common;

use picodet_eval::{
    AreaRange, Category, DEFAULT_LIMIT, Detection, EvaluationError, Evaluator, GroundTruth, Parameters,
    ZeroId, evaluate, read_annotations, read_results,
};
use picodet_testing::shared_path;
use proptest::prelude::*;

const BOX: [f64; 4] = [10.0, 10.0, 50.0, 50.0];
const FAR: [f64; 4] = [300.0, 300.0, 50.0, 50.0];

fn truth(id: i64, image_id: i64, bbox: [f64; 4]) -> GroundTruth {
    let area = bbox[2] * bbox[3];
    GroundTruth { id, image_id, category_id: 1, bbox, area, crowd: false, ignore: false }
}

fn crowd(id: i64, image_id: i64, bbox: [f64; 4]) -> GroundTruth {
    GroundTruth { crowd: true, ..truth(id, image_id, bbox) }
}

fn detection(image_id: i64, bbox: [f64; 4], score: f64) -> Detection {
    Detection { image_id, category_id: 1, bbox, score }
}

fn classes(ids: &[i64]) -> Vec<Category> {
    ids.iter().map(|&id| Category { id, name: format!("class {id}") }).collect()
}

type Case = (&'static str, Vec<i64>, Vec<GroundTruth>, Vec<Detection>, [f64; 12]);

/// An undefined metric.
const N: f64 = -1.0;
const ONE: f64 = 1.0 - 2e-16;
const HALF: f64 = 51.0 / 101.0;

/// Few objects: rules of matching, ignoring and sorting.
fn cases_of_few_objects() -> Vec<Case> {
    let found = |ap: f64, ar1: f64, ar: f64| [ap, ap, ap, N, ap, N, ar1, ar, ar, N, ar, N];
    vec![
        ("no detections", vec![1, 2], vec![truth(1, 1, BOX)], vec![], found(0.0, 0.0, 0.0)),
        ("no truth", vec![1], vec![], vec![detection(1, BOX, 0.5)], [N; 12]),
        ("nothing", vec![1], vec![], vec![], [N; 12]),
        ("no images", vec![], vec![], vec![], [N; 12]),
        ("only crowd", vec![1], vec![crowd(1, 1, BOX)], vec![detection(1, BOX, 0.5); 3], [N; 12]),
        (
            "crowd and object",
            vec![1],
            vec![crowd(1, 1, BOX), truth(2, 1, BOX)],
            vec![detection(1, BOX, 0.5), detection(1, [12.0, 12.0, 9.0, 9.0], 0.6), detection(1, BOX, 0.4)],
            found(ONE, 0.0, 1.0),
        ),
        (
            "ignore is overwritten",
            vec![1],
            vec![GroundTruth { ignore: true, ..truth(1, 1, BOX) }],
            vec![detection(1, BOX, 0.5)],
            found(ONE, 1.0, 1.0),
        ),
        (
            "ties, right first",
            vec![2, 1],
            vec![truth(1, 1, BOX)],
            vec![detection(2, BOX, 0.5), detection(1, BOX, 0.5)],
            found(ONE, 1.0, 1.0),
        ),
        (
            "ties, wrong first",
            vec![1, 2],
            vec![truth(1, 2, BOX)],
            vec![detection(2, BOX, 0.5), detection(1, BOX, 0.5)],
            found(0.5, 1.0, 1.0),
        ),
        (
            "ties in an image",
            vec![1],
            vec![truth(1, 1, BOX)],
            vec![detection(1, FAR, 0.5), detection(1, BOX, 0.5)],
            found(0.5, 0.0, 1.0),
        ),
        (
            "id zero",
            vec![1],
            vec![truth(0, 1, BOX), truth(1, 1, FAR)],
            vec![detection(1, BOX, 0.9), detection(1, FAR, 0.5)],
            found(0.2524752475247525, 0.0, 0.5),
        ),
    ]
}

/// Areas, overlaps and numbers of detections at the thresholds.
fn cases_at_thresholds() -> Vec<Case> {
    let square = |i: usize, side: f64| [100.0 * i as f64, 0.0, side, side];
    let sides = [32.0, 32.0, 96.0, 96.0, 1.0, 90.0, 90.0];
    let areas = [1024.0, 1024.0000001, 9216.0, 9215.9999999, 0.0, 1e10, 1.1e10];
    let crowded: Vec<Detection> =
        (0..99).map(|i| detection(1, [600.0 + f64::from(i), 0.0, 9.0, 9.0], 0.9)).collect();
    let third = [100.0, 0.0, 40.0, 40.0];
    vec![
        (
            "area at the borders",
            vec![1],
            (0..7)
                .map(|i| GroundTruth { area: areas[i], ..truth(i as i64 + 1, 1, square(i, sides[i])) })
                .collect(),
            (0..7).map(|i| detection(1, square(i, sides[i]), 0.9 - i as f64 / 10.0)).collect(),
            [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0 / 6.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        ),
        (
            "area of the detection",
            vec![1],
            vec![truth(1, 1, FAR)],
            vec![
                detection(1, [0.0, 0.0, 32.0, 32.0], 0.9),
                detection(1, [0.0, 0.0, 96.0, 96.0], 0.8),
                detection(1, [0.0, 0.0, 97.0, 96.0], 0.7),
                detection(1, FAR, 0.1),
            ],
            [0.25, 0.25, 0.25, N, 1.0 / 3.0, N, 0.0, 1.0, 1.0, N, 1.0, N],
        ),
        (
            "overlap at the threshold",
            vec![1],
            vec![truth(1, 1, [0.0, 0.0, 10.0, 10.0])],
            vec![detection(1, [0.0, 0.0, 5.0, 10.0], 0.9)],
            [0.1, 1.0, 0.0, 0.1, N, N, 0.1, 0.1, 0.1, 0.1, N, N],
        ),
        (
            "overlaps at all thresholds",
            vec![1],
            (0..10).map(|i| truth(i as i64 + 1, 1, square(i, 20.0))).collect(),
            (0..10)
                .map(|i| detection(1, [100.0 * i as f64, 0.0, 10.0 + i as f64, 20.0], 0.9 - i as f64 / 100.0))
                .collect(),
            [
                0.385940594059406,
                1.0,
                0.2524752475247525,
                0.385940594059406,
                N,
                N,
                0.01,
                0.55,
                0.55,
                0.55,
                N,
                N,
            ],
        ),
        (
            "vanishing boxes",
            vec![1],
            vec![truth(1, 1, [0.0, 0.0, 1e-200, 1e-200]), truth(2, 1, [0.0, 0.0, 1e-200, 1e-200])],
            vec![detection(1, [0.0, 0.0, 1e-200, 1e-200], 0.9)],
            [HALF, HALF, HALF, HALF, N, N, 0.5, 0.5, 0.5, 0.5, N, N],
        ),
        (
            "hundredth and hundred and first",
            vec![1],
            vec![truth(1, 1, BOX), truth(2, 1, FAR)],
            [crowded.clone(), vec![detection(1, BOX, 0.5), detection(1, FAR, 0.4)]].concat(),
            [HALF / 100.0, HALF / 100.0, HALF / 100.0, N, HALF, N, 0.0, 0.0, 0.5, N, 0.5, N],
        ),
        (
            "first and tenth",
            vec![1],
            vec![truth(1, 1, BOX), truth(2, 1, FAR), truth(3, 1, third)],
            [
                vec![detection(1, BOX, 0.95)],
                crowded[..8].to_vec(),
                vec![detection(1, FAR, 0.5), detection(1, third, 0.4)],
            ]
            .concat(),
            {
                let ap = 0.5175517551755174;
                [ap, ap, ap, N, 1.0, N, 1.0 / 3.0, 2.0 / 3.0, 1.0, N, 1.0, N]
            },
        ),
        (
            "shifted by 6 of 50",
            vec![1],
            vec![truth(1, 1, BOX)],
            vec![detection(1, [16.0, 10.0, 50.0, 50.0], 0.9)],
            [0.6, 1.0, 1.0, N, 0.6, N, 0.6, 0.6, 0.6, N, 0.6, N],
        ),
    ]
}

#[test]
fn small_cases_have_pycocotools_numbers() {
    let cases = [cases_of_few_objects(), cases_at_thresholds()].concat();
    let mut failures = Vec::new();
    for (name, images, truths, detections, expected) in cases {
        match evaluate(&images, &classes(&[1]), &truths, &detections) {
            Ok(evaluation) => {
                let numbers = evaluation.summary().values();
                if numbers.iter().zip(expected).any(|(ours, theirs)| (ours - theirs).abs() > 1e-12) {
                    failures.push(format!("{name}:\n  gave     {numbers:?}\n  expected {expected:?}"));
                }
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn real_detections_have_pycocotools_numbers() -> anyhow::Result<()> {
    let Some(folder) = shared_path("data/coco-mini") else { return Ok(()) };
    let truth = read_annotations(std::fs::File::open(folder.join("instances_val.json"))?, DEFAULT_LIMIT)?;
    // Printed by pycocotools 2.0.11 with numpy 2.4.
    let cases = [
        (
            "detections_picodet_s_416_ncnn.json",
            [
                0.37547884936317644,
                0.5306123565023186,
                0.4129219692723355,
                0.14795085328295116,
                0.42258427454184044,
                0.5925381969740882,
                0.35231205117905673,
                0.5011995296949553,
                0.5217362789022862,
                0.21320764613233673,
                0.589916523900254,
                0.7500772012103737,
            ],
        ),
        (
            "detections_picodet_xs_320_onnxruntime.json",
            [
                0.2817048705649699,
                0.41652757080465286,
                0.3032450314528867,
                0.10152285984468182,
                0.29107189459043964,
                0.4682740172728586,
                0.28809355140548953,
                0.400321384415273,
                0.4175816780149113,
                0.14545313757590045,
                0.432403714951068,
                0.6692662252183973,
            ],
        ),
    ];
    for (file, expected) in cases {
        let detections = read_results(std::fs::File::open(folder.join(file))?, DEFAULT_LIMIT)?;
        let evaluation = evaluate(&truth.image_ids(), &truth.categories, &truth.truths, &detections)?;
        let numbers = evaluation.summary().values();
        // Bit for bit: the order in which numbers are added is numpy's too.
        assert_eq!(numbers, expected, "{file}");
    }
    Ok(())
}

/// Boxes on a coarse grid and few scores: many ties, equal overlaps, sizes on the borders of the ranges.
fn boxes() -> impl Strategy<Value = [f64; 4]> + Clone {
    let side = prop_oneof![Just(32.0), Just(96.0), Just(16.0), (1_i32..120).prop_map(f64::from)];
    ((-2_i32..12), (-2_i32..12), side.clone(), side)
        .prop_map(|(x, y, width, height)| [8.0 * f64::from(x), 8.0 * f64::from(y), width, height])
}

/// Image, class, box, area, crowd.
type RawTruth = (i64, i64, [f64; 4], Option<f64>, bool);

fn truths() -> impl Strategy<Value = Vec<GroundTruth>> {
    let area = prop_oneof![Just(None), Just(Some(1024.0)), Just(Some(9216.0)), (0.0..20000.0).prop_map(Some)];
    let one = (1_i64..4, 1_i64..4, boxes(), area, prop::bool::weighted(0.2));
    (prop::collection::vec(one, 0..14), 0_i64..2).prop_map(|(all, first)| {
        let one = |(id, (image_id, category_id, bbox, area, crowd)): (usize, RawTruth)| {
            let area = area.unwrap_or(bbox[2] * bbox[3]);
            GroundTruth { id: id as i64 + first, image_id, category_id, bbox, area, crowd, ignore: false }
        };
        all.into_iter().enumerate().map(one).collect()
    })
}

fn detections() -> impl Strategy<Value = Vec<Detection>> {
    let one = (1_i64..4, 1_i64..4, boxes(), 0_i32..6);
    let one = one.prop_map(|(image_id, category_id, bbox, score)| Detection {
        image_id,
        category_id,
        bbox,
        score: f64::from(score) / 5.0,
    });
    prop_oneof![3 => prop::collection::vec(one.clone(), 0..40), 1 => prop::collection::vec(one, 250..330)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn equal_to_the_word_for_word_evaluation(truths in truths(), mut detections in detections(), near in any::<u64>()) {
        // Some detections right on objects.
        for (place, truth) in truths.iter().enumerate() {
            if near >> (place % 64) & 1 == 1 {
                let [x, y, width, height] = truth.bbox;
                detections.push(Detection { image_id: truth.image_id, category_id: truth.category_id, bbox: [x + 1.0, y, width, height], score: 0.6 });
            }
        }
        let evaluation = evaluate(&[3, 1, 2], &classes(&[2, 1, 3]), &truths, &detections).unwrap();
        let parameters = evaluation.parameters();
        let expected = common::evaluate(&[1, 2, 3], &[1, 2, 3], &truths, &detections, &parameters.iou_thresholds, &parameters.recall_thresholds);
        let (mut precision, mut recall) = (Vec::new(), Vec::new());
        for class in 0..3 {
            for area in AreaRange::ALL {
                for threshold in 0..10 {
                    precision.extend_from_slice(evaluation.precision(class, area, threshold).unwrap());
                }
                for limit in 0..3 {
                    recall.extend_from_slice(evaluation.recall(class, area, limit).unwrap());
                }
            }
        }
        prop_assert_eq!(precision, expected.precision);
        prop_assert_eq!(recall, expected.recall);
    }

    #[test]
    fn threads_do_not_change_a_bit(truths in truths(), detections in detections()) {
        let with = |threads| {
            let parameters = Parameters { threads, ..Parameters::default() };
            Evaluator::new(&[1, 2, 3], &classes(&[1, 2, 3]), &truths, &detections, parameters).unwrap().evaluate().summary()
        };
        prop_assert_eq!(with(1), with(3));
    }
}

#[test]
fn parameters_of_our_own() -> anyhow::Result<()> {
    let truths = [truth(0, 1, BOX), GroundTruth { ignore: true, ..truth(1, 1, FAR) }];
    let found = [detection(1, BOX, 0.9), Detection { category_id: 2, ..detection(1, FAR, 0.95) }];
    let ap = |parameters| -> anyhow::Result<f64> {
        let evaluator = Evaluator::new(&[1], &classes(&[1, 2]), &truths, &found, parameters)?;
        Ok(evaluator.evaluate().summary().ap50)
    };
    let plain = ap(Parameters::default())?;
    assert_eq!(plain, 0.0);
    let id = Parameters { zero_id: ZeroId::Ordinary, ..Parameters::default() };
    assert!((ap(id.clone())? - 51.0 / 101.0).abs() < 1e-12);
    let respect = Parameters { respect_ignore: true, ..id.clone() };
    assert!((ap(respect.clone())? - 1.0).abs() < 1e-12);
    let agnostic = Parameters { use_categories: false, ..id };
    assert!((ap(agnostic)? - 1.0).abs() < 1e-12);
    Ok(())
}

#[test]
fn bad_input_is_refused_and_named() {
    let good = [truth(1, 1, BOX)];
    let evaluate = |truths: &[GroundTruth], detections: &[Detection]| {
        evaluate(&[1], &classes(&[1]), truths, detections).map(|evaluation| evaluation.summary())
    };
    let nan = evaluate(&good, &[detection(1, BOX, 0.5), detection(1, BOX, f64::NAN)]);
    assert!(matches!(
        nan,
        Err(EvaluationError::NotFinite { what: "detection", index: 1, field: "score", .. })
    ));
    let endless = evaluate(&[truth(1, 1, [0.0, 0.0, f64::INFINITY, 1.0])], &[]);
    assert!(matches!(endless, Err(EvaluationError::NotFinite { what: "annotation", index: 0, .. })));
    let unknown = evaluate(&good, &[detection(1, BOX, 0.5), detection(7, BOX, 0.5), detection(8, BOX, 0.5)]);
    let message = unknown.map_err(|error| error.to_string()).expect_err("images 7 and 8 do not exist");
    assert!(
        message.starts_with("2 of 3 detections") && message.contains("detection 1 has image_id 7"),
        "{message}"
    );
    let twice = evaluate(&[truth(5, 1, BOX), truth(5, 1, FAR)], &[]);
    assert!(matches!(twice, Err(EvaluationError::DuplicateAnnotation { id: 5, first: 0, second: 1 })));
    for parameters in [
        Parameters { iou_thresholds: vec![0.5, f64::NAN], ..Parameters::default() },
        Parameters { recall_thresholds: vec![0.5, 0.1], ..Parameters::default() },
        Parameters { max_detections: [10, 1, 100], ..Parameters::default() },
        Parameters { area_ranges: [[f64::NAN; 2]; 4], ..Parameters::default() },
    ] {
        let refused = Evaluator::new(&[1], &classes(&[1]), &good, &[], parameters);
        assert!(matches!(refused.err(), Some(EvaluationError::Parameter { .. })));
    }
}

#[test]
fn what_is_left_out_is_noted() -> anyhow::Result<()> {
    let truths = [truth(0, 1, BOX), truth(1, 9, BOX), GroundTruth { category_id: 9, ..truth(2, 1, BOX) }];
    let found = [Detection { category_id: 9, ..detection(1, BOX, 0.5) }];
    let notes = evaluate(&[1], &classes(&[1]), &truths, &found)?.notes();
    let counts = [
        notes.zero_ids,
        notes.truths_without_image,
        notes.truths_without_category,
        notes.detections_without_category,
    ];
    assert_eq!(counts, [1; 4]);
    Ok(())
}
