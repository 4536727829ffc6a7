use picodet_engine::{CpuEngine, Plan};
use picodet_graph::{Graph, Role, Tensor, Weights, pass};
use picodet_zoo::{Head, variant};

use super::*;
use crate::graph_of;

#[test]
fn a_sharp_distribution_is_its_bin() {
    let mut logits = [-100.0f64; BINS];
    logits[5] = 100.0;
    assert!((integral(logits) - 5.0).abs() < 1e-12);
    assert!((integral([3.0f32; BINS]) - 3.5).abs() < 1e-6);
}

#[test]
fn boxes_grow_from_the_centres_of_positions() {
    let score = Tensor4::<f64>::zeros([1, 1, 2, 3]);
    let reg = Tensor4::<f64>::zeros([1, REG_CHANNELS, 2, 3]);
    let level = HeadLevel { score: score.view(), score_is_logit: false, reg: reg.view(), stride: 8 };
    // Uniform bins mean a distance of 3.5 strides to each side.
    assert_eq!(boxes(&[level], 0)[5], [20.0 - 28.0, 12.0 - 28.0, 20.0 + 28.0, 12.0 + 28.0]);
}

/// The same values with channels last, and with neither channels nor columns adjacent in memory.
fn other_layouts(tensor: &Tensor4) -> [(Vec<f32>, [usize; 4]); 2] {
    let [_, channels, height, width] = tensor.shape;
    let mut last = vec![0.0; tensor.data.len()];
    let mut spread = vec![f32::MAX; 2 * tensor.data.len()];
    for (i, &value) in tensor.view().iter().enumerate() {
        let (n, c, position) =
            (i / (channels * tensor.plane()), i / tensor.plane() % channels, i % tensor.plane());
        last[(n * tensor.plane() + position) * channels + c] = value;
        spread[2 * i] = value;
    }
    let row = width * channels;
    let plane = 2 * tensor.plane();
    [(last, [row * height, 1, row, channels]), (spread, [plane * channels, plane, 2 * width, 2])]
}

