//! Decoding of the head's maps to scores and boxes: grid points, the integral over the distance bins (SPEC §6.2).
//!
//! The maps are [`TensorView`]s of any memory layout. The engine gives its own channels-last maps with the scores
//! before their sigmoid, which is then computed only for the few scores that are high enough.

use picodet_engine::{OutputView, Real};
use picodet_graph::{Activation, Tensor4, TensorView};
use picodet_zoo::{BINS, HeadMap, REG_CHANNELS};

/// The head's maps of one pyramid level.
#[derive(Clone, Copy, Debug)]
pub struct HeadLevel<'a, T = f32> {
    /// Class scores, `[n, classes, h, w]`.
    pub score: TensorView<'a, T>,
    /// Whether `score` holds logits, whose sigmoids are the probabilities, instead of probabilities.
    pub score_is_logit: bool,
    /// Logits of the distance distributions of the four sides, `[n, REG_CHANNELS, h, w]`.
    pub reg: TensorView<'a, T>,
    /// Stride of the level in pixels of the network input.
    pub stride: usize,
}

impl<'a, T: Real> HeadLevel<'a, T> {
    /// Pairs the maps of a level; `None` where their shapes do not match.
    fn new(
        score: TensorView<'a, T>,
        score_is_logit: bool,
        reg: TensorView<'a, T>,
        stride: usize,
    ) -> Option<Self> {
        let ([n, _, height, width], channels) = (score.shape(), REG_CHANNELS);
        (reg.shape() == [n, channels, height, width]).then_some(Self { score, score_is_logit, reg, stride })
    }

    fn probability(&self, score: T) -> T {
        if self.score_is_logit { sigmoid(score) } else { score }
    }

    /// The box of position (`y`, `x`) of image `n`.
    fn box_at(&self, n: usize, y: usize, x: usize) -> [T; 4] {
        let side = |side: usize| -> [T; BINS] {
            match self.reg.pixel(n, y, x) {
                Some(logits) => std::array::from_fn(|bin| logits[side * BINS + bin]),
                None => std::array::from_fn(|bin| self.reg[[n, side * BINS + bin, y, x]]),
            }
        };
        // Grid points are at the centres of the positions.
        let centre = |index: usize| T::from_f64((index as f64 + 0.5) * self.stride as f64);
        let (cx, cy) = (centre(x), centre(y));
        let stride = T::from_f64(self.stride as f64);
        let distance = |index: usize| integral(side(index)) * stride;
        [cx - distance(0), cy - distance(1), cx + distance(2), cy + distance(3)]
    }
}

/// Finds the head's maps of each level among the named outputs of a run; levels without maps are left out.
pub fn head_levels<'a, T: Real>(
    outputs: &'a [(String, Tensor4<T>)],
    strides: &[usize],
) -> Vec<HeadLevel<'a, T>> {
    let find = |name: String| outputs.iter().find(|output| output.0 == name).map(|output| output.1.view());
    let level = |(level, &stride): (usize, &usize)| {
        HeadLevel::new(find(HeadMap::Score.name(level))?, false, find(HeadMap::Box.name(level))?, stride)
    };
    strides.iter().enumerate().filter_map(level).collect()
}

/// Finds the head's maps of each level among views of the engine's memory; `None` where one is missing or needs an
/// activation other than the scores' sigmoid.
pub fn head_levels_in_place<'a>(outputs: &[OutputView<'a>], strides: &[usize]) -> Option<Vec<HeadLevel<'a>>> {
    let find = |name: String| outputs.iter().find(|output| output.name == name);
    let level = |(level, &stride): (usize, &usize)| {
        let (score, reg) = (find(HeadMap::Score.name(level))?, find(HeadMap::Box.name(level))?);
        let score_is_logit = match score.pending {
            None => false,
            Some(Activation::Sigmoid) => true,
            Some(_) => return None,
        };
        let readable = reg.pending.is_none();
        readable.then(|| HeadLevel::new(score.values, score_is_logit, reg.values, stride))?
    };
    strides.iter().enumerate().map(level).collect()
}

