//! What each kind of error costs: AP gained if it alone were repaired (TIDE, Bolya et al., 2020).

use std::collections::HashMap;

use crate::accumulate::{Curve, best_first};
use crate::evaluation::Evaluator;
use crate::matching::Outcome;
use crate::numpy::mean_of_present;
use crate::verdict::{TruthFate, Verdict, Verdicts};

/// The six kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Right place, wrong class.
    Class,
    /// Right class, too little overlap.
    Location,
    /// Wrong class and too little overlap.
    Both,
    /// An object found twice.
    Duplicate,
    /// Nothing there.
    Background,
    /// An object that nothing finds, and none of the boxes with the wrong class or place is for it.
    Missed,
}

impl ErrorKind {
    /// All six, in TIDE's order.
    pub const ALL: [Self; 6] =
        [Self::Class, Self::Location, Self::Both, Self::Duplicate, Self::Background, Self::Missed];

    /// `class`, `location`, `both`, `duplicate`, `background` or `missed`.
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

    /// One sentence for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Class => "right place, wrong class",
            Self::Location => "right class, box overlaps too little",
            Self::Both => "wrong class, and box overlaps too little",
            Self::Duplicate => "object is already found by a surer box",
            Self::Background => "nothing is there",
            Self::Missed => "object that no box is near in place or class",
        }
    }

    pub(crate) fn of(verdict: Verdict) -> Option<Self> {
        match verdict {
            Verdict::Class { .. } => Some(Self::Class),
            Verdict::Location { .. } => Some(Self::Location),
            Verdict::Both => Some(Self::Both),
            Verdict::Duplicate { .. } => Some(Self::Duplicate),
            Verdict::Background => Some(Self::Background),
            Verdict::Correct { .. } | Verdict::Ignored | Verdict::NotCounted => None,
        }
    }
}

/// How often an error is made and what it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorCost {
    /// The kind.
    pub kind: ErrorKind,
    /// How often, over all detections, however unsure.
    pub count: usize,
    /// How often, over the detections from the score threshold up.
    pub count_shown: usize,
    /// AP (0..1, at the one overlap) gained if this kind alone were repaired; can be a little below 0.
    pub ap_gain: f64,
}

/// What the errors cost.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorCosts {
    /// AP at the overlap threshold, 0..1; -1 where there is nothing to find.
    pub ap: f64,
    /// One entry a kind, in the order of [`ErrorKind::ALL`].
    pub kinds: Vec<ErrorCost>,
    /// AP gained if no detection were wrong.
    pub ap_gain_false_positives: f64,
    /// AP gained if every object that is not found were not there.
    pub ap_gain_false_negatives: f64,
}

/// What to repair.
#[derive(Clone, Copy, PartialEq)]
enum Repair {
    Nothing,
    Kind(ErrorKind),
    FalsePositives,
    FalseNegatives,
}

/// Truths that nothing finds among the detections that `shown` lets through, and that none would find if
/// its class or place were right.
pub(crate) fn missed(verdicts: &Verdicts, shown: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut near = vec![false; verdicts.truths.len()];
    for (detection, verdict) in verdicts.detections.iter().enumerate() {
        match *verdict {
            Verdict::Class { truth } | Verdict::Location { truth } if shown(detection) => near[truth] = true,
            _ => {}
        }
    }
    let fates = verdicts.truths.iter().enumerate();
    fates
        .filter(|&(truth, fate)| match *fate {
            TruthFate::Unwanted => false,
            TruthFate::FoundBy(detection) => !shown(detection) && !near[truth],
            TruthFate::NotFound => !near[truth],
        })
        .map(|(truth, _)| truth)
        .collect()
}

pub(crate) fn costs(evaluator: &Evaluator<'_>, verdicts: &Verdicts, score_threshold: f64) -> ErrorCosts {
    let pool = Pool::new(evaluator, verdicts);
    let ap = pool.average_precision(Repair::Nothing);
    let gain = |repair| if ap < 0.0 { 0.0 } else { pool.average_precision(repair) - ap };
    let shown = |detection: usize| evaluator.detections[detection].score >= score_threshold;
    let count = |kind: ErrorKind, shown: &dyn Fn(usize) -> bool| {
        if kind == ErrorKind::Missed {
            return missed(verdicts, shown).len();
        }
        let all = verdicts.detections.iter().enumerate();
        all.filter(|&(place, &verdict)| ErrorKind::of(verdict) == Some(kind) && shown(place)).count()
    };
    let cost = |kind| ErrorCost {
        kind,
        count: count(kind, &|_| true),
        count_shown: count(kind, &shown),
        ap_gain: gain(Repair::Kind(kind)),
    };
    ErrorCosts {
        ap,
        kinds: ErrorKind::ALL.into_iter().map(cost).collect(),
        ap_gain_false_positives: gain(Repair::FalsePositives),
        ap_gain_false_negatives: gain(Repair::FalseNegatives),
    }
}

