//! The cost of each type of error: the AP gained by correcting only this type (TIDE, Bolya et al., 2020).

use std::collections::HashMap;

use crate::accumulate::{Curve, best_first};
use crate::evaluation::Evaluator;
use crate::labels::{Classification, DetectionLabel, MatchState};
use crate::matching::MatchKind;
use crate::numpy::mean_of_present;

/// The six types of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorType {
    /// Correct location, wrong class.
    Class,
    /// Correct class, insufficient IoU.
    Location,
    /// Wrong class and insufficient IoU.
    Both,
    /// An object detected twice.
    Duplicate,
    /// A detection without object.
    Background,
    /// An object without detection, not even one of the wrong class or with insufficient IoU.
    Missed,
}

impl ErrorType {
    /// All six types in the order of TIDE.
    pub const ALL: [Self; 6] =
        [Self::Class, Self::Location, Self::Both, Self::Duplicate, Self::Background, Self::Missed];

    /// `class`, `location`, `both`, `duplicate`, `background` or `missed`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Location => "location",
            Self::Both => "both",
            Self::Duplicate => "duplicate",
            Self::Background => "background",
            Self::Missed => "missed",
        }
    }

    /// A short explanation.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Class => "correct location, wrong class",
            Self::Location => "correct class, insufficient IoU",
            Self::Both => "wrong class and insufficient IoU",
            Self::Duplicate => "object already detected with a higher score",
            Self::Background => "no object there",
            Self::Missed => "object without any related detection",
        }
    }

    pub(crate) fn of(label: DetectionLabel) -> Option<Self> {
        match label {
            DetectionLabel::Class { .. } => Some(Self::Class),
            DetectionLabel::Location { .. } => Some(Self::Location),
            DetectionLabel::Both => Some(Self::Both),
            DetectionLabel::Duplicate { .. } => Some(Self::Duplicate),
            DetectionLabel::Background => Some(Self::Background),
            DetectionLabel::Correct { .. } | DetectionLabel::Ignored | DetectionLabel::NotCounted => None,
        }
    }
}

/// Count and cost of a type of error.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ErrorCost {
    /// The type.
    pub kind: ErrorType,
    /// Number of errors over all detections.
    pub count: usize,
    /// Number of errors over the detections above the score threshold.
    pub count_shown: usize,
    /// AP (0 to 1, at the IoU threshold) gained by correcting only this type; can be slightly below 0.
    pub ap_gain: f64,
}

/// Counts and costs of all types of errors.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ErrorCosts {
    /// AP at the IoU threshold, 0 to 1; -1 without objects.
    pub ap: f64,
    /// One entry per type, in the order of [`ErrorType::ALL`].
    pub kinds: Vec<ErrorCost>,
    /// AP gained by removing all false positives.
    pub ap_gain_false_positives: f64,
    /// AP gained by removing all objects without detection.
    pub ap_gain_false_negatives: f64,
}

/// The errors to correct.
#[derive(Clone, Copy, PartialEq)]
enum Correction {
    None,
    Type(ErrorType),
    FalsePositives,
    FalseNegatives,
}

/// Objects that no detection accepted by `shown` matches, and none would match with the correct class or
/// location.
pub(crate) fn missed(labels: &Classification, shown: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut near = vec![false; labels.truths.len()];
    for (detection, label) in labels.detections.iter().enumerate() {
        match *label {
            DetectionLabel::Class { truth } | DetectionLabel::Location { truth } if shown(detection) => {
                near[truth] = true
            }
            _ => {}
        }
    }
    let states = labels.truths.iter().enumerate();
    states
        .filter(|&(truth, state)| match *state {
            MatchState::Ignored => false,
            MatchState::FoundBy(detection) => !shown(detection) && !near[truth],
            MatchState::NotFound => !near[truth],
        })
        .map(|(truth, _)| truth)
        .collect()
}

/// Counts the errors and computes their costs.
pub(crate) fn costs(evaluator: &Evaluator<'_>, labels: &Classification, score_threshold: f64) -> ErrorCosts {
    let pool = Pool::new(evaluator, labels);
    let ap = pool.average_precision(Correction::None);
    let gain = |correction| if ap < 0.0 { 0.0 } else { pool.average_precision(correction) - ap };
    let shown = |detection: usize| evaluator.detections[detection].score >= score_threshold;
    let count = |kind: ErrorType, shown: &dyn Fn(usize) -> bool| {
        if kind == ErrorType::Missed {
            return missed(labels, shown).len();
        }
        let all = labels.detections.iter().enumerate();
        all.filter(|&(index, &label)| ErrorType::of(label) == Some(kind) && shown(index)).count()
    };
    let cost = |kind| ErrorCost {
        kind,
        count: count(kind, &|_| true),
        count_shown: count(kind, &shown),
        ap_gain: gain(Correction::Type(kind)),
    };
    ErrorCosts {
        ap,
        kinds: ErrorType::ALL.into_iter().map(cost).collect(),
        ap_gain_false_positives: gain(Correction::FalsePositives),
        ap_gain_false_negatives: gain(Correction::FalseNegatives),
    }
}

