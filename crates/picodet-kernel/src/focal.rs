//! Focal losses of background logits (SPEC §4.1, §4.2): the loss of every logit against the target 0 and its derivative.
//!
//! A batch has about a million class logits, nearly all of them background, so that these sums are most of the cost of a
//! loss. They are computed in f32, a vector of logits at a time, and added up in f64.

use picodet_simd::{Isa, Kernel, Simd, Vector, dispatch, exp};

/// Weight of background in varifocal losses.
pub const VARIFOCAL_ALPHA: f32 = 0.75;

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

/// Sums of each lane of all vectors.
#[derive(Default)]
struct LaneSums([f64; 16]);

impl LaneSums {
    /// Adds the first `count` lanes.
    #[inline(always)]
    fn add<V: Vector>(&mut self, lanes: V, count: usize) {
        let lanes = lanes.to_array();
        // The usual number is a constant, so that the compiler adds vectors.
        let count = if count >= V::LEN { V::LEN } else { count };
        for (sum, &lane) in self.0.iter_mut().zip(&lanes).take(count) {
            *sum += f64::from(lane);
        }
    }

    fn total(&self) -> f64 {
        self.0.iter().sum()
    }
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
    fn run<S: Simd>(self, s: S) -> f64 {
        match self.focal {
            Focal::Varifocal => self.each::<S, Varifocal>(s),
            Focal::QualityFocal => self.each::<S, QualityFocal>(s),
            Focal::CrossEntropy => self.each::<S, CrossEntropy>(s),
        }
    }
}

impl Background<'_> {
    #[inline(always)]
    fn each<S: Simd, E: Element>(self, s: S) -> f64 {
        let Self { logits, scale, gradients, .. } = self;
        let mut sums = LaneSums::default();
        for (index, out) in gradients.chunks_exact_mut(logits.channels.max(1)).enumerate() {
            for (logits, out) in logits.row(index).chunks(S::LEN).zip(out.chunks_mut(S::LEN)) {
                let (loss, slope) = E::of(s.load_slice(logits));
                sums.add(loss, logits.len());
                (slope * s.splat(scale)).store_slice(out);
            }
        }
        sums.total()
    }
}

struct BackgroundSum<'a> {
    focal: Focal,
    logits: &'a [f32],
}

impl Kernel for BackgroundSum<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        match self.focal {
            Focal::Varifocal => sum::<S, Varifocal>(s, self.logits),
            Focal::QualityFocal => sum::<S, QualityFocal>(s, self.logits),
            Focal::CrossEntropy => sum::<S, CrossEntropy>(s, self.logits),
        }
    }
}

#[inline(always)]
fn sum<S: Simd, E: Element>(s: S, logits: &[f32]) -> f64 {
    let mut sums = LaneSums::default();
    for logits in logits.chunks(S::LEN) {
        sums.add(E::of(s.load_slice(logits)).0, logits.len());
    }
    sums.total()
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
    fn run<S: Simd>(self, s: S) -> f64 {
        let Self { logits, align, scale, gradients, align_gradients } = self;
        let mut sums = LaneSums::default();
        let rows = gradients.chunks_exact_mut(logits.channels.max(1)).zip(align_gradients);
        for (index, (out, align_out)) in rows.enumerate() {
            let align = Sigmoid::of(s.splat(align.row(index)[0]));
            let mut align_sums = LaneSums::default();
            for (logits, out) in logits.row(index).chunks(S::LEN).zip(out.chunks_mut(S::LEN)) {
                let (loss, by_logit, by_align) = aligned_varifocal(s.load_slice(logits), align);
                sums.add(loss, logits.len());
                align_sums.add(by_align, logits.len());
                (by_logit * s.splat(scale)).store_slice(out);
            }
            *align_out = align_sums.total() as f32 * scale;
        }
        sums.total()
    }
}

/// The sigmoid of logits, precise at both ends.
#[derive(Clone, Copy)]
struct Sigmoid<V> {
    /// `1 / (1 + e⁻ˣ)`.
    p: V,
    /// `1 - p`, without cancellation.
    complement: V,
    /// `e` to the power of `-|x|`.
    small: V,
}

