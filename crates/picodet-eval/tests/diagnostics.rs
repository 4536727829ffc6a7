//! Types of errors, confusion, calibration, and the report page.

use picodet_eval::{
    Category, DEFAULT_LIMIT, Detection, DetectionLabel, DiagnosticOptions, Diagnostics, ErrorType, Evaluator,
    GroundTruth, Mark, Parameters, Picture, Report, class_table, error_table, read_annotations, read_results,
    render_html, summary_table,
};
use picodet_testing::shared_path;
use proptest::prelude::*;

fn truth(id: i64, image_id: i64, category_id: i64, x: f64) -> GroundTruth {
    let bbox = [x, 0.0, 50.0, 50.0];
    GroundTruth { id, image_id, category_id, bbox, area: 2500.0, crowd: false, ignore: false }
}

fn detection(image_id: i64, category_id: i64, x: f64, score: f64) -> Detection {
    Detection { image_id, category_id, bbox: [x, 0.0, 50.0, 50.0], score }
}

fn classes() -> Vec<Category> {
    [(1, "cat"), (2, "dog <b>&\"")].map(|(id, name)| Category { id, name: name.to_owned() }).to_vec()
}

/// One error of each type, two correct detections, and a crowd region.
fn scene() -> (Vec<GroundTruth>, Vec<Detection>) {
    let mut truths = vec![
        truth(1, 1, 1, 0.0),
        truth(2, 1, 2, 100.0),
        truth(3, 1, 1, 200.0),
        truth(4, 1, 2, 300.0),
        truth(5, 2, 1, 0.0),
        GroundTruth { crowd: true, ..truth(6, 1, 1, 600.0) },
    ];
    truths.push(truth(7, 2, 2, 400.0));
    let detections = vec![
        detection(1, 1, 0.0, 0.9),    // finds 1
        detection(1, 1, 5.0, 0.8),    // 1 again
        detection(1, 1, 101.0, 0.7),  // 2 with the wrong class
        detection(1, 1, 230.0, 0.6),  // 3, overlap 0.25
        detection(1, 1, 330.0, 0.55), // 4, overlap 0.25 and the wrong class
        detection(1, 2, 500.0, 0.5),  // finds no object
        detection(1, 1, 600.0, 0.45), // the crowd
        detection(2, 2, 402.0, 0.4),  // finds 7
        detection(2, 9, 0.0, 0.3),    // unknown class
    ];
    (truths, detections)
}

fn diagnose(
    truths: &[GroundTruth],
    detections: &[Detection],
    score: Option<f64>,
) -> anyhow::Result<Diagnostics> {
    let evaluator = Evaluator::new(&[1, 2], &classes(), truths, detections, Parameters::default())?;
    let options = DiagnosticOptions { score_threshold: score, ..DiagnosticOptions::default() };
    Ok(evaluator.diagnose(&options)?)
}

#[test]
fn each_kind_of_error_is_recognised() -> anyhow::Result<()> {
    let (truths, detections) = scene();
    let diagnostics = diagnose(&truths, &detections, Some(0.0))?;
    let expected = [
        DetectionLabel::Correct { truth: 0 },
        DetectionLabel::Duplicate { truth: 0 },
        DetectionLabel::Class { truth: 1 },
        DetectionLabel::Location { truth: 2 },
        DetectionLabel::Both,
        DetectionLabel::Background,
        DetectionLabel::Ignored,
        DetectionLabel::Correct { truth: 6 },
        DetectionLabel::NotCounted,
    ];
    assert_eq!(diagnostics.labels, expected);
    let counts: Vec<(ErrorType, usize)> =
        diagnostics.errors.kinds.iter().map(|cost| (cost.kind, cost.count)).collect();
    // Missed: 4, which only the box of both errors is near, and 5.
    let expected = [
        (ErrorType::Class, 1),
        (ErrorType::Location, 1),
        (ErrorType::Both, 1),
        (ErrorType::Duplicate, 1),
        (ErrorType::Background, 1),
        (ErrorType::Missed, 2),
    ];
    assert_eq!(counts, expected);
    assert_eq!(diagnostics.unfound, [1, 2, 3, 4]);
    let images: Vec<_> =
        diagnostics.images.iter().map(|one| (one.image_id, one.correct, one.errors)).collect();
    assert_eq!(images, [(1, 1, [1, 1, 1, 1, 1, 1]), (2, 1, [0, 0, 0, 0, 0, 1])]);
    Ok(())
}

