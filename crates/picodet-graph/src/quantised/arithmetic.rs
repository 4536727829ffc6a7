//! The arithmetic between an integer sum and the byte that is stored, in the order of operations of every engine.

use crate::Activation;

/// Rounds to the nearest byte, ties to even; NaN becomes 0.
#[must_use]
pub fn to_byte(value: f32) -> u8 {
    // The conversion of floats to integers saturates; after rounding it is exact.
    value.round_ties_even() as u8
}

/// Applies an activation to one value.
///
/// The sigmoid is the standard library's; engines have their own.
#[must_use]
pub fn activate(x: f32, activation: Option<Activation>) -> f32 {
    match activation {
        None => x,
        Some(Activation::HardSwish) => x * (x.clamp(-3.0, 3.0) + 3.0) / 6.0,
        Some(Activation::Relu) => x.max(0.0),
        Some(Activation::Relu6) => x.clamp(0.0, 6.0),
        Some(Activation::LeakyRelu { slope }) => {
            if x < 0.0 {
                x * slope
            } else {
                x
            }
        }
        Some(Activation::HardSigmoid { slope }) => x.mul_add(slope, 0.5).clamp(0.0, 1.0),
        Some(Activation::Sigmoid) => 1.0 / (1.0 + (-x).exp()),
    }
}

/// Activation and rounding of the values of one channel.
#[derive(Clone, Copy, Debug)]
pub struct ByteStore {
    activation: Option<Activation>,
    factor: f32,
    zero: f32,
}

impl ByteStore {
    /// Prepares the channel of a map with this scale and zero point.
    #[must_use]
    pub fn new(activation: Option<Activation>, scale: f32, zero: u8) -> Self {
        let divisor = if activation == Some(Activation::HardSwish) { 6.0 * scale } else { scale };
        Self { activation, factor: 1.0 / divisor, zero: f32::from(zero) }
    }

    /// Returns the factor of the activated value: the reciprocal of the scale, for hard-swish of six times the scale.
    #[must_use]
    pub fn factor(&self) -> f32 {
        self.factor
    }

    /// Returns the byte of `activation(x)`.
    #[inline]
    #[must_use]
    pub fn byte(&self, x: f32) -> u8 {
        let y = if self.activation == Some(Activation::HardSwish) {
            let t = x.clamp(-3.0, 3.0).mul_add(self.factor, 3.0 * self.factor);
            x.mul_add(t, self.zero)
        } else {
            activate(x, self.activation).mul_add(self.factor, self.zero)
        };
        to_byte(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_bytes_are_those_of_the_activation() {
        let functions = [
            None,
            Some(Activation::HardSwish),
            Some(Activation::Relu),
            Some(Activation::Relu6),
            Some(Activation::LeakyRelu { slope: 0.01 }),
            Some(Activation::HardSigmoid { slope: 0.2 }),
            Some(Activation::Sigmoid),
        ];
        for function in functions {
            let store = ByteStore::new(function, 0.02, 30);
            for step in -400..400i16 {
                let x = f32::from(step) * 0.0173;
                let exact = f64::from(activate(x, function)) / 0.02 + 30.0;
                let byte = f64::from(store.byte(x));
                assert!((byte - exact.clamp(0.0, 255.0)).abs() < 0.501, "{function:?} {x}: {byte} {exact}");
            }
        }
    }
}