/// All detections that count, with their classes.
struct Pool<'a> {
    evaluator: &'a Evaluator<'a>,
    labels: &'a Classification,
    /// Class and index in the input, in the order of pycocotools before it sorts by score.
    members: Vec<(usize, usize)>,
    /// Class of each object of the input.
    truth_classes: HashMap<usize, usize>,
    missed: Vec<usize>,
}

impl<'a> Pool<'a> {
    fn new(evaluator: &'a Evaluator<'a>, labels: &'a Classification) -> Self {
        let (mut members, mut truth_classes) = (Vec::new(), HashMap::new());
        for (class, images) in evaluator.index.classes.iter().enumerate() {
            for boxes in images {
                let detections = &evaluator.index.detections[boxes.detections.clone()];
                let counted = |&&one: &&usize| labels.detections[one] != DetectionLabel::NotCounted;
                members.extend(detections.iter().filter(counted).map(|&one| (class, one)));
                truth_classes
                    .extend(evaluator.index.truths[boxes.truths.clone()].iter().map(|&one| (one, class)));
            }
        }
        Self { evaluator, labels, members, truth_classes, missed: missed(labels, |_| true) }
    }

    /// For each object that is not found, the detection with the highest score that would match it with the
    /// correct class or location. Both types share one, as in TIDE, so that no object is gained twice.
    fn corrected(&self) -> HashMap<usize, usize> {
        let mut best: HashMap<usize, usize> = HashMap::new();
        for &(_, detection) in &self.members {
            let label = self.labels.detections[detection];
            let (DetectionLabel::Class { truth } | DetectionLabel::Location { truth }) = label else {
                continue;
            };
            if self.labels.truths[truth] != MatchState::NotFound {
                continue;
            }
            let score = |one: usize| self.evaluator.detections[one].score;
            let chosen = best.entry(truth).or_insert(detection);
            let earlier = score(detection) == score(*chosen) && detection < *chosen;
            if score(detection) > score(*chosen) || earlier {
                *chosen = detection;
            }
        }
        best
    }

    fn average_precision(&self, correction: Correction) -> f64 {
        let class_count = self.evaluator.index.classes.len();
        let mut present = vec![false; class_count];
        let mut objects = vec![0_usize; class_count];
        for (truth, state) in self.labels.truths.iter().enumerate() {
            let removed = match correction {
                Correction::FalseNegatives => *state == MatchState::NotFound,
                _ => false,
            };
            if *state != MatchState::Ignored {
                present[self.truth_classes[&truth]] = true;
                objects[self.truth_classes[&truth]] += usize::from(!removed);
            }
        }
        if correction == Correction::Type(ErrorType::Missed) {
            for truth in &self.missed {
                objects[self.truth_classes[truth]] -= 1;
            }
        }
        let best = match correction {
            Correction::Type(_) => self.corrected(),
            _ => HashMap::new(),
        };
        let mut lists: Vec<(Vec<f64>, Vec<MatchKind>)> = vec![Default::default(); class_count];
        for &(class, detection) in &self.members {
            let label = self.labels.detections[detection];
            let (class, kind) = match (label, ErrorType::of(label)) {
                (DetectionLabel::Class { truth } | DetectionLabel::Location { truth }, Some(kind))
                    if correction == Correction::Type(kind) =>
                {
                    // An object can be matched once only: the other detections of it are removed.
                    if best.get(&truth) != Some(&detection) {
                        continue;
                    }
                    (self.truth_classes[&truth], MatchKind::TruePositive)
                }
                (_, Some(kind))
                    if correction == Correction::Type(kind) || correction == Correction::FalsePositives =>
                {
                    continue;
                }
                (_, Some(_)) => (class, MatchKind::FalsePositive),
                (DetectionLabel::Correct { .. }, None) => (class, MatchKind::TruePositive),
                (_, None) => (class, MatchKind::Ignored),
            };
            lists[class].0.push(self.evaluator.detections[detection].score);
            lists[class].1.push(kind);
        }
        let recalls = &self.evaluator.parameters.recall_thresholds;
        let per_class =
            lists.iter().zip(objects).zip(present).map(|(((scores, kinds), objects), present)| {
                if objects == 0 {
                    // A class without remaining objects still counts, so that the mean is over the same
                    // classes for every correction.
                    return if present { 0.0 } else { -1.0 };
                }
                let curve = Curve::new(best_first(scores).into_iter().map(|index| kinds[index]), objects);
                let at = |&recall: &f64| curve.reach(recall).map_or(0.0, |at| curve.precision[at]);
                mean_of_present(recalls.iter().map(at))
            });
        mean_of_present(per_class)
    }
}
