//! Focal losses of background logits (SPEC §4.1, §4.2): the loss of every logit against the target 0 and its derivative.
//!
//! A batch has about a million class logits, nearly all of them background, so that these sums are most of the cost of a
//! loss. They are computed in f32 and added up in f64. The functions contain no branches and no calls, so that the
//! compiler computes a whole vector of logits at a time with the instruction set chosen by [`dispatch`].

use picodet_simd::{Isa, Kernel, Simd, dispatch};

/// Weight of background in varifocal losses.
pub const VARIFOCAL_ALPHA: f32 = 0.75;

/// Logits that are computed together.
const TOGETHER: usize = 16;

/// A class loss of background logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Focal {
    /// Varifocal loss: `0.75 · p² · ln(1 + eˣ)`.
    Varifocal,
    /// Quality focal loss with beta 2: `p² · ln(1 + eˣ)`.
    QualityFocal,
    /// Binary cross entropy, at most 100: `ln(1 + eˣ)`.
    CrossEntropy,
}

/// The channels of consecutive positions of a channels-last map.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// The map, from the first channel of the first position on.
    pub data: &'a [f32],
    /// Distance between positions, in elements; at least `channels`.
    pub stride: usize,
    /// Channels of a position.
    pub channels: usize,
    /// Number of positions.
    pub count: usize,
}

impl<'a> Rows<'a> {
    /// Returns the channels of one position.
    ///
    /// # Panics
    /// When the position is outside the map.
    #[inline(always)]
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..][..self.channels]
    }

    /// Returns all values as one row when positions are adjacent in memory, which avoids short rows.
    fn joined(self) -> Self {
        if self.stride == self.channels && self.count > 0 {
            let channels = self.channels * self.count;
            return Self { stride: channels, channels, count: 1, ..self };
        }
        self
    }
}

/// Writes the derivative of the background loss by every logit, times `scale`, and returns the sum of the losses (not
/// scaled). `gradients` is `[count, channels]` without gaps.
///
/// # Panics
/// When `gradients` has another length than the logits.
pub fn background(isa: Isa, focal: Focal, logits: Rows<'_>, scale: f32, gradients: &mut [f32]) -> f64 {
    assert_eq!(gradients.len(), logits.channels * logits.count, "one gradient per logit");
    dispatch(isa, Background { focal, logits: logits.joined(), scale, gradients })
}

/// Returns the sum of the background losses of the logits of one position.
pub fn background_sum(isa: Isa, focal: Focal, logits: &[f32]) -> f64 {
    dispatch(isa, BackgroundSum { focal, logits })
}

/// As [`background`], for the second generation's varifocal loss of the scores `√(σ(logit) · σ(align) + 1e-9)`: writes the
/// derivatives by class logits and by alignment logits.
///
/// # Panics
/// When the lengths of `gradients` or `align_gradients` are not those of the logits.
pub fn aligned_background(
    isa: Isa,
    logits: Rows<'_>,
    align: Rows<'_>,
    scale: f32,
    gradients: &mut [f32],
    align_gradients: &mut [f32],
) -> f64 {
    assert_eq!(gradients.len(), logits.channels * logits.count, "one gradient per logit");
    assert!(
        align.count == logits.count && align_gradients.len() == logits.count,
        "one alignment per position"
    );
    dispatch(isa, AlignedBackground { logits, align, scale, gradients, align_gradients })
}

struct Background<'a> {
    focal: Focal,
    logits: Rows<'a>,
    scale: f32,
    gradients: &'a mut [f32],
}

impl Kernel for Background<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        match self.focal {
            Focal::Varifocal => self.each(varifocal),
            Focal::QualityFocal => self.each(quality_focal),
            Focal::CrossEntropy => self.each(cross_entropy),
        }
    }
}

impl Background<'_> {
    #[inline(always)]
    fn each(self, element: impl Fn(f32) -> (f32, f32)) -> f64 {
        let Self { logits, scale, gradients, .. } = self;
        let mut sums = [0.0f64; TOGETHER];
        for (index, out) in gradients.chunks_exact_mut(logits.channels.max(1)).enumerate() {
            let (whole, rest) = logits.row(index).as_chunks::<TOGETHER>();
            let (out, out_rest) = out.as_chunks_mut::<TOGETHER>();
            for (logits, out) in whole.iter().zip(out) {
                let mut losses = [0.0f32; TOGETHER];
                for i in 0..TOGETHER {
                    let (loss, slope) = element(logits[i]);
                    losses[i] = loss;
                    out[i] = slope * scale;
                }
                sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += f64::from(loss));
            }
            let mut padded = [f32::NEG_INFINITY; TOGETHER];
            padded[..rest.len()].copy_from_slice(rest);
            let results = padded.map(&element);
            for (i, out) in out_rest.iter_mut().enumerate() {
                *out = results[i].1 * scale;
                sums[i] += f64::from(results[i].0);
            }
        }
        sums.iter().sum()
    }
}

