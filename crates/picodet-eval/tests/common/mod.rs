//! The COCO evaluation in its most direct form, without any optimisation.

use picodet_eval::{Detection, GroundTruth, intersection_over_union};

/// Precision `[class][area][threshold][recall]` and recall `[class][area][limit][threshold]`.
pub(crate) struct Expected {
    pub(crate) precision: Vec<f64>,
    pub(crate) recall: Vec<f64>,
}

const AREAS: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];
const LIMITS: [usize; 3] = [1, 10, 100];

/// A detection after matching: score, whether it is matched, whether it is ignored.
#[derive(Clone, Copy)]
struct Judged {
    score: f64,
    matched: bool,
    ignored: bool,
}

/// `images` and `classes` ascending.
pub(crate) fn evaluate(
    images: &[i64],
    classes: &[i64],
    truths: &[GroundTruth],
    detections: &[Detection],
    thresholds: &[f64],
    recalls: &[f64],
) -> Expected {
    let mut expected = Expected { precision: Vec::new(), recall: Vec::new() };
    for &class in classes {
        for area in AREAS {
            let mut recall_table = vec![vec![-1.0; thresholds.len()]; LIMITS.len()];
            for (t, &threshold) in thresholds.iter().enumerate() {
                for (l, &limit) in LIMITS.iter().enumerate() {
                    let (mut judged, mut wanted) = (Vec::new(), 0);
                    for &image in images {
                        let (one, count) =
                            evaluate_image(image, class, truths, detections, area, threshold, limit);
                        judged.extend(one);
                        wanted += count;
                    }
                    // Insertion sort: stable.
                    for i in 1..judged.len() {
                        let mut j = i;
                        while j > 0 && judged[j - 1].score < judged[j].score {
                            judged.swap(j - 1, j);
                            j -= 1;
                        }
                    }
                    let (precision, recall) = curve(&judged, wanted, recalls);
                    recall_table[l][t] = recall;
                    if limit == 100 {
                        expected.precision.extend(precision);
                    }
                }
            }
            expected.recall.extend(recall_table.into_iter().flatten());
        }
    }
    expected
}

fn evaluate_image(
    image: i64,
    class: i64,
    truths: &[GroundTruth],
    detections: &[Detection],
    area: [f64; 2],
    threshold: f64,
    limit: usize,
) -> (Vec<Judged>, usize) {
    let outside = |value: f64| value < area[0] || value > area[1];
    let here = truths.iter().filter(|truth| truth.image_id == image && truth.category_id == class);
    let mut here: Vec<&GroundTruth> = here.collect();
    let ignored = |truth: &GroundTruth| truth.crowd || outside(truth.area);
    here.sort_by_key(|truth| ignored(truth));
    let mut found: Vec<&Detection> =
        detections.iter().filter(|one| one.image_id == image && one.category_id == class).collect();
    found.sort_by(|a, b| b.score.partial_cmp(&a.score).expect("finite"));
    // COCO matches the best hundred and cuts the list afterwards, which is the same.
    found.truncate(limit);
    let mut taken = vec![false; here.len()];
    let mut judged = Vec::new();
    for detection in found {
        let mut least = if threshold < 1.0 - 1e-10 { threshold } else { 1.0 - 1e-10 };
        let mut best: Option<usize> = None;
        for (place, truth) in here.iter().enumerate() {
            if taken[place] && !truth.crowd {
                continue;
            }
            if let Some(best) = best
                && !ignored(here[best])
                && ignored(truth)
            {
                break;
            }
            let overlap = intersection_over_union(&detection.bbox, &truth.bbox, truth.crowd);
            if overlap >= least {
                least = overlap;
                best = Some(place);
            }
        }
        let score = detection.score;
        judged.push(match best {
            Some(place) => {
                taken[place] = true;
                // A match with the id 0 looks like none.
                Judged { score, matched: here[place].id != 0, ignored: ignored(here[place]) }
            }
            None => Judged { score, matched: false, ignored: false },
        });
        let last = judged.last_mut().expect("just pushed");
        if !last.matched && outside(detection.bbox[2] * detection.bbox[3]) {
            last.ignored = true;
        }
    }
    (judged, here.iter().filter(|truth| !ignored(truth)).count())
}

fn curve(judged: &[Judged], wanted: usize, recalls: &[f64]) -> (Vec<f64>, f64) {
    if wanted == 0 {
        return (vec![-1.0; recalls.len()], -1.0);
    }
    let mut points = Vec::new();
    for end in 1..=judged.len() {
        let count =
            |matched| judged[..end].iter().filter(|one| !one.ignored && one.matched == matched).count();
        let (right, wrong) = (count(true) as f64, count(false) as f64);
        points.push((right / wanted as f64, right / (wrong + right + f64::EPSILON)));
    }
    let precision = |recall: f64| {
        let first = points.iter().position(|point| point.0 >= recall)?;
        // The best precision from there on.
        points[first..].iter().map(|point| point.1).reduce(f64::max)
    };
    let values = recalls.iter().map(|&recall| precision(recall).unwrap_or(0.0)).collect();
    (values, points.last().map_or(0.0, |point| point.0))
}
