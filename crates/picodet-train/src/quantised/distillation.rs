//! The loss of a network against the predictions of another one, without labels: the relative entropy of every score, and
//! that of the distance bins where the other network detects something.

use picodet_zoo::BINS;

use crate::group::ProcessGroup;
use crate::loss::{Loss, Score};
use crate::predictions::{LevelGradients, Predictions};
use crate::{HeadGradients, LevelMaps};

/// Smallest probability whose logarithm is taken.
const SMALLEST: f64 = 1e-12;

/// Weight of the bins of a box, against the scores.
const BOX_WEIGHT: f64 = 1.0;

/// Returns the loss of `student` against `teacher` with its gradients, divided by the sum over all anchors of the teacher's
/// largest score.
///
/// # Panics
/// If the outputs of the two have different shapes.
pub fn distil(
    student: &[LevelMaps<'_>],
    teacher: &[LevelMaps<'_>],
    (group, threads): (&dyn ProcessGroup, usize),
    gradients: &mut HeadGradients,
) -> Loss {
    let is_aligned = teacher.iter().all(|level| level.align.is_some());
    let [student, teacher] = [student, teacher].map(Predictions::new);
    assert_eq!((student.images, student.classes), (teacher.images, teacher.classes), "networks of one kind");
    gradients.reset(&student);
    let anchors = teacher.anchors.centres.len();
    let classes = teacher.classes;
    let aims = picodet_parallel::map(0..teacher.images, threads.max(1), |image| {
        let mut scores = Vec::with_capacity(anchors * classes);
        let mut largest = Vec::with_capacity(anchors);
        for anchor in 0..anchors {
            let align = is_aligned.then(|| teacher.alignment(image, anchor));
            let first = scores.len();
            let logits = teacher.class_logits(image, anchor).iter();
            scores.extend(logits.map(|&logit| score(logit, align).value as f32));
            largest.push(scores[first..].iter().fold(0.0f32, |largest, &score| largest.max(score)));
        }
        (scores, largest)
    });
    let mut normaliser = [aims.iter().flat_map(|(_, largest)| largest).map(|&score| f64::from(score)).sum()];
    group.all_reduce(&mut normaliser);
    let normaliser = normaliser[0].max(1.0);

    let mut loss = Loss { cls: 0.0, bbox: 0.0, dfl: 0.0 };
    let mut first = 0;
    for level in &mut gradients.levels {
        let plane = level.plane();
        let images: Vec<_> = parts(level, classes).into_iter().zip(&aims).enumerate().collect();
        let sums = picodet_parallel::map(images, threads.max(1), |(image, ((cls, reg, align), aim))| {
            let mut sums = [0.0f64; 2];
            let mut align = align.iter_mut();
            for (position, (cls, reg)) in cls.chunks_mut(classes).zip(reg.chunks_mut(4 * BINS)).enumerate() {
                let anchor = first + position;
                let scores = &aim.0[anchor * classes..][..classes];
                let by_align = align.next();
                sums[0] += class_terms(&student, (image, anchor), scores, normaliser, cls, by_align);
                let weight = BOX_WEIGHT * f64::from(aim.1[anchor]);
                let aim = teacher.bin_probabilities(image, anchor);
                sums[1] += bin_terms(&student, (image, anchor), &aim, weight / normaliser, reg);
            }
            sums
        });
        for [cls, dfl] in sums {
            loss.cls += cls / normaliser;
            loss.dfl += dfl;
        }
        first += plane;
    }
    loss
}

/// Gradients by class, box and alignment logits of each image of a level.
fn parts(level: &mut LevelGradients, classes: usize) -> Vec<(&mut [f32], &mut [f32], &mut [f32])> {
    let plane = level.plane().max(1);
    let mut align = level.align.chunks_mut(plane);
    let images = level.cls.chunks_mut(plane * classes).zip(level.reg.chunks_mut(plane * 4 * BINS));
    images.map(|(cls, reg)| (cls, reg, align.next().unwrap_or_default())).collect()
}

/// The relative entropies of the scores of an anchor, and their gradients divided by `normaliser`.
fn class_terms(
    student: &Predictions<'_>,
    (image, anchor): (usize, usize),
    aims: &[f32],
    normaliser: f64,
    cls: &mut [f32],
    by_align: Option<&mut f32>,
) -> f64 {
    let align = by_align.is_some().then(|| student.alignment(image, anchor));
    let (mut sum, mut align_slope) = (0.0, 0.0);
    let logits = student.class_logits(image, anchor);
    for ((&logit, &aim), gradient) in logits.iter().zip(aims).zip(cls) {
        let score = score(logit, align);
        let (p, aim) = (score.value.clamp(SMALLEST, 1.0 - SMALLEST), f64::from(aim));
        sum += entropy(aim, p) + entropy(1.0 - aim, 1.0 - p);
        let slope = (p - aim) / (p * (1.0 - p)) / normaliser;
        *gradient = (slope * score.by_class) as f32;
        align_slope += slope * score.by_align;
    }
    if let Some(gradient) = by_align {
        *gradient = align_slope as f32;
    }
    sum
}

/// The relative entropies of the bins of the four sides of an anchor times `weight`, and their gradients.
fn bin_terms(
    student: &Predictions<'_>,
    (image, anchor): (usize, usize),
    aims: &[[f64; BINS]; 4],
    weight: f64,
    reg: &mut [f32],
) -> f64 {
    let found = student.bin_probabilities(image, anchor);
    let mut sum = 0.0;
    for ((found, aims), gradient) in found.iter().zip(aims).zip(reg.as_chunks_mut::<BINS>().0) {
        for ((p, aim), gradient) in found.iter().zip(aims).zip(gradient) {
            sum += entropy(*aim, p.max(SMALLEST));
            *gradient = (weight * (p - aim)) as f32;
        }
    }
    weight * sum
}

/// The probability of a class at an anchor with an alignment, if the network has one.
fn score(logit: f32, align: Option<f64>) -> Score {
    match align {
        Some(align) => Score::new(f64::from(logit), align),
        None => Score::plain(f64::from(logit)),
    }
}

fn entropy(aim: f64, p: f64) -> f64 {
    if aim > SMALLEST { aim * (aim / p).ln() } else { 0.0 }
}
