//! Limits on the size of images.

use super::DecodeError;

/// Whether this is the module for browsers, which lacks what a browser decodes itself: all but JPEG and PNG, and
/// JPEG at a reduced size.
pub(super) const IN_BROWSER: bool = cfg!(all(target_family = "wasm", target_os = "unknown"));

/// Maximum number of bytes per pixel while decoding: four 16-bit channels.
const BYTES_PER_PIXEL: u64 = 8;

/// Divisors of the sides at which a decoder computes a JPEG picture.
const JPEG_DIVISORS: [u64; 4] = [1, 2, 4, 8];

/// Maximum height of a picture that is decoded at a reduced size: `jpeg-decoder` counts rows of whole blocks in 16 bits.
const MAX_REDUCED_HEIGHT: u32 = 65_528;

/// Limits on the size that a file's header claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum number of pixels, width times height, of a decoded image. Larger JPEG pictures are decoded at a half, a
    /// quarter or an eighth of their sides.
    pub pixels: u64,
}

impl Limits {
    /// The default of `pixels`: 100 million.
    pub const DEFAULT_PIXELS: u64 = 100_000_000;

    /// Returns limits of `pixels` pixels per image.
    #[must_use]
    pub fn new(pixels: u64) -> Self {
        Self { pixels }
    }

    /// Checks the size that a header claims; a larger JPEG picture is within the limits if it can be decoded at a reduced size.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`].
    pub fn check(&self, width: u32, height: u32, is_jpeg: bool) -> Result<(), DecodeError> {
        self.divisor(width, height, is_jpeg).map(drop)
    }

    /// Returns the divisor of the sides with which a picture is within the limits; 1 decodes it whole.
    pub(super) fn divisor(&self, width: u32, height: u32, is_jpeg: bool) -> Result<u64, DecodeError> {
        let pixels = |by: u64| u64::from(width).div_ceil(by) * u64::from(height).div_ceil(by);
        let is_jpeg = is_jpeg && !IN_BROWSER && height <= MAX_REDUCED_HEIGHT;
        let divisors = if is_jpeg { &JPEG_DIVISORS[..] } else { &JPEG_DIVISORS[..1] };
        let found = divisors.iter().copied().find(|&by| pixels(by) <= self.pixels);
        found.ok_or(DecodeError::TooLarge { width, height, limit: self.pixels })
    }

    /// Returns the maximum number of bytes of decoded pixels.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pixels.saturating_mul(BYTES_PER_PIXEL)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(Self::DEFAULT_PIXELS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_sufficient_divisor_is_chosen() {
        let divisor = |width, height, limit, is_jpeg| Limits::new(limit).divisor(width, height, is_jpeg).ok();
        assert_eq!(divisor(100, 100, 10_000, true), Some(1));
        assert_eq!(divisor(100, 101, 10_000, true), Some(2));
        assert_eq!(divisor(100, 101, 10_000, false), None);
        assert_eq!(divisor(16_320, 12_240, Limits::DEFAULT_PIXELS, true), Some(2));
        assert_eq!(divisor(101, 101, 51 * 51, true), Some(2));
        assert_eq!(divisor(101, 101, 51 * 51 - 1, true), Some(4));
        assert_eq!(divisor(65_535, 65_528, Limits::DEFAULT_PIXELS, true), Some(8));
        assert_eq!(divisor(65_535, 65_529, Limits::DEFAULT_PIXELS, true), None);
        assert_eq!(divisor(65_535, 65_528, 10_000_000, true), None);
    }
}
