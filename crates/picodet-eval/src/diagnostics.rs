//! Where the AP is lost: score thresholds, calibration, confusion, error kinds, worst images.

use std::collections::HashMap;

use crate::confusion::{Confusion, confusion};
use crate::error::EvaluationError;
use crate::error_kinds::{ErrorCosts, ErrorKind, costs, missed};
use crate::evaluation::Evaluator;
use crate::verdict::{TruthFate, Verdict, Verdicts, verdicts};

/// What to diagnose with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiagnosticOptions {
    /// Overlap from which an object counts as found, above 0.1 and up to 1. 0.5 by default.
    pub iou_threshold: f64,
    /// Detections below this score are not shown in the confusion matrix and the counts of images.
    /// `None`: the score with the highest F1 over all classes.
    pub score_threshold: Option<f64>,
    /// Bins of the calibration, 0..1. 10 by default.
    pub calibration_bins: usize,
}

impl Default for DiagnosticOptions {
    fn default() -> Self {
        Self { iou_threshold: 0.5, score_threshold: None, calibration_bins: 10 }
    }
}

/// The threshold at which precision and recall balance best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatingPoint {
    /// Take detections from this score up.
    pub score: f64,
    /// Share of these that are right, 0..1.
    pub precision: f64,
    /// Share of the objects that are found, 0..1.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// Detections of similar score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// Scores from here …
    pub low: f64,
    /// … to below here (the last bin: up to and including).
    pub high: f64,
    /// Detections that count, right or wrong.
    pub count: usize,
    /// Their mean score; 0 where there are none.
    pub mean_score: f64,
    /// Share of them that are right, 0..1; 0 where there are none.
    pub precision: f64,
}

/// Whether a score of 0.7 means right seven times of ten.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Bins of equal width over 0..1; scores outside go to the nearest.
    pub bins: Vec<CalibrationBin>,
    /// Expected calibration error: mean |mean score − precision| weighted by the count, 0..1.
    pub expected_error: f64,
}

/// The errors in one image, over the detections from the score threshold up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageErrors {
    /// The image.
    pub image_id: i64,
    /// Objects found.
    pub correct: usize,
    /// How many errors of each kind, in the order of [`ErrorKind::ALL`].
    pub errors: [usize; 6],
}

impl ImageErrors {
    /// All errors together.
    pub fn total(&self) -> usize {
        self.errors.iter().sum()
    }
}

/// Where the AP is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostics {
    /// Overlap from which an object counts as found.
    pub iou_threshold: f64,
    /// Score from which detections are shown.
    pub score_threshold: f64,
    /// Best F1 over all classes together; `None` where nothing is found.
    pub best: Option<OperatingPoint>,
    /// Best F1 of each class, in the order of [`crate::Evaluation::categories`].
    pub best_by_class: Vec<Option<OperatingPoint>>,
    /// Scores against precision.
    pub calibration: Calibration,
    /// Which class is taken for which.
    pub confusion: Confusion,
    /// Error kinds and what they cost.
    pub errors: ErrorCosts,
    /// Errors of all images, most first, equal ones by id.
    pub images: Vec<ImageErrors>,
    /// What each detection of the input is.
    pub verdicts: Vec<Verdict>,
    /// Truths of the input, by index, that no shown detection finds.
    pub unfound: Vec<usize>,
}

