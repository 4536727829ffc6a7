//! From the head's maps to scores and boxes: grid points, the integral over the distance bins (SPEC §6.2).

use picodet_engine::{Feature, Real};
use picodet_zoo::{BINS, REG_CHANNELS};

/// The maps of one pyramid level.
#[derive(Clone, Copy, Debug)]
pub struct LevelMaps<'a, T> {
    /// Class probabilities, `[n, classes, h, w]`.
    pub score: &'a Feature<T>,
    /// Box distribution logits, `[n, 32, h, w]`.
    pub reg: &'a Feature<T>,
    /// Pixels of the network input a cell.
    pub stride: usize,
}

/// Anchors of all levels, finest first, row-major within a level.
pub fn anchor_count<T: Real>(levels: &[LevelMaps<'_, T>]) -> usize {
    levels.iter().map(|level| level.score.plane()).sum()
}

/// Class probabilities of one image of the batch, `[classes, anchors]`.
pub fn scores<T: Real>(levels: &[LevelMaps<'_, T>], image: usize) -> Vec<T> {
    let classes = levels.first().map_or(0, |level| level.score.shape[1]);
    let mut scores = Vec::with_capacity(classes * anchor_count(levels));
    for class in 0..classes {
        for level in levels {
            let plane = level.score.plane();
            scores.extend_from_slice(&level.score.data[(image * classes + class) * plane..][..plane]);
        }
    }
    scores
}

/// Boxes of one image of the batch, `[x1, y1, x2, y2]` in pixels of the network input, one an anchor. Not clipped.
pub fn boxes<T: Real>(levels: &[LevelMaps<'_, T>], image: usize) -> Vec<[T; 4]> {
    let mut boxes = Vec::with_capacity(anchor_count(levels));
    for level in levels {
        let [_, _, height, width] = level.reg.shape;
        for y in 0..height {
            for x in 0..width {
                boxes.push(box_at(level, image, y, x));
            }
        }
    }
    boxes
}

/// As [`boxes`], but only where some class scores above `threshold`: nobody looks at the other boxes, which are zero.
/// `scores` is what [`scores`](self::scores) gave for the same image.
pub fn boxes_above<T: Real>(
    levels: &[LevelMaps<'_, T>],
    image: usize,
    scores: &[T],
    threshold: T,
) -> Vec<[T; 4]> {
    let count = anchor_count(levels);
    let mut wanted = vec![false; count];
    for scores in scores.chunks(count.max(1)) {
        for (wanted, &score) in wanted.iter_mut().zip(scores) {
            *wanted |= score > threshold;
        }
    }
    let mut boxes = vec![[T::ZERO; 4]; count];
    let mut first = 0;
    for level in levels {
        let [_, _, height, width] = level.reg.shape;
        for cell in (0..height * width).filter(|cell| wanted[first + cell]) {
            boxes[first + cell] = box_at(level, image, cell / width, cell % width);
        }
        first += height * width;
    }
    boxes
}

/// The box of one cell, in pixels of the network input.
pub fn box_at<T: Real>(level: &LevelMaps<'_, T>, image: usize, y: usize, x: usize) -> [T; 4] {
    let [_, _, _, width] = level.reg.shape;
    let plane = level.reg.plane();
    let cell = y * width + x;
    let logits = &level.reg.data[image * REG_CHANNELS * plane..];
    let side =
        |side: usize| integral::<T>(std::array::from_fn(|bin| logits[(side * BINS + bin) * plane + cell]));
    let stride = T::from_f64(level.stride as f64);
    // Cell centres lie half a stride into the cell.
    let centre = |index: usize| T::from_f64((index as f64 + 0.5) * level.stride as f64);
    let (cx, cy) = (centre(x), centre(y));
    [cx - side(0) * stride, cy - side(1) * stride, cx + side(2) * stride, cy + side(3) * stride]
}

/// The expectation of a distribution given by logits: a distance in strides, 0 to 7.
pub fn integral<T: Real>(logits: [T; BINS]) -> T {
    let largest = logits.iter().copied().fold(logits[0], T::larger);
    let mut sum = T::ZERO;
    let mut weighted = T::ZERO;
    for (bin, logit) in logits.into_iter().enumerate() {
        let share = (logit - largest).exp();
        sum += share;
        weighted += share * T::from_f64(bin as f64);
    }
    weighted / sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sharp_distribution_is_its_bin() {
        let mut logits = [-100.0f64; BINS];
        logits[5] = 100.0;
        assert!((integral(logits) - 5.0).abs() < 1e-12);
        assert!((integral([3.0f32; BINS]) - 3.5).abs() < 1e-6);
    }

    #[test]
    fn boxes_that_nobody_looks_at_are_left_out() {
        let mut score = Feature::<f64>::zeros([1, 2, 2, 3]);
        score.data[7] = 0.5;
        let reg = Feature::<f64>::zeros([1, REG_CHANNELS, 2, 3]);
        let levels = [LevelMaps { score: &score, reg: &reg, stride: 8 }];
        let all = boxes(&levels, 0);
        let some = boxes_above(&levels, 0, &scores(&levels, 0), 0.4);
        assert_eq!(some[1], all[1]);
        assert!(some.iter().enumerate().all(|(anchor, bbox)| anchor == 1 || *bbox == [0.0; 4]));
    }

    #[test]
    fn boxes_grow_from_cell_centres() {
        let score = Feature::<f64>::zeros([1, 1, 2, 3]);
        let reg = Feature::<f64>::zeros([1, REG_CHANNELS, 2, 3]);
        let boxes = boxes(&[LevelMaps { score: &score, reg: &reg, stride: 8 }], 0);
        // Uniform bins mean a distance of 3.5 strides to each side.
        assert_eq!(boxes[5], [20.0 - 28.0, 12.0 - 28.0, 20.0 + 28.0, 12.0 + 28.0]);
    }
}
