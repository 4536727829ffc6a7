//! Symbolic shapes: `[n, c, h, w]` with the batch implied and h, w written as functions of the input size.

use std::fmt;

/// Input heights and widths are multiples of this many pixels (SPEC §2.1: the neck adds maps of strides 8, 16 and 32).
pub const INPUT_MULTIPLE: usize = 32;

/// The height or width of a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// `ceil(input / divisor)`: exact, because nested ceil divisions collapse into one.
    Input {
        /// The stride of the map in pixels of the network input.
        divisor: usize,
    },
    /// An extent that does not depend on the input, as after global pooling.
    Fixed(usize),
}

impl Extent {
    /// Returns the number of pixels of the map for an input of `input` pixels along this axis.
    #[must_use]
    pub fn resolve(self, input: usize) -> usize {
        match self {
            Self::Input { divisor } => input.div_ceil(divisor),
            Self::Fixed(extent) => extent,
        }
    }

    /// Returns the extent after a kernel window of stride `stride` with "same" padding.
    #[must_use]
    pub fn strided(self, stride: usize) -> Self {
        match self {
            Self::Input { divisor } => Self::Input { divisor: divisor * stride },
            Self::Fixed(extent) => Self::Fixed(extent.div_ceil(stride)),
        }
    }

    /// Returns the extent after doubling, or `None` where the result has no whole stride: only maps whose stride
    /// divides [`INPUT_MULTIPLE`] double exactly.
    #[must_use]
    pub fn doubled(self) -> Option<Self> {
        match self {
            Self::Input { divisor } if divisor % 2 == 0 && INPUT_MULTIPLE.is_multiple_of(divisor) => {
                Some(Self::Input { divisor: divisor / 2 })
            }
            Self::Input { .. } => None,
            Self::Fixed(extent) => Some(Self::Fixed(extent * 2)),
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { divisor: 1 } => f.write_str("1/1"),
            Self::Input { divisor } => write!(f, "1/{divisor}"),
            Self::Fixed(extent) => write!(f, "{extent}"),
        }
    }
}

/// The shape of a feature map, `[n, channels, height, width]` with any batch `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Number of channels.
    pub channels: usize,
    /// Height in pixels of the map.
    pub height: Extent,
    /// Width in pixels of the map.
    pub width: Extent,
}

impl Shape {
    /// Returns the shape of the network input.
    #[must_use]
    pub fn input(channels: usize) -> Self {
        Self { channels, height: Extent::Input { divisor: 1 }, width: Extent::Input { divisor: 1 } }
    }

    /// Returns the shape with another number of channels.
    #[must_use]
    pub fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// Returns the shape after a kernel window of stride `stride` with "same" padding.
    #[must_use]
    pub fn strided(self, stride: usize) -> Self {
        Self { height: self.height.strided(stride), width: self.width.strided(stride), ..self }
    }

    /// Returns `[channels, height, width]` for an input of `input` = (height, width) pixels.
    #[must_use]
    pub fn resolve(self, input: (usize, usize)) -> [usize; 3] {
        [self.channels, self.height.resolve(input.0), self.width.resolve(input.1)]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[n, {}, {}, {}]", self.channels, self.height, self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_ceil_divisions_are_one() {
        for input in (32..=1024).step_by(32) {
            let mut extent = Extent::Input { divisor: 1 };
            let mut pixels: usize = input;
            for _ in 0..6 {
                extent = extent.strided(2);
                pixels = pixels.div_ceil(2);
                assert_eq!(extent.resolve(input), pixels);
            }
        }
    }

    #[test]
    fn only_exact_strides_double() {
        assert_eq!(Extent::Input { divisor: 32 }.doubled(), Some(Extent::Input { divisor: 16 }));
        assert_eq!(Extent::Input { divisor: 64 }.doubled(), None);
        assert_eq!(Extent::Input { divisor: 1 }.doubled(), None);
    }

    #[test]
    fn the_last_level_of_352_has_six_pixels() {
        assert_eq!(Extent::Input { divisor: 64 }.resolve(352), 6);
    }
}