struct BackgroundSum<'a> {
    focal: Focal,
    logits: &'a [f32],
}

impl Kernel for BackgroundSum<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        match self.focal {
            Focal::Varifocal => sum(self.logits, varifocal),
            Focal::QualityFocal => sum(self.logits, quality_focal),
            Focal::CrossEntropy => sum(self.logits, cross_entropy),
        }
    }
}

#[inline(always)]
fn sum(logits: &[f32], element: impl Fn(f32) -> (f32, f32)) -> f64 {
    let mut sums = [0.0f64; TOGETHER];
    let (whole, rest) = logits.as_chunks::<TOGETHER>();
    for logits in whole {
        let losses = logits.map(|logit| element(logit).0);
        sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += f64::from(loss));
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&logit| f64::from(element(logit).0)).sum::<f64>()
}

struct AlignedBackground<'a> {
    logits: Rows<'a>,
    align: Rows<'a>,
    scale: f32,
    gradients: &'a mut [f32],
    align_gradients: &'a mut [f32],
}

impl Kernel for AlignedBackground<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let Self { logits, align, scale, gradients, align_gradients } = self;
        let mut sums = [0.0f64; TOGETHER];
        let rows = gradients.chunks_exact_mut(logits.channels.max(1)).zip(align_gradients);
        for (index, (out, align_out)) in rows.enumerate() {
            let align = Sigmoid::of(align.row(index)[0]);
            let mut align_sums = [0.0f32; TOGETHER];
            let (whole, rest) = logits.row(index).as_chunks::<TOGETHER>();
            let (out, out_rest) = out.as_chunks_mut::<TOGETHER>();
            for (logits, out) in whole.iter().zip(out) {
                let mut losses = [0.0f32; TOGETHER];
                for i in 0..TOGETHER {
                    let (loss, by_logit, by_align) = aligned_varifocal(logits[i], align);
                    losses[i] = loss;
                    out[i] = by_logit * scale;
                    align_sums[i] += by_align;
                }
                sums.iter_mut().zip(losses).for_each(|(sum, loss)| *sum += f64::from(loss));
            }
            let mut padded = [0.0; TOGETHER];
            padded[..rest.len()].copy_from_slice(rest);
            let results = padded.map(|logit| aligned_varifocal(logit, align));
            for (i, out) in out_rest.iter_mut().enumerate() {
                *out = results[i].1 * scale;
                sums[i] += f64::from(results[i].0);
                align_sums[i] += results[i].2;
            }
            *align_out = align_sums.iter().sum::<f32>() * scale;
        }
        sums.iter().sum()
    }
}

/// The sigmoid of a logit, precise at both ends.
#[derive(Clone, Copy)]
struct Sigmoid {
    /// `1 / (1 + e⁻ˣ)`.
    p: f32,
    /// `1 - p`, without cancellation.
    complement: f32,
    /// `e` to the power of `-|x|`.
    small: f32,
}

impl Sigmoid {
    #[inline(always)]
    fn of(x: f32) -> Self {
        let small = exponential(-x.abs());
        let inverse = 1.0 / (1.0 + small);
        let (p, complement) = if x < 0.0 { (small * inverse, inverse) } else { (inverse, small * inverse) };
        Self { p, complement, small }
    }

    /// Returns `ln(1 + eˣ)`, the cross entropy of the logit `x` against 0.
    #[inline(always)]
    fn entropy(self, x: f32) -> f32 {
        let positive = if x < 0.0 { 0.0 } else { x };
        positive + area_tangent(self.small)
    }
}

#[inline(always)]
fn varifocal(x: f32) -> (f32, f32) {
    let (loss, slope) = quality_focal(x);
    (VARIFOCAL_ALPHA * loss, VARIFOCAL_ALPHA * slope)
}

#[inline(always)]
fn quality_focal(x: f32) -> (f32, f32) {
    let sigmoid = Sigmoid::of(x);
    let entropy = sigmoid.entropy(x);
    // Background so certain that its loss vanishes: infinity times zero would be NaN.
    let square = sigmoid.p * sigmoid.p;
    (square * entropy, square * (sigmoid.p + 2.0 * sigmoid.complement * entropy))
}

#[inline(always)]
fn cross_entropy(x: f32) -> (f32, f32) {
    let sigmoid = Sigmoid::of(x);
    let entropy = sigmoid.entropy(x);
    (if entropy > 100.0 { 100.0 } else { entropy }, sigmoid.p)
}

