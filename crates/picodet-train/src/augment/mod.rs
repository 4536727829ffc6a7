//! Augmentation: what happens to an image and its boxes before the network sees them (SPEC §7.2).
//!
//! A pipeline is a list of steps, in a configuration a list of words: `["crop", "flip 0.5", "distort"]`.

mod colour;
mod crop;
mod hsv;
mod mosaic;

use std::fmt;
use std::str::FromStr;

use picodet_image::Image;

use crate::Truth;
use crate::random::Stream;

pub use colour::{brightness, contrast, distort, from_hsv, saturation, shift_hue, to_hsv};
pub use crop::crop;
pub use hsv::shift_hsv;
pub use mosaic::mosaic;

/// An image on its way to the network, with its objects in pixels of this image.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The pixels.
    pub image: Image,
    /// Boxes in pixels of `image`, and their classes.
    pub truth: Truth,
}

/// One step of an augmentation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// A random crop that keeps objects, by overlap with them.
    Crop,
    /// Left becomes right, with this probability.
    Flip(f64),
    /// Brightness, contrast, saturation and hue, each with probability one half, in random order.
    Distort,
    /// With this probability: four images in one, warped, another one mixed in.
    Mosaic(f64),
    /// Hue, saturation and value moved by up to 5, 30 and 30.
    Hsv,
}

/// What a pipeline may ask for beside the sample itself: other images of the dataset, by a random number's choice.
pub type Others<'a> = &'a mut dyn FnMut(&mut Stream) -> Option<Sample>;

impl Step {
    /// What becomes of a sample.
    pub fn apply(self, sample: Sample, stream: &mut Stream, others: Others<'_>) -> Sample {
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

/// Left becomes right.
pub fn flip(sample: Sample) -> Sample {
    let Sample { image, mut truth } = sample;
    let width = image.width();
    let mut data = Vec::with_capacity(image.data().len());
    for row in image.data().chunks_exact(width * 3) {
        data.extend(row.as_chunks::<3>().0.iter().rev().flatten());
    }
    for bbox in &mut truth.boxes {
        (bbox[0], bbox[2]) = (width as f64 - bbox[2], width as f64 - bbox[0]);
    }
    let image = Image::new(width, image.height(), data).unwrap_or(image);
    Sample { image, truth }
}

/// A word that is no augmentation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no augmentation; there are: crop, flip P, distort, mosaic P, hsv (P: a probability)")]
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
    fn a_flip_mirrors_pixels_and_boxes() {
        let image = Image::new(3, 1, vec![1, 1, 1, 2, 2, 2, 3, 3, 3]).expect("three pixels");
        let truth = Truth { boxes: vec![[0.0, 0.0, 1.0, 1.0]], classes: vec![4] };
        let sample = Sample { image, truth };
        let flipped = flip(sample.clone());
        assert_eq!(flipped.image.data(), [3, 3, 3, 2, 2, 2, 1, 1, 1]);
        assert_eq!(flipped.truth.boxes, [[2.0, 0.0, 3.0, 1.0]]);
        assert_eq!(flip(flipped), sample);
    }

    #[test]
    fn words_are_steps_and_other_words_are_refused() {
        for step in [Step::Crop, Step::Flip(0.5), Step::Distort, Step::Mosaic(0.6), Step::Hsv] {
            assert_eq!(step.to_string().parse(), Ok(step));
        }
        for wrong in ["", "crop 1", "flip", "flip 2", "flip x", "flip 0.5 0.5", "blur"] {
            assert!(wrong.parse::<Step>().is_err(), "{wrong}");
        }
    }
}
