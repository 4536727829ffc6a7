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

/// An anchor that may show an object of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<T = f32> {
    /// Index of the class. There are thousands of candidates, so that small numbers pay.
    pub class: u32,
    /// Index of the anchor, which [`box_of`] takes.
    pub anchor: u32,
    /// The class's probability there.
    pub score: T,
}

/// The anchors of one image of the batch that score above `threshold`, by class, then by anchor.
///
/// The same numbers as in [`scores`], of which few are wanted. NaN is above nothing.
pub fn candidates<T: Real>(levels: &[LevelMaps<'_, T>], image: usize, threshold: T) -> Vec<Candidate<T>> {
    /// So many scores are looked at together; mostly none of them is high.
    const BLOCK: usize = 64;
    let classes = levels.first().map_or(0, |level| level.score.shape[1]);
    let mut found = Vec::with_capacity(BLOCK * BLOCK);
    for class in 0..classes {
        let mut first = 0;
        for level in levels {
            let plane = level.score.plane();
            let scores = &level.score.data[(image * classes + class) * plane..][..plane];
            for (block, scores) in scores.chunks(BLOCK).enumerate() {
                if scores.iter().fold(false, |any, score| any | (*score > threshold)) {
                    let above = scores.iter().enumerate().filter(|(_, score)| **score > threshold);
                    let anchor = |i: usize| (first + block * BLOCK + i) as u32;
                    let class = class as u32;
                    found.extend(above.map(|(i, &score)| Candidate { class, anchor: anchor(i), score }));
                }
            }
            first += plane;
        }
    }
    found
}

/// The box of one anchor of one image of the batch, as in [`boxes`]; `None` when there is no such anchor.
pub fn box_of<T: Real>(levels: &[LevelMaps<'_, T>], image: usize, anchor: usize) -> Option<[T; 4]> {
    let mut cell = anchor;
    for level in levels {
        let [_, _, height, width] = level.reg.shape;
        if cell < height * width {
            return Some(box_at(level, image, cell / width, cell % width));
        }
        cell -= height * width;
    }
    None
}

/// The box of one cell, in pixels of the network input.
pub fn box_at<T: Real>(level: &LevelMaps<'_, T>, image: usize, y: usize, x: usize) -> [T; 4] {
    let [_, _, _, width] = level.reg.shape;
    let plane = level.reg.plane();
    let cell = y * width + x;
    let logits = &level.reg.data[image * REG_CHANNELS * plane..];
    let side = |side: usize| std::array::from_fn(|bin| logits[(side * BINS + bin) * plane + cell]);
    box_around((y, x), level.stride, side)
}

/// The box around the centre of cell (y, x) of a level; `side` gives the distance logits of the left, upper, right and lower
/// side.
pub(crate) fn box_around<T: Real>(
    (y, x): (usize, usize),
    stride: usize,
    side: impl Fn(usize) -> [T; BINS],
) -> [T; 4] {
    // Cell centres lie half a stride into the cell.
    let centre = |index: usize| T::from_f64((index as f64 + 0.5) * stride as f64);
    let (cx, cy) = (centre(x), centre(y));
    let stride = T::from_f64(stride as f64);
    let distance = |index: usize| integral(side(index)) * stride;
    [cx - distance(0), cy - distance(1), cx + distance(2), cy + distance(3)]
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
    fn candidates_are_the_anchors_above_the_threshold() {
        // Numbers from 0 to 1 and, among the scores, one that is none.
        let mut state = 7u32;
        let mut map = |shape: [usize; 4]| {
            let mut map = Feature::<f32>::zeros(shape);
            map.data.iter_mut().for_each(|value| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = (state >> 8) as f32 / (1 << 24) as f32;
            });
            map
        };
        let sizes = [(13, 11), (7, 6), (1, 1)];
        let mut maps: Vec<_> = sizes.map(|(h, w)| (map([2, 3, h, w]), map([2, REG_CHANNELS, h, w]))).into();
        maps[0].0.data[5] = f32::NAN;
        let levels: Vec<_> = maps.iter().map(|(score, reg)| LevelMaps { score, reg, stride: 8 }).collect();
        let mut wrong = Vec::new();
        for (image, threshold) in [(0, 0.0), (0, 0.5), (1, 0.9), (1, 0.999), (0, 1.0)] {
            let (scores, boxes) = (scores(&levels, image), boxes(&levels, image));
            let all = scores.iter().enumerate().filter(|(_, score)| **score > threshold);
            let expected: Vec<_> = all
                .map(|(i, &score)| Candidate {
                    class: (i / boxes.len()) as u32,
                    anchor: (i % boxes.len()) as u32,
                    score,
                })
                .collect();
            let same_box = |anchor: usize| box_of(&levels, image, anchor) == boxes.get(anchor).copied();
            if candidates(&levels, image, threshold) != expected || !(0..boxes.len() + 2).all(same_box) {
                wrong.push((image, threshold, expected.len()));
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(!candidates(&levels, 1, 0.9).is_empty());
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
