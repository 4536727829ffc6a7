//! The head's outputs of a batch as rows of channels, and the gradients of a loss in the same layout.

use std::borrow::Cow;

use picodet_graph::TensorView;
use picodet_kernel::focal::Rows;
use picodet_zoo::{BINS, HeadMap, REG_CHANNELS, REG_MAX};

use crate::{Anchors, Box4};

/// The head's training outputs of one pyramid level, in any memory layout.
#[derive(Clone, Copy, Debug)]
pub struct LevelMaps<'a> {
    /// Class logits, `[n, classes, h, w]`.
    pub cls: TensorView<'a>,
    /// Box distribution logits, `[n, 32, h, w]`.
    pub reg: TensorView<'a>,
    /// Alignment logits of the second generation, `[n, 1, h, w]`.
    pub align: Option<TensorView<'a>>,
    /// Stride of the level in pixels of the network input.
    pub stride: usize,
}

/// One output of one level, channels last.
#[derive(Clone, Debug)]
struct Map<'a> {
    data: Cow<'a, [f32]>,
    channels: usize,
    /// Distance between positions, in elements.
    stride: usize,
    /// Positions of an image.
    plane: usize,
}

impl<'a> Map<'a> {
    /// Borrows a channels-last view; copies any other layout.
    fn new(view: TensorView<'a>) -> Self {
        let [_, channels, height, width] = view.shape();
        let [image, channel, row, column] = view.strides();
        let plane = height * width;
        if channel == 1 && row == width * column && image == height * row {
            return Self { data: Cow::Borrowed(view.data()), channels, stride: column, plane };
        }
        let mut data = vec![0.0; view.len()];
        for (index, &value) in view.iter().enumerate() {
            let (position, map) = (index % plane, index / plane);
            data[(map / channels * plane + position) * channels + map % channels] = value;
        }
        Self { data: Cow::Owned(data), channels, stride: channels, plane }
    }

    /// All positions of one image.
    fn image(&self, image: usize) -> Rows<'_> {
        let data = &self.data[image * self.plane * self.stride..];
        Rows { data, stride: self.stride, channels: self.channels, count: self.plane }
    }

    /// A copy of the values of `images` images.
    fn copied(&self, images: usize) -> Map<'static> {
        let end = (images * self.plane).checked_sub(1).map_or(0, |last| last * self.stride + self.channels);
        Map { data: Cow::Owned(self.data[..end].to_vec()), ..*self }
    }

    /// The channels of one position of one image.
    fn row(&self, image: usize, position: usize) -> &[f32] {
        &self.data[(image * self.plane + position) * self.stride..][..self.channels]
    }
}

/// The outputs of one level.
#[derive(Clone, Debug)]
struct Level<'a> {
    /// Index of its first anchor.
    first: usize,
    /// Height and width.
    size: (usize, usize),
    cls: Map<'a>,
    reg: Map<'a>,
    align: Option<Map<'a>>,
}

/// The predictions of the network at every anchor of every image.
#[derive(Clone, Debug)]
pub struct Predictions<'a> {
    /// Images of the batch.
    pub images: usize,
    /// Classes.
    pub classes: usize,
    /// The anchors of one image.
    pub anchors: Anchors,
    levels: Vec<Level<'a>>,
}