impl Evaluator<'_> {
    /// Looks at one overlap threshold and all areas (SPEC.md section 6.5 has the AP only).
    ///
    /// # Errors
    /// Options out of range.
    pub fn diagnose(&self, options: &DiagnosticOptions) -> Result<Diagnostics, EvaluationError> {
        let wrong =
            |name, problem: &str| Err(EvaluationError::Parameter { name, problem: problem.to_owned() });
        if !(options.iou_threshold > 0.1 && options.iou_threshold <= 1.0) {
            return wrong("iou_threshold", "must be above 0.1 and at most 1");
        }
        if options.score_threshold.is_some_and(f64::is_nan) {
            return wrong("score_threshold", "must not be NaN");
        }
        if !(1..=1000).contains(&options.calibration_bins) {
            return wrong("calibration_bins", "must be between 1 and 1000");
        }
        let verdicts = verdicts(self, options.iou_threshold);
        let groups = self.judged(&verdicts);
        let best_by_class = groups.iter().map(|(judged, wanted)| operating_point(judged, *wanted)).collect();
        let all: Vec<(f64, bool)> = groups.iter().flat_map(|(judged, _)| judged.iter().copied()).collect();
        let best = operating_point(&all, groups.iter().map(|(_, wanted)| wanted).sum());
        let score_threshold = options.score_threshold.unwrap_or(best.map_or(0.0, |best| best.score));
        let shown = |detection: usize| self.detections[detection].score >= score_threshold;
        let unfound = |&(_, fate): &(usize, &TruthFate)| match *fate {
            TruthFate::Unwanted => false,
            TruthFate::FoundBy(detection) => !shown(detection),
            TruthFate::NotFound => true,
        };
        Ok(Diagnostics {
            iou_threshold: options.iou_threshold,
            score_threshold,
            best,
            best_by_class,
            calibration: calibration(&all, options.calibration_bins),
            confusion: confusion(self, options.iou_threshold, score_threshold),
            errors: costs(self, &verdicts, score_threshold),
            images: self.image_errors(&verdicts, score_threshold),
            unfound: verdicts.truths.iter().enumerate().filter(unfound).map(|(truth, _)| truth).collect(),
            verdicts: verdicts.detections,
        })
    }

    /// For each class: score and rightness of the detections that count, and how many objects are wanted.
    fn judged(&self, verdicts: &Verdicts) -> Vec<(Vec<(f64, bool)>, usize)> {
        let one = |cells: &Vec<crate::index::Cell>| {
            let (mut judged, mut wanted) = (Vec::new(), 0);
            for cell in cells {
                for &detection in &self.index.detections[cell.detections.clone()] {
                    let right = match verdicts.detections[detection] {
                        Verdict::Ignored | Verdict::NotCounted => continue,
                        verdict => matches!(verdict, Verdict::Correct { .. }),
                    };
                    judged.push((self.detections[detection].score, right));
                }
                let truths = &self.index.truths[cell.truths.clone()];
                wanted += truths.iter().filter(|&&one| verdicts.truths[one] != TruthFate::Unwanted).count();
            }
            (judged, wanted)
        };
        self.index.groups.iter().map(one).collect()
    }

    fn image_errors(&self, verdicts: &Verdicts, score_threshold: f64) -> Vec<ImageErrors> {
        let new = |&image_id: &i64| ImageErrors { image_id, correct: 0, errors: [0; 6] };
        let mut images: Vec<ImageErrors> = self.index.images.iter().map(new).collect();
        let ids = self.index.images.iter().enumerate();
        let place: HashMap<i64, usize> = ids.map(|(place, &id)| (id, place)).collect();
        for (detection, &verdict) in self.detections.iter().zip(&verdicts.detections) {
            if detection.score < score_threshold {
                continue;
            }
            let image = &mut images[place[&detection.image_id]];
            image.correct += usize::from(matches!(verdict, Verdict::Correct { .. }));
            if let Some(kind) = ErrorKind::of(verdict) {
                image.errors[kind as usize] += 1;
            }
        }
        for truth in missed(verdicts, |detection| self.detections[detection].score >= score_threshold) {
            images[place[&self.truths[truth].image_id]].errors[ErrorKind::Missed as usize] += 1;
        }
        images.sort_unstable_by_key(|image| (std::cmp::Reverse(image.total()), image.image_id));
        images
    }
}

/// The best F1 over all thresholds that separate scores.
fn operating_point(judged: &[(f64, bool)], wanted: usize) -> Option<OperatingPoint> {
    let mut judged = judged.to_vec();
    judged.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut best) = (0_usize, None::<OperatingPoint>);
    for (place, &(score, is_right)) in judged.iter().enumerate() {
        right += usize::from(is_right);
        if right == 0 || judged.get(place + 1).is_some_and(|next| next.0 == score) {
            continue;
        }
        let f1 = 2.0 * right as f64 / (place + 1 + wanted) as f64;
        if best.is_none_or(|best| f1 > best.f1) {
            let (precision, recall) = (right as f64 / (place + 1) as f64, right as f64 / wanted as f64);
            best = Some(OperatingPoint { score, precision, recall, f1 });
        }
    }
    best
}

fn calibration(judged: &[(f64, bool)], bin_count: usize) -> Calibration {
    let mut sums = vec![(0_usize, 0.0_f64, 0_usize); bin_count];
    for &(score, is_right) in judged {
        // A conversion of a negative number gives 0.
        let bin = ((score * bin_count as f64) as usize).min(bin_count - 1);
        let (count, scores, right) = &mut sums[bin];
        *count += 1;
        *scores += score;
        *right += usize::from(is_right);
    }
    let bins: Vec<CalibrationBin> = (sums.into_iter().enumerate())
        .map(|(bin, (count, scores, right))| {
            let share = |value: f64| if count == 0 { 0.0 } else { value / count as f64 };
            CalibrationBin {
                low: bin as f64 / bin_count as f64,
                high: (bin + 1) as f64 / bin_count as f64,
                count,
                mean_score: share(scores),
                precision: share(right as f64),
            }
        })
        .collect();
    let gap = |bin: &CalibrationBin| (bin.mean_score - bin.precision).abs() * bin.count as f64;
    let expected_error = bins.iter().map(gap).sum::<f64>() / judged.len().max(1) as f64;
    Calibration { bins, expected_error }
}
