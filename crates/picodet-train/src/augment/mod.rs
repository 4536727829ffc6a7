//! Augmentation of images and their boxes (SPEC §7.2).
//!
//! A recipe lists the steps as words: `["crop", "flip 0.5", "distort"]`.

mod colour;
mod crop;
mod flip;
mod hsv;
mod mosaic;
mod sample;

use std::fmt;
use std::str::FromStr;

use crate::random::Stream;

pub use colour::{brightness, contrast, distort, from_hsv, saturation, shift_hue, to_hsv};
pub use crop::crop;
pub use flip::flip;
pub use hsv::shift_hsv;
pub use mosaic::mosaic;
pub use sample::{OtherSamples, Sample};

/// One step of an augmentation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Random crop with a minimum overlap with the objects.
    Crop,
    /// Horizontal mirroring with this probability.
    Flip(f64),
    /// Brightness, contrast, saturation and hue, each with probability one half, in random order.
    Distort,
    /// With this probability: a warped mosaic of four images, with another image mixed in (MixUp).
    Mosaic(f64),
    /// Random shift of hue, saturation and value by up to 5, 30 and 30.
    Hsv,
}

impl Step {
    /// Applies the step to a sample.
    pub fn apply(self, sample: Sample, stream: &mut Stream, others: OtherSamples<'_>) -> Sample {
        match self {
            Self::Crop => crop(sample, stream),
            Self::Flip(probability) if stream.chance(probability) => flip(sample),
            Self::Flip(_) => sample,
            Self::Distort => Sample { image: distort(sample.image, stream), ..sample },
            Self::Mosaic(probability) if stream.chance(probability) => mosaic(sample, stream, others),
            Self::Mosaic(_) => sample,
            Self::Hsv => Sample { image: shift_hsv(sample.image, stream), ..sample },
        }
    }
}

/// An unknown augmentation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown augmentation `{0}`; expected one of: crop, flip P, distort, mosaic P, hsv (P: a probability)"
)]
pub struct UnknownStep(String);

impl FromStr for Step {
    type Err = UnknownStep;

    fn from_str(text: &str) -> Result<Self, UnknownStep> {
        let unknown = || UnknownStep(text.to_owned());
        let mut words = text.split_whitespace();
        let (name, number) = (words.next().unwrap_or_default(), words.next());
        let probability = match number.map(f64::from_str) {
            None => None,
            Some(Ok(number)) if (0.0..=1.0).contains(&number) => Some(number),
            Some(_) => return Err(unknown()),
        };
        match (name, probability, words.next()) {
            ("crop", None, None) => Ok(Self::Crop),
            ("distort", None, None) => Ok(Self::Distort),
            ("hsv", None, None) => Ok(Self::Hsv),
            ("flip", Some(probability), None) => Ok(Self::Flip(probability)),
            ("mosaic", Some(probability), None) => Ok(Self::Mosaic(probability)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crop => f.write_str("crop"),
            Self::Flip(probability) => write!(f, "flip {probability}"),
            Self::Distort => f.write_str("distort"),
            Self::Mosaic(probability) => write!(f, "mosaic {probability}"),
            Self::Hsv => f.write_str("hsv"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_steps_and_others_are_refused() {
        for step in [Step::Crop, Step::Flip(0.5), Step::Distort, Step::Mosaic(0.6), Step::Hsv] {
            assert_eq!(step.to_string().parse(), Ok(step));
        }
        for wrong in ["", "crop 1", "flip", "flip 2", "flip x", "flip 0.5 0.5", "blur"] {
            assert!(wrong.parse::<Step>().is_err(), "{wrong}");
        }
    }
}