/// Varifocal loss of the score of a class logit and an alignment, and its derivatives by both logits.
#[inline(always)]
fn aligned_varifocal(x: f32, align: Sigmoid) -> (f32, f32, f32) {
    let class = Sigmoid::of(x);
    let product = class.p * align.p;
    let score = (product + 1e-9).sqrt();
    // 1 - score = (1 - score²) / (1 + score), whose numerator is a sum of what is small.
    let distance = (class.complement + class.p * align.complement - 1e-9) / (1.0 + score);
    let distance = if distance < 1e-30 { 1e-30 } else { distance };
    let entropy = negative_logarithm(score, distance);
    // α (2 s · entropy + s² · s / (s (1 - s))), the denominator at least 1e-12 as in the reference.
    let denominator = score * distance;
    let denominator = if denominator < 1e-12 { 1e-12 } else { denominator };
    let slope = VARIFOCAL_ALPHA * (2.0 * score * entropy + score * score * (score / denominator));
    let half = product / (2.0 * score);
    let loss = VARIFOCAL_ALPHA * score * score * entropy;
    (loss, slope * half * class.complement, slope * half * align.complement)
}

/// Returns `-ln(1 - s)` given `s` and `d = 1 - s`, both positive: by `s` where it is small, by `d` where that is.
#[inline(always)]
fn negative_logarithm(s: f32, d: f32) -> f32 {
    // d = m · 2^exponent with m from 0.75 to 1.5.
    let bits = d.to_bits().cast_signed();
    let exponent = (bits - 0x3f40_0000) >> 23;
    let mantissa = f32::from_bits((bits - (exponent << 23)).cast_unsigned());
    let (z, exponent) = if s < 0.4 { (-s, 0.0) } else { (mantissa - 1.0, exponent as f32) };
    -(exponent * std::f32::consts::LN_2 + area_tangent(z))
}

