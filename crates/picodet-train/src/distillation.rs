//! The loss of a network against the predictions of another one, without labels: the relative entropy of every score, and
//! that of the distance bins where the other network detects something.

use picodet_zoo::BINS;

use crate::HeadGradients;
use crate::group::ProcessGroup;
use crate::loss::{Loss, Score};
use crate::predictions::{LevelGradients, Predictions};

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
    student: &Predictions<'_>,
    teacher: &Predictions<'_>,
    (group, threads): (&dyn ProcessGroup, usize),
    gradients: &mut HeadGradients,
) -> Loss {
    let is_aligned = teacher.has_alignment();
    assert_eq!((student.images, student.classes), (teacher.images, teacher.classes), "networks of one kind");
    gradients.reset(student);
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
                sums[0] += class_terms(student, (image, anchor), scores, normaliser, cls, by_align);
                let weight = BOX_WEIGHT * f64::from(aim.1[anchor]);
                let aim = teacher.bin_probabilities(image, anchor);
                sums[1] += bin_terms(student, (image, anchor), &aim, weight / normaliser, reg);
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

#[cfg(test)]
mod tests {
    use picodet_graph::TensorView;
    use picodet_zoo::REG_CHANNELS;

    use super::*;
    use crate::LevelMaps;
    use crate::group::SingleProcess;

    const CLASSES: usize = 3;
    /// Height, width and stride of each level.
    const LEVELS: [(usize, usize, usize); 2] = [(3, 4, 8), (2, 2, 16)];

    /// The head's outputs of two images, one after the other.
    fn outputs(seed: usize, has_alignment: bool) -> Vec<Vec<f32>> {
        let noise = |count: usize| {
            (0..count).map(|i| (((i + 31 * seed) * 7919) % 2003) as f32 / 400.0 - 2.5).collect::<Vec<f32>>()
        };
        let channels = [CLASSES, REG_CHANNELS, usize::from(has_alignment)];
        LEVELS.iter().flat_map(|(h, w, _)| channels.map(|channels| noise(2 * channels * h * w))).collect()
    }

    fn level(maps: &[Vec<f32>], (height, width, stride): (usize, usize, usize)) -> LevelMaps<'_> {
        let view =
            |index: usize, channels| TensorView::channels_last(&maps[index], [2, channels, height, width]);
        LevelMaps {
            cls: view(0, CLASSES).expect("a map"),
            reg: view(1, REG_CHANNELS).expect("a map"),
            align: view(2, 1).filter(|_| !maps[2].is_empty()),
            stride,
        }
    }

    fn predictions(outputs: &[Vec<f32>]) -> Predictions<'_> {
        let levels: Vec<LevelMaps<'_>> =
            outputs.chunks(3).zip(LEVELS).map(|(maps, size)| level(maps, size)).collect();
        Predictions::new(&levels)
    }

    fn distance(student: &[Vec<f32>], teacher: &[Vec<f32>], gradients: &mut HeadGradients) -> Loss {
        distil(&predictions(student), &predictions(teacher), (&SingleProcess, 2), gradients)
    }

    #[test]
    fn gradients_equal_finite_differences() {
        for has_alignment in [false, true] {
            let [student, teacher] = [1, 2].map(|seed| outputs(seed, has_alignment));
            let mut gradients = HeadGradients::default();
            distance(&student, &teacher, &mut gradients);
            let mut count = 0;
            for (map, values) in student.iter().enumerate() {
                for index in (0..values.len()).step_by(7) {
                    let at = |step: f32| {
                        let mut moved = student.clone();
                        moved[map][index] += step;
                        distance(&moved, &teacher, &mut HeadGradients::default()).total()
                    };
                    let step = 1.0 / 128.0;
                    let expected = (at(step) - at(-step)) / (2.0 * f64::from(step));
                    let level = &gradients.levels[map / 3];
                    let found = f64::from([&level.cls, &level.reg, &level.align][map % 3][index]);
                    assert!(
                        (found - expected).abs() <= 1e-4 * (1.0 + expected.abs()),
                        "{map} {index}: {found}, not {expected}"
                    );
                    count += 1;
                }
            }
            assert!(count > 100);
        }
    }

    #[test]
    fn equal_predictions_have_no_distance() {
        let outputs = outputs(3, true);
        let mut gradients = HeadGradients::default();
        let loss = distance(&outputs, &outputs, &mut gradients);
        assert!(loss.total().abs() < 1e-6, "{loss:?}");
        let all =
            gradients.levels.iter().flat_map(|level| level.cls.iter().chain(&level.reg).chain(&level.align));
        assert!(all.map(|value| value.abs()).fold(0.0, f32::max) < 1e-6);
    }

    #[test]
    fn a_copy_predicts_the_same() {
        let outputs = outputs(3, false);
        let whole = predictions(&outputs);
        let copy = whole.copied();
        for (image, anchor) in [(0, 0), (1, 11), (1, 15)] {
            assert_eq!(copy.class_logits(image, anchor), whole.class_logits(image, anchor));
            assert_eq!(copy.box_in_pixels(image, anchor), whole.box_in_pixels(image, anchor));
        }
    }
}
