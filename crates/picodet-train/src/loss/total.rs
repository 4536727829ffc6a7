//! The totals of the three generations (SPEC §4.2, §4.3, §5.4).

use picodet_zoo::{BINS, REG_CHANNELS};

use super::element::{quality_focal_background, varifocal_background};
use super::{distribution_focal, generalised_iou, quality_focal, varifocal_logit, varifocal_probability};
use crate::exponential::probability_and_entropy;
use crate::geometry::iou;
use crate::group::ProcessGroup;
use crate::predictions::sigmoid;
use crate::{Assignment, Gradients, Predictions, Truth};

/// A loss of a batch, or of a group member's share of one: its three terms, already weighted and normalised, and the
/// gradients of their sum. Normalisers are those of the whole batch, so that terms and gradients of shares add up to
/// its.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Varifocal or quality focal loss.
    pub cls: f64,
    /// GIoU loss.
    pub bbox: f64,
    /// Distribution focal loss.
    pub dfl: f64,
    /// With respect to the head's logits.
    pub gradients: Gradients,
}

impl Loss {
    /// The sum of the terms.
    pub fn total(&self) -> f64 {
        self.cls + self.bbox + self.dfl
    }
}

/// A cell that learns an object.
struct Positive {
    /// Image · anchors + anchor.
    place: usize,
    image: usize,
    object: usize,
    /// Weight of its box losses.
    weight: f64,
}

/// The cells that learn objects, each with the weight that `weigh` gives it.
fn positives(
    predictions: &Predictions,
    assignments: &[Assignment],
    weigh: impl Fn(usize, f64) -> f64,
) -> Vec<Positive> {
    let count = predictions.anchors.len();
    let mut found = Vec::new();
    for (image, assignment) in assignments.iter().enumerate() {
        for (anchor, object) in assignment.object.iter().enumerate() {
            if let Some(object) = *object {
                let place = image * count + anchor;
                found.push(Positive {
                    place,
                    image,
                    object,
                    weight: weigh(place, assignment.quality[anchor]),
                });
            }
        }
    }
    found
}

