//! The head's maps as one list of cells, and gradients back as maps.

use picodet_zoo::{BINS, REG_CHANNELS, REG_MAX};

use crate::{Anchors, Box4};

/// A feature map, `[n, c, h, w]` row-major.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// Batch, channels, height, width.
    pub shape: [usize; 4],
    /// The values.
    pub data: &'a [f32],
}

/// The maps of one pyramid level.
#[derive(Clone, Copy, Debug)]
pub struct LevelMaps<'a> {
    /// Class logits, `[n, classes, h, w]`.
    pub cls: Map<'a>,
    /// Box distribution logits, `[n, 32, h, w]`.
    pub reg: Map<'a>,
    /// Alignment logits of the second generation, `[n, 1, h, w]`.
    pub align: Option<Map<'a>>,
    /// Pixels of the network input a cell.
    pub stride: usize,
}

/// What the network predicts for every cell of every image.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// Images of the batch.
    pub images: usize,
    /// Classes.
    pub classes: usize,
    /// The cells.
    pub anchors: Anchors,
    /// Class logits, `[n, anchors, classes]`.
    pub cls: Vec<f64>,
    /// Box distribution logits, `[n, anchors, 32]`.
    pub reg: Vec<f64>,
    /// Alignment logits, `[n, anchors]`.
    pub align: Option<Vec<f64>>,
    /// Threads that compute a loss of them, which changes no number; 1 unless set.
    pub threads: usize,
}

/// Gradients of a loss, shaped as the logits of [`Predictions`].
#[derive(Clone, Debug)]
pub struct Gradients {
    /// With respect to the class logits.
    pub cls: Vec<f64>,
    /// With respect to the box distribution logits.
    pub reg: Vec<f64>,
    /// With respect to the alignment logits.
    pub align: Option<Vec<f64>>,
}

/// Visits every element of a map as (index in the list of cells, index in the map).
fn each(shape: [usize; 4], first: usize, anchors: usize, mut visit: impl FnMut(usize, usize)) {
    let [images, channels, height, width] = shape;
    /// Cells whose channels stay in the cache while planes are walked.
    const BLOCK: usize = 16;
    let plane = height * width;
    for image in 0..images {
        for block in (0..plane).step_by(BLOCK) {
            for channel in 0..channels {
                for cell in block..(block + BLOCK).min(plane) {
                    let place = (image * anchors + first + cell) * channels + channel;
                    visit(place, (image * channels + channel) * plane + cell);
                }
            }
        }
    }
}

impl Predictions {
    /// Gathers the maps of all levels, finest first.
    ///
    /// # Panics
    /// When the maps of a level, or the batches of two levels, do not go together.
    pub fn new(levels: &[LevelMaps<'_>]) -> Self {
        let [images, classes, ..] = levels.first().map_or([0; 4], |level| level.cls.shape);
        let sizes: Vec<_> = levels.iter().map(|l| (l.cls.shape[2], l.cls.shape[3], l.stride)).collect();
        let anchors = Anchors::new(&sizes);
        let count = anchors.len();
        let gather = |channels: usize, map: &dyn for<'a> Fn(&LevelMaps<'a>) -> Map<'a>| {
            let mut values = vec![0.0; images * count * channels];
            let mut first = 0;
            for level in levels {
                let map = map(level);
                let [_, _, height, width] = level.cls.shape;
                assert_eq!(
                    map.shape,
                    [images, channels, height, width],
                    "the maps of a level do not go together"
                );
                assert_eq!(map.data.len(), map.shape.iter().product::<usize>(), "a map is not full");
                each(map.shape, first, count, |place, at| values[place] = f64::from(map.data[at]));
                first += height * width;
            }
            values
        };
        let align = levels.iter().all(|level| level.align.is_some()) && !levels.is_empty();
        Self {
            images,
            classes,
            cls: gather(classes, &|level| level.cls),
            reg: gather(REG_CHANNELS, &|level| level.reg),
            align: align.then(|| gather(1, &|level| level.align.unwrap_or(level.cls))),
            anchors,
            threads: 1,
        }
    }

    /// The shares of the bins of each side of one cell.
    pub(crate) fn shares(&self, place: usize) -> [[f64; BINS]; 4] {
        let logits = &self.reg[place * REG_CHANNELS..][..REG_CHANNELS];
        std::array::from_fn(|side| {
            let logits = &logits[side * BINS..][..BINS];
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: [f64; BINS] = std::array::from_fn(|bin| (logits[bin] - largest).exp());
            let sum: f64 = powers.iter().sum();
            powers.map(|power| power / sum)
        })
    }

    /// The box of one cell (`place` = image · anchors + anchor) in strides.
    pub(crate) fn box_in_strides(&self, place: usize) -> Box4 {
        let mean = |shares: [f64; BINS]| {
            shares.iter().enumerate().map(|(bin, share)| bin as f64 * share).sum::<f64>()
        };
        let [left, top, right, bottom] = self.shares(place).map(mean);
        let anchor = place % self.anchors.len();
        let [x, y] = self.anchors.centres[anchor].map(|side| side / self.anchors.strides[anchor]);
        [x - left, y - top, x + right, y + bottom]
    }

    /// The box of one cell in pixels of the network input.
    pub fn box_in_pixels(&self, place: usize) -> Box4 {
        let stride = self.anchors.strides[place % self.anchors.len()];
        self.box_in_strides(place).map(|side| side * stride)
    }

    /// Distances from a cell's centre to the sides of a box given in strides, cut to what the bins can hold.
    pub(crate) fn distances(&self, place: usize, target: &Box4) -> [f64; 4] {
        let anchor = place % self.anchors.len();
        let [x, y] = self.anchors.centres[anchor].map(|side| side / self.anchors.strides[anchor]);
        let largest = REG_MAX as f64 - 0.1;
        [x - target[0], y - target[1], target[2] - x, target[3] - y].map(|side| side.clamp(0.0, largest))
    }

    /// Gradients of zero.
    pub fn no_gradients(&self) -> Gradients {
        Gradients {
            cls: vec![0.0; self.cls.len()],
            reg: vec![0.0; self.reg.len()],
            align: self.align.as_ref().map(|align| vec![0.0; align.len()]),
        }
    }

    /// The gradients of one kind as maps of the levels, `[n, channels, h, w]`, for levels given as (height, width).
    pub fn to_maps(&self, values: &[f64], levels: &[(usize, usize)]) -> Vec<Vec<f32>> {
        let count = self.anchors.len();
        let channels = values.len() / (self.images * count).max(1);
        let mut first = 0;
        levels
            .iter()
            .map(|&(height, width)| {
                let shape = [self.images, channels, height, width];
                let mut map = vec![0.0; shape.iter().product()];
                each(shape, first, count, |place, at| map[at] = values[place] as f32);
                first += height * width;
                map
            })
            .collect()
    }
}

pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
