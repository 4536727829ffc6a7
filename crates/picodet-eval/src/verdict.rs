//! What is wrong with each detection and which objects are missed: the error kinds of TIDE
//! (Bolya et al., 2020) at one overlap threshold, all areas.

use crate::evaluation::Evaluator;
use crate::matching::{CellBoxes, Match, Outcome};
use crate::parameters::{Parameters, ZeroId};
use crate::types::intersection_over_union;

/// Overlap below which a detection has nothing to do with an object (TIDE's background threshold).
pub(crate) const BACKGROUND_OVERLAP: f64 = 0.1;

/// What a detection is. Indices are into the truths of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It finds an object.
    Correct {
        /// The object.
        truth: usize,
    },
    /// It lies on a crowd or an ignored object and counts neither way.
    Ignored,
    /// Right place, wrong class.
    Class {
        /// The object of the other class.
        truth: usize,
    },
    /// Right class, but it overlaps too little.
    Location {
        /// The object of the same class.
        truth: usize,
    },
    /// Wrong class, and it overlaps too little.
    Both,
    /// The object is already found by another detection, which is at least as sure.
    Duplicate {
        /// The object.
        truth: usize,
    },
    /// There is nothing.
    Background,
    /// Not looked at: beyond the detections that count in an image, or of an unknown class.
    NotCounted,
}

/// Verdicts on all detections and the fate of all truths.
pub(crate) struct Verdicts {
    /// One a detection of the input.
    pub(crate) detections: Vec<Verdict>,
    /// For each truth of the input: is it wanted, and which detection (of the input) finds it.
    pub(crate) truths: Vec<TruthFate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TruthFate {
    /// A crowd, ignored, or of an image or class that is not evaluated.
    Unwanted,
    FoundBy(usize),
    NotFound,
}

/// The wanted truths of one image.
struct ImageTruths {
    /// Group (class) and index in the input.
    wanted: Vec<(usize, usize)>,
}

pub(crate) fn verdicts(evaluator: &Evaluator<'_>, threshold: f64) -> Verdicts {
    let Evaluator { index, truths, detections, parameters } = evaluator;
    // pycocotools' oddity belongs to its numbers, not to what is said of a detection.
    let parameters = &Parameters { zero_id: ZeroId::Ordinary, ..parameters.clone() };
    let all_areas = parameters.area_ranges[0];
    let mut fates = vec![TruthFate::Unwanted; truths.len()];
    let mut result = vec![Verdict::NotCounted; detections.len()];
    let mut images: Vec<ImageTruths> =
        index.images.iter().map(|_| ImageTruths { wanted: Vec::new() }).collect();
    let mut wrong = Vec::new();
    let mut matches: Vec<Match> = Vec::new();
    for (group, cells) in index.groups.iter().enumerate() {
        for cell in cells {
            let boxes = CellBoxes::new(cell, index, truths, detections, parameters);
            boxes.match_boxes(&[threshold], all_areas, &mut matches);
            for (place, &truth) in index.truths[cell.truths.clone()].iter().enumerate() {
                if !boxes.unwanted(place, all_areas) {
                    fates[truth] = TruthFate::NotFound;
                    images[cell.image].wanted.push((group, truth));
                }
            }
            for (one, &detection) in matches.iter().zip(&index.detections[cell.detections.clone()]) {
                match (one.outcome, one.truth) {
                    (Outcome::True, Some(place)) => {
                        let truth = index.truths[place];
                        result[detection] = Verdict::Correct { truth };
                        fates[truth] = TruthFate::FoundBy(detection);
                    }
                    (Outcome::Ignored, _) => result[detection] = Verdict::Ignored,
                    _ => wrong.push((group, cell.image, detection)),
                }
            }
        }
    }
    for (group, image, detection) in wrong {
        result[detection] = why_wrong(evaluator, threshold, group, detection, &images[image]);
    }
    Verdicts { detections: result, truths: fates }
}

fn why_wrong(
    evaluator: &Evaluator<'_>,
    threshold: f64,
    group: usize,
    detection: usize,
    image: &ImageTruths,
) -> Verdict {
    let (mut same, mut other) = ((0.0, None), (0.0, None));
    for &(truth_group, truth) in &image.wanted {
        let bbox = &evaluator.truths[truth].bbox;
        let overlap = intersection_over_union(&evaluator.detections[detection].bbox, bbox, false);
        let best = if truth_group == group { &mut same } else { &mut other };
        if overlap > best.0 {
            *best = (overlap, Some(truth));
        }
    }
    // The order is TIDE's: a taken object does not hide that the class is another's.
    match (same, other) {
        ((overlap, Some(truth)), _) if (BACKGROUND_OVERLAP..threshold).contains(&overlap) => {
            Verdict::Location { truth }
        }
        (_, (overlap, Some(truth))) if overlap >= threshold => Verdict::Class { truth },
        // It overlaps enough and was not matched: the object is taken.
        ((overlap, Some(truth)), _) if overlap >= threshold => Verdict::Duplicate { truth },
        (_, (overlap, Some(_))) if overlap > BACKGROUND_OVERLAP => Verdict::Both,
        _ => Verdict::Background,
    }
}
