//! Decoding and suppression of the head's maps of an S 416 network with 80 classes, by the fraction of scores above the
//! threshold.

use divan::{Bencher, black_box};
use picodet_detect::decode::{HeadLevel, box_of, candidates, head_levels};
use picodet_detect::{InputBox, Nms, ScaleFactor};
use picodet_graph::Tensor4;
use picodet_testing::Noise;
use picodet_zoo::{HeadMap, REG_CHANNELS};

const CLASSES: usize = 80;
const INPUT: usize = 416;
const STRIDES: [usize; 4] = [8, 16, 32, 64];
/// Fractions of the scores that are candidates: a picture with few objects, and one with many.
const FRACTIONS: [f64; 2] = [0.001, 0.02];

fn main() {
    divan::main();
}

/// Collects the anchors that score above the threshold.
#[divan::bench(args = FRACTIONS)]
fn decode(bencher: Bencher<'_, '_>, fraction: f64) {
    let maps = maps(fraction);
    let levels = head_levels(&maps, &STRIDES);
    let threshold = Nms::default().score_threshold;
    bencher.bench_local(|| candidates(black_box(&levels), 0, threshold));
}

/// Suppresses the candidates, whose boxes are decoded on demand.
#[divan::bench(args = FRACTIONS)]
fn suppress(bencher: Bencher<'_, '_>, fraction: f64) {
    let maps = maps(fraction);
    let levels = head_levels(&maps, &STRIDES);
    let nms = Nms::default();
    let candidates = candidates(&levels, 0, nms.score_threshold);
    bencher.bench_local(|| nms.run_candidates(black_box(&candidates), |anchor| image_box(&levels, anchor)));
}

fn image_box(levels: &[HeadLevel<'_>], anchor: usize) -> picodet_detect::ImageBox {
    let bbox = box_of(levels, 0, anchor).expect("an anchor of the levels");
    InputBox(bbox).to_image(ScaleFactor { y: 1.0, x: 1.0 })
}

/// Maps of probabilities, of which `fraction` is above the threshold, and of box logits.
fn maps(fraction: f64) -> Vec<(String, Tensor4)> {
    let mut noise = Noise::new(1);
    let mut maps = Vec::new();
    for (level, stride) in STRIDES.into_iter().enumerate() {
        let side = INPUT.div_ceil(stride);
        let mut map = |map: HeadMap, channels, value: &mut dyn FnMut(&mut Noise) -> f32| {
            let data = (0..channels * side * side).map(|_| value(&mut noise)).collect();
            maps.push((map.name(level), Tensor4 { shape: [1, channels, side, side], data }));
        };
        map(HeadMap::Score, CLASSES, &mut |noise| {
            if noise.unit() < fraction { noise.uniform(0.03, 1.0) } else { noise.uniform(0.0, 0.02) }
        });
        map(HeadMap::Box, REG_CHANNELS, &mut |noise| noise.normal());
    }
    maps
}