impl<'a> Predictions<'a> {
    /// Collects the outputs of all levels, finest first.
    ///
    /// # Panics
    /// When the maps of a level, or the batches of two levels, have different shapes.
    pub fn new(levels: &[LevelMaps<'a>]) -> Self {
        let [images, classes, ..] = levels.first().map_or([0; 4], |level| level.cls.shape());
        let size = |level: &LevelMaps<'_>| {
            let [_, _, height, width] = level.cls.shape();
            (height, width, level.stride)
        };
        let anchors = Anchors::new(&levels.iter().map(size).collect::<Vec<_>>());
        let mut first = 0;
        let collect = |level: &LevelMaps<'a>| {
            let (height, width, _) = size(level);
            let map = |view: TensorView<'a>, channels: usize| {
                let expected = [images, channels, height, width];
                assert_eq!(view.shape(), expected, "the outputs of a level have different shapes");
                Map::new(view)
            };
            let align = level.align.map(|view| map(view, 1));
            let size = (height, width);
            let level =
                Level { first, size, cls: map(level.cls, classes), reg: map(level.reg, REG_CHANNELS), align };
            first += height * width;
            level
        };
        let levels = levels.iter().map(collect).collect();
        Self { images, classes, anchors, levels }
    }

    /// Returns a copy, which does not borrow the memory of the network.
    #[must_use]
    pub fn copied(&self) -> Predictions<'static> {
        let map = |map: &Map<'_>| map.copied(self.images);
        let level = |level: &Level<'_>| Level {
            first: level.first,
            size: level.size,
            cls: map(&level.cls),
            reg: map(&level.reg),
            align: level.align.as_ref().map(map),
        };
        let levels = self.levels.iter().map(level).collect();
        Predictions { images: self.images, classes: self.classes, anchors: self.anchors.clone(), levels }
    }

    /// Whether all levels have an alignment output.
    pub(crate) fn has_alignment(&self) -> bool {
        self.levels.iter().all(|level| level.align.is_some())
    }

    /// Returns the level of an anchor and its position there.
    fn locate(&self, anchor: usize) -> (&Level<'a>, usize) {
        let index = self.levels.iter().rposition(|level| level.first <= anchor).unwrap_or_default();
        let level = &self.levels[index];
        (level, anchor - level.first)
    }

    /// Returns the class logits of an anchor.
    pub fn class_logits(&self, image: usize, anchor: usize) -> &[f32] {
        let (level, position) = self.locate(anchor);
        level.cls.row(image, position)
    }

    /// Returns the alignment of an anchor, 0 to 1; 1 where the network has no alignment output.
    pub(crate) fn alignment(&self, image: usize, anchor: usize) -> f64 {
        let (level, position) = self.locate(anchor);
        level.align.as_ref().map_or(1.0, |align| sigmoid(f64::from(align.row(image, position)[0])))
    }

    /// Returns class and alignment logits of one image, level by level.
    pub(crate) fn class_maps(&self, image: usize) -> impl Iterator<Item = (Rows<'_>, Option<Rows<'_>>)> {
        self.levels
            .iter()
            .map(move |level| (level.cls.image(image), level.align.as_ref().map(|align| align.image(image))))
    }

    /// Returns the probability of each bin of each side of an anchor's box.
    pub(crate) fn bin_probabilities(&self, image: usize, anchor: usize) -> [[f64; BINS]; 4] {
        let (level, position) = self.locate(anchor);
        let logits = level.reg.row(image, position);
        std::array::from_fn(|side| {
            let logits: [f64; BINS] = std::array::from_fn(|bin| f64::from(logits[side * BINS + bin]));
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers = logits.map(|logit| (logit - largest).exp());
            let sum: f64 = powers.iter().sum();
            powers.map(|power| power / sum)
        })
    }

    /// Returns the box of an anchor in strides of its level.
    pub(crate) fn box_in_strides(&self, image: usize, anchor: usize) -> Box4 {
        let mean = |probabilities: [f64; BINS]| {
            probabilities.iter().enumerate().map(|(bin, probability)| bin as f64 * probability).sum::<f64>()
        };
        let [left, top, right, bottom] = self.bin_probabilities(image, anchor).map(mean);
        let [x, y] = self.anchors.centres[anchor].map(|side| side / self.anchors.strides[anchor]);
        [x - left, y - top, x + right, y + bottom]
    }

    /// Returns the box of an anchor in pixels of the network input.
    pub fn box_in_pixels(&self, image: usize, anchor: usize) -> Box4 {
        let stride = self.anchors.strides[anchor];
        self.box_in_strides(image, anchor).map(|side| side * stride)
    }

    /// Returns the distances from an anchor's centre to the sides of a box given in strides, clamped to the bins' range.
    pub(crate) fn distances(&self, anchor: usize, target: &Box4) -> [f64; 4] {
        let [x, y] = self.anchors.centres[anchor].map(|side| side / self.anchors.strides[anchor]);
        let largest = REG_MAX as f64 - 0.1;
        [x - target[0], y - target[1], target[2] - x, target[3] - y].map(|side| side.clamp(0.0, largest))
    }
}

/// The gradients of one level, channels last without gaps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LevelGradients {
    /// Index of its first anchor.
    first: usize,
    /// Height and width.
    size: (usize, usize),
    /// `[n, h, w, classes]`.
    pub(crate) cls: Vec<f32>,
    /// `[n, h, w, 32]`.
    pub(crate) reg: Vec<f32>,
    /// `[n, h, w]`; empty without alignment output.
    pub(crate) align: Vec<f32>,
}

impl LevelGradients {
    /// The number of positions of an image.
    pub(crate) fn plane(&self) -> usize {
        self.size.0 * self.size.1
    }
}

/// The gradients of a loss by the head's training outputs. Keeps its memory from step to step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadGradients {
    images: usize,
    classes: usize,
    pub(crate) levels: Vec<LevelGradients>,
}