#[test]
fn repairs_gain_what_they_should() -> anyhow::Result<()> {
    let (truths, detections) = scene();
    let diagnostics = diagnose(&truths, &detections, None)?;
    let ap = |wanted: f64, list: &[bool]| {
        // Precision that is kept, at 101 recalls.
        let points: Vec<(f64, f64)> = (1..=list.len())
            .map(|end| {
                let right = list[..end].iter().filter(|&&right| right).count() as f64;
                (right / wanted, right / end as f64)
            })
            .collect();
        let at = |recall: f64| points.iter().filter(|p| p.0 >= recall).map(|p| p.1).fold(0.0, f64::max);
        (0..=100).map(|step| at(f64::from(step) / 100.0)).sum::<f64>() / 101.0
    };
    // Cats: 3 objects; right, duplicate, class, location, both. Dogs: 3 objects; background, right.
    let (cats, dogs) = ([true, false, false, false, false], [false, true]);
    let base = (ap(3.0, &cats) + ap(3.0, &dogs)) / 2.0;
    assert!((diagnostics.errors.ap - base).abs() < 1e-12);
    let expected = [
        // The box is a dog's then, and the surest one.
        (ap(3.0, &[true, false, false, false]) + ap(3.0, &[true, false, true])) / 2.0,
        (ap(3.0, &[true, false, false, true, false]) + ap(3.0, &dogs)) / 2.0,
        base,
        (ap(3.0, &[true, false, false, false]) + ap(3.0, &dogs)) / 2.0,
        (ap(3.0, &cats) + ap(3.0, &[true])) / 2.0,
        (ap(2.0, &cats) + ap(2.0, &dogs)) / 2.0,
    ];
    let failures: Vec<String> = (diagnostics.errors.kinds.iter().zip(expected))
        .filter(|(cost, expected)| (cost.ap_gain - (expected - base)).abs() > 1e-12)
        .map(|(cost, expected)| format!("{:?}: {} instead of {}", cost.kind, cost.ap_gain, expected - base))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let perfect = (ap(3.0, &[true]) + ap(3.0, &[true])) / 2.0;
    assert!((diagnostics.errors.ap_gain_false_positives - (perfect - base)).abs() < 1e-12);
    Ok(())
}

#[test]
fn classes_are_confused_by_place_alone() -> anyhow::Result<()> {
    let (truths, detections) = scene();
    let confusion = diagnose(&truths, &detections, Some(0.0))?.confusion;
    // Rows: cat, dog, background. The box on the crowd is forgiven.
    assert_eq!(confusion.counts, [1, 0, 2, 1, 1, 1, 3, 1, 0]);
    assert_eq!(confusion.most_confused(5), [(1, 0, 1)]);
    let shown = diagnose(&truths, &detections, Some(0.75))?.confusion;
    assert_eq!(shown.counts, [1, 0, 2, 0, 0, 3, 1, 0, 0]);
    assert_eq!(shown.count(9, 0), 0);
    Ok(())
}

