//! The random crop of SSD with a minimum overlap with the objects (SPEC §7.2, step 1).

use picodet_image::Image;

use super::sample::Sample;
use crate::Truth;
use crate::geometry::{Box4, area, iou};
use crate::random::Stream;

/// Minimum overlaps of a crop with an object; `None` keeps the whole image.
const THRESHOLDS: [Option<f64>; 7] = [Some(0.0), Some(0.1), Some(0.3), Some(0.5), Some(0.7), Some(0.9), None];
/// Attempts per threshold.
const TRIES: usize = 50;
/// Range of the sides of the crop relative to the image, before the aspect ratio changes.
const SCALE: (f64, f64) = (0.3, 1.0);
/// Range of the aspect ratio of the crop relative to that of the image.
const ASPECT: (f64, f64) = (0.5, 2.0);

/// Crops an image so that at least one object overlaps the crop enough and has its centre in it. An image without objects
/// stays unchanged. Boxes are clipped to the crop; objects with their centre outside are dropped.
pub fn crop(sample: Sample, stream: &mut Stream) -> Sample {
    if sample.truth.boxes.is_empty() {
        return sample;
    }
    let mut thresholds = THRESHOLDS;
    stream.shuffle(&mut thresholds);
    for threshold in thresholds {
        let Some(threshold) = threshold else { return sample };
        for _ in 0..TRIES {
            let Some(window) = window(sample.image.width(), sample.image.height(), stream) else { continue };
            let [x1, y1, x2, y2] = window.map(|side| side as f64);
            let overlap = |bbox: &Box4| iou(bbox, &[x1, y1, x2, y2], |union| union.max(1e-10));
            if sample.truth.boxes.iter().map(overlap).fold(0.0, f64::max) < threshold {
                continue;
            }
            let truth = inside(&sample.truth, [x1, y1, x2, y2]);
            if !truth.boxes.is_empty() {
                return Sample { image: cut(&sample.image, window), truth };
            }
        }
    }
    sample
}

/// Returns a random window of an image: x1, y1, x2, y2 in whole pixels.
fn window(width: usize, height: usize, stream: &mut Stream) -> Option<[usize; 4]> {
    let scale = stream.uniform(SCALE.0, SCALE.1);
    let aspect = stream.uniform(ASPECT.0.max(scale * scale), ASPECT.1.min(1.0 / (scale * scale)));
    let crop_height = (height as f64 * scale / aspect.sqrt()) as usize;
    let crop_width = (width as f64 * scale * aspect.sqrt()) as usize;
    let top = stream.index(height.saturating_sub(crop_height));
    let left = stream.index(width.saturating_sub(crop_width));
    let fits = crop_height > 0 && crop_width > 0 && crop_height <= height && crop_width <= width;
    fits.then_some([left, top, left + crop_width, top + crop_height])
}

/// Returns the objects with their centre in a window, clipped to it, in pixels of the window.
fn inside(truth: &Truth, [x1, y1, x2, y2]: Box4) -> Truth {
    let mut kept = Truth::default();
    for (bbox, &class) in truth.boxes.iter().zip(&truth.classes) {
        let (x, y) = ((bbox[0] + bbox[2]) / 2.0, (bbox[1] + bbox[3]) / 2.0);
        let cut = [bbox[0].max(x1) - x1, bbox[1].max(y1) - y1, bbox[2].min(x2) - x1, bbox[3].min(y2) - y1];
        if x >= x1 && x < x2 && y >= y1 && y < y2 && cut[0] < cut[2] && cut[1] < cut[3] && area(&cut) > 0.0 {
            kept.boxes.push(cut);
            kept.classes.push(class);
        }
    }
    kept
}

fn cut(image: &Image, [x1, y1, x2, y2]: [usize; 4]) -> Image {
    let mut data = Vec::with_capacity((x2 - x1) * (y2 - y1) * 3);
    for row in y1..y2 {
        data.extend_from_slice(&image.data()[(row * image.width() + x1) * 3..(row * image.width() + x2) * 3]);
    }
    Image::new(x2 - x1, y2 - y1, data).unwrap_or_else(|| image.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    /// Every pixel holds its own position.
    fn picture() -> Image {
        let pixels = (0..60).flat_map(|y| (0..80).flat_map(move |x| [x as u8, y as u8, 0]));
        Image::new(80, 60, pixels.collect()).expect("80x60 pixels")
    }

    #[test]
    fn crops_keep_objects_by_their_centre_and_move_boxes_with_the_pixels() {
        let truth =
            Truth { boxes: vec![[10.0, 10.0, 30.0, 40.0], [50.0, 5.0, 75.0, 25.0]], classes: vec![0, 1] };
        let (mut whole, mut dropped) = (0, 0);
        for number in 0..500 {
            let mut stream = Stream::new(3, Purpose::Image, 0, number);
            let cropped = crop(Sample { image: picture(), truth: truth.clone() }, &mut stream);
            let [left, top, _] = cropped.image.pixel(0, 0).map(f64::from);
            let (width, height) = (cropped.image.width() as f64, cropped.image.height() as f64);
            whole += usize::from((width, height) == (80.0, 60.0));
            dropped += usize::from(cropped.truth.boxes.len() == 1);
            assert!(!cropped.truth.boxes.is_empty());
            for (bbox, class) in cropped.truth.boxes.iter().zip(&cropped.truth.classes) {
                let original = truth.boxes[*class];
                let expected = [
                    (original[0] - left).max(0.0),
                    (original[1] - top).max(0.0),
                    (original[2] - left).min(width),
                    (original[3] - top).min(height),
                ];
                assert_eq!(*bbox, expected, "crop {number} at {left}, {top}");
                let centre =
                    [(original[0] + original[2]) / 2.0 - left, (original[1] + original[3]) / 2.0 - top];
                assert!(centre[0] >= 0.0 && centre[0] < width && centre[1] >= 0.0 && centre[1] < height);
            }
        }
        // The whole image is the first choice with a probability of about 1/7, and the last if small overlaps fail.
        assert!((60..200).contains(&whole), "{whole} of 500 stay whole");
        assert!(dropped > 100, "{dropped} of 500 lose an object");
    }

    #[test]
    fn an_image_without_objects_or_of_one_pixel_stays_whole() {
        let mut stream = Stream::new(3, Purpose::Image, 0, 0);
        let empty = Sample { image: picture(), truth: Truth::default() };
        assert_eq!(crop(empty.clone(), &mut stream), empty);
        let dot = Sample {
            image: Image::filled(1, 1, [9; 3]),
            truth: Truth { boxes: vec![[0.0, 0.0, 1.0, 1.0]], classes: vec![0] },
        };
        assert_eq!(crop(dot.clone(), &mut stream), dot);
    }
}
