//! Tests of reading and writing results.

use proptest::prelude::*;

use super::*;

fn problem(text: &str) -> String {
    match read_results(text.as_bytes(), DEFAULT_LIMIT) {
        Ok(detections) => format!("accepted: {detections:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn malformed_results_are_refused_with_index_and_position() {
    let good = r#"{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1.5, 2], "score": 0.5, "segmentation": {"x": [1]}}"#;
    assert_eq!(read_results(format!("[{good}]").as_bytes(), 1000).map(|all| all.len()).ok(), Some(1));
    let bad_score = |score: &str| good.replace("0.5", score);
    let cases: [(String, &[&str]); 17] = [
        (format!("[{good},\n{}]", bad_score("NaN")), &["detection 1:", "line 2", "NaN"]),
        (format!("[{}]", bad_score("Infinity")), &["detection 0:", "Infinity"]),
        (format!("[{}]", bad_score("-Infinity")), &["detection 0:", "-Infinity"]),
        (format!("[{}]", bad_score("1e999")), &["detection 0:", "out of range"]),
        (format!("[{}]", bad_score("null")), &["detection 0:", "`score` is missing or null"]),
        (format!("[{}]", bad_score("\"high\"")), &["detection 0:", "`score` is the text \"high\""]),
        (format!("[{}]", good.replace("0, 0, 1.5, 2", "0, 0, 1.5")), &["detection 0:", "3 values"]),
        (format!("[{}]", good.replace("0, 0, 1.5, 2", "0, 0, 1.5, 2, 3")), &["detection 0:"]),
        (
            format!("[{good}, {}]", good.replace("score", "scor")),
            &["detection 1:", "`score` is missing or null"],
        ),
        (
            format!("[{}]", good.replace("\"image_id\": 1", "\"image_id\": \"a\"")),
            &["detection 0:", "an integer"],
        ),
        (format!("[{}]", good.replace("\"image_id\": 1", "\"image_id\": 1.5")), &["detection 0:", "1.5"]),
        (format!("[{good},"), &["detection 1:", "EOF"]),
        (format!("[{good}] x"), &["trailing"]),
        (r#"{"infos": []}"#.to_owned(), &["detection 0:", "`image_id` is missing or null"]),
        (r#""text""#.to_owned(), &["a single text; a results file is a list of"]),
        ("image_id,score\n1,0.5\n".to_owned(), &["expected value", "a results file is JSON"]),
        (String::new(), &["EOF"]),
    ];
    let failures: Vec<String> = (cases.iter())
        .filter_map(|(text, expected)| {
            let problem = problem(text);
            let all = expected.iter().all(|part| problem.contains(part));
            (!all).then(|| format!("{text}\n  gave: {problem}\n  expected: {expected:?}"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn results_in_utf_16_are_read() {
    let text = r#"[{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1.5, 2], "score": 0.5}]"#;
    let little: Vec<u8> =
        "\u{feff}".chars().chain(text.chars()).flat_map(|c| (c as u16).to_le_bytes()).collect();
    let big: Vec<u8> =
        "\u{feff}".chars().chain(text.chars()).flat_map(|c| (c as u16).to_be_bytes()).collect();
    let expected = read_results(text.as_bytes(), 1000).expect("results");
    for wide in [little, big] {
        assert_eq!(read_results(&wide[..], 1000).expect("results"), expected);
    }
}

#[test]
fn every_prefix_is_refused() {
    let mut text = Vec::new();
    let detection = DetectionRecord { image_id: 1, category_id: 2, bbox: [0.5, 1.0, 2.0, 3.0], score: 0.25 };
    write_results(&mut text, [detection; 2].into_iter()).unwrap();
    let end = text.trim_ascii_end().len();
    let accepted: Vec<usize> = (0..end).filter(|&cut| read_results(&text[..cut], 1000).is_ok()).collect();
    assert!(accepted.is_empty(), "{accepted:?}");
}

#[test]
fn size_and_depth_are_limited() {
    let error = read_results(&b"[          ]"[..], 4).map_err(|error| error.to_string());
    assert_eq!(
        error,
        Err("the input is larger than 4 bytes; raise the limit if this is intended".to_owned())
    );
    let deep = format!("[{{\"extra\": {}", "[".repeat(1_000_000));
    assert!(problem(&deep).contains("EOF"), "{}", problem(&deep));
    let deep = deep.replace("extra", "bbox");
    assert!(problem(&deep).contains("detection 0:"), "{}", problem(&deep));
}

#[test]
fn results_of_other_programs_are_read() {
    let one = r#"{"image_id": "frame_a", "file_name": "frame_a.png", "category_id": "1", "bbox": ["0", 0, 1.5, 2], "score": "0.5"}"#;
    let record = ResultRecord {
        index: 0,
        image: Id::Text("frame_a".into()),
        file_name: Some("frame_a.png".to_owned()),
        category: Id::Number(1),
        bbox: [0.0, 0.0, 1.5, 2.0],
        score: 0.5,
    };
    let two = vec![record.clone(), ResultRecord { index: 1, ..record }];
    let forms = [
        format!("[{one}, {one}]"),
        format!("\u{feff}[{one}, {one}]"),
        format!("{one}\n{one}\n"),
        format!("{{\"annotations\": [{one}, {one}]}}"),
        format!("{{\"info\": {{}}, \"predictions\": [{one}, {one}], \"images\": [1]}}"),
    ];
    for form in &forms {
        let found = read_result_records(form.as_bytes(), 10_000).map(|results| results.records);
        assert_eq!(found.map_err(|error| error.to_string()), Ok(two.clone()), "{form}");
    }
    let broken = format!("[{one}, {}, 7]", one.replace("\"0.5\"", "null"));
    let found = read_result_records(broken.as_bytes(), 10_000).expect("one good entry");
    let first = Some((1, "`score` is missing or null".to_owned()));
    assert_eq!((found.records.len(), found.left_out, found.first_problem), (1, 2, first));
    let score = |score: &str| one.replace("\"0.5\"", score);
    let not_finite = [
        format!("[{one}, {}, {one}]", score("NaN")),
        format!("{one}\n{}\n{one}", score("-Infinity")),
        format!("[{one}, {}, {one}]", one.replace("1.5", "Infinity")),
        format!("[{one}, {}, {one}]", score("1e999")),
    ];
    for text in not_finite {
        let found = read_result_records(text.as_bytes(), 10_000).expect("two good entries");
        let (index, problem) = found.first_problem.expect("a problem");
        assert_eq!((found.records.len(), found.left_out, index), (2, 1, 1), "{text}");
        let is_named = problem.contains("is not a valid JSON number") || problem.contains("out of range");
        assert!(is_named && problem.contains("line "), "{problem}");
    }
    let unused =
        read_result_records(format!("[{}]", one.replacen('{', "{\"area\": NaN, ", 1)).as_bytes(), 10_000);
    assert_eq!(unused.map(|found| (found.records.len(), found.left_out)).ok(), Some((1, 0)));
    let float = forms[0].replace("\"frame_a\"", "1.0");
    assert_eq!(read_results(float.as_bytes(), 10_000).map(|all| all[0].image_id).ok(), Some(1));
}

#[test]
fn non_finite_values_are_not_written() {
    let detection = DetectionRecord { image_id: 1, category_id: 1, bbox: [0.0; 4], score: f64::NAN };
    let mut written = Vec::new();
    let scores = [DetectionRecord { score: 1.0, ..detection }, detection];
    let error = write_results(&mut written, scores.into_iter());
    assert!(matches!(error, Err(JsonError::NotFinite { index: 1, field: "score" })));
    let infinite = [DetectionRecord { score: 1.0, bbox: [0.0, f64::INFINITY, 1.0, 1.0], ..detection }];
    let error = write_results(&mut written, infinite.into_iter());
    assert!(matches!(error, Err(JsonError::NotFinite { index: 0, field: "bbox" })));
    assert!(written.is_empty());
}

proptest! {
    #[test]
    fn results_round_trip_exactly(
        rows in prop::collection::vec((any::<i64>(), any::<i64>(), any::<[f64; 4]>(), any::<f64>()), 0..20),
    ) {
        let finite = |value: f64| if value.is_finite() { value } else { 0.1 };
        let detections: Vec<DetectionRecord> = (rows.into_iter())
            .map(|(image_id, category_id, bbox, score)| DetectionRecord {
                image_id,
                category_id,
                bbox: bbox.map(finite),
                score: finite(score),
            })
            .collect();
        let mut written = Vec::new();
        write_results(&mut written, detections.iter().copied()).unwrap();
        prop_assert_eq!(read_results(&written[..], DEFAULT_LIMIT).unwrap(), detections);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_results(&bytes[..], DEFAULT_LIMIT);
    }
}

#[test]
fn other_json_is_named_with_advice() {
    let group = r#"{"boxes": [[0, 0, 5, 5]], "labels": [1], "scores": [0.5]}"#;
    let mmdetection = group.replace("boxes", "bboxes");
    let own = r#"{"detections":[{"box":[1,2,3,4],"class":4,"name":"cup","score":0.8}],"file":"a.jpg"}"#;
    let annotation = r#"{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5]}"#;
    let cases: [(String, &str); 18] = [
        ("null".to_owned(), "`null`; a results file is a list"),
        ("7".to_owned(), "a single number; a results"),
        ("{}".to_owned(), "an empty object; a results"),
        (r#"{"images": [], "annotations": [], "categories": []}"#.to_owned(), "a COCO dataset file"),
        (
            format!(r#"{{"images": [], "annotations": [{annotation}], "categories": []}}"#),
            "a COCO dataset file",
        ),
        (format!("[{group}, {group}]"), "torchvision's outputs"),
        (group.to_owned(), "torchvision's outputs"),
        (format!(r#"{{"1": {group}, "2": {group}}}"#), "torchvision's outputs"),
        (mmdetection.clone(), "MMDetection's predictions"),
        (format!("[{mmdetection}]"), "MMDetection's predictions"),
        ("[[[[0, 0, 5, 5, 0.5]], []], [[], []]]".to_owned(), "MMDetection's lists of boxes"),
        ("[[0, 0, 5, 5, 0.5, 1]]".to_owned(), "a list of lists"),
        (r#"[{"name": "cup", "class": 41, "confidence": 0.9, "box": {"x1": 1}}]"#.to_owned(), "ultralytics'"),
        (
            r#"[{"score": 0.9, "label": "cup", "box": {"xmin": 1, "ymin": 1, "xmax": 2, "ymax": 2}}]"#
                .to_owned(),
            "detections of Hugging Face's pipeline",
        ),
        (
            r#"[[{"score": 0.9, "label": "cup", "box": {"xmin": 1, "ymin": 1, "xmax": 2, "ymax": 2}}]]"#
                .to_owned(),
            "detections of Hugging Face's pipeline",
        ),
        (format!(r#"[{{"img_id": 1, "pred_instances": {mmdetection}}}]"#), "MMDetection's outputs (img_id"),
        (own.to_owned(), "the output of `picodet detect --format json`"),
        (format!("{own}\n{own}"), "the output of `picodet detect --format json`"),
    ];
    let failures: Vec<String> = (cases.iter())
        .map(|(text, expected)| (problem(text), text, expected))
        .filter(|(problem, _, expected)| !problem.starts_with(*expected) || !problem.contains("; "))
        .map(|(problem, text, expected)| format!("{text}\n  gave: {problem}\n  expected: {expected}"))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(problem("[]"), "accepted: []");
    // Entries in a known form with a fault have its problem.
    let faulty = group.replacen('{', r#"{"image_id": 1, "#, 1).replace("[0.5]", "[]");
    assert_eq!(problem(&format!("[{faulty}]")), "detection 0: 1 `boxes`, 1 `labels` and 0 `scores`");
    let scored = annotation.replacen('{', r#"{"score": 0.5, "#, 1).replace("[0, 0, 5, 5]", "null");
    let scored = format!(r#"{{"images": [], "annotations": [{scored}], "categories": []}}"#);
    assert_eq!(problem(&scored), "detection 0: `bbox` is missing or null");
}

#[test]
fn all_boxes_of_an_image_may_be_one_entry() {
    let text = r#"[
        {"image_id": 7, "boxes": [[10, 20, 15, 26], [1, 2, 3, 4]], "labels": [2, 1], "scores": [0.5, 0.25]},
        {"file_name": "a.jpg", "boxes": [[0, 0, 1, 1]], "labels": [1], "scores": [0.1]},
        {"image_id": 8, "boxes": [], "labels": [], "scores": []},
        {"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5, "labels": "x", "scores": {}}
    ]"#;
    let found = read_result_records(text.as_bytes(), DEFAULT_LIMIT).expect("results");
    let boxes: Vec<[f64; 4]> = found.records.iter().map(|record| record.bbox).collect();
    assert_eq!((found.grouped, found.left_out, boxes.len()), (3, 0, 4));
    assert_eq!(boxes[..2], [[10.0, 20.0, 5.0, 6.0], [1.0, 2.0, 2.0, 2.0]]);
    assert_eq!(found.records[2].image, Id::Text("a.jpg".into()));
    let lines =
        text.lines().skip(1).take(2).map(|line| line.trim().trim_end_matches(',')).collect::<Vec<_>>();
    let found = read_result_records(lines.join("\n").as_bytes(), DEFAULT_LIMIT).expect("lines");
    assert_eq!((found.grouped, found.records.len()), (2, 3));
    let broken = text.replace("[2, 1]", "[2]").replace("[0.1]", "[null]");
    let found = read_result_records(broken.as_bytes(), DEFAULT_LIMIT).expect("one detection");
    let first = Some((0, "2 `boxes`, 1 `labels` and 2 `scores`".to_owned()));
    assert_eq!((found.records.len(), found.left_out, found.first_problem), (1, 2, first));
}

#[test]
fn a_file_name_replaces_the_image_id() {
    let text = r#"[{"file_name": "val/a.jpg", "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]"#;
    let found = read_result_records(text.as_bytes(), DEFAULT_LIMIT).expect("results");
    assert_eq!(found.records[0].image, Id::Text("val/a.jpg".into()));
    let without = text.replace("file_name", "name");
    assert_eq!(problem(&without), "detection 0: `image_id` is missing or null");
}