/// The largest class probability of a cell: the weight of its box in the paper's loss.
fn confidence(predictions: &Predictions, place: usize) -> f64 {
    let logits = &predictions.cls[place * predictions.classes..][..predictions.classes];
    sigmoid(logits.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// Adds GIoU and distribution focal loss of all positives, divided by `normaliser`; returns the two sums.
fn box_terms(
    predictions: &Predictions,
    truths: &[Truth],
    positives: &[Positive],
    (giou_weight, dfl_weight): (f64, f64),
    normaliser: f64,
    gradients: &mut Gradients,
) -> (f64, f64) {
    let (mut bbox_sum, mut dfl_sum) = (0.0, 0.0);
    for positive in positives {
        let place = positive.place;
        let target = target_in_strides(predictions, truths, positive);
        let (giou, by_side) = generalised_iou(&predictions.box_in_strides(place), &target);
        let giou_factor = giou_weight * positive.weight / normaliser;
        let dfl_factor = dfl_weight * positive.weight / 4.0 / normaliser;
        bbox_sum += giou_factor * giou;

        let shares = predictions.shares(place);
        let distances = predictions.distances(place, &target);
        for side in 0..4 {
            let (dfl, by_logit) = distribution_focal(&shares[side], distances[side]);
            dfl_sum += dfl_factor * dfl;
            let mean: f64 = shares[side].iter().enumerate().map(|(bin, share)| bin as f64 * share).sum();
            // Distances grow to the left and up where coordinates fall.
            let by_distance = if side < 2 { -by_side[side] } else { by_side[side] };
            let logits = &mut gradients.reg[place * REG_CHANNELS + side * BINS..][..BINS];
            for (bin, gradient) in logits.iter_mut().enumerate() {
                let by_mean = shares[side][bin] * (bin as f64 - mean);
                *gradient += giou_factor * by_distance * by_mean + dfl_factor * by_logit[bin];
            }
        }
    }
    (bbox_sum, dfl_sum)
}

fn target_in_strides(predictions: &Predictions, truths: &[Truth], positive: &Positive) -> [f64; 4] {
    let stride = predictions.anchors.strides[positive.place % predictions.anchors.len()];
    truths[positive.image].boxes[positive.object].map(|side| side / stride)
}

/// The class of each positive with the overlap of its predicted box, by place: the class targets of the paper.
fn overlap_targets(
    predictions: &Predictions,
    truths: &[Truth],
    positives: &[Positive],
) -> Vec<Option<(usize, f64)>> {
    let mut targets = vec![None; predictions.images * predictions.anchors.len()];
    for positive in positives {
        let target = target_in_strides(predictions, truths, positive);
        let overlap = iou(&predictions.box_in_strides(positive.place), &target, |union| union.max(1e-6));
        targets[positive.place] = Some((truths[positive.image].classes[positive.object], overlap));
    }
    targets
}

/// Does `work` for all items on so many threads, each with neighbours; the results in the order of the items.
fn shared_out<T: Send, R: Send>(mut items: Vec<T>, threads: usize, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let mut others = Vec::new();
        while items.len() > share {
            let part = items.split_off(items.len() - share);
            others.push(scope.spawn(move || part.into_iter().map(work).collect::<Vec<R>>()));
        }
        let mut results: Vec<R> = items.into_iter().map(work).collect();
        for other in others.into_iter().rev() {
            match other.join() {
                Ok(part) => results.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// Logits that are computed together.
const TOGETHER: usize = 8;

/// Adds a class loss of every logit, divided by `normaliser`; returns the sum. `background` takes the probability and the cross
/// entropy of a logit that is to be 0, `object` a logit and its quality; each gives the loss and its slope.
fn class_terms(
    predictions: &Predictions,
    targets: &[Option<(usize, f64)>],
    normaliser: f64,
    gradients: &mut Gradients,
    background: impl Fn(f64, f64) -> (f64, f64) + Sync,
    object: impl Fn(f64, f64) -> (f64, f64),
) -> f64 {
    let scale = 1.0 / normaliser;
    let of_image = |(logits, gradients): (&[f64], &mut [f64])| {
        let mut sums = [0.0; TOGETHER];
        for (logits, gradients) in logits.chunks(TOGETHER).zip(gradients.chunks_mut(TOGETHER)) {
            let mut padded = [f64::NEG_INFINITY; TOGETHER];
            padded[..logits.len()].copy_from_slice(logits);
            let judged = padded.map(|logit| {
                let (p, entropy) = probability_and_entropy(logit);
                background(p, entropy)
            });
            sums.iter_mut().zip(&judged[..logits.len()]).for_each(|(sum, (loss, _))| *sum += loss);
            gradients.iter_mut().zip(&judged).for_each(|(gradient, (_, slope))| *gradient += slope * scale);
        }
        sums.iter().sum::<f64>()
    };
    let len = (predictions.anchors.len() * predictions.classes).max(1);
    let images = predictions.cls.chunks(len).zip(gradients.cls.chunks_mut(len)).collect();
    let mut sum: f64 = shared_out(images, predictions.threads, of_image).iter().sum();
    // The few logits of objects were taken for background.
    for (place, &(class, quality)) in targets.iter().enumerate().filter_map(|(at, t)| Some((at, t.as_ref()?)))
    {
        let index = place * predictions.classes + class;
        let (p, entropy) = probability_and_entropy(predictions.cls[index]);
        let (taken, is) = (background(p, entropy), object(predictions.cls[index], quality));
        sum += is.0 - taken.0;
        gradients.cls[index] += (is.1 - taken.1) / normaliser;
    }
    sum / normaliser
}

/// The paper's loss: varifocal, 2 · GIoU, 0.25 · DFL; boxes weighted by the predicted confidence.
///
/// An image with objects counts at least one positive; an image without counts none.
pub fn paper(
    predictions: &Predictions,
    truths: &[Truth],
    assignments: &[Assignment],
    group: &dyn ProcessGroup,
) -> Loss {
    let counted = assignments
        .iter()
        .zip(truths)
        .map(|(assignment, truth)| if truth.boxes.is_empty() { 0 } else { assignment.positives().max(1) });
    let elements = (varifocal_background, varifocal_logit);
    first_generation(predictions, truths, assignments, counted.sum(), elements, group)
}

/// The loss of the ablation's Base: quality focal instead of varifocal, and every image counts at least one positive.
pub fn base(
    predictions: &Predictions,
    truths: &[Truth],
    assignments: &[Assignment],
    group: &dyn ProcessGroup,
) -> Loss {
    let count = assignments.iter().map(|assignment| assignment.positives().max(1)).sum();
    let elements = (quality_focal_background, |x: f64, q: f64| quality_focal(x, Some(q)));
    first_generation(predictions, truths, assignments, count, elements, group)
}

fn first_generation(
    predictions: &Predictions,
    truths: &[Truth],
    assignments: &[Assignment],
    count: usize,
    (background, object): (impl Fn(f64, f64) -> (f64, f64) + Sync, impl Fn(f64, f64) -> (f64, f64)),
    group: &dyn ProcessGroup,
) -> Loss {
    let mut gradients = predictions.no_gradients();
    let positives = positives(predictions, assignments, |place, _| confidence(predictions, place));
    let mut normalisers = [count as f64, positives.iter().map(|positive| positive.weight).sum()];
    group.all_reduce(&mut normalisers);
    let [count, weight] = normalisers.map(|sum| sum.max(1.0));
    let (bbox, dfl) = box_terms(predictions, truths, &positives, (2.0, 0.25), weight, &mut gradients);
    let targets = overlap_targets(predictions, truths, &positives);
    let cls = class_terms(predictions, &targets, count, &mut gradients, background, object);
    Loss { cls, bbox, dfl, gradients }
}

/// The second generation's class probabilities of one image, `[anchors, classes]` (SPEC §3.3).
pub fn scores(predictions: &Predictions, image: usize) -> Vec<f64> {
    let count = predictions.anchors.len();
    let places = image * count..(image + 1) * count;
    let of_place = |place: usize| {
        let align = alignment(predictions, place);
        let logits = &predictions.cls[place * predictions.classes..][..predictions.classes];
        logits.iter().map(move |&logit| score(logit, align).0)
    };
    places.flat_map(of_place).collect()
}

/// The alignment of a cell, 0 to 1.
fn alignment(predictions: &Predictions, place: usize) -> f64 {
    predictions.align.as_ref().map_or(1.0, |align| sigmoid(align[place]))
}

/// A probability and its derivatives by the class logit and by the alignment logit.
fn score(logit: f64, align: f64) -> (f64, f64, f64) {
    let cls = probability_and_entropy(logit).0;
    let score = (cls * align + 1e-9).sqrt();
    let half = cls * align / (2.0 * score);
    (score, half * (1.0 - cls), half * (1.0 - align))
}

/// The second generation's loss: varifocal on probabilities, 2.5 · GIoU, 0.5 · DFL, all divided by the sum of qualities.
///
/// A batch in which no cell learns anything, where the reference divides by zero, is divided by 1.
pub fn second_generation(
    predictions: &Predictions,
    truths: &[Truth],
    assignments: &[Assignment],
    group: &dyn ProcessGroup,
) -> Loss {
    let mut gradients = predictions.no_gradients();
    let positives = positives(predictions, assignments, |_, quality| quality);
    let mut sum = [positives.iter().map(|positive| positive.weight).sum()];
    group.all_reduce(&mut sum);
    let normaliser = if sum[0] > 0.0 { sum[0] } else { 1.0 };
    let (bbox, dfl) = box_terms(predictions, truths, &positives, (2.5, 0.5), normaliser, &mut gradients);

    let mut targets = vec![None; predictions.images * predictions.anchors.len()];
    for positive in &positives {
        targets[positive.place] = Some((truths[positive.image].classes[positive.object], positive.weight));
    }
    let mut cls = 0.0;
    for (place, target) in targets.iter().enumerate() {
        let mut by_align_sum = 0.0;
        let align = alignment(predictions, place);
        for class in 0..predictions.classes {
            let quality = target.filter(|target| target.0 == class).map_or(0.0, |target| target.1);
            let logit = predictions.cls[place * predictions.classes + class];
            let (score, by_cls, by_align) = score(logit, align);
            let (loss, slope) = varifocal_probability(score, quality);
            cls += loss / normaliser;
            gradients.cls[place * predictions.classes + class] += slope * by_cls / normaliser;
            by_align_sum += slope * by_align / normaliser;
        }
        if let Some(align) = &mut gradients.align {
            align[place] += by_align_sum;
        }
    }
    Loss { cls, bbox, dfl, gradients }
}