#[test]
fn candidates_are_the_anchors_above_the_threshold_in_every_layout() {
    let mut noise = picodet_testing::Noise::new(7);
    let mut map = |shape: [usize; 4]| {
        let mut map = Tensor4::<f32>::zeros(shape);
        map.data.iter_mut().for_each(|value| *value = noise.uniform(0.0, 1.0));
        map
    };
    let sizes = [(13, 11), (7, 6), (1, 1)];
    let mut maps: Vec<_> = sizes.map(|(h, w)| (map([2, 3, h, w]), map([2, REG_CHANNELS, h, w]))).into();
    maps[0].0.data[5] = f32::NAN;
    let layouts: Vec<_> =
        maps.iter().map(|(score, reg)| (other_layouts(score), other_layouts(reg))).collect();
    let mut wrong = Vec::new();
    for logits in [false, true] {
        let level = |score, reg| HeadLevel { score, score_is_logit: logits, reg, stride: 8 };
        let levels: Vec<_> = maps.iter().map(|(score, reg)| level(score.view(), reg.view())).collect();
        let strided = |layout: usize| -> Vec<_> {
            let view = |(data, strides): &'_ (Vec<f32>, [usize; 4]), shape| {
                TensorView::new(data.clone().leak(), shape, *strides).expect("enough data")
            };
            let maps = maps.iter().zip(&layouts);
            maps.map(|((score, reg), (scores, regs))| {
                level(view(&scores[layout], score.shape), view(&regs[layout], reg.shape))
            })
            .collect()
        };
        let (last, spread) = (strided(0), strided(1));
        for (n, threshold) in [(0, 0.0), (0, 0.5), (1, 0.6), (1, 0.9), (1, 0.999), (0, 1.0)] {
            let (scores, boxes) = (scores(&levels, n), boxes(&levels, n));
            let all = scores.iter().enumerate().filter(|(_, score)| **score > threshold);
            let expected: Vec<_> = all
                .map(|(i, &score)| Candidate {
                    class: (i / boxes.len()) as u32,
                    anchor: (i % boxes.len()) as u32,
                    score,
                })
                .collect();
            for levels in [&levels, &last, &spread] {
                let same_box = |anchor: usize| box_of(levels, n, anchor) == boxes.get(anchor).copied();
                if candidates(levels, n, threshold) != expected || !(0..boxes.len() + 2).all(same_box) {
                    wrong.push((logits, n, threshold, expected.len(), levels[0].score.strides()));
                }
            }
        }
        assert!(!candidates(&levels, 1, 0.6).is_empty());
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Weights that make scores of all heights.
fn weights(graph: &Graph) -> Weights {
    let mut noise = picodet_testing::Noise::new(5);
    let mut random = |limit: f32| (2.0 * noise.uniform(0.0, 1.0) - 1.0) * limit;
    let params = graph.params.iter().map(|param| {
        let limit = (3.0 / param.shape.iter().skip(1).product::<usize>().max(1) as f32).sqrt();
        let data = (0..param.len()).map(|_| match param.role {
            Role::Gamma | Role::RunningVariance => 1.0,
            Role::Weight => random(limit),
            _ => random(0.1),
        });
        (param.name.clone(), Tensor { shape: param.shape.clone(), data: data.collect() })
    });
    params.collect()
}

#[test]
fn maps_in_place_give_what_copied_ones_give() {
    for name in ["legacy_s_320", "v2_xs_320"] {
        let variant = variant(name).expect("a published network");
        let graph = graph_of(&variant.architecture, 7, true);
        let graph = pass::keep_outputs(&graph, Head::is_detection_output);
        let plan = CpuEngine::new().prepare(&graph, &weights(&graph), (64, 96)).expect("a sound network");
        let data = (0..3 * 64 * 96).map(|i| ((i * 37 % 255) as f32 / 255.0 - 0.5) * 4.0).collect();
        let image = Tensor4 { shape: [1, 3, 64, 96], data };
        let outputs = plan.run(&image).expect("the image fits");
        let strides = variant.architecture.strides();
        let copied = head_levels(&outputs, &strides);
        let in_place = plan.run_in_place(&image).expect("the image fits").expect("views of the maps");
        let views = in_place.views();
        let in_place = head_levels_in_place(&views, &strides).expect("readable maps");
        let mut count = 0;
        for threshold in [0.0, 0.3, 0.45, 0.5, 0.55, 0.7, 1.0] {
            let expected = candidates(&copied, 0, threshold);
            let found = candidates(&in_place, 0, threshold);
            // Rounding of the sigmoid may put a score on either side of the threshold.
            let near = |list: &[Candidate], other: &[Candidate]| {
                list.iter().all(|one| {
                    let same = |two: &&Candidate| (two.class, two.anchor) == (one.class, one.anchor);
                    let close = |two: &Candidate| (two.score - one.score).abs() < 1e-6;
                    other.iter().find(same).map_or((one.score - threshold).abs() < 1e-6, close)
                })
            };
            assert!(near(&expected, &found) && near(&found, &expected), "{name} above {threshold}");
            assert!(found.is_sorted_by_key(|candidate| (candidate.class, candidate.anchor)));
            count += found.len();
        }
        assert!(count > 100, "{name}: only {count} candidates");
        for anchor in 0..anchor_count(&copied) + 2 {
            let (expected, found) = (box_of(&copied, 0, anchor), box_of(&in_place, 0, anchor));
            assert_eq!(expected, found, "{name}, anchor {anchor}");
        }
    }
}

#[test]
fn thresholds_have_logits_slightly_below_them() {
    assert!(sigmoid(f32::NAN).is_nan());
    assert_eq!(below_logit(0.0f32), f32::NEG_INFINITY);
    assert!(below_logit(1.0f32).is_finite());
    assert!((below_logit(0.5f32) + 1e-3).abs() < 1e-6);
}
