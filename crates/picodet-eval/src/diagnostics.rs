//! Error analysis: operating points, calibration, confusion, types of errors, images with most errors.

use std::collections::HashMap;

use crate::confusion::{Confusion, confusion};
use crate::error::EvaluationError;
use crate::error_types::{ErrorCosts, ErrorType, costs, missed};
use crate::evaluation::Evaluator;
use crate::index::ImageClass;
use crate::labels::{Classification, DetectionLabel, MatchState, classify_errors};

/// Options of [`Evaluator::diagnose`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiagnosticOptions {
    /// IoU threshold of a match, above 0.1 and up to 1. Default: 0.5.
    pub iou_threshold: f64,
    /// Detections below this score are left out of the confusion matrix and the counts per image. `None` for
    /// the score with the highest F1 over all classes.
    pub score_threshold: Option<f64>,
    /// Number of calibration bins over scores 0 to 1. Default: 10.
    pub calibration_bins: usize,
}

impl Default for DiagnosticOptions {
    fn default() -> Self {
        Self { iou_threshold: 0.5, score_threshold: None, calibration_bins: 10 }
    }
}

/// The score threshold with the highest F1.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct OperatingPoint {
    /// The threshold.
    pub score: f64,
    /// Fraction of the detections that are correct, 0 to 1.
    pub precision: f64,
    /// Fraction of the objects that are found, 0 to 1.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// Detections of similar score.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CalibrationBin {
    /// Lower bound of the scores, inclusive.
    pub low: f64,
    /// Upper bound of the scores, exclusive except in the last bin.
    pub high: f64,
    /// Number of detections that count.
    pub count: usize,
    /// Mean score; 0 without detections.
    pub mean_score: f64,
    /// Fraction of correct detections, 0 to 1; 0 without detections.
    pub precision: f64,
}

/// Agreement of scores and precision.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Calibration {
    /// Bins of equal width over 0 to 1; scores outside are counted in the nearest bin.
    pub bins: Vec<CalibrationBin>,
    /// Expected calibration error: mean |mean score − precision| weighted by count, 0 to 1.
    pub expected_error: f64,
}

/// The errors in one image, over the detections above the score threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageErrors {
    /// Id of the image.
    pub image_id: i64,
    /// Number of objects found.
    pub correct: usize,
    /// Number of errors of each type, in the order of [`ErrorType::ALL`].
    pub errors: [usize; 6],
}

impl ImageErrors {
    /// The number of errors of all types.
    #[must_use]
    pub fn total(&self) -> usize {
        self.errors.iter().sum()
    }
}

/// The result of an error analysis.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Diagnostics {
    /// IoU threshold of a match.
    pub iou_threshold: f64,
    /// Score threshold of the confusion matrix and the counts per image.
    pub score_threshold: f64,
    /// Best F1 over all classes together; `None` without correct detection.
    pub best: Option<OperatingPoint>,
    /// Best F1 of each class, in the order of [`crate::Evaluation::categories`].
    pub best_by_class: Vec<Option<OperatingPoint>>,
    /// Scores against precision.
    pub calibration: Calibration,
    /// Confusion matrix.
    pub confusion: Confusion,
    /// Counts and costs of the types of errors.
    pub errors: ErrorCosts,
    /// Errors per image, most errors first, equal numbers by id.
    pub images: Vec<ImageErrors>,
    /// The label of each detection of the input.
    pub labels: Vec<DetectionLabel>,
    /// Indices of the objects that no detection above the score threshold matches.
    pub unfound: Vec<usize>,
}

