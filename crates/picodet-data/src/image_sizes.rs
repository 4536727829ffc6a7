//! Sizes of images, in place of those that labels state.

use crate::dataset::{Dataset, Part};
use crate::format::handler_of;

/// Returns the datasets of the parts with the sizes of their images, if a label states another one or none, and the number
/// of images of which a label states another one. Sizes of images that cannot be read stay.
pub(crate) fn with_image_sizes(parts: &[Part<'_>]) -> (Option<Vec<Dataset>>, usize) {
    let sizes: Vec<Vec<Option<(u32, u32)>>> =
        parts.iter().map(|part| different_sizes(part.dataset)).collect();
    if sizes.iter().flatten().all(Option::is_none) {
        return (None, 0);
    }
    let mut corrected = 0;
    let mut datasets = Vec::with_capacity(parts.len());
    for (part, sizes) in parts.iter().zip(sizes) {
        let mut dataset = part.dataset.clone();
        for (image, size) in dataset.images.iter_mut().zip(sizes) {
            let Some(size) = size else { continue };
            corrected += usize::from(image.width > 0 && image.height > 0);
            (image.width, image.height) = size;
        }
        datasets.push(dataset);
    }
    (Some(datasets), corrected)
}

/// The size of each image of which the label states another one or none.
fn different_sizes(dataset: &Dataset) -> Vec<Option<(u32, u32)>> {
    // A dataset with fractions has its sizes from the images.
    if !handler_of(dataset.format).conventions().pixel_boxes {
        return Vec::new();
    }
    picodet_parallel::map(0..dataset.images.len(), 0, |index| {
        let image = &dataset.images[index];
        let header = dataset.image_header(index)?;
        Some((header.width, header.height)).filter(|&size| size != (image.width, image.height))
    })
}
