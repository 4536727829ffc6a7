//! Suppression equals the reference's, bit for bit, in every fixture.

use picodet_detect::decode::Candidate;
use picodet_detect::{ImageBox, Nms};
use picodet_graph::Tensor;
use picodet_testing::shared;
use picodet_weights::read_tensors;

#[test]
fn suppression_equals_the_reference_bit_for_bit() {
    let Some(bytes) = shared("golden/misc/nms.safetensors") else {
        return;
    };
    let (tensors, _) = read_tensors(&bytes).expect("a sound fixture");
    let cases: Vec<&str> = tensors.keys().filter_map(|name| name.strip_suffix(".boxes")).collect();
    assert!(cases.len() >= 6, "the fixture has {cases:?}");
    let mut wrong = Vec::new();
    for case in cases {
        let tensor = |name: &str| tensors[&format!("{case}.{name}")].clone();
        let (boxes, scores, expected, counts) =
            (tensor("boxes"), tensor("scores"), tensor("det"), tensor("num"));
        let mut rows = Vec::new();
        let mut found_counts = Vec::new();
        for image in 0..boxes.shape[0] {
            // The case `topk` has another limit.
            let max_detections = if case == "topk" { 30 } else { 100 };
            let found = suppress(&boxes, &scores, image, max_detections);
            found_counts.push(found.len() as f32 / 6.0);
            rows.extend(found);
        }
        if found_counts != counts.data {
            wrong.push(format!("{case}: {found_counts:?} detections, not {:?}", counts.data));
        }
        let same = rows.len() == expected.data.len()
            && rows.iter().zip(&expected.data).all(|(a, b)| a.to_bits() == b.to_bits());
        if !same {
            wrong.push(format!("{case}: the detections differ"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Rows of class, score, x1, y1, x2, y2.
fn suppress(boxes: &Tensor, scores: &Tensor, image: usize, max_detections: usize) -> Vec<f32> {
    let anchors = boxes.shape[1];
    let boxes = &boxes.data[image * anchors * 4..][..anchors * 4];
    let boxes: Vec<ImageBox> = boxes.as_chunks::<4>().0.iter().map(|bbox| ImageBox(*bbox)).collect();
    let nms = Nms { max_detections, ..Nms::default() };
    let per_image = scores.shape[1] * anchors;
    let scores = &scores.data[image * per_image..][..per_image];
    let found = nms.run(scores, &boxes);
    let above = scores.iter().enumerate().filter(|(_, score)| **score > nms.score_threshold);
    let candidates: Vec<Candidate> = above
        .map(|(i, &score)| Candidate { class: (i / anchors) as u32, anchor: (i % anchors) as u32, score })
        .collect();
    let again = nms.run_candidates(&candidates, |anchor| boxes[anchor]);
    assert_eq!(again, found, "the candidates give other detections");
    found.iter().flat_map(|d| [d.class as f32, d.score].into_iter().chain(d.bbox.0)).collect()
}