impl Evaluator<'_> {
    /// Analyses the errors for one IoU threshold over all areas.
    ///
    /// # Errors
    /// [`EvaluationError::Parameter`] for options out of range.
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
        let labels = classify_errors(self, options.iou_threshold);
        let classes = self.scored(&labels);
        let best_by_class =
            classes.iter().map(|(scored, objects)| operating_point(scored, *objects)).collect();
        let all: Vec<(f64, bool)> = classes.iter().flat_map(|(scored, _)| scored.iter().copied()).collect();
        let best = operating_point(&all, classes.iter().map(|(_, objects)| objects).sum());
        let score_threshold = options.score_threshold.unwrap_or(best.map_or(0.0, |best| best.score));
        let shown = |detection: usize| self.detections[detection].score >= score_threshold;
        let unfound = |&(_, state): &(usize, &MatchState)| match *state {
            MatchState::Ignored => false,
            MatchState::FoundBy(detection) => !shown(detection),
            MatchState::NotFound => true,
        };
        Ok(Diagnostics {
            iou_threshold: options.iou_threshold,
            score_threshold,
            best,
            best_by_class,
            calibration: calibration(&all, options.calibration_bins),
            confusion: confusion(self, options.iou_threshold, score_threshold),
            errors: costs(self, &labels, score_threshold),
            images: self.image_errors(&labels, score_threshold),
            unfound: labels.truths.iter().enumerate().filter(unfound).map(|(truth, _)| truth).collect(),
            labels: labels.detections,
        })
    }

    /// For each class: score and correctness of the detections that count, and the number of objects.
    fn scored(&self, labels: &Classification) -> Vec<(Vec<(f64, bool)>, usize)> {
        let one = |images: &Vec<ImageClass>| {
            let (mut scored, mut objects) = (Vec::new(), 0);
            for boxes in images {
                for &detection in &self.index.detections[boxes.detections.clone()] {
                    let correct = match labels.detections[detection] {
                        DetectionLabel::Ignored | DetectionLabel::NotCounted => continue,
                        label => matches!(label, DetectionLabel::Correct { .. }),
                    };
                    scored.push((self.detections[detection].score, correct));
                }
                let truths = &self.index.truths[boxes.truths.clone()];
                objects += truths.iter().filter(|&&one| labels.truths[one] != MatchState::Ignored).count();
            }
            (scored, objects)
        };
        self.index.classes.iter().map(one).collect()
    }

    fn image_errors(&self, labels: &Classification, score_threshold: f64) -> Vec<ImageErrors> {
        let new = |&image_id: &i64| ImageErrors { image_id, correct: 0, errors: [0; 6] };
        let mut images: Vec<ImageErrors> = self.index.images.iter().map(new).collect();
        let ids = self.index.images.iter().enumerate();
        let index_of: HashMap<i64, usize> = ids.map(|(index, &id)| (id, index)).collect();
        for (detection, &label) in self.detections.iter().zip(&labels.detections) {
            if detection.score < score_threshold {
                continue;
            }
            let image = &mut images[index_of[&detection.image_id]];
            image.correct += usize::from(matches!(label, DetectionLabel::Correct { .. }));
            if let Some(kind) = ErrorType::of(label) {
                image.errors[kind as usize] += 1;
            }
        }
        for truth in missed(labels, |detection| self.detections[detection].score >= score_threshold) {
            images[index_of[&self.truths[truth].image_id]].errors[ErrorType::Missed as usize] += 1;
        }
        images.sort_unstable_by_key(|image| (std::cmp::Reverse(image.total()), image.image_id));
        images
    }
}

/// The best F1 over all distinct scores as thresholds.
fn operating_point(scored: &[(f64, bool)], objects: usize) -> Option<OperatingPoint> {
    let mut scored = scored.to_vec();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut correct, mut best) = (0_usize, None::<OperatingPoint>);
    for (index, &(score, is_correct)) in scored.iter().enumerate() {
        correct += usize::from(is_correct);
        if correct == 0 || scored.get(index + 1).is_some_and(|next| next.0 == score) {
            continue;
        }
        let f1 = 2.0 * correct as f64 / (index + 1 + objects) as f64;
        if best.is_none_or(|best| f1 > best.f1) {
            let (precision, recall) = (correct as f64 / (index + 1) as f64, correct as f64 / objects as f64);
            best = Some(OperatingPoint { score, precision, recall, f1 });
        }
    }
    best
}

fn calibration(scored: &[(f64, bool)], bin_count: usize) -> Calibration {
    let mut sums = vec![(0_usize, 0.0_f64, 0_usize); bin_count];
    for &(score, is_correct) in scored {
        // The conversion of a negative value gives 0.
        let bin = ((score * bin_count as f64) as usize).min(bin_count - 1);
        let (count, scores, correct) = &mut sums[bin];
        *count += 1;
        *scores += score;
        *correct += usize::from(is_correct);
    }
    let bins: Vec<CalibrationBin> = (sums.into_iter().enumerate())
        .map(|(bin, (count, scores, correct))| {
            let mean = |value: f64| if count == 0 { 0.0 } else { value / count as f64 };
            CalibrationBin {
                low: bin as f64 / bin_count as f64,
                high: (bin + 1) as f64 / bin_count as f64,
                count,
                mean_score: mean(scores),
                precision: mean(correct as f64),
            }
        })
        .collect();
    let gap = |bin: &CalibrationBin| (bin.mean_score - bin.precision).abs() * bin.count as f64;
    let expected_error = bins.iter().map(gap).sum::<f64>() / scored.len().max(1) as f64;
    Calibration { bins, expected_error }
}
