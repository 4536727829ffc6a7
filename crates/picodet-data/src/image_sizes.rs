//! Sizes of images, in place of those that labels state.

use crate::dataset::{Dataset, Part};
use crate::format::handler_of;

/// Returns the datasets of the parts with the sizes of their images, if a label states another one or none, and the number
/// of images of which a label states another one. Sizes of images that cannot be read stay.
pub(crate) fn with_image_sizes(parts: &[Part<'_>]) -> (Option<Vec<Dataset>>, usize) {
    let (mut different, mut corrected) = (false, 0);
    let mut datasets = Vec::with_capacity(parts.len());
    for part in parts {
        let mut dataset = part.dataset.clone();
        // A dataset with fractions has its sizes from the images.
        let count =
            if handler_of(dataset.format).conventions().pixel_boxes { dataset.images.len() } else { 0 };
        let headers = picodet_parallel::map(0..count, 0, |index| part.dataset.image_header(index));
        for (image, header) in dataset.images.iter_mut().zip(headers) {
            let Some(header) = header else { continue };
            let (stated, size) = ((image.width, image.height), (header.width, header.height));
            if stated != size {
                different = true;
                corrected += usize::from(stated.0 > 0 && stated.1 > 0);
                (image.width, image.height) = size;
            }
        }
        datasets.push(dataset);
    }
    (different.then_some(datasets), corrected)
}
