//! Labels of channels: fingerprints of what a channel is computed from.

use crate::foreign::{ForeignPool, ForeignResize};

/// A property of the computation that is compared separately, so that a difference can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aspect {
    /// The channels of convolutions and of the image that take part.
    Sources,
    /// Where they are added and where multiplied.
    Arithmetic,
    /// Where they are pooled, and how.
    Pooling,
    /// By which factors they are resized.
    Factors,
    /// With which interpolations they are resized.
    Interpolation,
}

/// All aspects.
pub(super) const ASPECTS: [Aspect; 5] =
    [Aspect::Sources, Aspect::Arithmetic, Aspect::Pooling, Aspect::Factors, Aspect::Interpolation];

/// The operation that computed a channel, as far as its operands are put together with those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Sum,
    Product,
}

/// A fingerprint of each [`Aspect`] of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    parts: [u64; ASPECTS.len()],
    is_unknown: [bool; ASPECTS.len()],
    form: Form,
}

/// Scrambles a number (the finaliser of SplitMix64).
fn mix(tag: u64, value: u64) -> u64 {
    let mut bits =
        value.wrapping_add(tag.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x2545_F491_4F6C_DD1D);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Tags of operands, so that operands of different operations differ.
const OPERAND: u64 = 1;
const SUM: u64 = 2;
const PRODUCT: u64 = 3;
const POOL: u64 = 4;
const FACTOR: u64 = 5;
const MODE: u64 = 6;

impl Label {
    /// Returns the label of a channel of the image, or with `site` of a convolution.
    pub(super) fn source(site: Option<usize>, channel: usize) -> Self {
        let site = site.map_or(0, |site| site as u64 + 1);
        let part = mix(mix(OPERAND, site), channel as u64);
        Self { parts: [part; ASPECTS.len()], is_unknown: [false; ASPECTS.len()], form: Form::Plain }
    }

    /// The operation whose result it is.
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Returns the fingerprint of an aspect; `None` if it is not known.
    pub(super) fn part(&self, aspect: Aspect) -> Option<u64> {
        (!self.is_unknown[aspect as usize]).then_some(self.parts[aspect as usize])
    }

    /// Whether two labels differ in an aspect that is known of both.
    pub(super) fn differs(&self, other: &Self, aspect: Aspect) -> bool {
        self.part(aspect).zip(other.part(aspect)).is_some_and(|(one, other)| one != other)
    }

    fn with(mut self, aspect: Aspect, tag: u64, value: Option<u64>) -> Self {
        let part = &mut self.parts[aspect as usize];
        *part = mix(mix(tag, value.unwrap_or(0)), *part);
        self.is_unknown[aspect as usize] |= value.is_none();
        self.form = Form::Plain;
        self
    }

    /// Returns the label after a pooling.
    pub(super) fn pooled(self, kind: ForeignPool) -> Self {
        let code = match kind {
            ForeignPool::Maximum => 1,
            ForeignPool::Mean => 2,
            ForeignPool::Whole => 3,
        };
        self.with(Aspect::Pooling, POOL, Some(code))
    }

    /// Returns the label after a resize.
    pub(super) fn resized(self, mode: Option<ForeignResize>, factors: Option<[f32; 2]>) -> Self {
        let code = mode.map(|mode| match mode {
            ForeignResize::Nearest => 1,
            ForeignResize::Linear => 2,
            ForeignResize::Other => 3,
        });
        let factor = |value: f32| u64::from((value * 1024.0).round() as u32);
        let factors = factors.map(|[height, width]| mix(factor(height), factor(width)));
        self.with(Aspect::Factors, FACTOR, factors).with(Aspect::Interpolation, MODE, code)
    }

    /// Returns the label of a sum or product, which do not depend on the order of their operands.
    ///
    /// The product of equal labels is that label: `x · hard_sigmoid(x)` is an activation in two operations.
    pub(super) fn combined(self, other: Self, form: Form) -> Self {
        let tag = if form == Form::Product { PRODUCT } else { SUM };
        let mut result = Self { form, ..self };
        if self.parts == other.parts {
            if form == Form::Sum {
                let part = &mut result.parts[Aspect::Arithmetic as usize];
                *part = mix(SUM, *part);
                result.form = Form::Plain;
            } else {
                result.form = self.form;
            }
            return result;
        }
        for aspect in ASPECTS {
            let at = aspect as usize;
            // Of `(a + b) + c` the operands are a, b and c.
            let operand = |label: &Self| match aspect {
                Aspect::Arithmetic if label.form == form => label.parts[at],
                Aspect::Arithmetic => mix(tag, label.parts[at]),
                _ if label.form == Form::Plain => mix(OPERAND, label.parts[at]),
                _ => label.parts[at],
            };
            result.parts[at] = operand(&self).wrapping_add(operand(&other));
            result.is_unknown[at] |= other.is_unknown[at];
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_products_do_not_depend_on_the_order_of_their_operands() {
        let [a, b, c] = [0, 1, 2].map(|channel| Label::source(Some(7), channel));
        for form in [Form::Sum, Form::Product] {
            let left = a.combined(b, form).combined(c, form);
            assert_eq!(left, c.combined(b.combined(a, form), form));
            assert_eq!(left.form(), form);
        }
        let (sum, product) = (a.combined(b, Form::Sum), a.combined(b, Form::Product));
        assert!(sum.differs(&product, Aspect::Arithmetic) && !sum.differs(&product, Aspect::Sources));
        assert_eq!(product.combined(product, Form::Product), product);
        assert!(a.combined(a, Form::Sum).differs(&a, Aspect::Arithmetic));
    }

    #[test]
    fn aspects_that_are_not_known_do_not_differ() {
        let a = Label::source(None, 0);
        let twice = a.resized(Some(ForeignResize::Nearest), Some([2.0; 2]));
        assert!(twice.differs(&a, Aspect::Factors) && twice.differs(&a, Aspect::Interpolation));
        let unknown = a.resized(Some(ForeignResize::Nearest), None);
        assert!(ASPECTS.iter().all(|&aspect| !unknown.differs(&twice, aspect)));
        let linear = a.resized(Some(ForeignResize::Linear), None);
        assert!(linear.differs(&twice, Aspect::Interpolation));
        assert!(a.pooled(ForeignPool::Mean).differs(&a.pooled(ForeignPool::Maximum), Aspect::Pooling));
    }
}