#[test]
fn scores_are_calibrated_and_thresholds_found() -> anyhow::Result<()> {
    let truths = vec![truth(1, 1, 1, 0.0), truth(2, 1, 1, 100.0), truth(3, 1, 1, 200.0)];
    let detections = vec![
        detection(1, 1, 0.0, 0.95),
        detection(1, 1, 100.0, 0.85),
        detection(1, 1, 500.0, 0.85),
        detection(1, 1, 700.0, 0.15),
        detection(1, 1, 800.0, 1.5),
        detection(1, 1, 900.0, -0.5),
    ];
    let diagnostics = diagnose(&truths, &detections[..4], None)?;
    let best = diagnostics.best.ok_or_else(|| anyhow::anyhow!("a best threshold"))?;
    // Equal scores stay together: three boxes, two correct, three objects.
    assert_eq!((best.score, best.precision, best.recall, best.f1), (0.85, 2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0));
    assert_eq!(diagnostics.score_threshold, 0.85);
    let bins: Vec<_> = diagnostics.calibration.bins.iter().map(|bin| (bin.count, bin.precision)).collect();
    assert_eq!((bins[1], bins[8], bins[9]), ((1, 0.0), (2, 0.5), (1, 1.0)));
    let expected = (0.15 + 2.0 * 0.35 + 0.05) / 4.0;
    assert!((diagnostics.calibration.expected_error - expected).abs() < 1e-12);
    // Scores that are no probabilities go to the nearest bin.
    let bins = diagnose(&truths, &detections, None)?.calibration.bins;
    assert_eq!((bins[0].count, bins[9].count), (1, 2));
    for options in [
        DiagnosticOptions { iou_threshold: 0.1, ..DiagnosticOptions::default() },
        DiagnosticOptions { iou_threshold: f64::NAN, ..DiagnosticOptions::default() },
        DiagnosticOptions { score_threshold: Some(f64::NAN), ..DiagnosticOptions::default() },
        DiagnosticOptions { calibration_bins: 0, ..DiagnosticOptions::default() },
    ] {
        let evaluator = Evaluator::new(&[1], &classes(), &truths, &[], Parameters::default())?;
        assert!(evaluator.diagnose(&options).is_err(), "{options:?}");
    }
    Ok(())
}

#[test]
fn real_errors_are_counted_as_tide_counts_them() -> anyhow::Result<()> {
    let Some(folder) = shared_path("data/coco-mini") else { return Ok(()) };
    let truth = read_annotations(std::fs::File::open(folder.join("instances_val.json"))?, DEFAULT_LIMIT)?;
    // Without crowds, on which tidecv counts ignored boxes as errors. Printed by tidecv 1.0.1 with COCO's
    // recall thresholds (numpy.linspace; its own are i / 100, which moves AP by some thousandths of a
    // point). Its gains are means over 80 classes, of which 75 have objects, and scaled accordingly here.
    // Among equal scores it puts repaired boxes elsewhere: up to 0.001 points.
    let truths: Vec<GroundTruth> = truth.truths.iter().filter(|truth| !truth.crowd).copied().collect();
    type Numbers = ([usize; 6], [f64; 6], [f64; 2]);
    let cases: [(&str, Numbers); 2] = [
        (
            "detections_picodet_s_416_ncnn.json",
            (
                [1078, 2086, 1633, 445, 4307, 182],
                [2.1380377, 7.137770974, 1.192593227, 0.433819698, 3.060207899, 6.774921499],
                [21.967584482, 12.60632438],
            ),
        ),
        (
            "detections_picodet_xs_320_onnxruntime.json",
            (
                [1310, 1537, 2068, 321, 4334, 269],
                [4.946664301, 5.16938289, 1.270147696, 0.219364433, 3.540719745, 7.075071803],
                [24.196896179, 14.780423963],
            ),
        ),
    ];
    for (file, (counts, gains, totals)) in cases {
        let detections = read_results(std::fs::File::open(folder.join(file))?, DEFAULT_LIMIT)?;
        let images = truth.image_ids();
        let evaluator =
            Evaluator::new(&images, &truth.categories, &truths, &detections, Parameters::default())?;
        let errors = evaluator.diagnose(&DiagnosticOptions::default())?.errors;
        assert_eq!(errors.kinds.iter().map(|cost| cost.count).collect::<Vec<_>>(), counts, "{file}");
        let ours = errors.kinds.iter().map(|cost| cost.ap_gain);
        let ours = ours.chain([errors.ap_gain_false_positives, errors.ap_gain_false_negatives]);
        for (ours, theirs) in ours.zip(gains.into_iter().chain(totals)) {
            assert!((100.0 * ours - theirs).abs() < 1e-3, "{file}: {} instead of {theirs}", 100.0 * ours);
        }
        assert!((errors.ap - evaluator.evaluate().summary().ap50).abs() < 1e-12);
    }
    Ok(())
}