/// All detections that count, with the class that they count for.
struct Pool<'a> {
    evaluator: &'a Evaluator<'a>,
    verdicts: &'a Verdicts,
    /// Group and index in the input, ordered as pycocotools orders them before it sorts by score.
    members: Vec<(usize, usize)>,
    /// Group of each truth of the input.
    truth_groups: HashMap<usize, usize>,
    missed: Vec<usize>,
}

impl<'a> Pool<'a> {
    fn new(evaluator: &'a Evaluator<'a>, verdicts: &'a Verdicts) -> Self {
        let (mut members, mut truth_groups) = (Vec::new(), HashMap::new());
        for (group, cells) in evaluator.index.groups.iter().enumerate() {
            for cell in cells {
                let detections = &evaluator.index.detections[cell.detections.clone()];
                let counted = |&&one: &&usize| verdicts.detections[one] != Verdict::NotCounted;
                members.extend(detections.iter().filter(counted).map(|&one| (group, one)));
                truth_groups
                    .extend(evaluator.index.truths[cell.truths.clone()].iter().map(|&one| (one, group)));
            }
        }
        Self { evaluator, verdicts, members, truth_groups, missed: missed(verdicts, |_| true) }
    }

    /// For each truth that is not found, the surest of the detections that would find it if their class
    /// or their place were right. One over both kinds, as in TIDE: what another kind repairs better is
    /// not gained twice.
    fn repaired(&self) -> HashMap<usize, usize> {
        let mut best: HashMap<usize, usize> = HashMap::new();
        for &(_, detection) in &self.members {
            let verdict = self.verdicts.detections[detection];
            let (Verdict::Class { truth } | Verdict::Location { truth }) = verdict else { continue };
            if self.verdicts.truths[truth] != TruthFate::NotFound {
                continue;
            }
            let score = |one: usize| self.evaluator.detections[one].score;
            let surest = best.entry(truth).or_insert(detection);
            let earlier = score(detection) == score(*surest) && detection < *surest;
            if score(detection) > score(*surest) || earlier {
                *surest = detection;
            }
        }
        best
    }

    fn average_precision(&self, repair: Repair) -> f64 {
        let group_count = self.evaluator.index.groups.len();
        let mut present = vec![false; group_count];
        let mut wanted = vec![0_usize; group_count];
        for (truth, fate) in self.verdicts.truths.iter().enumerate() {
            let gone = match repair {
                Repair::FalseNegatives => *fate == TruthFate::NotFound,
                _ => false,
            };
            if *fate != TruthFate::Unwanted {
                present[self.truth_groups[&truth]] = true;
                wanted[self.truth_groups[&truth]] += usize::from(!gone);
            }
        }
        if repair == Repair::Kind(ErrorKind::Missed) {
            for truth in &self.missed {
                wanted[self.truth_groups[truth]] -= 1;
            }
        }
        let best = match repair {
            Repair::Kind(_) => self.repaired(),
            _ => HashMap::new(),
        };
        let mut lists: Vec<(Vec<f64>, Vec<Outcome>)> = vec![Default::default(); group_count];
        for &(group, detection) in &self.members {
            let verdict = self.verdicts.detections[detection];
            let (group, outcome) = match (verdict, ErrorKind::of(verdict)) {
                (Verdict::Class { truth } | Verdict::Location { truth }, Some(kind))
                    if repair == Repair::Kind(kind) =>
                {
                    // An object can be found once only: the other boxes for it go.
                    if best.get(&truth) != Some(&detection) {
                        continue;
                    }
                    (self.truth_groups[&truth], Outcome::True)
                }
                (_, Some(kind)) if repair == Repair::Kind(kind) || repair == Repair::FalsePositives => {
                    continue;
                }
                (_, Some(_)) => (group, Outcome::False),
                (Verdict::Correct { .. }, None) => (group, Outcome::True),
                (_, None) => (group, Outcome::Ignored),
            };
            lists[group].0.push(self.evaluator.detections[detection].score);
            lists[group].1.push(outcome);
        }
        let recalls = &self.evaluator.parameters.recall_thresholds;
        let per_class =
            lists.iter().zip(wanted).zip(present).map(|(((scores, outcomes), wanted), present)| {
                if wanted == 0 {
                    // A class of which nothing was found still counts, so that the mean is over the same
                    // classes whatever is repaired.
                    return if present { 0.0 } else { -1.0 };
                }
                let curve = Curve::new(best_first(scores).into_iter().map(|place| outcomes[place]), wanted);
                let at = |&recall: &f64| curve.reach(recall).map_or(0.0, |place| curve.precision[place]);
                mean_of_present(recalls.iter().map(at))
            });
        mean_of_present(per_class)
    }
}