impl HeadGradients {
    /// Returns gradients with the shapes of `predictions`.
    pub fn for_predictions(predictions: &Predictions<'_>) -> Self {
        let mut gradients = Self::default();
        gradients.reset(predictions);
        gradients
    }

    /// Takes the shapes of `predictions`. Box gradients become zero; the others keep old values until they are overwritten.
    pub(crate) fn reset(&mut self, predictions: &Predictions<'_>) {
        self.images = predictions.images;
        self.classes = predictions.classes;
        self.levels.resize_with(predictions.levels.len(), LevelGradients::default);
        for (gradients, level) in self.levels.iter_mut().zip(&predictions.levels) {
            let size = level.size;
            let positions = self.images * size.0 * size.1;
            gradients.first = level.first;
            gradients.size = size;
            gradients.cls.resize(positions * self.classes, 0.0);
            gradients.reg.clear();
            gradients.reg.resize(positions * REG_CHANNELS, 0.0);
            gradients.align.resize(if level.align.is_some() { positions } else { 0 }, 0.0);
        }
    }

    /// Adds the gradients of another loss of the same predictions, times `factor`.
    pub(crate) fn add(&mut self, other: &Self, factor: f32) {
        self.combine(other, |sum, value| sum + factor * value);
    }

    /// Replaces a share of the gradients by that of another loss of the same predictions.
    pub(crate) fn blend(&mut self, other: &Self, share: f32) {
        self.combine(other, |own, value| own + share * (value - own));
    }

    fn combine(&mut self, other: &Self, combined: impl Fn(f32, f32) -> f32) {
        for (level, other) in self.levels.iter_mut().zip(&other.levels) {
            let maps = [
                (&mut level.cls, &other.cls),
                (&mut level.reg, &other.reg),
                (&mut level.align, &other.align),
            ];
            for (sum, values) in maps {
                sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum = combined(*sum, value));
            }
        }
    }

    /// Splits the gradients by class and alignment logits into images, each level by level.
    pub(crate) fn class_maps_mut(&mut self) -> Vec<Vec<(&mut [f32], &mut [f32])>> {
        let mut images: Vec<Vec<_>> = (0..self.images).map(|_| Vec::new()).collect();
        for level in &mut self.levels {
            let plane = level.size.0 * level.size.1;
            let mut cls = level.cls.chunks_mut((plane * self.classes).max(1));
            let mut align = level.align.chunks_mut(plane.max(1));
            for image in &mut images {
                image.push((cls.next().unwrap_or_default(), align.next().unwrap_or_default()));
            }
        }
        images
    }

    /// Returns the level of an anchor, and the index of its position in the level's maps.
    fn locate(&mut self, image: usize, anchor: usize) -> (&mut LevelGradients, usize) {
        let index = self.levels.iter().rposition(|level| level.first <= anchor).unwrap_or_default();
        let level = &mut self.levels[index];
        let position = image * level.size.0 * level.size.1 + anchor - level.first;
        (level, position)
    }

    /// Returns the gradients by the class logits of an anchor.
    pub(crate) fn cls_mut(&mut self, image: usize, anchor: usize) -> &mut [f32] {
        let classes = self.classes;
        let (level, position) = self.locate(image, anchor);
        &mut level.cls[position * classes..][..classes]
    }

    /// Returns the gradients by the box distribution logits of an anchor.
    pub(crate) fn reg_mut(&mut self, image: usize, anchor: usize) -> &mut [f32] {
        let (level, position) = self.locate(image, anchor);
        &mut level.reg[position * REG_CHANNELS..][..REG_CHANNELS]
    }

    /// Returns the gradient by the alignment logit of an anchor; `None` without alignment output.
    pub(crate) fn align_mut(&mut self, image: usize, anchor: usize) -> Option<&mut f32> {
        let (level, position) = self.locate(image, anchor);
        level.align.get_mut(position)
    }

    /// Returns the gradient of each of the head's outputs with its name in the graph, `[n, c, h, w]` channels last.
    pub fn outputs(&self) -> Vec<(String, TensorView<'_>)> {
        let mut outputs = Vec::new();
        for (index, level) in self.levels.iter().enumerate() {
            let maps = [
                (HeadMap::ClassLogit, self.classes, &level.cls),
                (HeadMap::Box, REG_CHANNELS, &level.reg),
                (HeadMap::AlignLogit, 1, &level.align),
            ];
            for (map, channels, data) in maps {
                let shape = [self.images, channels, level.size.0, level.size.1];
                let view = TensorView::channels_last(data, shape);
                outputs.extend(view.map(|view| (map.name(index), view)));
            }
        }
        outputs
    }
}

pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