// `max` and `min` return their second operand where either is NaN, so that logits come second and NaN stays NaN.
impl<V: Vector> Sigmoid<V> {
    #[inline(always)]
    fn of(x: V) -> Self {
        let (zero, one) = (x.splat(0.0), x.splat(1.0));
        let small = exp((zero - x).min(x));
        let large = one / (one + small);
        let rest = small * large;
        let negative = zero.greater(x);
        Self { p: V::select(negative, rest, large), complement: V::select(negative, large, rest), small }
    }

    /// Returns `ln(1 + eˣ)`, the cross entropy of the logit `x` against 0.
    #[inline(always)]
    fn entropy(self, x: V) -> V {
        x.splat(0.0).max(x) + area_tangent(self.small)
    }
}

/// A loss and its derivative of each lane. A trait, because functions that are passed as values are not inlined.
trait Element {
    fn of<V: Vector>(x: V) -> (V, V);
}

struct Varifocal;
struct QualityFocal;
struct CrossEntropy;

impl Element for Varifocal {
    #[inline(always)]
    fn of<V: Vector>(x: V) -> (V, V) {
        let (loss, slope) = QualityFocal::of(x);
        let alpha = x.splat(VARIFOCAL_ALPHA);
        (alpha * loss, alpha * slope)
    }
}

impl Element for QualityFocal {
    #[inline(always)]
    fn of<V: Vector>(x: V) -> (V, V) {
        let sigmoid = Sigmoid::of(x);
        let entropy = sigmoid.entropy(x);
        // The sigmoid of the least logits is about 1e-38, not zero, but its square is: `exp` limits what is infinite.
        let square = sigmoid.p * sigmoid.p;
        let slope = (x.splat(2.0) * sigmoid.complement).mul_add(entropy, sigmoid.p);
        (square * entropy, square * slope)
    }
}

impl Element for CrossEntropy {
    #[inline(always)]
    fn of<V: Vector>(x: V) -> (V, V) {
        let sigmoid = Sigmoid::of(x);
        (x.splat(100.0).min(sigmoid.entropy(x)), sigmoid.p)
    }
}

/// Varifocal loss of the score of class logits and an alignment, and its derivatives by both logits.
#[inline(always)]
fn aligned_varifocal<V: Vector>(x: V, align: Sigmoid<V>) -> (V, V, V) {
    let class = Sigmoid::of(x);
    let product = class.p * align.p;
    let tiny = x.splat(1e-9);
    let score = (product + tiny).sqrt();
    // 1 - score = (1 - score²) / (1 + score), whose numerator is a sum of what is small.
    let rest = class.p.mul_add(align.complement, class.complement) - tiny;
    let distance = x.splat(1e-30).max(rest / (x.splat(1.0) + score));
    let entropy = negative_logarithm(score, distance);
    // α (2 s · entropy + s² · s / (s (1 - s))), the denominator at least 1e-12 as in the reference.
    let denominator = x.splat(1e-12).max(score * distance);
    let (alpha, two) = (x.splat(VARIFOCAL_ALPHA), x.splat(2.0));
    let slope = alpha * (two * score * entropy + score * score * (score / denominator));
    let half = product / (two * score);
    let loss = alpha * score * score * entropy;
    (loss, slope * half * class.complement, slope * half * align.complement)
}

/// Returns `-ln(1 - s)` given `s` and `d = 1 - s`, both positive: from `s` if `s` is small, from `d` if `d` is.
#[inline(always)]
fn negative_logarithm<V: Vector>(s: V, d: V) -> V {
    let zero = s.splat(0.0);
    // d = m · 2^exponent with m from 0.75 to 1.5.
    let exponent = (d * s.splat(4.0 / 3.0)).exponent();
    let mantissa = d * (zero - exponent).power_of_two();
    let small = s.splat(0.4).greater(s);
    let z = V::select(small, zero - s, mantissa - s.splat(1.0));
    let exponent = V::select(small, zero, exponent);
    zero - exponent.mul_add(s.splat(std::f32::consts::LN_2), area_tangent(z))
}

/// Returns `ln(1 + z)` for `z` from -0.4 to 1, as twice the area tangent of `z / (2 + z)`, which is at most a third.
#[inline(always)]
fn area_tangent<V: Vector>(z: V) -> V {
    let two = z.splat(2.0);
    let s = z / (two + z);
    let square = s * s;
    let mut sum = z.splat(1.0 / 15.0);
    for odd in [13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = sum.mul_add(square, z.splat(1.0 / odd));
    }
    two * s * sum
}