/// Returns the number of anchors of all levels, finest first, row-major within a level.
pub fn anchor_count<T: Real>(levels: &[HeadLevel<'_, T>]) -> usize {
    levels.iter().map(|level| level.score.plane()).sum()
}

/// Returns the class probabilities of image `n` of the batch, `[classes, anchors]`.
pub fn scores<T: Real>(levels: &[HeadLevel<'_, T>], n: usize) -> Vec<T> {
    let classes = levels.first().map_or(0, |level| level.score.shape()[1]);
    let mut scores = Vec::with_capacity(classes * anchor_count(levels));
    for class in 0..classes {
        for level in levels {
            let [.., height, width] = level.score.shape();
            let positions = (0..height).flat_map(|y| (0..width).map(move |x| [n, class, y, x]));
            scores.extend(positions.map(|position| level.probability(level.score[position])));
        }
    }
    scores
}

/// Returns the boxes of image `n` of the batch, `[x1, y1, x2, y2]` in pixels of the network input, one per anchor.
/// They are not clipped.
pub fn boxes<T: Real>(levels: &[HeadLevel<'_, T>], n: usize) -> Vec<[T; 4]> {
    let mut boxes = Vec::with_capacity(anchor_count(levels));
    for level in levels {
        let [.., height, width] = level.reg.shape();
        boxes.extend((0..height).flat_map(|y| (0..width).map(move |x| level.box_at(n, y, x))));
    }
    boxes
}

/// An anchor that may show an object of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<T = f32> {
    /// Index of the class; 32 bits, because there are thousands of candidates.
    pub class: u32,
    /// Index of the anchor, the argument of [`box_of`].
    pub anchor: u32,
    /// The probability of the class there.
    pub score: T,
}

/// Returns the anchors of image `n` of the batch that score above `threshold`, ordered by class, then by anchor.
///
/// They are the elements of [`scores`] above the threshold; NaN is never above it.
pub fn candidates<T: Real>(levels: &[HeadLevel<'_, T>], n: usize, threshold: T) -> Vec<Candidate<T>> {
    let mut found = Vec::with_capacity(1024);
    let mut first_anchor = 0;
    for level in levels {
        let [_, classes, height, width] = level.score.shape();
        let mut scan = Scan::new(level, threshold, &mut found);
        if level.score.strides()[1] == 1 {
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                let anchor = first_anchor + y * width + x;
                scan.line(level.score.pixel(n, y, x).unwrap_or_default(), (0, anchor), (1, 0));
            }
        } else {
            for (class, y) in (0..classes).flat_map(|class| (0..height).map(move |y| (class, y))) {
                let anchor = first_anchor + y * width;
                match level.score.row(n, class, y) {
                    Some(row) => scan.line(row, (class, anchor), (0, 1)),
                    None => (0..width).for_each(|x| {
                        scan.line(&[level.score[[n, class, y, x]]], (class, anchor + x), (0, 0));
                    }),
                }
            }
        }
        first_anchor += height * width;
    }
    by_class(&found)
}

/// Collects the scores of one level that are above a threshold.
struct Scan<'a, T> {
    /// As in [`HeadLevel`].
    score_is_logit: bool,
    threshold: T,
    /// Values up to this one cannot be above the threshold.
    least: T,
    found: &'a mut Vec<Candidate<T>>,
}

impl<'a, T: Real> Scan<'a, T> {
    fn new(level: &HeadLevel<'_, T>, threshold: T, found: &'a mut Vec<Candidate<T>>) -> Self {
        let least = if level.score_is_logit { below_logit(threshold) } else { threshold };
        Self { score_is_logit: level.score_is_logit, threshold, least, found }
    }

    /// Scans values that are adjacent in memory; `first` is the class and the anchor of the first one, `step` the difference to
    /// those of the next.
    fn line(&mut self, line: &[T], first: (usize, usize), step: (usize, usize)) {
        /// Values that are tested at once; usually none of them is high.
        const BLOCK: usize = 16;
        let (blocks, rest) = line.as_chunks::<BLOCK>();
        for (index, block) in blocks.iter().enumerate() {
            // A count over an array of known length is vectorised; a loop that ends at the first one is not.
            let high: u32 = block.iter().map(|value| u32::from(*value > self.least)).sum();
            if high > 0 {
                self.collect(block, index * BLOCK, first, step);
            }
        }
        self.collect(rest, blocks.len() * BLOCK, first, step);
    }

    /// Collects the values that are above the threshold; `done` is the number of those before them in the line.
    #[inline(never)]
    fn collect(&mut self, values: &[T], done: usize, first: (usize, usize), step: (usize, usize)) {
        for (i, &value) in values.iter().enumerate() {
            if value > self.least {
                let score = if self.score_is_logit { sigmoid(value) } else { value };
                if score > self.threshold {
                    let class = (first.0 + (done + i) * step.0) as u32;
                    let anchor = (first.1 + (done + i) * step.1) as u32;
                    self.found.push(Candidate { class, anchor, score });
                }
            }
        }
    }
}

/// Returns the box of one anchor of image `n` of the batch, as in [`boxes`]; `None` when there is no such anchor.
pub fn box_of<T: Real>(levels: &[HeadLevel<'_, T>], n: usize, anchor: usize) -> Option<[T; 4]> {
    let mut position = anchor;
    for level in levels {
        let [.., height, width] = level.reg.shape();
        if position < height * width {
            return Some(level.box_at(n, position / width, position % width));
        }
        position -= height * width;
    }
    None
}

/// Returns the expectation of a distribution given by logits: a distance in strides, 0 to 7.
pub fn integral<T: Real>(logits: [T; BINS]) -> T {
    let largest = logits.iter().copied().fold(logits[0], T::larger);
    let mut sum = T::ZERO;
    let mut weighted = T::ZERO;
    for (bin, logit) in logits.into_iter().enumerate() {
        let weight = (logit - largest).exp();
        sum += weight;
        weighted += weight * T::from_f64(bin as f64);
    }
    weighted / sum
}

fn sigmoid<T: Real>(logit: T) -> T {
    T::ONE / (T::ONE + (T::ZERO - logit).exp())
}

/// Returns a logit slightly below that of a probability, so that rounding loses no score above it; minus infinity for
/// probabilities up to 0.
fn below_logit<T: Real>(probability: T) -> T {
    let probability = probability.to_f64();
    if probability <= 0.0 {
        return T::from_f64(f64::NEG_INFINITY);
    }
    let probability = probability.min(1.0 - f64::from(f32::EPSILON));
    T::from_f64((probability / (1.0 - probability)).ln() - 1e-3)
}

/// Sorts by class with a counting sort, which keeps the order within a class.
fn by_class<T: Real>(found: &[Candidate<T>]) -> Vec<Candidate<T>> {
    let classes = found.iter().map(|candidate| candidate.class as usize + 1).max().unwrap_or(0);
    let mut next = vec![0; classes + 1];
    found.iter().for_each(|candidate| next[candidate.class as usize + 1] += 1);
    (0..classes).for_each(|class| next[class + 1] += next[class]);
    let mut sorted = vec![Candidate { class: 0, anchor: 0, score: T::ZERO }; found.len()];
    for &candidate in found {
        let slot = &mut next[candidate.class as usize];
        sorted[*slot] = candidate;
        *slot += 1;
    }
    sorted
}

#[cfg(test)]
mod tests;
