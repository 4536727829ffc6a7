//! Horizontal mirroring.

use picodet_image::Image;

use super::sample::Sample;

/// Mirrors image and boxes horizontally.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Truth;

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
}