#[test]
fn the_page_is_whole_and_harmless() -> anyhow::Result<()> {
    let (truths, detections) = scene();
    let evaluator = Evaluator::new(&[1, 2], &classes(), &truths, &detections, Parameters::default())?;
    let evaluation = evaluator.evaluate();
    let options = DiagnosticOptions { score_threshold: Some(0.1), ..DiagnosticOptions::default() };
    let diagnostics = evaluator.diagnose(&options)?;
    let (truth_boxes, detection_boxes) = evaluator.labelled_boxes(1, &diagnostics);
    let marks: Vec<Mark> = truth_boxes.iter().map(|one| one.mark).collect();
    assert_eq!(marks, [Mark::Right, Mark::Wrong, Mark::Wrong, Mark::Wrong, Mark::Ignored]);
    assert_eq!(detection_boxes.len(), 7);
    assert_eq!(detection_boxes[2].label, "cat 0.70 · class");
    let hostile = "<script>alert(1)</script>\u{1}'\"&";
    let pictures = [Picture {
        title: hostile.to_owned(),
        jpeg: vec![0xff, 0xd8, 0xff],
        size: (0, 0),
        truths: truth_boxes,
        detections: detection_boxes,
    }];
    let facts = [(hostile.to_owned(), hostile.to_owned())];
    let report = Report {
        title: hostile,
        facts: &facts,
        evaluation: &evaluation,
        diagnostics: &diagnostics,
        pictures: &pictures,
    };
    let page = render_html(&report);
    for absent in ["<script", "http:", "https:", "<b>&", "NaN", "inf\"", "\u{1}", "<link", "@import"] {
        assert!(!page.contains(absent), "the page has {absent:?}");
    }
    for present in [
        "data:image/jpeg;base64,/9j/",
        "&lt;script&gt;",
        "dog &lt;b&gt;&amp;&quot;",
        "Precision and recall",
        "Error analysis",
        "Score calibration",
        "Most frequent confusions",
        "Worst images",
        "1 detections are of unknown classes",
    ] {
        assert!(page.contains(present), "the page lacks {present:?}");
    }
    // Well-formed enough that a reader of XML finds every element closed.
    for name in ["svg", "section", "table", "figure", "g", "text", "main", "div"] {
        let opened = page.matches(&format!("<{name}>")).count() + page.matches(&format!("<{name} ")).count();
        assert_eq!(opened, page.matches(&format!("</{name}>")).count(), "{name}");
    }
    let tables = summary_table(&evaluation.summary())
        + &class_table(&evaluation.classes())
        + &error_table(&diagnostics.errors);
    for present in ["AR 100 detections", "dog <b>&\"", "missed: "] {
        assert!(tables.contains(present), "{tables}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_boxes_make_a_page(
        truths in prop::collection::vec((1_i64..3, 1_i64..4, any::<[f64; 4]>(), any::<f64>(), any::<bool>()), 0..12),
        detections in prop::collection::vec((1_i64..3, 1_i64..4, any::<[f64; 4]>(), any::<f64>()), 0..30),
    ) {
        let finite = |value: f64| if value.is_finite() { value } else { 7.0 };
        let truths: Vec<GroundTruth> = (truths.into_iter().enumerate())
            .map(|(id, (image_id, category_id, bbox, area, crowd))| GroundTruth { id: id as i64, image_id, category_id, bbox: bbox.map(finite), area: finite(area), crowd, ignore: crowd })
            .collect();
        let detections: Vec<Detection> = (detections.into_iter())
            .map(|(image_id, category_id, bbox, score)| Detection { image_id, category_id, bbox: bbox.map(finite), score: finite(score) })
            .collect();
        let evaluator = Evaluator::new(&[1, 2], &classes(), &truths, &detections, Parameters::default()).unwrap();
        let (evaluation, diagnostics) = (evaluator.evaluate(), evaluator.diagnose(&DiagnosticOptions::default()).unwrap());
        prop_assert!(evaluation.summary().values().iter().all(|value| (-1.0..=1.0).contains(value)));
        let (truth_boxes, detection_boxes) = evaluator.labelled_boxes(1, &diagnostics);
        let picture = Picture { title: String::new(), jpeg: Vec::new(), size: (1, 1), truths: truth_boxes, detections: detection_boxes };
        let report = Report { title: "", facts: &[], evaluation: &evaluation, diagnostics: &diagnostics, pictures: &[picture] };
        prop_assert!(render_html(&report).ends_with("</html>\n"));
    }
}