/// Returns `eˣ` for `x` up to 0; below -87 that of -87, about 1e-38. NaN stays NaN.
#[inline(always)]
fn exponential(x: f32) -> f32 {
    // Adding 1.5 · 2^23 rounds to an integer, which is then in the last bits.
    const MAGIC: f32 = 12_582_912.0;
    // ln 2 in two parts, the first short enough for its product with `whole` to be exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Not `max`, which would hide NaN.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let whole = shifted - MAGIC;
    let rest = x - whole * LN_2_HIGH - whole * LN_2_LOW;
    let mut sum = 1.0 / 5040.0;
    for factorial in [720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0] {
        sum = sum * rest + 1.0 / factorial;
    }
    sum * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// Returns `ln(1 + z)` for `z` from -0.4 to 1, as twice the area tangent of `z / (2 + z)`, which is at most a third.
#[inline(always)]
fn area_tangent(z: f32) -> f32 {
    let s = z / (2.0 + z);
    let square = s * s;
    let mut sum = 1.0 / 15.0;
    for odd in [13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = sum * square + 1.0 / odd;
    }
    2.0 * s * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loss and slope of a background logit in f64.
    fn expected(focal: Focal, x: f64) -> (f64, f64) {
        let p = 1.0 / (1.0 + (-x).exp());
        let entropy = x.max(0.0) + (-x.abs()).exp().ln_1p();
        let quality = (p * p * entropy, p * p * p + 2.0 * p * p * (1.0 / (1.0 + x.exp())) * entropy);
        match focal {
            Focal::Varifocal => (0.75 * quality.0, 0.75 * quality.1),
            Focal::QualityFocal => quality,
            Focal::CrossEntropy => (entropy.min(100.0), p),
        }
    }

    fn expected_aligned(x: f64, a: f64) -> (f64, f64, f64) {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (p, q) = (sigmoid(x), sigmoid(a));
        let score = (p * q + 1e-9).sqrt();
        let distance = (sigmoid(-x) + p * sigmoid(-a) - 1e-9) / (1.0 + score);
        let entropy = if score < 0.5 { -(-score).ln_1p() } else { -distance.ln() };
        let slope = 0.75 * (2.0 * score * entropy + score * score * score / (score * distance).max(1e-12));
        let half = p * q / (2.0 * score);
        (0.75 * score * score * entropy, slope * half * sigmoid(-x), slope * half * sigmoid(-a))
    }

    fn close(found: f32, expected: f64) -> bool {
        (f64::from(found) - expected).abs() <= 4e-6 * expected.abs() + 1e-36
    }

    #[test]
    fn every_logit_has_the_loss_and_slope_of_the_definition() {
        let logits: Vec<f32> = (-600..=600).map(|i| i as f32 / 20.0 + 0.013).collect();
        for isa in Isa::available() {
            for focal in [Focal::Varifocal, Focal::QualityFocal, Focal::CrossEntropy] {
                for &logit in &logits {
                    let mut gradient = [f32::NAN];
                    let rows = Rows { data: &[logit], stride: 1, channels: 1, count: 1 };
                    let loss = background(isa, focal, rows, 1.0, &mut gradient) as f32;
                    let (expected_loss, slope) = expected(focal, f64::from(logit));
                    assert!(
                        close(loss, expected_loss),
                        "{isa} {focal:?} {logit}: {loss}, not {expected_loss}"
                    );
                    assert!(close(gradient[0], slope), "{isa} {focal:?} {logit}: {gradient:?}, not {slope}");
                }
            }
        }
    }

    #[test]
    fn rows_with_gaps_equal_single_logits() {
        for isa in Isa::available() {
            for (channels, gap) in [(1, 0), (3, 2), (16, 0), (17, 3), (80, 0), (80, 16)] {
                let count = 5;
                let stride = channels + gap;
                let value = |i: usize| ((i * 7919) % 2003) as f32 / 300.0 - 5.0;
                let data: Vec<f32> = (0..count * stride).map(value).collect();
                let logits = Rows { data: &data, stride, channels, count };
                let align: Vec<f32> = (0..count).map(|i| i as f32 - 2.0).collect();
                let align = Rows { data: &align, stride: 1, channels: 1, count };
                let mut gradients = vec![f32::NAN; count * channels];
                let mut align_gradients = vec![f32::NAN; count];
                let loss = background(isa, Focal::Varifocal, logits, 0.5, &mut gradients);
                let mut sum = 0.0;
                for (i, found) in gradients.iter().enumerate() {
                    let (loss, slope) =
                        expected(Focal::Varifocal, f64::from(logits.row(i / channels)[i % channels]));
                    sum += loss;
                    assert!(close(*found, 0.5 * slope), "{isa} {channels}+{gap}: {found}, not {slope} / 2");
                }
                assert!((loss - sum).abs() < 2e-6 * sum, "{isa} {channels}+{gap}: {loss}, not {sum}");
                let row_sums: f64 =
                    (0..count).map(|row| background_sum(isa, Focal::Varifocal, logits.row(row))).sum();
                assert!((row_sums - sum).abs() < 2e-6 * sum, "{isa} {channels}+{gap}: {row_sums}, not {sum}");

                let loss = aligned_background(isa, logits, align, 0.5, &mut gradients, &mut align_gradients);
                let mut sum = 0.0;
                for row in 0..count {
                    let mut align_sum = 0.0;
                    for channel in 0..channels {
                        let logit = f64::from(logits.row(row)[channel]);
                        let expected = expected_aligned(logit, f64::from(align.row(row)[0]));
                        sum += expected.0;
                        align_sum += expected.2;
                        let found = gradients[row * channels + channel];
                        assert!(
                            close(found, 0.5 * expected.1),
                            "{isa} {channels}+{gap}: {found}, {expected:?}"
                        );
                    }
                    let found = align_gradients[row];
                    assert!(
                        close(found, 0.5 * align_sum),
                        "{isa} {channels}+{gap}: {found}, {align_sum} / 2"
                    );
                }
                assert!((loss - sum).abs() < 2e-6 * sum, "{isa} {channels}+{gap}: {loss}, not {sum}");
            }
        }
    }

    #[test]
    fn extreme_logits_are_finite_and_nan_stays() {
        for isa in Isa::available() {
            let values = [f32::NEG_INFINITY, -1e30, -200.0, 200.0];
            let rows = Rows { data: &values, stride: 4, channels: 4, count: 1 };
            let mut gradients = [f32::NAN; 4];
            assert!(background(isa, Focal::Varifocal, rows, 1.0, &mut gradients).is_finite());
            assert!(gradients.iter().all(|gradient| gradient.is_finite()), "{isa} {gradients:?}");
            for align in [-200.0, 0.0, 200.0] {
                let align = Rows { data: &[align], stride: 1, channels: 1, count: 1 };
                let mut by_align = [f32::NAN];
                let loss = aligned_background(isa, rows, align, 1.0, &mut gradients, &mut by_align);
                assert!(loss.is_finite() && by_align[0].is_finite(), "{isa} {loss} {by_align:?}");
                assert!(gradients.iter().all(|gradient| gradient.is_finite()), "{isa} {gradients:?}");
            }
            let values = [0.0, f32::NAN];
            let rows = Rows { data: &values, stride: 2, channels: 2, count: 1 };
            let mut gradients = [0.0; 2];
            assert!(background(isa, Focal::Varifocal, rows, 1.0, &mut gradients).is_nan());
            assert!(gradients[0].is_finite() && gradients[1].is_nan());
        }
    }
}
