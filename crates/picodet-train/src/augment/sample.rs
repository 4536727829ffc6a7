//! An image with its objects during augmentation.

use picodet_image::Image;

use crate::Truth;
use crate::random::Stream;

/// An image with its objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The image.
    pub image: Image,
    /// Boxes in pixels of `image`, and their classes.
    pub truth: Truth,
}

/// Draws another image of the dataset, for augmentations of several images; `None` if it cannot be read.
pub type OtherSamples<'a> = &'a mut dyn FnMut(&mut Stream) -> Option<Sample>;
