//! Class losses of a whole batch: background everywhere, then the few logits of objects.

use picodet_kernel::focal::{self, Focal, Rows};
use picodet_simd::Isa;

use super::Positive;
use super::element::{negative, quality_focal, varifocal_logit, varifocal_probability};
use crate::predictions::{HeadGradients, Predictions, sigmoid};

/// Gradients of the class logits and of the alignment logits, of each level of an image.
type ClassMaps<'a> = Vec<(&'a mut [f32], &'a mut [f32])>;

/// Adds a first-generation class loss of every logit, divided by `normaliser`, and returns the sum. `qualities` are the
/// class targets of the positives.
pub(super) fn focal_terms(
    predictions: &Predictions<'_>,
    (positives, qualities): (&[Positive], &[f64]),
    focal: Focal,
    (normaliser, threads): (f64, usize),
    gradients: &mut HeadGradients,
) -> f64 {
    let (isa, scale) = (Isa::best(), (1.0 / normaliser) as f32);
    let images = gradients.class_maps_mut().into_iter().enumerate().collect::<Vec<_>>();
    let of_image = |(image, maps): (usize, ClassMaps<'_>)| -> f64 {
        let levels = predictions.class_maps(image).zip(maps);
        levels.map(|((logits, _), (out, _))| focal::background(isa, focal, logits, scale, out)).sum()
    };
    let mut sum: f64 = picodet_parallel::map(images, threads.max(1), of_image).iter().sum();
    for (positive, &quality) in positives.iter().zip(qualities) {
        let logit = f64::from(predictions.class_logits(positive.image, positive.anchor)[positive.class]);
        let (loss, slope) = match focal {
            Focal::QualityFocal => quality_focal(logit, Some(quality)),
            _ => varifocal_logit(logit, quality),
        };
        sum += loss - negative(focal, logit);
        let gradient = &mut gradients.cls_mut(positive.image, positive.anchor)[positive.class];
        *gradient = (slope / normaliser) as f32;
    }
    sum / normaliser
}

/// Adds the second generation's class loss of every logit, divided by `normaliser`, and returns the sum. The class target of
/// a positive is its weight.
pub(super) fn aligned_terms(
    predictions: &Predictions<'_>,
    positives: &[Positive],
    (normaliser, threads): (f64, usize),
    gradients: &mut HeadGradients,
) -> f64 {
    let (isa, scale) = (Isa::best(), (1.0 / normaliser) as f32);
    let images = gradients.class_maps_mut().into_iter().enumerate().collect::<Vec<_>>();
    let of_image = |(image, maps): (usize, ClassMaps<'_>)| -> f64 {
        let levels = predictions.class_maps(image).zip(maps);
        let of_level =
            |((logits, align), (out, align_out)): ((Rows<'_>, Option<Rows<'_>>), (_, &mut [f32]))| {
                // A network without alignment output is always aligned.
                let aligned = Rows { data: &[f32::INFINITY], stride: 0, channels: 1, count: logits.count };
                let mut unused = vec![0.0; if align.is_none() { logits.count } else { 0 }];
                let align_out = if align.is_none() { &mut unused } else { align_out };
                focal::aligned_background(isa, logits, align.unwrap_or(aligned), scale, out, align_out)
            };
        levels.map(of_level).sum()
    };
    let mut sum: f64 = picodet_parallel::map(images, threads.max(1), of_image).iter().sum();
    for &Positive { image, anchor, class, weight, .. } in positives {
        let logit = f64::from(predictions.class_logits(image, anchor)[class]);
        let score = Score::new(logit, predictions.alignment(image, anchor));
        let (background, background_slope) = varifocal_probability(score.value, 0.0);
        let (loss, slope) = varifocal_probability(score.value, weight);
        sum += loss - background;
        gradients.cls_mut(image, anchor)[class] = (slope * score.by_class / normaliser) as f32;
        if let Some(gradient) = gradients.align_mut(image, anchor) {
            *gradient += ((slope - background_slope) * score.by_align / normaliser) as f32;
        }
    }
    sum / normaliser
}

/// The second generation's class probability of an anchor (SPEC §3.3) and its derivatives.
pub(crate) struct Score {
    /// The probability.
    pub(crate) value: f64,
    /// Derivative by the class logit.
    pub(crate) by_class: f64,
    /// Derivative by the alignment logit.
    pub(crate) by_align: f64,
}

impl Score {
    /// Computes the probability of a class logit in a network without alignment output.
    pub(crate) fn plain(logit: f64) -> Self {
        let value = sigmoid(logit);
        Self { value, by_class: value * (1.0 - value), by_align: 0.0 }
    }

    /// Computes the score of a class logit and an alignment from 0 to 1.
    pub(crate) fn new(logit: f64, align: f64) -> Self {
        let class = sigmoid(logit);
        let value = (class * align + 1e-9).sqrt();
        let half = class * align / (2.0 * value);
        Self { value, by_class: half * (1.0 - class), by_align: half * (1.0 - align) }
    }
}
