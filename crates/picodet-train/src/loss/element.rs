//! Class losses of one logit or probability in f64; each returns the loss and its derivative.

use picodet_kernel::focal::Focal;

use crate::predictions::sigmoid;

/// Weight of background in varifocal losses.
const ALPHA: f64 = 0.75;

/// Returns `ln(1 + e^x)` without overflow: the cross entropy of a logit against 0.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Returns the cross entropy of a logit.
fn cross_entropy(x: f64, target: f64) -> f64 {
    softplus(x) - x * target
}

/// Computes the varifocal loss of a logit `x` against the quality `q` (SPEC §4.1). Quality 0 is background.
pub fn varifocal_logit(x: f64, q: f64) -> (f64, f64) {
    if q > 0.0 {
        return (q * cross_entropy(x, q), q * (sigmoid(x) - q));
    }
    let (loss, slope) = quality_focal(x, None);
    (ALPHA * loss, ALPHA * slope)
}

/// Computes the varifocal loss of a probability `p`, logarithms at least -100.
pub fn varifocal_probability(p: f64, q: f64) -> (f64, f64) {
    let against = (1.0 - q) * (1.0 - p).ln().max(-100.0);
    let entropy = if q > 0.0 { -(q * p.ln().max(-100.0) + against) } else { -against };
    let slope = (p - q) / (p * (1.0 - p)).max(1e-12);
    if q > 0.0 {
        return (q * entropy, q * slope);
    }
    (ALPHA * p * p * entropy, ALPHA * (2.0 * p * entropy + p * p * slope))
}

/// Computes the quality focal loss (beta 2) of a logit against the quality `q`, or against background.
pub fn quality_focal(x: f64, q: Option<f64>) -> (f64, f64) {
    let p = sigmoid(x);
    let q = q.unwrap_or(0.0);
    let entropy = cross_entropy(x, q);
    let gap = p - q;
    (entropy * gap * gap, gap * gap * gap + 2.0 * entropy * gap * p * (1.0 - p))
}

/// Computes the loss of a background logit: one term of [`picodet_kernel::focal::background`].
pub(crate) fn negative(focal: Focal, logit: f64) -> f64 {
    match focal {
        Focal::Varifocal => varifocal_logit(logit, 0.0).0,
        Focal::QualityFocal => quality_focal(logit, None).0,
        Focal::CrossEntropy => softplus(logit).min(100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn background_equals_the_batch_kernel() {
        for focal in [Focal::Varifocal, Focal::QualityFocal, Focal::CrossEntropy] {
            for x in [-30.0, -4.6, -0.3, 0.0, 0.7, 12.0] {
                let batch = picodet_kernel::focal::background_sum(picodet_simd::Isa::best(), focal, &[x]);
                let single = negative(focal, f64::from(x));
                assert!((batch - single).abs() <= 4e-6 * single, "{focal:?} {x}: {batch}, not {single}");
            }
        }
    }

    #[test]
    fn derivatives_equal_finite_differences() {
        let step = 1e-6;
        let mut wrong = Vec::new();
        for x in [-6.0, -1.3, 0.0, 0.4, 5.0] {
            for q in [0.0, 0.3, 0.95] {
                let p = sigmoid(x);
                type Element = fn(f64, f64) -> (f64, f64);
                let cases: [(&str, f64, Element); 3] = [
                    ("varifocal of a logit", x, varifocal_logit),
                    ("varifocal of a probability", p, varifocal_probability),
                    ("quality focal", x, |x, q| quality_focal(x, (q > 0.0).then_some(q))),
                ];
                for (name, at, function) in cases {
                    let step = if name.ends_with("probability") { step * p * (1.0 - p) } else { step };
                    let slope = (function(at + step, q).0 - function(at - step, q).0) / (2.0 * step);
                    if (slope - function(at, q).1).abs() > 1e-5 * (1.0 + slope.abs()) {
                        wrong.push(format!("{name} at {at}, {q}: {slope}, not {}", function(at, q).1));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
