//! Conversion between f32 and bf16, an f32 without its lower 16 bits.

/// Rounds to the nearest bf16, ties to even; NaN stays NaN.
#[inline]
#[must_use]
pub fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// Returns the value of a bf16.
#[inline]
#[must_use]
pub fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Rounds to the nearest bf16 and back, ties to even.
#[inline]
#[must_use]
pub fn round_bf16(value: f32) -> f32 {
    from_bf16(to_bf16(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_the_nearest() {
        let cases = [
            (1.0, 1.0),
            (-2.5, -2.5),
            (0.0, 0.0),
            (-0.0, -0.0),
            (1.0 + 1.0 / 256.0, 1.0), // half way between 1 and 1 + 2^-7: the even one
            (1.0 + 3.0 / 256.0, 1.015_625),
            (1.004, 1.007_812_5),
            (f32::MAX, f32::INFINITY),
            (f32::INFINITY, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ];
        for (value, expected) in cases {
            assert_eq!(round_bf16(value).to_bits(), f32::to_bits(expected), "{value}");
        }
        assert!(round_bf16(f32::NAN).is_nan());
        assert!(round_bf16(f32::from_bits(0x7f80_0001)).is_nan());
    }
}
